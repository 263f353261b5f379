"""Past runs, one run, and what is open at the API: tables that fit a terminal. Owns their columns.

Times are UTC. Long names are cut in the middle so that both ends tell them apart; ids and commands are never cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowrun.ledger.evidence import counter_words
from flowrun.ledger.protocol import IntentRow, TaskRow
from flowrun.store.protocol import RunRow, StepRow
from flowrun.ui.numbers import credits, duration, moment, number, plural, priced
from flowrun.ui.paint import Paint, palette, safe
from flowrun.ui.plan_stops import uncertain_ways
from flowrun.ui.tables import Cell, cut_middle, hanging, table
from flowrun.ui.typed import Typed, typed, ways_on

__all__ = ["run_text", "runs_text", "status_text"]
_ENDS = {
    0: ("done", "good"),
    1: ("failed", "bad"),
    2: ("wrong", "bad"),
    3: ("stopped", "warn"),
    4: ("locked", "bad"),
    5: ("damaged", "bad"),
    6: ("uncertain", "bad"),
    7: ("cut short", "bad"),
    130: ("interrupted", "warn"),
    143: ("terminated", "warn"),
}
_STATES = {
    "succeeded": "good",
    "reused": "quiet",
    "skipped": "quiet",
    "excluded": "quiet",
    "failed": "bad",
    "rejected": "bad",
    "uncertain": "bad",
    "blocked": "warn",
}
_NO_END = ("no end", "warn")
_MEANINGS = {
    "no end": "it still runs, or its process died",
    "cut short": "something around it failed, such as the disk or the network",
}
_WITH_MODEL = 100  # columns from which a task's model has room


def runs_text(rows: Sequence[RunRow], *, colour: bool = False, width: int = 80) -> str:
    """One line a run, in the order given; "no end" is a run that goes on or died."""
    if not rows:
        return "No runs yet."
    paint = palette(colour)
    return _lines([*table(runs_cells(rows, max(8, width - 70)), paint), *_legend(rows, width)])


def runs_cells(rows: Sequence[RunRow], room: int) -> list[list[Cell]]:
    """The table of runs with its heads; a flow's name takes `room` columns at most."""
    head = [Cell(name, "bold") for name in ("run", "started (UTC)", "flow")]
    head += [Cell("end", "bold"), Cell("sent", "bold", right=True), Cell("credits", "bold", right=True)]
    return [head, *(_run_cells(row, room) for row in rows)]


def _legend(rows: Sequence[RunRow], columns: int) -> Iterator[str]:
    """What the ends mean that do not tell by themselves, where such are shown."""
    found = "; ".join(meanings(rows))
    if found:
        yield from ("", *hanging("", found, columns))


def meanings(rows: Sequence[RunRow]) -> list[str]:
    """What the ends shown mean that do not tell by themselves."""
    ends = {end_words(row.exit)[0] for row in rows}
    return [f"{word}: {meaning}" for word, meaning in _MEANINGS.items() if word in ends]


def _run_cells(row: RunRow, room: int) -> list[Cell]:
    flow = f"{row.flow}.{row.profile}" if row.profile else row.flow
    word, kind = end_words(row.exit)
    return [
        Cell(safe(row.id)),
        Cell(moment(row.started_at)),
        Cell(cut_middle(safe(flow), room)),
        Cell(word, kind),
        Cell(number(row.submitted), right=True),
        Cell(number(row.credits), right=True),
    ]


def end_words(code: int | None) -> tuple[str, str]:
    """The word for an exit code, and its kind."""
    return _NO_END if code is None else _ENDS.get(code, (f"exit {code}", "bad"))


def run_text(row: RunRow, steps: Sequence[StepRow], *, colour: bool = False, width: int = 80) -> str:
    """One run with its steps: how each ended, why it was made, what is to know of it."""
    paint = palette(colour)
    lines = [
        paint(safe(f"Run {row.id}"), "bold"),
        *run_facts(row, paint),
        *([""] if steps else []),
        *_step_lines(steps, paint, width),
    ]
    return _lines(lines)


def run_facts(row: RunRow, paint: Paint) -> list[str]:
    """What it was a run of, how it ended, and what it sent, a line each."""
    profile = f", profile {row.profile}" if row.profile else ""
    word, kind = end_words(row.exit)
    took = f" after {duration(row.ended_at - row.started_at)}" if row.ended_at is not None else ""
    code = f" (exit {row.exit})" if row.exit else ""
    return [
        safe(f"{row.flow}{profile} on {row.provider}, from {row.manifest}"),
        f"started {moment(row.started_at)} UTC; {paint(word, kind)}{took}{code}",
        f"{plural(row.submitted, 'request')} sent, {priced(row.credits)}",
    ]


