"""A page of Markdown that fits where it is put. Owns tables, fenced text, folded parts and what is left out of a page too long.

A page is a list of parts: fixed text, and rows between a head and a tail, of which as many are shown as there is room for.
Cells and texts must be escaped already (`diagnostics.escaping`); what is escaped here says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from flowrun.diagnostics.escaping import code, defused, markdown
from flowrun.ui.numbers import plural
from flowrun.ui.tables import Cell

MOST = 65_536  # characters of a comment at GitHub; more is refused there
ROOM = MOST - 536  # so that whoever posts it can put a line above


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows, a line or more each, between `head` and `tail`. `what`: one of them, as it is counted where some are left out."""

    rows: tuple[str, ...]
    head: str = ""
    tail: str = ""
    what: str = "row"

    def first(self, room: int) -> Rows:
        """As many rows as fit into so many characters; one that is too long alone does not keep the others out."""
        shown: list[str] = []
        for row in self.rows:
            if len(row) < room:
                shown.append(row)
                room -= len(row) + 1
        return replace(self, rows=tuple(shown))

    @property
    def text(self) -> str:
        return "\n".join([*([self.head] if self.head else []), *self.rows, *([self.tail] if self.tail else [])])


Part = str | Rows


def page(parts: Iterable[Part], *, more: str, room: int = ROOM) -> str:
    """The parts, a blank line between them, in at most `room` characters. Where that is too little, earlier parts come first,
    and a last line tells what was left out and `more`: how to see it, escaped."""
    whole = [part for part in parts if isinstance(part, str) or part.rows]
    text = "\n\n".join(_text(part) for part in whole)
    if len(text) <= room:
        return text
    shown = list(_shortened(whole, room - len(more) - _NOTE))
    return "\n\n".join(
        [*(_text(part) for part in shown if isinstance(part, str) or part.rows), _note(whole, shown, more)]
    )


_NOTE = 600  # characters that the note about what is left out may take


def _text(part: Part) -> str:
    return part if isinstance(part, str) else part.text


def _shortened(parts: Sequence[Part], room: int) -> Iterator[Part]:
    left = room - sum(len(part) if isinstance(part, str) else len(part.head) + len(part.tail) + 2 for part in parts)
    left -= 2 * len(parts)
    for part in parts:
        if isinstance(part, str):
            yield part
            continue
        fitting = part.first(left)
        left -= sum(len(row) + 1 for row in fitting.rows)
        yield fitting


def _note(whole: Sequence[Part], shown: Sequence[Part], more: str) -> str:
    counts: dict[str, int] = {}
    for full, part in zip(whole, shown, strict=True):
        if isinstance(full, Rows) and isinstance(part, Rows) and len(part.rows) < len(full.rows):
            counts[full.what] = counts.get(full.what, 0) + len(full.rows) - len(part.rows)
    missing = ", ".join(plural(count, what) for what, count in counts.items())
    return f"✂️ *Too long for a comment: {missing} left out. {more}*"


# -- parts


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = (), what: str = "row") -> Rows:
    """A table of escaped cells; `right`: the columns set to the right."""
    rule = ["---:" if at in right else "---" for at in range(len(heads))]
    lines = tuple(_row(row) for row in rows)
    return Rows(lines, f"{_row(heads)}\n{_row(rule)}", what=what)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cells_table(rows: Sequence[Sequence[Cell]], names: Sequence[int], *, what: str = "row") -> Rows:
    """A table of a terminal's cells, the first row its heads; escaped here. `names`: columns that hold names, set as code."""
    head, *below = rows
    right = [at for at, cell in enumerate(head) if cell.right]
    shown = [[code(each.text) if at in names else markdown(each.text) for at, each in enumerate(row)] for row in below]
    return table([markdown(cell.text) for cell in head], shown, right=right, what=what)


def listing(items: Iterable[str], what: str = "item") -> Rows:
    """Items that begin with their own sign."""
    return Rows(tuple(items), what=what)


def fenced(lines: Iterable[str], what: str = "line") -> Rows:
    """Lines as they stand, in a fence longer than any in them; GitHub's runner takes none for a command."""
    rows = tuple(defused("\n".join(lines)).split("\n"))
    longest = max((len(row) - len(row.lstrip("`")) for row in map(str.strip, rows)), default=0)
    fence = "`" * max(3, longest + 1)
    return Rows(rows, f"{fence}text", fence, what)


def folded(summary: str, part: Rows) -> Rows:
    """The part behind a line that opens it. `summary`: escaped; a blank line ends the HTML, so that Markdown goes on in it."""
    head = f"<details><summary>{summary}</summary>\n" + (f"\n{part.head}" if part.head else "")
    return replace(part, head=head, tail=f"{part.tail}\n\n</details>" if part.tail else "\n</details>")


def quote(*lines: str) -> str:
    """Escaped lines as a quotation, a line each."""
    return "\n".join(f"> {line}\\" if at < len(lines) else f"> {line}" for at, line in enumerate(lines, 1))
