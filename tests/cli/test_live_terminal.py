"""`flowrun apply` in a real terminal: a process in a pseudo terminal that is resized, interrupted and closed under it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.screen import Screen

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo terminals", allow_module_level=True)

import fcntl
import pty
import termios

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
LONGEST = 60.0  # seconds that a machine under load is given


class Session:
    """A program in a terminal, and the screen it writes on."""

    def __init__(self, folder: Path, arguments: list[str], width: int = 100, height: int = 40, **environ: str) -> None:
        self.screen = Screen(width, height)
        self._ended = False
        known = {name: each for name, each in os.environ.items() if name not in ("CI", "NO_COLOR", "COLUMNS", "LINES")}
        known |= {
            "TERM": "xterm-256color",
            "PYTHONPATH": str(ROOT),
            "FLOWRUN_STATE_DIR": str(folder / "state"),
            **environ,
        }
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:  # the child: nothing but exec
            os.chdir(folder)
            os.execve(sys.executable, [sys.executable, "-c", _FLOWRUN, *arguments], known)
        self._set_size(width, height)

    def _set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width: int, height: int) -> None:
        self._set_size(width, height)
        self.screen.resize(width, height)

    def press(self, key: bytes) -> None:
        os.write(self._terminal, key)

    def hang_up(self) -> None:
        os.close(self._terminal)

    def until(self, text: str) -> None:
        """Read until that stands on the screen."""
        for _ in self._reading():
            if text in self.screen.text:
                return
        raise AssertionError(f"{text!r} never came:\n{self.screen.text}")

    def end(self) -> int:
        """Read until it has ended; its exit code."""
        for _ in self._reading():
            pass
        return self.wait()

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _reading(self) -> Iterator[None]:
        give_up = time.monotonic() + LONGEST
        while True:
            yield
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, give_up - time.monotonic()))
            assert ready, f"nothing more came:\n{self.screen.text}"
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # Linux: the other side is closed
                return
            if not data:
                return
            self.screen.feed(data)


_FLOWRUN = "import sys, flowrun.cli.main as main; main.entry()"
APPLY = ["apply", "--sandbox", "--scenario", "quick.yaml", "fox-trailer.yaml"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "fox"
    shutil.copytree(ROOT / "examples" / "fox-trailer", target, ignore=shutil.ignore_patterns("out", ".flowrun"))
    (target / ".git").mkdir()
    (target / "quick.yaml").write_text("media: tiny\ndurations: {default: 1.0}\npoll: 0.1\n", "utf-8")
    return target


def test_a_resized_terminal_holds_the_summary_and_nothing_else(folder: Path) -> None:
    session = Session(folder, APPLY)
    session.until("slots")
    session.resize(64, 24)
    session.until("made                in")
    session.resize(120, 50)
    assert session.end() == 0
    text = session.screen.text
    after = text[text.index("Time") :]
    assert "9 made" in after
    assert "still.png" in after
    for leftover in ("of 9 nodes", "slots", "running  ", "[#", "waiting  "):
        assert leftover not in after
    assert session.screen.cursor_shown
    assert text.count("Done in") == 1


def test_an_interrupt_says_what_stays_and_ends_cleanly(folder: Path) -> None:
    (folder / "quick.yaml").write_text("media: tiny\ndurations: {default: 30}\npoll: 0.1\n", "utf-8")
    session = Session(folder, APPLY)
    session.until("slots")
    session.press(b"\x03")
    assert session.end() == 130
    after = session.screen.text[session.screen.text.index("Time") :]
    assert "stopping" in after
    assert "Interrupted after" in after
    assert "slots" not in after
    assert session.screen.cursor_shown


def test_a_closed_terminal_ends_the_run_in_good_order(folder: Path) -> None:
    (folder / "quick.yaml").write_text("media: tiny\ndurations: {default: 30}\npoll: 0.1\n", "utf-8")
    session = Session(folder, [*APPLY, "--events", "events.ndjson"])
    session.until("slots")
    session.hang_up()
    assert session.wait() == 143
    from flowrun.engine.replay import read_events

    with (folder / "events.ndjson").open(encoding="utf-8") as lines:
        assert list(read_events(lines))[-1].type == "run-ended"


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"CI": "true"}])
def test_plain_lines_where_nothing_can_be_drawn_again(folder: Path, environ: dict[str, str]) -> None:
    session = Session(folder, APPLY, **environ)
    assert session.end() == 0
    assert "succeeded  hero" in session.screen.text
    assert "slots" not in session.screen.text


def test_without_colour_it_still_moves(folder: Path) -> None:
    session = Session(folder, [*APPLY, "--no-color"])
    session.until("of 9 nodes")
    with contextlib.suppress(ProcessLookupError):
        os.kill(session.pid, signal.SIGTERM)
    assert session.end() == 143
