"""What is written about an instance, as a digest that does not depend on what its upstream makes. Owns that digest.

An action key is not known before everything above it is made. A saved plan holds this digest beside such a node, so that an
edit of the node between plan and apply is seen all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowrun.canonical import CanonicalError, sha256
from flowrun.digest import of_bytes
from flowrun.graph.inputs import InputError, InputFacts, KnownMedia, look_written
from flowrun.graph.model import Graph, Instance
from flowrun.graph.outcomes import Artifact, Outcomes
from flowrun.graph.request import WrittenMedia, make_request
from flowrun.graph.scope import ScopeSource
from flowrun.graph.values import Expression, ListValue, MapValue, Value, expressions
from flowrun.manifest.declared import Flow
from flowrun.operations.model import dotted
from flowrun.template import Reference

_NOTHING_MADE = Outcomes({})


def written_digest(instance: Instance, graph: Graph, source: ScopeSource, inputs: InputFacts) -> str:
    """Hex SHA-256. In it: the texts of inputs, `when` and `cache`, the values of what they name, the row, the number of takes,
    and the bytes of local files. Not in it: anything that another node makes, or that an https address serves."""
    node = instance.node
    values = [each for each in (instance.request, node.when, node.salt) if each is not None]
    references = [
        reference for value in values for each in expressions(value) for reference in each.template.references
    ]
    document = {
        "texts": [_text(value) for value in values],
        "renews": node.decl.cache is False,
        "takes": instance.takes,
        "model": instance.model,
        "named": dict(_named(references, graph.flow, source, inputs)),
        "row": _row(instance, references),
        "media": _media(instance, graph, source, inputs),
    }
    return _digest(document)


def _digest(document: Any) -> str:
    try:
        return sha256(document)
    except CanonicalError:  # a number that JSON cannot hold: the node will have no key either
        return of_bytes(repr(document).encode()).sha256


def _text(value: Value) -> Any:
    """As written, without places."""
    if isinstance(value, MapValue):
        return {entry.name: _text(entry.value) for entry in value.entries}
    if isinstance(value, ListValue):
        return [_text(item) for item in value.items]
    return {"template": value.template.text} if isinstance(value, Expression) else value.value


def _named(
    references: list[Reference], flow: Flow, source: ScopeSource, inputs: InputFacts
) -> Iterator[tuple[str, Any]]:
    """The values of variables and assets by name; all of them where a name is only found out by evaluating."""
    for reference in references:
        first = reference.steps[0] if reference.steps else None
        names = [first] if isinstance(first, str) else None
        if reference.root == "vars":
            for name in names or flow.values:
                given = flow.values.get(name)
                yield f"vars.{name}", _plain(given.value) if given and given.is_set else None
        elif reference.root == "assets":
            for name in names or source.assets:
                asset = source.assets.get(name)
                yield f"assets.{name}", None if asset is None else _bytes_of(_written(asset), inputs)
        elif reference.root == "flow":
            yield "flow", [flow.name, flow.profile]


def _written(asset: Any) -> WrittenMedia:
    return WrittenMedia(asset.written, asset.base, asset.pin, asset.name)


def _row(instance: Instance, references: list[Reference]) -> Any:
    """Key and value; the number only where it is asked for, since inserting a row above changes nothing else."""
    each = instance.each
    if each is None:
        return None
    asked = any(one.root == "each" and (not one.steps or one.steps[0] == "index") for one in references)
    return [each.key, _plain(each.value), each.index if asked else None]


def _media(instance: Instance, graph: Graph, source: ScopeSource, inputs: InputFacts) -> dict[str, Any]:
    request = make_request(instance, source.full(instance.each, _NOTHING_MADE, graph.fanouts))
    return {
        dotted(each.path): str(each.source.address)
        if isinstance(each.source, Artifact)
        else _bytes_of(each.source, inputs)
        for each in request.media
    }


def _bytes_of(written: WrittenMedia, inputs: InputFacts) -> Any:
    """A local file by its bytes; an address by its text, whether or not it has been fetched by now."""
    try:
        seen = look_written(written, inputs)
    except InputError as error:
        return {"error": error.code}
    if isinstance(seen, KnownMedia) and seen.origin == "file":
        return {"sha256": seen.digest.sha256}
    return {"text": written.text, "pin": written.pin}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float | bool) else repr(value)


__all__ = ["written_digest"]
