"""What a manifest's shape cannot say: forms that exclude each other, and parts of the language that are not built yet."""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.diagnostics.model import Diagnostic, Severity
from flowrun.manifest.building import entries, written
from flowrun.manifest.models import LONG_FOREACH
from flowrun.yaml_tree import Entry, Mapping, Scalar, Tree

LATER = {
    "matrix": "fan out with `foreach` over a list of records",
    "hold": "leave it out; the lock's pick keeps a take meanwhile",
    "gate": "leave it out, and stop an apply before the node with `--until`",
}


def problems(tree: Mapping) -> Iterator[Diagnostic]:
    for asset in entries(tree.get("assets")):
        yield from _one_of(asset, "path", "url", "bad-asset")
    for node in entries(tree.get("nodes")):
        yield from _node(node)
    if not list(entries(tree.get("nodes"))):
        entry = tree.entry("nodes")
        span, hint = entry.key.span if entry else tree.span.start(), "declare something to make under `nodes`"
        yield Diagnostic(
            "no-nodes", "the manifest has no nodes, so there is nothing to make", span, hint, severity=Severity.WARNING
        )


def _one_of(entry: Entry, first: str, second: str, code: str) -> Iterator[Diagnostic]:
    """Of two keys exactly one must be given."""
    tree = entry.value
    if not isinstance(tree, Mapping):
        return
    found = [name for name in (first, second) if written(tree, name) is not None]
    if not found:
        hint = f"add `{first}:` or `{second}:` to it"
        yield Diagnostic(code, f"`{entry.name}` has neither `{first}` nor `{second}`", entry.key.span, hint)
    elif len(found) == 2:
        later = max((each.key.span for each in tree.entries if each.name in found), default=entry.key.span)
        yield Diagnostic(code, f"`{entry.name}` has both `{first}` and `{second}`", later, "take one of the two out")


def _node(node: Entry) -> Iterator[Diagnostic]:
    if not isinstance(node.value, Mapping):
        return
    for entry in node.value.entries:
        if entry.name in LATER:
            message = f"`{entry.name}` is not supported yet"
            yield Diagnostic("not-supported-yet", message, entry.key.span, LATER[entry.name])
        elif entry.name == "foreach" and _is_long(entry.value):
            yield from _one_of(entry, "file", "items", "bad-foreach")
    yield from _uses(node.value.get("uses"))


def _is_long(tree: Tree) -> bool:
    return isinstance(tree, Mapping) and bool(tree.entries) and LONG_FOREACH.issuperset(tree.keys)


def _uses(tree: Tree | None) -> Iterator[Diagnostic]:
    text = tree.value if isinstance(tree, Scalar) else None
    if tree is None or not isinstance(text, str):
        return
    if text.startswith("media/"):
        hint = "do it outside flowrun meanwhile, and name the result under `assets`"
        yield Diagnostic("not-supported-yet", f"the local operation `{text}` is not supported yet", tree.span, hint)
    elif text.startswith(("./", "../", "/")) or text.endswith((".yaml", ".yml")):
        hint = "copy the nodes of that manifest into this one meanwhile"
        yield Diagnostic("not-supported-yet", f"modules such as `{text}` are not supported yet", tree.span, hint)
