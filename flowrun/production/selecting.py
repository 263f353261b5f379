"""From the words of flags that name nodes to instances of a graph. Owns the complaints; the language is `graph.select`'s."""

from __future__ import annotations

from flowrun.graph.address import Address
from flowrun.graph.model import Graph
from flowrun.graph.select import SelectionError, select
from flowrun.production.exits import Exit, FlowrunError


def selected(graph: Graph, include: tuple[str, ...], exclude: tuple[str, ...], flag: str) -> frozenset[Address]:
    """Raises FlowrunError, which names the flag."""
    try:
        return select(graph, include, exclude)
    except SelectionError as error:
        raise FlowrunError(Exit.WRONG, f"{flag}: {error}", error.hint) from None


def named(graph: Graph, texts: tuple[str, ...], flag: str) -> frozenset[Address]:
    """Instances a flag names, each with its take where one is given. Raises FlowrunError."""
    found: set[Address] = set()
    for text in texts:
        name, mark, take = text.partition("#")
        addresses = selected(graph, (name,), (), flag)
        if mark and not (take.isascii() and take.isdigit() and int(take) >= 1):
            raise FlowrunError(Exit.WRONG, f"{flag}: '{take}' is no take", f"write {name}#1")
        found |= {at.of_take(int(take)) for at in addresses} if mark else addresses
    return frozenset(found)
