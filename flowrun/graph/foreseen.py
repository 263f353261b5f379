"""The shape of what does not exist yet: a node that is told a ratio makes pictures of that ratio. Owns that inference.

So a still too wide for the model that animates it is found before the still is paid for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flowrun.graph.address import Address
from flowrun.graph.inputs import PendingMedia, Seen
from flowrun.graph.model import Graph, Instance
from flowrun.graph.outcomes import World
from flowrun.graph.request import evaluate
from flowrun.graph.scope import ScopeSource
from flowrun.graph.values import Expression, Literal
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.operations.model import Path
from flowrun.template import EvaluationError, Unresolved

RATIO = "ratio"
ANY_TYPE = ""  # the media type of what nobody has seen

_RATIO = re.compile(r"([1-9]\d{0,4}):([1-9]\d{0,4})")


def foreseen(
    seen: Mapping[Path, Seen], graph: Graph, source: ScopeSource, world: World, known: dict[Address, MediaFacts | None]
) -> dict[Path, MediaFacts]:
    """Facts of the pending media of a request, as far as they can be told. `known` keeps them, by maker, for the next one."""
    found = {}
    for path, each in seen.items():
        if not isinstance(each, PendingMedia) or each.artifact.kind in (None, MediaKind.AUDIO):
            continue
        at = each.artifact.address
        if at not in known:
            known[at] = _of_maker(graph.instances.get(at), graph, source, world)
        if (facts := known[at]) is not None:
            found[path] = facts
    return found


def _of_maker(maker: Instance | None, graph: Graph, source: ScopeSource, world: World) -> MediaFacts | None:
    size = _size(maker, graph, source, world) if maker is not None else None
    return MediaFacts(maker.node.operation.produces, ANY_TYPE, *size) if maker is not None and size else None


def _size(maker: Instance, graph: Graph, source: ScopeSource, world: World) -> tuple[int, int] | None:
    entry = maker.request.entry(RATIO)
    value = entry.value if entry is not None else None
    if isinstance(value, Expression):
        try:
            ratio = evaluate(value, source.full(maker.each, world, graph.fanouts))
        except (EvaluationError, Unresolved):  # the first is told where the maker itself is checked
            return None
    else:
        ratio = value.value if isinstance(value, Literal) else None
    told = _RATIO.fullmatch(ratio) if isinstance(ratio, str) else None
    return (int(told[1]), int(told[2])) if told else None
