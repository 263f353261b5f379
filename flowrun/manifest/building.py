"""Tree to declarations. Owns the walk over a manifest that has its shape; checks of meaning are in `checks`.

Every place is kept from the tree. An empty value of an optional key counts as if the key were not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowrun.manifest.declared import AssetDecl, ForeachDecl, LimitsDecl, NodeDecl, OutputDecl, ProfileDecl, VarDecl
from flowrun.manifest.models import DURATION, LONG_FOREACH
from flowrun.yaml_tree import Entry, Mapping, Scalar, Sequence, Tree, plain

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def entries(tree: Tree | None) -> Iterator[Entry]:
    """A section's entries; none of an empty or missing one."""
    if isinstance(tree, Mapping):
        yield from tree.entries


def written(tree: Mapping, name: str) -> Tree | None:
    """The value of a key; None too where it is null."""
    value = tree.get(name)
    return None if isinstance(value, Scalar) and value.value is None else value


def value_of(tree: Tree | None, name: str) -> Any:
    """The plain value of a key, or None."""
    found = written(tree, name) if isinstance(tree, Mapping) else None
    return None if found is None else plain(found)


def mapping_of(tree: Tree | None) -> Mapping | None:
    return tree if isinstance(tree, Mapping) else None


def scalar_of(tree: Tree | None) -> Scalar | None:
    return tree if isinstance(tree, Scalar) else None


def variable(entry: Entry) -> VarDecl:
    """A mapping with `type` declares; anything else is a default."""
    tree = entry.value
    if not isinstance(tree, Mapping) or tree.get("type") is None:
        return VarDecl(entry.name, entry.key.span, default=tree)
    return VarDecl(
        entry.name,
        entry.key.span,
        type=value_of(tree, "type"),
        default=written(tree, "default"),
        enum=tuple(value_of(tree, "enum") or ()),
        minimum=value_of(tree, "minimum"),
        maximum=value_of(tree, "maximum"),
        required=bool(value_of(tree, "required")),
        description=value_of(tree, "description"),
    )


def asset(entry: Entry) -> AssetDecl | None:
    """None for a long form without a place; `checks` says so."""
    tree = entry.value
    if isinstance(tree, Scalar):
        return AssetDecl(entry.name, entry.key.span, tree)
    if not isinstance(tree, Mapping):
        return None
    path, url = scalar_of(written(tree, "path")), scalar_of(written(tree, "url"))
    place = path or url
    if place is None:
        return None
    pin = value_of(tree, "sha256")
    words = {name: value_of(tree, name) for name in ("license", "consent", "description")}
    digest = None if pin is None else pin.removeprefix("sha256:")
    return AssetDecl(entry.name, entry.key.span, place, digest, is_url=None if path else True, **words)


def output(entry: Entry) -> OutputDecl | None:
    tree = entry.value
    if isinstance(tree, Scalar):
        return OutputDecl(entry.name, entry.key.span, tree)
    source = scalar_of(written(tree, "from")) if isinstance(tree, Mapping) else None
    if source is None or not isinstance(tree, Mapping):
        return None
    return OutputDecl(entry.name, entry.key.span, source, scalar_of(written(tree, "path")))


def foreach(tree: Tree | None) -> ForeachDecl | None:
    if tree is None:
        return None
    if isinstance(tree, Mapping) and tree.entries and LONG_FOREACH.issuperset(tree.keys):
        key, file = scalar_of(written(tree, "key")), scalar_of(written(tree, "file"))
        return ForeachDecl(tree.span, written(tree, "items"), file, key)
    return ForeachDecl(tree.span, tree)


def node(entry: Entry) -> NodeDecl | None:
    """None for an entry that is no mapping or lacks `uses`; its shape says so."""
    tree = mapping_of(entry.value)
    uses = scalar_of(tree.get("uses")) if tree else None
    if tree is None or uses is None or not isinstance(uses.value, str):
        return None
    return NodeDecl(
        entry.name,
        entry.key.span,
        uses.value,
        uses.span,
        inputs=mapping_of(tree.get("with")),
        foreach=foreach(written(tree, "foreach")),
        when=written(tree, "when"),
        needs=tuple((str(item.value), item.span) for item in _scalars(tree.get("needs"))),
        takes=written(tree, "takes"),
        tags=tuple(str(item.value) for item in _scalars(tree.get("tags"))),
        retry=whole(value_of(tree, "retry")),
        timeout=seconds(value_of(tree, "timeout")),
        cache=_cache(written(tree, "cache")),
        description=value_of(tree, "description"),
    )


def _cache(tree: Tree | None) -> Any:
    return False if isinstance(tree, Scalar) and tree.value is False else tree


def _scalars(tree: Tree | None) -> Iterator[Scalar]:
    for item in tree.items if isinstance(tree, Sequence) else ():
        if isinstance(item, Scalar):
            yield item


def limits(tree: Tree | None) -> LimitsDecl:
    concurrency = value_of(tree, "concurrency") or {}
    whole_numbers = {model: int(number) for model, number in concurrency.items()}
    return LimitsDecl(whole(value_of(tree, "credits")), whole_numbers, whole(value_of(tree, "queue_ahead")))


def profile(entry: Entry) -> ProfileDecl:
    tree = mapping_of(entry.value)
    parts = (mapping_of(tree.get(name)) if tree else None for name in ("vars", "defaults"))
    return ProfileDecl(entry.name, entry.key.span, *parts)


def defaults(tree: Tree | None) -> dict[str, Mapping]:
    """Inputs by operation or operation/model; an empty entry gives none."""
    return {entry.name: entry.value for entry in entries(tree) if isinstance(entry.value, Mapping)}


def whole(number: Any) -> int | None:
    return None if number is None else int(number)


def seconds(text: Any) -> float | None:
    """``90s``, ``20m``, ``1h`` in seconds; None for None."""
    found = DURATION.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else float(found["count"]) * _SECONDS[found["unit"]]
