"""The page that tells what of the API was asked for and came to an output: rows of what a test saw. Owns its words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flowrun.operations.catalogue import Catalogue, described
from flowrun.operations.spec import ModelSpec
from flowrun.plan.model import Cost
from tests.support.schema_places import places, used
from tests.support.whole_api import Call

HEADS = ("operation", "model", "known from", "inputs used", "requests accepted", "output", "price")
INTRO = """\
<!-- Written by tests/production/test_every_model.py. Do not edit. -->

# What is tried of the API

Every operation with every model, from a manifest through the client and the sandbox to media that decode. A test makes this page
from what it saw, and fails where an input is not used, a request is refused, or an output is not as asked.

An input is counted wherever it stands in a request, and once for each form that it may have: an image alone and a list of images
are two, `character.uri` as an image and as a film are two, and so are a first and a last frame. Each request that was sent is
held against the schema that it has to follow. Output and price are those of the first request, which has every input at once.
What each model takes is in [operations and models](models.md)."""
DESCRIBED = """\
## The API's description

Requests written by hand, in `tests/production/every_model.yaml`; served as the API was on the day of its description, and each
held against that."""
TODAY = """\
## The API today

Requests made from the catalogue's schemas, with small media; served as the API is today. A retired model is warned of: the live
API refuses it."""
OTHERS = """\
## The other endpoints

What is asked beside generations, by the same tests."""


@dataclass(frozen=True)
class Row:
    """One operation with one model. `calls`: the fullest request first. `size`: whether the page tells that of the output."""

    spec: ModelSpec
    calls: Sequence[Call]
    size: bool

    @property
    def used(self) -> frozenset[str]:
        return frozenset(each for call in self.calls for each in used(self.spec.schema, call.body))

    @property
    def there(self) -> frozenset[str]:
        return frozenset(places(self.spec.schema))

    def cells(self) -> tuple[str, ...]:
        first = self.calls[0]
        inputs = f"{len(self.used & self.there)} of {len(self.there)}"
        output = shown(first, size=self.size)
        return (
            f"`{self.spec.operation}`",
            f"`{self.spec.model}`",
            known_from(self.spec),
            inputs,
            str(len(self.calls)),
            output,
            price(first.cost),
        )


def known_from(spec: ModelSpec) -> str:
    there = spec.model in described().operations[spec.operation].models
    found = "description" if there else "overlay"
    found = "description, changed by overlay" if there and spec.described is not None else found
    return f"{found}; retired" if spec.retired else found


def shown(call: Call, *, size: bool) -> str:
    """``video/mp4, 1280x720, 4 s``: the size as asked for, which the output has at least the shape of."""
    facts = call.files[0]
    count = f"{len(call.files)} × " if len(call.files) > 1 else ""
    parts = [f"{count}{facts.media_type}"]
    if size and (asked := asked_size(call.body)):
        parts.append("{}x{}".format(*asked))
    if facts.duration is not None:
        parts.append(f"{round(facts.duration, 1):g} s")
    return ", ".join(parts)


def asked_size(body: Mapping[str, object]) -> tuple[int, int] | None:
    """Pixels, where the request names them."""
    width, _, height = str(body.get("ratio", "")).partition(":")
    return (int(width), int(height)) if width.isdigit() and height.isdigit() and int(width) > 64 else None


def price(cost: Cost) -> str:
    if cost.unknown:
        return "not known"
    found = f"{cost.high}" if cost.low == cost.high else f"{cost.low} to {cost.high}"
    return f"{found} credit{'' if found == '1' else 's'}"


def page(described_rows: Iterable[Row], today_rows: Iterable[Row], others: Mapping[str, str]) -> str:
    endpoints = _table(("endpoint", "for"), ((f"`{name}`", what) for name, what in others.items()))
    tables = (
        DESCRIBED,
        _table(HEADS, (each.cells() for each in described_rows)),
        TODAY,
        _table(HEADS, (each.cells() for each in today_rows)),
        OTHERS,
        endpoints,
    )
    return "\n\n".join((INTRO, *tables)) + "\n"


def rows(catalogue: Catalogue, calls: Iterable[Call], *, size: bool) -> list[Row]:
    """In the catalogue's order; one that nothing was asked of is left out."""
    by_pair: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        by_pair.setdefault((call.operation, call.model), []).append(call)
    return [
        Row(spec, by_pair[name, model], size)
        for name, operation in catalogue.operations.items()
        for model, spec in operation.models.items()
        if (name, model) in by_pair
    ]


def _table(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *lines))
