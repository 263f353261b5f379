"""The parts of a run's summary: troubles with the ways on, what did not fit, what waits, exports. Owns their words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from flowrun.engine.failure import Verdict
from flowrun.engine.states import NodeState
from flowrun.engine.summary import Summary, Trouble
from flowrun.ui.ending import Ending
from flowrun.ui.numbers import credits, number, plural
from flowrun.ui.paint import Paint, safe
from flowrun.ui.plan_stops import uncertain_ways
from flowrun.ui.shortfalls import Part, cap_parts, quota_parts
from flowrun.ui.tables import hanging
from flowrun.ui.typed import Typed, listed, ways_on

MOST_PATHS = 12  # exported files that are listed; `flowrun outputs` lists all
NOT_DOCUMENTED = "whether the credits of a cancelled task come back is not documented"
_NAMES = 6
_INDENT = "    "


class Kind(StrEnum):
    """What a trouble asks of a person."""

    UNCERTAIN = "Uncertain: these need your decision"
    STOPPED = "Stopped the run"
    FAILED = "Failed"
    REJECTED = "Rejected: not sent again unasked"
    UNFINISHED = "Still to be tried again when the run ended"


_BY_VERDICT = {
    Verdict.DOUBT: Kind.UNCERTAIN,
    Verdict.STOP: Kind.STOPPED,
    Verdict.PAUSE_RUN: Kind.STOPPED,
    Verdict.REJECT: Kind.REJECTED,
    Verdict.FAIL: Kind.FAILED,
    Verdict.RETRY: Kind.UNFINISHED,
    Verdict.RESEND: Kind.UNFINISHED,
}
_BY_STATE = {NodeState.REJECTED: Kind.REJECTED, NodeState.UNCERTAIN: Kind.UNCERTAIN, NodeState.FAILED: Kind.FAILED}
_FROM_THE_PLAN = ("rejected", "uncertain")  # codes of troubles that are remembered: nothing was sent for them now


def kind_of(trouble: Trouble, summary: Summary) -> Kind | None:
    """None for a model whose day is used up: that is told of all its nodes together."""
    by_verdict = _BY_VERDICT.get(Verdict(trouble.verdict))
    if by_verdict is Kind.UNFINISHED:
        state = summary.states.get(trouble.address)
        return _BY_STATE.get(state, by_verdict) if state else by_verdict
    return by_verdict


def trouble_lines(summary: Summary, typed: Typed, paint: Paint, columns: int) -> Iterator[str]:
    """A part a kind, the most pressing first; the same trouble of several nodes is told once."""
    for kind in Kind:
        found = [trouble for trouble in summary.troubles.values() if kind_of(trouble, summary) is kind]
        if not found:
            continue
        yield from ("", paint(f"{kind.value} ({number(len(found))})", "bold"))
        if kind is Kind.UNCERTAIN:
            yield from _uncertain(found, typed, columns)
        else:
            yield from _alike(found, columns)
            yield from ways_on(ways_for(kind, typed), _INDENT)


def _uncertain(troubles: Sequence[Trouble], typed: Typed, columns: int) -> Iterator[str]:
    for trouble in troubles:
        yield from _item(trouble.address, f"{_sentence(trouble.message)} It is never sent again unasked.", columns)
        yield from ways_on(uncertain_ways(trouble.address, typed), _INDENT)


def _alike(troubles: Sequence[Trouble], columns: int) -> Iterator[str]:
    for group in alike(troubles):
        first, names = group[0], listed([each.address for each in group], _NAMES)
        yield from _item(names, what_happened(first, len(group)), columns)
        if first.hint:
            yield from hanging(_INDENT, safe(first.hint), columns)


def alike(troubles: Iterable[Trouble]) -> list[list[Trouble]]:
    """Troubles that one line can tell of."""
    groups: dict[object, list[Trouble]] = {}
    for each in troubles:
        groups.setdefault((each.code, each.message, each.hint, each.charged), []).append(each)
    return list(groups.values())


def what_happened(trouble: Trouble, nodes: int) -> str:
    """The message with its code and what it cost, for so many nodes."""
    remembered = trouble.code in _FROM_THE_PLAN
    message = _sentence(trouble.message) if remembered else f"{trouble.message} [{trouble.code}]"
    return f"{message}{_cost(trouble, ' each' if nodes > 1 else '')}"


def _sentence(text: str) -> str:
    return text if text.rstrip().endswith((".", "!", "?")) else f"{text}."


def _cost(trouble: Trouble, each: str) -> str:
    """What it cost, where that is known; where nothing was accepted the message says enough."""
    if trouble.code in _FROM_THE_PLAN:
        return " Nothing was sent now."
    if trouble.charged is None:
        return f" What it cost{each} is not known: count its credits as spent." if _was_paid(trouble) else ""
    return f" It cost {credits(trouble.charged)}{each}." if trouble.charged else " It cost nothing."


def _was_paid(trouble: Trouble) -> bool:
    return trouble.task is not None and trouble.verdict != Verdict.STOP.value and trouble.code != "timeout"


def ways_for(kind: Kind, typed: Typed) -> list[tuple[str, str]]:
    if kind is Kind.REJECTED:
        return [("as it stands, once more (may cost again):", typed.apply("--retry-rejected"))]
    return [("then go on:", typed.apply())]


def _item(names: str, text: str, columns: int) -> list[str]:
    """The name and what happened to it; where the name is long, below it."""
    if len(names) < columns // 3:
        return hanging(f"  {safe(names)}: ", safe(text), columns)
    return [f"  {safe(names)}:", *hanging(_INDENT, safe(text), columns)]


# -- what did not run


def left_lines(summary: Summary, ending: Ending, columns: int) -> Iterator[str]:
    """Nodes that are blocked, over a cap, out of the day's generations, or left at the API."""
    for text, ways in left_parts(summary, ending):
        yield from ("", *hanging("", text, columns), *ways_on(ways, _INDENT))


