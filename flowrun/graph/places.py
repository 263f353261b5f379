"""Where a value stands that a diagnostic must point at: in the manifest, or in the row of a data file that it came from,
with the reference as a note. Owns that choice, and how a cell is read as a number."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from flowrun.diagnostics.model import Note
from flowrun.diagnostics.span import Span
from flowrun.graph.model import CompiledNode, Each
from flowrun.graph.values import Expression, Value
from flowrun.yaml_tree import Mapping, Sequence, Tree


def row_part(value: Value, each: Each | None) -> Tree | None:
    """The part of the row that is the value, where the value is nothing but a reference to it."""
    sole = value.sole if isinstance(value, Expression) else None
    if sole is None or each is None or sole.root != "each" or sole.steps[:1] != ("value",):
        return None
    return below(each.tree, sole.steps[1:])


def below(tree: Tree | None, steps: Iterable[Any]) -> Tree | None:
    """The part of a tree that steps lead to; None where they lead nowhere."""
    for step in steps:
        if isinstance(tree, Mapping):
            tree = tree.get(str(step))
        elif isinstance(tree, Sequence) and isinstance(step, int) and 0 <= step < len(tree.items):
            tree = tree.items[step]
        else:
            return None
    return tree


def place_of(value: Value, each: Each | None) -> tuple[Span, tuple[Note, ...]]:
    """The smallest thing that gives the value, and the reference to it as a note where they stand apart."""
    here = value.value_span if isinstance(value, Expression) else value.span
    part = row_part(value, each)
    return (here, ()) if part is None else (part.span, (referred(here),))


def referred(span: Span) -> Note:
    return Note("it is referred to here", span)


def applies(node: CompiledNode) -> Note:
    """That a default reaches a node."""
    return Note(f"this default applies to node {node.id}", node.decl.key_span)


def cell_number(text: str) -> int | float | bool | None:
    """A number or boolean written as in JSON, or None."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if isinstance(value, bool):
        return value
    return value if isinstance(value, int | float) and math.isfinite(value) else None
