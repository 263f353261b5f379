"""What a plan cannot do yet, and what to type about it. Owns the ways on from uncertain, rejected, blocked and excluded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from flowrun.diagnostics.model import Diagnostic
from flowrun.graph.address import Address
from flowrun.plan.model import Decision, Step, TakeStep
from flowrun.plan.whole import Plan
from flowrun.ui.numbers import number
from flowrun.ui.paint import Paint, safe
from flowrun.ui.reasons import uncertain_words
from flowrun.ui.tables import hanging
from flowrun.ui.typed import Typed, listed, ways_on

MOST = 6  # nodes of one kind that are told in full
_INDENT = "    "

Teller = Callable[[Sequence[Step], Plan, Typed, int], Iterator[str]]


def stop_lines(plan: Plan, typed: Typed, paint: Paint, columns: int, *, verbose: bool) -> list[str]:
    """A part for each kind that stops: how many, what happened to each, what to type; empty where nothing stops."""
    lines: list[str] = []
    for decision, (title, tell) in _TELLERS.items():
        steps = [step for step in plan.steps.values() if step.decision is decision]
        if not steps:
            continue
        few = steps if verbose else steps[:MOST]
        lines += ["", paint(f"{title} ({number(len(steps))})", "bold"), *tell(few, plan, typed, columns)]
        if len(few) < len(steps):
            lines.append(f"  … {number(len(steps) - len(few))} more; -v lists all")
    return lines


def _item(name: str, text: str, columns: int) -> list[str]:
    return hanging(f"  {safe(name)}: ", text, columns) if len(name) < columns // 2 else [f"  {safe(name)}: {text}"]


def _uncertain(steps: Sequence[Step], _plan: Plan, typed: Typed, columns: int) -> Iterator[str]:
    for step in steps:
        for take in step.takes:
            if take.decision is Decision.UNCERTAIN:
                node = name_of(step, take)
                yield from _item(node, f"{uncertain_words(take)}. It is never sent again unasked.", columns)
                yield from ways_on(uncertain_ways(node, typed), _INDENT)


def uncertain_ways(node: str, typed: Typed) -> list[tuple[str, str]]:
    """What a person may decide about an unanswered request."""
    return [
        ("send it again (may pay twice):", typed.resend(node)),
        ("nothing came of it:", typed.forget(node)),
        ("a task is its answer:", typed.adopt(node)),
    ]


def name_of(step: Step, take: TakeStep) -> str:
    """The take's address where the node has several."""
    return str(step.address.of_take(take.take) if len(step.takes) > 1 or take.take > 1 else step.address)


def _rejected(steps: Sequence[Step], _plan: Plan, typed: Typed, columns: int) -> Iterator[str]:
    for step in steps:
        detail = (step.why.detail if step.why else None) or "the API refused it for good"
        yield from _item(str(step.address), safe(detail), columns)
    yield "    Change the input; or, as it stands:"
    yield from ways_on([("send it once more (may cost again):", typed.apply("--retry-rejected"))], _INDENT)


def _blocked(steps: Sequence[Step], plan: Plan, typed: Typed, columns: int) -> Iterator[str]:
    for step in steps:
        if step.problems:
            yield from _problem(step, step.problems[0], columns)
        else:
            yield from _below(step, plan, typed, columns)


def _problem(step: Step, problem: Diagnostic, columns: int) -> Iterator[str]:
    place = f" (at {problem.span})" if problem.span else ""
    yield from _item(str(step.address), safe(f"{problem.message}{place} [{problem.code}]"), columns)
    yield from hanging(_INDENT, safe(f"hint: {problem.hint}"), columns) if problem.hint else ()


def _below(step: Step, plan: Plan, typed: Typed, columns: int) -> Iterator[str]:
    detail = (step.why.detail if step.why else None) or "something above it stops"
    yield from _item(str(step.address), safe(detail), columns)
    if any(_decision(plan, up) is Decision.EXCLUDED for up in step.upstream):
        yield from ways_on([("make it with all above it:", typed.select(str(step.address)))], _INDENT)
        return
    stuck = [str(up) for up in step.upstream if _decision(plan, up) in _STUCK]
    if stuck:
        yield f"{_INDENT}Settle {listed(stuck)} first, then apply again."


def _decision(plan: Plan, address: Address) -> Decision | None:
    step = plan.steps.get(address)
    return step.decision if step else None


def _excluded(steps: Sequence[Step], _plan: Plan, typed: Typed, columns: int) -> Iterator[str]:
    names = listed([str(step.address) for step in steps], MOST)
    yield from hanging("  ", f"not selected, and not made with these inputs: {names}", columns)
    first = str(steps[0].address)
    yield from ways_on([(f"make {safe(first)} too:", typed.select(first))], _INDENT)


_STUCK = {Decision.UNCERTAIN, Decision.REJECTED, Decision.BLOCKED, Decision.GATED}
_TELLERS: dict[Decision, tuple[str, Teller]] = {
    Decision.UNCERTAIN: ("Uncertain: these need your decision", _uncertain),
    Decision.REJECTED: ("Rejected: not sent again unasked", _rejected),
    Decision.BLOCKED: ("Blocked: these cannot run yet", _blocked),
    Decision.EXCLUDED: ("Excluded", _excluded),
}
