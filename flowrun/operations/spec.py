"""One model of one operation: its inputs, media slots, types and checks. Owns what is asked at run time of a model.

Made by `catalogue` from the structure file; the walking is `structure`'s, the checking `check`'s and `rules`'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

from flowrun.media.facts import MediaKind
from flowrun.operations import media_rules, rules, structure
from flowrun.operations.check import (
    Checker,
    FactsOf,
    in_request_order,
    kind_problems,
    most_telling,
    no_facts,
    schema_problems,
)
from flowrun.operations.model import InputSpec, Path, Problem, Retired, Schema, Slot, SlotPattern
from flowrun.operations.strict import StrictSchema, compiled
from flowrun.operations.wording import options_of, unknown_model_warning

LOW_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
HIGH_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
NUMBERS = frozenset({"number", "integer"})


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One operation/model. `schema`: the API's JSON Schema of a request; `others`: who else in the operation has an input.

    `limit`: characters that the live API takes in any data URI today, whatever the description says. `price`: its entry in
    the table of prices. `described`: the same model as the description alone has it, where an overlay changed it; what
    only the overlay refuses is a warning here (`LIVE_CODES`), and an error where it would be sent to the live API.
    `known`: whether any catalogue has it; one that none has is not checked.
    """

    operation: str
    model: str
    inputs: Mapping[str, InputSpec]
    schema: Schema = field(repr=False)
    retired: Retired | None = None
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    alternatives: tuple[str, ...] = field(default=(), repr=False)
    limit: int | None = field(default=None, repr=False)
    price: Mapping[str, Any] | None = field(default=None, repr=False)
    described: ModelSpec | None = field(default=None, repr=False)
    known: bool = True
    _form: Callable[[], StrictSchema] = field(default=lambda: compiled({}), repr=False, compare=False)

    @property
    def required(self) -> frozenset[str]:
        return frozenset(name for name, each in self.inputs.items() if each.required)

    @property
    def accepts_seed(self) -> bool:
        return "seed" in self.inputs

    @property
    def slot_patterns(self) -> tuple[SlotPattern, ...]:
        """Where any request of this model may hold media."""
        return tuple(structure.slot_patterns(self.schema))

    def slots(self, request: object) -> tuple[Slot, ...]:
        """The media slots in this request, in its order; found by structure, so a leaf may be anything."""
        return tuple(self._capped(slot) for slot in structure.slots(self.schema, request))

    def _capped(self, slot: Slot) -> Slot:
        limit = slot.data_uri_limit if self.limit is None else min(self.limit, slot.data_uri_limit)
        return Slot(slot.path, slot.kind, limit)

    def expected_types(self, path: Path) -> frozenset[str]:
        """JSON Schema names of the types taken at a place; empty where this model knows no such place."""
        return structure.expected_types(self.schema, path)

    def takes_number(self, path: Path) -> bool:
        """Whether only numbers are taken there."""
        types = self.expected_types(path)
        return bool(types) and types <= NUMBERS

    def takes_boolean(self, path: Path) -> bool:
        """Whether only true and false are taken there."""
        return self.expected_types(path) == {"boolean"}

    def check(self, request: Mapping[str, Any], facts: FactsOf = no_facts) -> tuple[Problem, ...]:
        """Everything wrong with a request (its ``model`` included), in its order; warnings too.

        Values not known yet are given as `UNKNOWN`, media as `MediaLeaf`; a plain text in a slot must be an address that
        the API takes. `facts` tells what is known of the media at a place.
        """
        found = self._check(request, facts) if self.known else (unknown_model_warning(self.operation, self.model),)
        if self.described is None or not any(each.is_error for each in found):
            return found
        if any(each.is_error for each in self.described._check(request, facts)):
            return found
        return tuple(rules.live_refusal(each) if each.is_error else each for each in found)

    def _check(self, request: Mapping[str, Any], facts: FactsOf) -> tuple[Problem, ...]:
        slots = structure.slots(self.schema, request)
        said, prepared = schema_problems(self._checker(), slots, request)
        kinds = [each for each in kind_problems(slots, request, facts) if not prepared.hides(each.path)]
        beyond = [each for each in self._rules(request, slots, facts) if not prepared.hides(each.path)]
        return in_request_order([*most_telling([*said, *kinds]), *beyond])

    def _checker(self) -> Checker:
        media = tuple(dict.fromkeys(map(str, self.slot_patterns)))
        return Checker(self.model, self._form(), self.others, media)

    def _rules(self, request: Mapping[str, Any], slots: Sequence[Slot], facts: FactsOf) -> Iterator[Problem]:
        yield from media_rules.media_problems(self.operation, self.model, slots, facts)
        for rule in rules.rules_for(self.operation, self.model):
            yield from rule(request, facts)
        if self.retired is not None:
            yield rules.retired_problem(self.model, self.retired, self.alternatives)


def _bound(nodes: Sequence[Schema], names: Sequence[str]) -> float | None:
    return next((node[name] for node in nodes for name in names if name in node), None)


def input_spec(name: str, node: Schema, *, required: bool) -> InputSpec:
    """What a request's schema says of one input."""
    nodes = [each for each in structure.nodes_at(node, ()) if "mediaSlot" not in each]
    kinds: frozenset[MediaKind] = frozenset(pattern.kind for pattern in structure.slot_patterns(node))
    return InputSpec(
        name,
        required,
        structure.types_of(node),
        tuple(options_of(node)),
        _bound(nodes, LOW_BOUNDS),
        _bound(nodes, HIGH_BOUNDS),
        node.get("default"),
        kinds,
        node,
    )


def model_spec(
    operation: str, model: str, schema: Schema, *, described: Schema | None = None, **more: Any
) -> ModelSpec:
    """A model's spec from its schema in the structure file. Its validator is compiled on first use, once.

    `described`: its schema in the description alone, where that is another.
    """
    required = frozenset(schema.get("required", ()))
    inputs = {name: input_spec(name, node, required=name in required) for name, node in schema["properties"].items()}
    before = None if described is None else model_spec(operation, model, described, **more)
    return ModelSpec(operation, model, inputs, schema, described=before, _form=cache(partial(compiled, schema)), **more)


def open_spec(operation: str, model: str, siblings: Mapping[str, ModelSpec]) -> ModelSpec:
    """A model that no catalogue has: any input passes, and media may stand where any sibling takes it."""
    properties: dict[str, Any] = {}
    for sibling in siblings.values():
        for name, each in sibling.inputs.items():
            properties.setdefault(name, each.schema if each.is_media else {})
    schema = {"type": "object", "properties": {**properties, "model": {"type": "string", "const": model}}}
    found = model_spec(operation, model, schema)
    return replace(found, known=False)
