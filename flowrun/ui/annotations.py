"""Plans and runs as annotations for GitHub: what a person must look at, at its node in the manifest. Owns which, and their words.

The commands themselves are `diagnostics.github`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from flowrun.diagnostics.github import Where, annotation, commands
from flowrun.diagnostics.span import Span
from flowrun.engine.summary import Summary, Trouble
from flowrun.plan.model import Decision, Step, TakeStep
from flowrun.ui.ending import Ending
from flowrun.ui.numbers import cost, dollars
from flowrun.ui.plan_budget import fits_in_short
from flowrun.ui.plan_facts import PlanFacts
from flowrun.ui.plan_stops import name_of, uncertain_ways
from flowrun.ui.plan_totals import node_counts
from flowrun.ui.reasons import uncertain_words
from flowrun.ui.summary_parts import Kind, alike, kind_of, left_parts, recovered_parts, ways_for, what_happened
from flowrun.ui.summary_text import count_words, head_words, spent_words
from flowrun.ui.typed import Typed, listed

_NAMES = 6


@dataclass(frozen=True, slots=True)
class Places:
    """Where nodes stand. `spans`: by the id of a node; `where`: a file as the repository names it."""

    spans: Mapping[str, Span]
    where: Where

    def of(self, address: str) -> Span | None:
        return self.spans.get(_node(address))


def _node(address: str) -> str:
    return address.partition("#")[0].partition("[")[0]


def _ways(ways: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{meaning} {command}" for meaning, command in ways]


# -- a plan


def plan_annotations(facts: PlanFacts, places: Places, *, file: str, flags: Sequence[str] = ()) -> list[str]:
    """Warnings, what needs a decision, and one line of totals."""
    plan, typed = facts.plan, Typed(file, tuple(flags))
    stops = [line for step in plan.steps.values() for line in _stop(step, places, typed)]
    counts = ", ".join(words for _, words in node_counts(plan)) or "no nodes"
    price = f"; {cost(plan.cost)} ({dollars(plan.cost.low, plan.cost.high)})" if plan.cost.high else ""
    total = annotation(
        "notice", f"Plan for {plan.flow}", [f"{counts}{price}{fits_in_short(facts)}"], None, places.where
    )
    return [*commands(plan.warnings, places.where), *stops, total]


def _stop(step: Step, places: Places, typed: Typed) -> Iterator[str]:
    address = str(step.address)
    if step.decision is Decision.UNCERTAIN:
        lines = [
            line for take in step.takes if take.decision is Decision.UNCERTAIN for line in _doubt(step, take, typed)
        ]
    elif step.decision is Decision.REJECTED:
        detail = (step.why.detail if step.why else None) or "the API refused it for good"
        lines = [f"{address}: {detail}", *_ways(ways_for(Kind.REJECTED, typed))]
    else:
        return
    yield annotation("warning", step.decision.value, lines, places.of(address), places.where)


def _doubt(step: Step, take: TakeStep, typed: Typed) -> Iterator[str]:
    name = name_of(step, take)
    yield f"{name}: {uncertain_words(take)}"
    yield from _ways(uncertain_ways(name, typed))


# -- a run


def summary_annotations(summary: Summary, places: Places, ending: Ending) -> list[str]:
    """Troubles at their nodes, what did not run, and one line of what it came to."""
    typed = ending.typed
    lines = [line for kind in Kind for line in _troubles(kind, summary, places, typed)]
    taken_up = recovered_parts(summary)
    for text, ways in left_parts(summary, ending):
        kind = "notice" if (text, ways) in taken_up else "warning"
        lines.append(annotation(kind, "flowrun apply", [text, *_ways(ways)], None, places.where))
    words = f"{head_words(ending.exit_code, ending.elapsed)[0]}. {count_words(summary)}. {spent_words(summary, ending.provider)}"
    return [*lines, annotation("notice", "flowrun apply", [words], None, places.where)]


def _troubles(kind: Kind, summary: Summary, places: Places, typed: Typed) -> Iterator[str]:
    """One for all that is alike at a node; where fields of its request were refused, one at the first of them."""
    severity = "warning" if kind is Kind.UNFINISHED else "error"
    found = [each for each in summary.troubles.values() if kind_of(each, summary) is kind]
    for group in alike(found):
        for _, several in groupby(sorted(group, key=_node_of), _node_of):
            members = list(several)
            yield annotation(
                severity, members[0].code, _words(kind, members, typed), _place(members[0], places), places.where
            )


def _place(trouble: Trouble, places: Places) -> Span | None:
    """Of the first field that was complained of, else of the node."""
    for each in trouble.problems:
        if each.file is not None and each.line is not None and each.column is not None:
            return Span(each.file, each.line, each.column, each.line, each.column + 1)
    return places.of(_node_of(trouble))


def _node_of(trouble: Trouble) -> str:
    return _node(trouble.address)


def _words(kind: Kind, troubles: Sequence[Trouble], typed: Typed) -> Iterator[str]:
    first = troubles[0]
    yield f"{listed([each.address for each in troubles], _NAMES)}: {what_happened(first, len(troubles))}"
    if first.hint:
        yield f"hint: {first.hint}"
    if kind is Kind.UNCERTAIN:
        yield from (way for each in troubles for way in _ways(uncertain_ways(each.address, typed)))
    else:
        yield from _ways(ways_for(kind, typed))
