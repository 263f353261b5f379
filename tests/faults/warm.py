"""Processes that are quickly there: a process that has imported flowrun, and does nothing but fork for each command line. Owns
both ends of that: the forking process (``python -m tests.faults.warm``), and what a test holds of it and of its children.

A child is a process as any other, with its own id, files and sockets; it runs the launcher of `dying` on its own arguments. Only
the start of the interpreter and the imports, most of a short command's time, are shared.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from tests.faults.project import DEADLINE, ROOT

PRELOADED = (
    *("flowrun.cli.apply", "flowrun.cli.account", "flowrun.cli.pages", "flowrun.cli.saved", "flowrun.cli.plan"),
    *("flowrun.production.kept", "flowrun.production.queries", "flowrun.production.notify", "flowrun.ui.summary_text"),
    *("flowrun.ui.lines", "flowrun.media.probe", "flowrun.runway.http", "networkx", "httpx", "tests.faults.points"),
)


@dataclass(slots=True)
class Forked:
    """One child. Its streams are files."""

    pid: int
    out: Path
    err: Path
    parent: Warm

    def ended(self) -> tuple[int, str, str]:
        """Exit code (negative: the signal), stdout and stderr, once it has ended."""
        code = self.parent.await_news(self.pid, "ended")
        return code, self.out.read_text(), self.err.read_text()

    def await_stop(self) -> None:
        """Until it stands still. Raises AssertionError where it ends instead."""
        assert self.parent.await_news(self.pid, "stopped") == signal.SIGSTOP, self.err.read_text()

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@dataclass(slots=True)
class Warm:
    """The forking process, as its owner has it; for one thread."""

    process: subprocess.Popen[str]
    _news: dict[tuple[int, str], int] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=count)

    def start(self, arguments: list[str], cwd: Path, environ: dict[str, str], streams: Path) -> Forked:
        """A child with the arguments of `dying`. `streams`: a folder for its output."""
        assert self.process.stdin is not None
        number = next(self._numbers)
        out, err = streams / f"{number}.out", streams / f"{number}.err"
        order = {"arguments": arguments, "cwd": str(cwd), "environ": environ, "out": str(out), "err": str(err)}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return Forked(self.await_news(0, "forked"), out, err, self)

    def await_news(self, pid: int, what: str) -> int:
        """What is told of a child. Raises AssertionError where it ended instead, or the deadline passed."""
        end = time.monotonic() + DEADLINE
        while (pid, what) not in self._news:
            assert (pid, "ended") not in self._news, f"it ended, and has not {what}"
            assert self.process.stdout is not None
            readable, _, _ = select.select([self.process.stdout], [], [], end - time.monotonic())
            assert readable, f"{pid} has not {what} within {DEADLINE:g} s"
            for told_pid, told, value in json.loads(self.process.stdout.readline()):
                self._news[told_pid, told] = value
        return self._news.pop((pid, what))


@contextmanager
def warm() -> Iterator[Warm]:
    """The forking process; it and its children end with the block."""
    line = [sys.executable, "-m", "tests.faults.warm"]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, bufsize=1) as process:
        try:
            yield Warm(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(DEADLINE)


def main() -> None:
    """Fork for each line on stdin; tell on stdout what becomes of the children. Those that are left at the end are killed."""
    for name in PRELOADED:
        import_module(name)
    children: set[int] = set()
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], 0.01)
        if readable:
            line = sys.stdin.readline()
            if not line:
                break
            pid = _fork(json.loads(line))
            children.add(pid)
            _tell([(0, "forked", pid)])
        _tell(list(_news(children)))
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _news(children: set[int]) -> Iterator[tuple[int, str, int]]:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        if not pid:
            return
        if os.WIFSTOPPED(status):
            yield pid, "stopped", os.WSTOPSIG(status)
        else:
            children.discard(pid)
            yield pid, "ended", os.waitstatus_to_exitcode(status)


def _tell(news: list[tuple[int, str, int]]) -> None:
    if news:
        sys.stdout.write(json.dumps(news) + "\n")
        sys.stdout.flush()


def _fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["environ"])
        _redirect(order)
        from tests.faults.dying import main as carried_out

        code = carried_out(order["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(order: dict[str, Any]) -> None:
    """The child's streams are its own, and none of its parent's."""
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, (name, how) in enumerate(((os.devnull, os.O_RDONLY), (order["out"], writing), (order["err"], writing))):
        handle = os.open(name, how)
        os.dup2(handle, number)
        os.close(handle)


if __name__ == "__main__":
    main()
