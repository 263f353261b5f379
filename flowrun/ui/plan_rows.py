"""The lines of a plan: an instance a line, instances of one fan-out that say the same in one. Owns folding and layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from flowrun.diagnostics.visible import width
from flowrun.plan.model import Change, Cost, Decision, Step
from flowrun.plan.whole import Plan
from flowrun.ui.changes import change_lines, field_names
from flowrun.ui.numbers import are, cost, plural
from flowrun.ui.paint import Paint, safe
from flowrun.ui.reasons import reason_words
from flowrun.ui.tables import GAP, Cell, column_widths, padded, plain_wrapped
from flowrun.ui.typed import listed

FEW = 6  # instances of a fan-out that still get a line each
MOST_CHANGES = 8  # fields shown below a line
# Beyond these a cell stands out of its column, so that one long name does not push all others.
_WIDEST = (10, 24, 28, 18)
_NAMED = 2  # cells that always stand in the first line: decision and name
_INDENT = "  "
_BELOW = " " * 6
KINDS = {
    Decision.HIT: "quiet",
    Decision.RUN: "work",
    Decision.UNDECIDED: "work",
    Decision.RESUME: "good",
    Decision.SKIP: "quiet",
    Decision.HELD: "warn",
    Decision.GATED: "warn",
    Decision.UNCERTAIN: "bad",
    Decision.REJECTED: "bad",
    Decision.BLOCKED: "warn",
    Decision.EXCLUDED: "quiet",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One step, or several of one fan-out with the same decision and reason."""

    steps: tuple[Step, ...]

    @property
    def first(self) -> Step:
        return self.steps[0]

    @property
    def name(self) -> str:
        return listed([str(step.address) for step in self.steps])

    @property
    def cost(self) -> Cost:
        return sum((step.cost for step in self.steps), Cost())

    @property
    def reason(self) -> str:
        details = {step.why.detail if step.why else None for step in self.steps}
        return reason_words(self.first, alike=len(details) == 1)


def is_unchanged(step: Step) -> bool:
    """Whether a step has nothing to say but that nothing changed."""
    return step.decision is Decision.HIT and step.why is None


def rows_of(steps: Iterable[Step], *, verbose: bool) -> list[Row]:
    """Rows in the manifest's order, a group where its first stands. `verbose`: a row an instance."""
    numbered = list(enumerate(steps))
    groups: dict[object, list[tuple[int, Step]]] = {}
    for place, step in numbered:
        groups.setdefault(place if verbose else _likeness(step), []).append((place, step))
    placed = [found for group in groups.values() for found in _folded(group)]
    return [row for _, row in sorted(placed, key=lambda found: found[0])]


def _likeness(step: Step) -> object:
    """What must be equal in two instances for one line to speak of both."""
    why = step.why
    return (
        tuple(segment.id for segment in step.address.segments),
        step.decision,
        step.operation,
        step.model,
        why and why.reason,
        why and tuple(field_names(why.changes)),
        tuple(take.decision for take in step.takes),
        tuple(problem.code for problem in step.problems),
    )


def _folded(group: Sequence[tuple[int, Step]]) -> list[tuple[int, Row]]:
    if len(group) <= FEW:
        return [(place, Row((step,))) for place, step in group]
    return [(group[0][0], Row(tuple(step for _, step in group)))]


# -- layout


def row_lines(rows: Sequence[Row], paint: Paint, columns: int, *, verbose: bool) -> list[str]:
    """Every row with what changed below it."""
    cells = [_cells(row) for row in rows]
    widths = [min(known, most) for known, most in zip(column_widths(cells), _WIDEST, strict=False)]
    lines: list[str] = []
    for row, heads in zip(rows, cells, strict=True):
        lines += _row(heads, widths, row.reason, paint, columns)
        lines += _changes(row, paint, columns, verbose)
    return lines


def _cells(row: Row) -> list[Cell]:
    first = row.first
    what = safe(f"{first.operation}/{first.model}" if first.model else first.operation)
    return [
        Cell(first.decision.value, KINDS[first.decision]),
        Cell(row.name),
        Cell(what, "quiet"),
        Cell(cost(row.cost)),
    ]


def _row(cells: Sequence[Cell], widths: Sequence[int], reason: str, paint: Paint, columns: int) -> list[str]:
    """One line, or where that is too long the reason below it; where even the cells are, the last of them too."""
    used = [(cell, room) for cell, room in zip(cells, widths, strict=True) if room]
    ends = list(accumulate((max(width(cell.text), room) + len(GAP) for cell, room in used), initial=len(_INDENT)))
    fitting = [at for at, (cell, _) in enumerate(used, 1) if ends[at - 1] + width(cell.text) <= columns]
    above = max([_NAMED, *fitting])
    head = _INDENT + GAP.join(padded(cell, room, paint) for cell, room in used[:above])
    if above == len(used) and (not reason or ends[-1] + width(reason) <= columns):
        return [f"{head}{GAP}{reason}".rstrip()]
    below = "; ".join(filter(None, (*(cell.text for cell, _ in used[above:]), reason)))
    return [head.rstrip(), *(_BELOW + line for line in plain_wrapped(below, columns - len(_BELOW)))]


def _changes(row: Row, paint: Paint, columns: int, verbose: bool) -> list[str]:
    changes = row.first.why.changes if row.first.why else ()
    if not changes:
        return []
    lines = [] if _same_changes(row) else [f"{safe(row.first.address)}, for one:"]
    few = changes if verbose else changes[:MOST_CHANGES]
    for change in few:
        lines += change_lines(change, paint, columns - len(_BELOW), whole=verbose)
    if len(few) < len(changes):
        lines.append(f"… {plural(len(changes) - len(few), 'more field')}; -v shows all")
    return [_BELOW + line for line in lines]


def _same_changes(row: Row) -> bool:
    return all(_told(step) == _told(row.first) for step in row.steps)


def _told(step: Step) -> tuple[Change, ...]:
    return step.why.changes if step.why else ()


def unchanged_line(plan: Plan) -> str | None:
    """The one line for all that nothing is to be said of."""
    count = sum(map(is_unchanged, plan.steps.values()))
    return f"{_INDENT}{plural(count, 'node')} {are(count)} unchanged" if count else None
