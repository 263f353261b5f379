"""The live view on a terminal in memory: what stands there while a run goes on, and that nothing of it is left behind."""

from __future__ import annotations

import io
import subprocess
import sys
import threading

import pytest

import flowrun.ui.live as live_module
from flowrun.engine import events as ev
from flowrun.engine.failure import Verdict
from flowrun.ui.live import Live, can_live
from tests.support.screen import Screen
from tests.ui.board_values import board_of, decided, everything, expanded, failed, item, limits, running, sent, started
from tests.ui.ui_values import AT


class Terminal(io.StringIO):
    """A stream that is a screen. `broken`: nobody is there any more."""

    encoding = "utf-8"

    def __init__(self, width: int = 80, height: int = 24, *, reflows: bool = True) -> None:
        super().__init__()
        self.screen = Screen(width, height, reflows=reflows)
        self.broken = False
        self.written = 0
        self.raw = ""
        self.drawn = threading.Event()

    def write(self, text: str) -> int:
        if self.broken:
            raise OSError(5, "Input/output error")
        self.written += len(text)
        self.raw += text
        self.screen.feed(text.encode())
        self.drawn.set()
        return len(text)

    def isatty(self) -> bool:
        return True

    def size(self) -> tuple[int, int]:
        return self.screen.width, self.screen.height


class Clock:
    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> float:
        return self.at


def on(terminal: Terminal, clock: Clock | None = None, *, colour: bool = False) -> Live:
    return Live(terminal, colour, clock or Clock(), size=terminal.size, period=None)


def hear(live: Live, *events: ev.Event) -> None:
    for event in events:
        live.take_in(event)
        live.draw()


BEGIN = [started(), limits(), expanded(item("hero"), item("shot", "hero")), decided("hero"), *sent("hero#1")]
END = ev.RunEnded(AT + 60, 0)


def test_the_view_stands_below_what_was_there_and_goes_with_the_run() -> None:
    terminal, clock = Terminal(), Clock()
    terminal.write("the plan\n")
    with on(terminal, clock) as live:
        hear(live, *BEGIN, running("hero#1", 0.5))
        clock.at += 12.0
        live.draw()
        lines = terminal.screen.lines
        assert lines[:2] == ["the plan", "fox-trailer (draft) on runway  12s, about 67 s left"]
        assert "hero      running             [#####.....]   50%   11s" in lines
        assert not terminal.screen.cursor_shown
        hear(live, END)
        assert terminal.screen.text == "the plan"
    assert terminal.screen.text == "the plan"
    assert terminal.screen.cursor_shown
    assert not terminal.screen.wraps


def test_what_must_stay_is_written_above_it() -> None:
    terminal = Terminal()
    with on(terminal) as live:
        hear(live, *BEGIN, failed("hero#1", Verdict.FAIL, hint="Try another."))
        text = terminal.screen.lines
        assert "failed     hero: It went wrong in a way that takes some words to tell." in text[0]
        assert any("Try another." in line for line in text[:3])
        assert any(line.startswith("fox-trailer") for line in text[2:5])
        hear(live, ev.Interrupted(AT + 31))
        assert any("stopping: nothing new starts; 0 tasks stay" in line for line in terminal.screen.lines)
        hear(live, END)
    assert "Try another." in terminal.screen.text
    assert "stopping   nothing new starts" in terminal.screen.text
    assert "fox-trailer" not in terminal.screen.text


def test_what_has_not_changed_is_not_drawn_again() -> None:
    terminal, clock = Terminal(), Clock()
    with on(terminal, clock) as live:
        hear(live, *BEGIN)
        before = terminal.written
        live.draw()
        assert terminal.written == before
        clock.at += 1.0
        live.draw()
        assert terminal.written > before


@pytest.mark.parametrize("reflows", [True, False])
def test_a_terminal_that_is_resized_keeps_a_clean_view(reflows: bool) -> None:
    terminal = Terminal(160, 100, reflows=reflows)
    terminal.write("".join(f"line {number} of the plan\n" for number in range(30)))
    with on(terminal) as live:
        hear(live, *everything())
        for width, height in ((200, 120), (90, 100), (60, 90), (160, 100)):
            terminal.screen.resize(width, height)
            live.draw()
            if reflows:
                assert terminal.screen.text.count("fox-trailer") == 1
                assert terminal.screen.text.count("line 29 of the plan") == 1
        terminal.screen.resize(70, 100)
        hear(live, failed("still[3]#1", Verdict.FAIL, 91.0))  # a line that stays comes before the next frame
        hear(live, END)
    assert "fox-trailer" not in terminal.screen.text
    assert "still[3]: It went wrong" in terminal.screen.text
    if reflows:
        assert "line 29 of the plan" in terminal.screen.text


