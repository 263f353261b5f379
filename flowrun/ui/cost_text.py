"""What was spent, for a person: a table, its sum, and what is to know of them. Owns their columns and words, in text and in
Markdown; the numbers are the production's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from flowrun.diagnostics.escaping import markdown
from flowrun.ui.markdown import Part, cells_table, listing, page
from flowrun.ui.numbers import credits, dollars, number, plural
from flowrun.ui.paint import palette, safe
from flowrun.ui.tables import GAP, Cell, column_widths, cut_middle, hanging, table

_NARROWEST = 10  # columns of a name; a date is as long
_NAMELESS = {"tag": "(no tag)"}
_COUNTS = ("sent", "made", "failed", "refunded", "open")
_SPARED = ("dollars", "refunded", "estimated", "failed", "made", "open")  # where a terminal is narrow, in this order


@dataclass(frozen=True, slots=True)
class Sum:
    """Credits. `unknown`: parts of it that nobody knows; `assumed`: parts that are estimates."""

    credits: int
    unknown: int = 0
    assumed: int = 0

    def __str__(self) -> str:
        """``120``, ``120 + unknown``, ``unknown``: never 0 for what is not known."""
        if not self.unknown:
            return number(self.credits)
        return f"{number(self.credits)} + unknown" if self.credits else "unknown"


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table. `told`: the API's sum; `difference`: what it says beyond ours; None: not known."""

    names: tuple[str, ...]
    counts: tuple[int, int, int, int, int]  # as `_COUNTS`
    estimated: Sum
    charged: Sum
    told: int | None = None
    difference: int | None = None


@dataclass(frozen=True, slots=True)
class Spending:
    """`by`: what the names are. `unanswered`, `given_up`: requests without a task, and what they cost at most.
    `not_compared`: why the API's sums are not here."""

    provider: str
    since: date
    until: date
    by: tuple[str, ...]
    lines: Sequence[Line]
    total: Line
    unanswered: tuple[int, Sum]
    given_up: tuple[int, Sum]
    ledgers: int
    not_compared: str | None

    @property
    def is_compared(self) -> bool:
        return self.not_compared is None


def cost_text(spending: Spending, *, colour: bool = False, width: int = 80) -> str:
    """The table, as wide as the terminal where names can be cut, its sum in dollars, and notes."""
    paint = palette(colour)
    lines = [safe(_title(spending))]
    if spending.lines:
        lines += ["", *table(_fitted(spending, width), paint), ""]
        lines += hanging("", _sum_words(spending), width)
    for note in notes(spending):
        lines += hanging("- ", safe(note), width)
    return "\n".join(lines)


def cost_markdown(spending: Spending) -> str:
    """The same as a page."""
    parts: list[Part] = [markdown(_title(spending))]
    if spending.lines:
        cells = cost_cells(spending)
        parts += [cells_table(cells, range(len(spending.by)), what="row"), markdown(_sum_words(spending))]
    parts += [listing(f"- {markdown(note)}" for note in notes(spending))]
    return page(parts, more="`flowrun cost` shows all.")


def _title(spending: Spending) -> str:
    whose = "in the sandbox, whose money is play money" if spending.provider == "sandbox" else f"on {spending.provider}"
    period = f"{spending.since} to {spending.until} (UTC days)"
    return f"Spent {whose}, {period}:" if spending.lines else f"Nothing was spent {whose}, {period}."


def cost_cells(spending: Spending, without: Sequence[str] = ()) -> list[list[Cell]]:
    """The table with its heads and its sum. Counts that are 0 in all rows have no column, nor has what it is to go without."""
    every = (*spending.lines, spending.total)
    heads = [name for at, name in enumerate(_COUNTS) if at < 2 or any(line.counts[at] for line in every)]
    heads += ["estimated", "charged", "dollars", *(["API says", "difference"] if spending.is_compared else [])]
    heads = [name for name in heads if name not in without]
    head = [Cell(name, "bold") for name in spending.by] + [Cell(name, "bold", right=True) for name in heads]
    rows = [_cells(line, spending.by, heads) for line in spending.lines]
    return [head, *rows, *([_cells(spending.total, spending.by, heads)] if len(rows) > 1 else [])]


