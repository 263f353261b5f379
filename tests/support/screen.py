"""A terminal in memory: what stands on it after the bytes a program wrote. Owns the few controls that a live view uses; any
other one is an error, so that nothing passes unread.

`reflows`: on a change of width, lines that were folded are folded anew, as most terminals do; without it the tails of lines
are lost, as in xterm.
"""

from __future__ import annotations

import codecs
import re

from flowrun.diagnostics.visible import width as columns_of

_CONTROL = re.compile(r"\x1b\[(\?)?([0-9;]*)([A-Za-z])")
_IGNORED = "mhl"  # colours, and modes such as the cursor's


class Screen:
    """`rows`: every line ever, scrolled out or not, each with whether it goes on in the next; the last `height` are seen."""

    def __init__(self, width: int, height: int, *, reflows: bool = True) -> None:
        self.width, self.height, self.reflows = width, height, reflows
        self.rows: list[list[str]] = [[]]
        self.folded: set[int] = set()  # rows that go on in the next
        self.row = self.column = 0
        self.cursor_shown = True
        self.wraps = 0  # how often a line did not fit
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._rest = ""

    @property
    def lines(self) -> list[str]:
        """All that was written and not erased, without what trails."""
        return ["".join(row).rstrip() for row in self.rows]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    @property
    def seen(self) -> list[str]:
        """The lines on the screen."""
        return self.lines[self._top :]

    @property
    def _top(self) -> int:
        return max(0, len(self.rows) - self.height)

    def feed(self, data: bytes) -> None:
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = _CONTROL.match(text, at)
                if found is None:
                    assert len(text) - at < 12, f"an unknown control: {text[at : at + 12]!r}"
                    self._rest = text[at:]
                    return
                self._control(*found.groups())
                at = found.end()
            else:
                self._character(text[at])
                at += 1

    def resize(self, width: int, height: int) -> None:
        """As when somebody pulls at the window's corner."""
        if self.reflows and width != self.width:
            self._reflow(width)
        elif width < self.width:
            self.rows = [row[:width] for row in self.rows]
        self.width, self.height = width, height
        self.column = min(self.column, width - 1)

    def _reflow(self, width: int) -> None:
        rows: list[list[str]] = []
        folded: set[int] = set()
        whole: list[str] = []
        begin, at = 0, (0, self.column)  # of a line that was folded; where the cursor is in one
        for number, row in enumerate(self.rows):
            if number == self.row:
                at = (begin, len(whole) + self.column)
            whole += row
            if number in self.folded:
                continue
            parts = [whole[each : each + width] for each in range(0, len(whole), width)] or [[]]
            folded |= set(range(len(rows), len(rows) + len(parts) - 1))
            rows += parts
            whole, begin = [], len(rows)
        self.rows, self.folded = rows, folded
        self.row = min(len(rows) - 1, at[0] + at[1] // width)
        self.column = at[1] % width

    def _character(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._down()
            self.column = 0  # a terminal's driver makes CR LF of it
        elif character >= " ":
            self._put(character)
        else:
            assert character == "\x07", f"an unknown character: {character!r}"

    def _put(self, character: str) -> None:
        columns = columns_of(character)
        if not columns:
            return
        if self.column + columns > self.width:
            self.wraps += 1
            self.folded.add(self.row)
            self._down()
            self.column = 0
        row = self.rows[self.row]
        row += [" "] * (self.column + columns - len(row))
        row[self.column : self.column + columns] = [character, *[""] * (columns - 1)]
        self.column += columns

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])

    def _control(self, private: str | None, numbers: str, kind: str) -> None:
        first = int(numbers.split(";", maxsplit=1)[0] or 0)
        if private and numbers == "25":
            self.cursor_shown = kind == "h"
        if kind in _IGNORED:
            return
        if kind == "A":
            self.row = max(self._top, self.row - max(1, first))
        elif kind == "K":
            row = self.rows[self.row]
            self.rows[self.row] = [] if first == 2 else row[: self.column]
            self.folded.discard(self.row)
        else:
            raise AssertionError(f"an unknown control: {private}{numbers}{kind}")