def test_a_resize_just_before_the_end_leaves_nothing_behind() -> None:
    terminal = Terminal(120, 100)
    with on(terminal) as live:
        hear(live, *everything())
        terminal.screen.resize(50, 100)
        live.take_in(END)
    assert "running" not in terminal.screen.text


def test_a_terminal_that_is_gone_ends_the_view_and_nothing_else() -> None:
    for begun in (BEGIN, []):
        terminal = Terminal()
        with on(terminal) as live:
            hear(live, *begun)
            terminal.broken = True
            hear(live, *BEGIN, failed("hero#1", Verdict.FAIL), END)


def test_a_bug_in_the_view_is_told_after_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> list[str]:
        raise ZeroDivisionError("ours")

    def run() -> None:
        with on(terminal) as live:
            hear(live, *BEGIN[:2])
            monkeypatch.setattr(live_module, "frame", broken)
            hear(live, *BEGIN[2:], END)

    terminal = Terminal()
    with pytest.raises(ZeroDivisionError, match="ours"):
        run()
    assert terminal.screen.cursor_shown


def test_an_error_of_the_run_takes_the_view_away() -> None:
    def run() -> None:
        with on(terminal) as live:
            hear(live, *BEGIN)
            raise KeyboardInterrupt

    terminal = Terminal()
    with pytest.raises(KeyboardInterrupt):
        run()
    assert terminal.screen.text == ""
    assert terminal.screen.cursor_shown


def test_a_run_that_never_begins_draws_nothing() -> None:
    terminal = Terminal()
    with on(terminal) as live:
        live.draw()
    assert terminal.raw == ""


@pytest.mark.parametrize("colour", [True, False])
def test_colour_only_where_it_is_asked_for(colour: bool) -> None:
    terminal = Terminal()
    with on(terminal, colour=colour) as live:
        hear(live, *everything(), failed("still[3]#1", Verdict.FAIL, 91.0))
    assert ("\x1b[31m" in terminal.raw or "\x1b[1;31m" in terminal.raw) == colour
    assert ("\x1b[36m" in terminal.raw or "\x1b[2m" in terminal.raw) == colour


def test_it_draws_by_itself_and_stops_with_the_run() -> None:
    terminal, clock = Terminal(), Clock()
    with Live(terminal, False, clock, size=terminal.size, period=0.001) as live:
        for event in BEGIN:
            live.take_in(event)
        assert terminal.drawn.wait(10.0)
        terminal.drawn.clear()
        clock.at += 5.0
        assert terminal.drawn.wait(10.0)
        assert any(thread.name == "flowrun-live-view" for thread in threading.enumerate())
        live.take_in(END)
        assert not any(thread.name == "flowrun-live-view" for thread in threading.enumerate())
    assert terminal.screen.text == ""


def test_a_stray_word_on_stderr_goes_above_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with on(terminal) as live:
        hear(live, *BEGIN)
        sys.stderr.write("a warning of a library\n")
        assert terminal.screen.lines[0] == "a warning of a library"
        hear(live, END)
    assert sys.stderr is terminal
    assert terminal.screen.text == "a warning of a library"


def test_a_stream_without_a_size_has_the_usual_one() -> None:
    terminal = Terminal()
    with Live(terminal, False, Clock(), period=None) as live:
        hear(live, *BEGIN)
    assert not terminal.screen.wraps


@pytest.mark.parametrize(
    ("environ", "terminal", "encoding", "live"),
    [
        ({"TERM": "xterm-256color"}, True, "utf-8", True),
        ({}, True, "UTF-8", True),
        ({"TERM": "dumb"}, True, "utf-8", False),
        ({"TERM": "xterm", "CI": "1"}, True, "utf-8", False),
        ({"TERM": "xterm"}, False, "utf-8", False),
        ({"TERM": "xterm"}, True, "ascii", False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, "utf-8", True),
    ],
)
def test_where_it_can_be_shown(environ: dict[str, str], terminal: bool, encoding: str, live: bool) -> None:
    stream = Terminal()
    stream.encoding = encoding  # type: ignore[misc]
    stream.isatty = lambda: terminal  # type: ignore[method-assign]
    assert can_live(stream, environ) is live


def test_the_library_is_loaded_only_where_there_is_something_to_draw() -> None:
    code = "import sys, flowrun.cli.main, flowrun.cli.apply, flowrun.ui.live; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_whole_board_in_memory_is_what_the_terminal_shows() -> None:
    from flowrun.ui.frame import frame
    from flowrun.ui.paint import palette

    terminal, clock = Terminal(100, 40), Clock()
    clock.at = AT + 90.0
    with on(terminal, clock) as live:
        hear(live, *everything())
        expected = frame(board_of(everything()), clock.at, 100, 40, palette(False), live._outlook.left(clock.at))
        assert terminal.screen.lines[-len(expected) :] == expected