def _cells(line: Line, by: Sequence[str], heads: Sequence[str]) -> list[Cell]:
    names = line.names or ("all", *([""] * (len(by) - 1)))
    shown = [safe(name) or (_NAMELESS.get(of, "") if line.names else "") for of, name in zip(by, names, strict=True)]
    texts = {
        **dict(zip(_COUNTS, map(number, line.counts), strict=True)),
        "estimated": str(line.estimated),
        "charged": str(line.charged),
        "dollars": _dollars(line.charged),
        "API says": "unknown" if line.told is None else number(line.told),
        "difference": _signed(line.difference),
    }
    kinds = {"difference": "warn" if line.difference else ""}
    return [*map(Cell, shown), *(Cell(texts[name], kinds.get(name, ""), right=True) for name in heads)]


def _dollars(amount: Sum) -> str:
    if not amount.unknown:
        return dollars(amount.credits)
    return f"{dollars(amount.credits)} + unknown" if amount.credits else "unknown"


def _signed(value: int | None) -> str:
    return "unknown" if value is None else f"{value:+,}" if value else "0"


def _fitted(spending: Spending, columns: int) -> list[list[Cell]]:
    """The table as wide as the terminal: columns that can be spared go first, then names are cut in the middle."""
    for count in range(len(_SPARED) + 1):
        rows = cost_cells(spending, _SPARED[:count])
        over = sum(column_widths(rows)) + len(GAP) * (len(rows[0]) - 1) - columns
        if over <= 0:
            return rows
    widths = column_widths(rows)
    for at in sorted(range(len(spending.by)), key=lambda at: -widths[at]):
        room = max(_NARROWEST, widths[at] - max(0, over))
        over -= widths[at] - room if widths[at] > room else 0
        rows = [[_cut(cell, room) if place == at else cell for place, cell in enumerate(row)] for row in rows]
    return rows


def _cut(cell: Cell, room: int) -> Cell:
    return Cell(cut_middle(cell.text, room), cell.kind)


def _sum_words(spending: Spending) -> str:
    total = spending.total
    paid = "" if spending.provider == "sandbox" else f" ({_dollars(total.charged)})"
    known = credits(total.charged.credits) if not total.charged.unknown else f"{total.charged} credits"
    text = f"Charged: {known}{paid} for {plural(total.counts[0], 'task')}"
    return f"{text}; the API says {credits(total.told)}." if total.told is not None else f"{text}."


def notes(spending: Spending) -> Iterator[str]:
    """What is to know of the numbers, a sentence or two each."""
    total = spending.total
    if total.charged.unknown:
        yield f"What {plural(total.charged.unknown, 'task')} cost is unknown: no price, and the API told none."
    if total.charged.assumed:
        yield f"Of {plural(total.charged.assumed, 'task')} the API has not told the cost; the estimate stands for it."
    if "tag" in spending.by and sum(line.counts[0] for line in spending.lines) > total.counts[0]:
        yield "A task with several tags is in the row of each; the sum has it once."
    yield from _unanswered_notes(spending)
    if spending.ledgers > 1:
        yield f"From {spending.ledgers} ledgers: this project has been used with other keys or accounts."
    if spending.not_compared is not None:
        yield f"Not compared with the API: {spending.not_compared}."
    elif any(line.difference != 0 for line in spending.lines):
        yield _why_they_differ(spending)


def _unanswered_notes(spending: Spending) -> Iterator[str]:
    for (count, most), what, after in (
        (spending.unanswered, "was never answered", "flowrun status says more"),
        (spending.given_up, "was given up on", "if it was accepted, it was charged all the same"),
    ):
        if count:
            were = what if count == 1 else what.replace("was", "were", 1)
            cost = f"at most {most} credits" if not most.unknown else f"{most} credits"
            yield f"{plural(count, 'request')} {were}: {cost}, in no sum above; {after}."


def _why_they_differ(spending: Spending) -> str:
    unanswered = spending.unanswered[0] or spending.given_up[0]
    after_all = "where a request without an answer was accepted after all, " if unanswered else ""
    return (
        f"The API's numbers differ {after_all}where another client, machine or key used the account, where credits come "
        "back later, where an estimate stands for a cost that was not told, and around midnight UTC, where clocks may disagree."
    )