def _step_lines(steps: Sequence[StepRow], paint: Paint, columns: int) -> Iterator[str]:
    cells = [
        [
            Cell(safe(step.state), _STATES.get(step.state, "")),
            Cell(cut_middle(safe(step.address), max(16, columns // 3))),
            Cell("" if step.credits is None else credits(step.credits), right=True),
            Cell(safe(step.reason)),
        ]
        for step in steps
    ]
    for step, line in zip(steps, table(cells, paint, indent="  "), strict=True):
        yield line
        if step.detail:
            yield from hanging("      ", safe(step.detail), columns)


# -- what is open


def status_text(
    tasks: Sequence[TaskRow],
    uncertain: Sequence[IntentRow],
    *,
    account: str | None = None,
    flags: Sequence[str] = (),
    colour: bool = False,
    width: int = 80,
) -> str:
    """Open tasks, oldest first as given, and unanswered requests with the ways on. `account`: whose ledger has them, where it is
    not the present one; `flags`: of the command, for the next one."""
    if not tasks and not uncertain:
        return "Nothing is in flight, and nothing is uncertain."
    paint = palette(colour)
    parts = [] if account is None else [*hanging("", safe(former_words(account)), width), ""]
    parts += _open_lines(tasks, flags, paint, width)
    return _lines([*parts, *uncertain_part(uncertain, flags, paint, width)])


def uncertain_part(rows: Sequence[IntentRow], flags: Sequence[str], paint: Paint, columns: int) -> list[str]:
    """Unanswered requests with the ways on, below a blank line; empty without any. `flags`: as for `status_text`."""
    if not rows:
        return []
    title = paint(f"Uncertain: these need your decision ({number(len(rows))})", "bold")
    return ["", title, *(line for row in rows for line in _uncertain_lines(row, flags, columns))]


def former_words(account: str) -> str:
    return f"Under the former account {account}; the next apply takes this up under the present one:"


def _open_lines(tasks: Sequence[TaskRow], flags: Sequence[str], paint: Paint, columns: int) -> list[str]:
    if not tasks:
        return ["Nothing is in flight."]
    rows = tasks_cells(tasks, max(18, columns - 82))
    if columns < _WITH_MODEL:
        rows = [row[:-1] for row in rows]
    return [*hanging("", open_words(tasks), columns), "", *table(rows, paint), "", *ways_on(open_ways(flags), "")]


def open_ways(flags: Sequence[str]) -> list[tuple[str, str]]:
    """What may be done about open tasks beside applying again."""
    return [("download what is done:", typed("collect", *flags)), ("cancel what runs:", typed("cancel", *flags))]


def open_words(tasks: Sequence[TaskRow]) -> str:
    return f"{plural(len(tasks), 'task')} at the API; apply again takes them up, nothing is paid twice"


def tasks_cells(tasks: Sequence[TaskRow], room: int) -> list[list[Cell]]:
    """The table of open tasks with its heads; an address takes `room` columns at most."""
    head = [Cell(name, "bold") for name in ("task", "node", "status", "since (UTC)", "model")]
    return [head, *(_task_cells(row, room) for row in tasks)]


def _task_cells(row: TaskRow, room: int) -> list[Cell]:
    return [
        Cell(safe(row.task)),
        Cell(cut_middle(safe(row.origin.address), room)),
        Cell(safe(row.status.lower()), _STATES.get(row.status.lower(), "work")),
        Cell(moment(row.submitted_at)[5:]),
        Cell(safe(row.model)),
    ]


def _uncertain_lines(row: IntentRow, flags: Sequence[str], columns: int) -> list[str]:
    where = f"  {safe(row.origin.address)} of {safe(row.origin.manifest)}:"
    text, ways = doubt_words(row, flags)
    return [where, *hanging("    ", safe(text), columns), *ways_on(ways, "    ")]


def doubt_words(row: IntentRow, flags: Sequence[str] = ()) -> tuple[str, list[tuple[str, str]]]:
    """What is known of an unanswered request, and the ways on. `flags`: as for `status_text`."""
    cost = "an unknown number of credits" if row.credits is None else f"up to {credits(row.credits)}"
    text = f"sent {moment(row.intended_at)} UTC to {row.model}, never answered; it may have been accepted, for {cost}"
    if known := counter_words(row.evidence, row.model):
        text = f"{text}. {known}"
    profile = ("--profile", row.origin.profile) if row.origin.profile else ()
    return text, uncertain_ways(row.origin.address, Typed(row.origin.manifest, (*profile, *flags)))


def _lines(lines: Sequence[str]) -> str:
    """One text, as all of them here: without a line break at its end."""
    return "\n".join(lines)
