"""Where the fields of a request are written. Owns the way from a complaint's path back to the line of the manifest, or to the
cell of a row, that made the value; and that nothing secret stands in what a failure says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from flowrun.engine.failure import Complaint, Failure
from flowrun.graph.address import Address
from flowrun.graph.request import make_request
from flowrun.plan.planner import Planner
from flowrun.runway.errors import InputProblem


def placed(planner: Planner, address: Address, problems: Iterable[InputProblem]) -> tuple[Complaint, ...]:
    """Each complaint at the smallest thing that must change for its field: the value itself, or the nearest thing around it.
    The request is made once more for that: what is known of its upstream is still the same."""
    found = tuple(problems)
    if not found:
        return ()
    instance = planner.graph.instances[address]
    request = make_request(instance, planner.source.full(instance.each, planner, planner.graph.fanouts))
    complaints = []
    for each in found:
        span, _ = request.place_at(each.path)
        place = (None, None, None) if span is None else (span.file, span.line, span.column)
        complaints.append(Complaint(each.where, each.message, *place))
    return tuple(complaints)


def masked(failure: Failure, mask: Callable[[str], str]) -> Failure:
    """The same without what must not be shown."""
    problems = tuple(replace(each, message=mask(each.message)) for each in failure.problems)
    hint = None if failure.hint is None else mask(failure.hint)
    return replace(failure, message=mask(failure.message), hint=hint, problems=problems)