def left_parts(summary: Summary, ending: Ending) -> list[Part]:
    """(what was left or taken up, the ways on)."""
    return [*recovered_parts(summary), *_left(summary, ending)]


def recovered_parts(summary: Summary) -> list[Part]:
    """Tasks of earlier runs that nothing in this plan takes up."""
    return list(_recovered(summary))


def _recovered(summary: Summary) -> Iterator[Part]:
    collected = [address for address, status, _ in summary.recovered if status == "collected"]
    if collected:
        yield f"Collected from earlier runs, nothing paid again: {listed(collected, _NAMES)}.", []
    for address, status, detail in summary.recovered:
        if status != "collected":
            what = "stays on record, not collected" if status == "left" else "ended without a result"
            yield safe(f"A task of an earlier run, of {address}, {what}: {detail}"), []


def _left(summary: Summary, ending: Ending) -> Iterator[Part]:
    blocked = [address for address, state in summary.states.items() if state is NodeState.BLOCKED]
    if blocked:
        yield f"Blocked by what stopped above: {listed(blocked, _NAMES)}.", []
    yield from cap_parts(summary, ending)
    yield from quota_parts(summary, ending)
    yield from _withdrawn(summary)
    if summary.interrupted:
        them = "it" if len(summary.left) == 1 else "them"
        cancel = [(f"or cancel {them}:", ending.typed.cancel(summary.run))] if summary.left and summary.run else []
        yield _interrupted(summary), [("go on:", ending.typed.apply()), *cancel]


def _withdrawn(summary: Summary) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """What an interrupt with --cancel-on-interrupt came to; what it left stands with what else is at the API."""
    by_status: dict[str, list[str]] = {}
    for unit, status, _ in summary.withdrawn:
        by_status.setdefault(status, []).append(unit)
    if cancelled := _addresses(iter(by_status.get("cancelled", []))):
        yield f"Cancelled at the API: {listed(cancelled, _NAMES)}; {NOT_DOCUMENTED}.", []
    if collected := _addresses(iter(by_status.get("collected", []))):
        yield f"Had finished and was collected, so the next apply uses it: {listed(collected, _NAMES)}.", []
    for unit, status, detail in summary.withdrawn:
        if status in ("failed", "left") and detail:
            yield safe(f"Not cancelled: {unit}: {detail}"), []


def _addresses(units: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(unit.rpartition("#")[0] or unit for unit in units))


def _interrupted(summary: Summary) -> str:
    if not summary.left:
        return "Interrupted: nothing is in flight; apply again goes on from here, nothing is paid twice."
    count, names = len(summary.left), listed(_addresses(iter(sorted(summary.left))), _NAMES)
    tasks, them = ("task goes", "it") if count == 1 else ("tasks go", "them")
    return f"Interrupted: {number(count)} {tasks} on at the API ({names}); apply again takes {them} up, nothing is paid twice."


# -- exports


def export_lines(summary: Summary, typed: Typed, paint: Paint) -> Iterator[str]:
    """Paths as they were written, whole; what was kept or is nobody's any more, with the flag that changes it."""
    shown = list(_exports(summary, typed))
    if shown:
        yield from ("", paint("Exports", "bold"), *shown)


def _exports(summary: Summary, typed: Typed) -> Iterator[str]:
    by_status: dict[str, list[tuple[str, str]]] = {}
    for output, path, status in summary.exports:
        by_status.setdefault(status, []).append((output, path))
    for status in ("written", "replaced", "removed", "damaged", "kept", "orphan"):
        yield from _paths(status, [path for _, path in by_status.get(status, [])], typed)
    if unchanged := by_status.get("unchanged"):
        yield f"  unchanged  {plural(len(unchanged), 'file')}"
    for status, why in (
        ("skipped", "its node is skipped"),
        ("missing", "not made yet; what was exported before stays"),
    ):
        outputs = list(dict.fromkeys(output for output, _ in by_status.get(status, [])))
        if outputs:
            yield f"  {status.ljust(9)}  {listed(outputs, _NAMES)}: {why}"


def _paths(status: str, paths: Sequence[str], typed: Typed) -> Iterator[str]:
    for path in paths[:MOST_PATHS]:
        yield f"  {status.ljust(9)}  {safe(path)}"
    if len(paths) > MOST_PATHS:
        yield f"             … {number(len(paths) - MOST_PATHS)} more"
    if paths and status in _NEXT:
        meaning, flag = _NEXT[status]
        yield from ways_on([(meaning, typed.apply(*([flag] if flag else [])))], _INDENT)


_NEXT = {
    "kept": ("not as we left it, so it was kept; replace it:", "--overwrite"),
    "orphan": ("nothing exports it any more; remove it:", "--prune"),
    "damaged": ("the store's bytes are gone or damaged; make it anew:", ""),
}
