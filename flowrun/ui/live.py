"""The live view on a terminal: a board redrawn a few times a second, below the lines that stay. Owns Rich and the thread that
draws; what stands there is `frame`'s, what has happened `board`'s.

The view is an ornament: a terminal that goes away ends it, and never the run. It asks the terminal for its size each time,
draws only what has changed, and is gone when the run has ended. What must not be lost (failures, warnings) is written above
it as plain lines.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TextIO

from flowrun.diagnostics.visible import width as columns_of
from flowrun.engine import events as ev
from flowrun.ui.board import Board
from flowrun.ui.frame import frame
from flowrun.ui.lines import Lines
from flowrun.ui.outlook import Outlook
from flowrun.ui.paint import palette

PERIOD = 0.2  # seconds between two looks; faster than tasks change, slow enough to read
_FALLBACK = (80, 24)
_DUMB = frozenset({"dumb", "unknown"})


def can_live(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is a terminal on which lines can be drawn again, with somebody in front of it."""
    encoding = (getattr(stream, "encoding", None) or "").lower()
    is_able = environ.get("TERM", "").lower() not in _DUMB and "CI" not in environ
    return is_able and encoding.startswith("utf") and stream.isatty()


class Live:
    """Hears events in order, as `Lines` does; to be closed, which it does by itself when the run ends. `now`: epoch seconds;
    `size`: columns and lines of the terminal at this moment; `period`: seconds between two frames, None: only when asked to
    `draw`."""

    def __init__(
        self,
        stream: TextIO,
        colour: bool,
        now: Callable[[], float],
        *,
        size: Callable[[], tuple[int, int]] | None = None,
        period: float | None = PERIOD,
    ) -> None:
        from rich.console import Console

        self._now, self._size, self._period = now, size or (lambda: _size_of(stream)), period
        self._console = Console(
            file=stream, force_terminal=True, color_system="standard" if colour else None, highlight=False
        )
        self._paint = palette(colour)
        self._lines = Lines(self._keep, colour, quiet=True)
        self._board, self._outlook = Board(), Outlook()
        self._board_lock = threading.Lock()
        self._drawing = threading.RLock()  # one at a time, and none after the end
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._live: Any = None
        self._shown: tuple[list[str], tuple[int, int]] = ([], _FALLBACK)
        self._error: Exception | None = None

    def take_in(self, event: ev.Event) -> None:
        """The next event. Never raises for a terminal that is gone."""
        with self._board_lock:
            self._board.take_in(event)
        if isinstance(event, ev.RunStarted):
            self._start()
        self._guarded(lambda: self._lines.take_in(event))
        if isinstance(event, ev.RunEnded):
            self.close()

    def draw(self) -> None:
        """One frame, where it differs from the one before."""
        if (found := self._look()) is not None:
            self._outlook.finish(found)  # without the lock: the run goes on meanwhile
        with self._drawing:
            if self._live is not None:
                self._guarded(self._redraw)

    def close(self) -> None:
        """Take the view away and give the cursor back. Closing twice is closing."""
        self._done.set()
        with self._drawing:
            if self._live is not None:
                self._guarded(self._wipe)
            live, self._live = self._live, None
            if live is not None:
                self._guarded(live.stop)
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is None and self._error is not None:
            raise self._error

    # -- drawing

    def _start(self) -> None:
        from rich.live import Live as RichLive

        if self._live is not None or self._done.is_set():
            return
        self._live = RichLive(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=self._console.file is _stderr(),
            vertical_overflow="crop",
        )
        self._guarded(self._live.start)
        if self._period is not None and self._live is not None:
            self._thread = threading.Thread(target=self._keep_drawing, name="flowrun-live-view", daemon=True)
            self._thread.start()

    def _keep_drawing(self) -> None:
        while not self._done.wait(self._period):
            self.draw()

    def _look(self) -> Any:
        """A snapshot for a new estimate, where one is due."""
        with self._board_lock:
            now = self._now()
            return self._outlook.begin(self._board, now) if self._outlook.is_due(self._board, now) else None

    def _redraw(self) -> None:
        size = self._size()
        with self._board_lock:
            now = self._now()
            lines = frame(self._board, now, *size, self._paint, self._outlook.left(now))
        if (lines, size) != self._shown:
            self._show(lines, size)

    def _wipe(self) -> None:
        self._show([], self._size())

    def _show(self, lines: list[str], size: tuple[int, int]) -> None:
        from rich.console import ConsoleDimensions
        from rich.text import Text

        self._unwind(size[0])
        self._console.size = ConsoleDimensions(*size)
        self._lines.fit(size[0])
        self._shown = (lines, size)
        text = Text("\n", end="").join([Text.from_ansi(line, end="") for line in lines])
        text.no_wrap, text.overflow = True, "crop"
        self._live.update(text, refresh=True)

    def _unwind(self, columns: int) -> None:
        """A terminal that became narrower has folded our lines, so that they take more rows than were drawn: erase those."""
        from rich.control import Control
        from rich.segment import ControlType

        lines, (before, _) = self._shown
        if columns >= before:
            return
        folds = sum(max(0, columns_of(_bare(line)) - 1) // columns for line in lines)
        if folds:
            self._console.control(Control(*((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)) * folds))

    def _keep(self, line: str) -> None:
        from rich.text import Text

        with self._drawing:
            if self._live is not None and self._size() != self._shown[1]:
                self._redraw()  # else the view below the line would be set for another width
            self._console.print(Text.from_ansi(line), soft_wrap=True)

    def _guarded(self, work: Callable[[], object]) -> None:
        """A terminal that is gone is not drawn on any more. Any other error is ours: kept, and raised at the end."""
        try:
            work()
        except OSError:
            self._give_up()
        except Exception as error:
            self._error = self._error or error
            self._give_up()

    def _give_up(self) -> None:
        self._done.set()
        self._lines = Lines(lambda line: None, colour=False, quiet=True)
        live, self._live = self._live, None
        if live is not None:
            try:
                live.stop()
            except Exception:  # what cannot be drawn on cannot be cleared either
                return


def _bare(line: str) -> str:
    """The line without its colours."""
    from rich.text import Text

    return Text.from_ansi(line).plain


def _stderr() -> TextIO:
    import sys

    return sys.stderr


def _size_of(stream: TextIO) -> tuple[int, int]:
    """Columns and lines, asked of the terminal itself: it may have been resized."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return _FALLBACK
    return (size.columns or _FALLBACK[0], size.lines or _FALLBACK[1])
