"""The command that is told when an apply ends. Owns how it runs: its environment, its time, its output; who asks for it and
what follows from its failure is the caller's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any

from flowrun.production.provider import KEY

SECONDS = 30.0  # that it may take
MOST_OUTPUT = 64 << 10  # bytes that are kept of what it prints
_MOMENT = 0.05  # seconds between two looks whether it is still wanted
_GRACE = 2.0  # seconds between asking it to end and ending it

Command = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told about a run. `credits`: of its submissions, as far as known; `summary`: in a line; `log`: its file;
    `document`: what goes to stdin, as JSON."""

    run: str
    exit: int
    flow: str
    profile: str
    provider: str
    project: Path
    submitted: int
    credits: int
    summary: str
    log: Path | None
    document: Mapping[str, Any]

    def environment(self) -> dict[str, str]:
        return {
            "FLOWRUN_RUN": self.run,
            "FLOWRUN_EXIT": str(self.exit),
            "FLOWRUN_FLOW": self.flow,
            "FLOWRUN_PROFILE": self.profile,
            "FLOWRUN_PROVIDER": self.provider,
            "FLOWRUN_PROJECT": str(self.project),
            "FLOWRUN_SUBMITTED": str(self.submitted),
            "FLOWRUN_CREDITS": str(self.credits),
            "FLOWRUN_SUMMARY": self.summary,
            "FLOWRUN_LOG": "" if self.log is None else str(self.log),
        }


@dataclass(frozen=True, slots=True)
class Notified:
    """`trouble`: what went wrong, None where nothing did. `output`: what it printed, not masked yet."""

    trouble: str | None
    output: str


def notify(
    command: Command,
    facts: Facts,
    environ: Mapping[str, str],
    hidden: Iterable[str] = (),
    *,
    seconds: float = SECONDS,
    unwanted: Callable[[], bool] = lambda: False,
) -> Notified:
    """Run `command` in the project's folder and wait for its end: words as they are, a text by the shell. `hidden`: names of
    secrets, which it is not told, as it is not told the API key. `unwanted`: whether somebody would rather not wait for it
    any longer. Never raises."""
    told = {name: value for name, value in environ.items() if name not in {KEY, *hidden}}
    text = json.dumps(facts.document, ensure_ascii=False, default=str)
    document = text.encode("utf-8", "backslashreplace")  # a path may hold what UTF-8 cannot; JSON reads that escape
    words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
    try:
        process = subprocess.Popen(  # noqa: S603 - the command is the user's own, from their settings
            words,
            cwd=facts.project,
            env=told | facts.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that a Ctrl-C meant for the run does not end it, and that all it began can be ended
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Notified(f"cannot be run: {reason}", "")
    return _waited_for(process, document, seconds, unwanted)


def _waited_for(
    process: subprocess.Popen[bytes], document: bytes, seconds: float, unwanted: Callable[[], bool]
) -> Notified:
    kept = bytearray()
    threads = [
        Thread(target=_feed, args=(process.stdin, document), daemon=True),
        Thread(target=_keep, args=(process.stdout, kept), daemon=True),
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    while (code := _ended(process)) is None and time.monotonic() < end and not unwanted():
        pass
    trouble = f"ended with exit code {code}" if code else None
    if code is None:
        trouble = "was interrupted" if unwanted() else f"took longer than {seconds:g} s and was ended"
    _end(process)
    for thread in threads:
        thread.join(_GRACE)
    return Notified(trouble, bytes(kept).decode("utf-8", "replace"))


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """Its exit code, for which it is given a moment; None: it goes on."""
    with suppress(subprocess.TimeoutExpired):
        return process.wait(_MOMENT)
    return None


def _feed(stdin: IO[bytes] | None, document: bytes) -> None:
    """It need not read."""
    with suppress(OSError, ValueError):
        if stdin is not None:
            with stdin:
                stdin.write(document)


def _keep(stdout: IO[bytes] | None, kept: bytearray) -> None:
    """The head of what it prints; the rest is read all the same, so that it does not wait for us."""
    with suppress(OSError, ValueError):
        if stdout is not None:
            with stdout:
                while chunk := os.read(stdout.fileno(), 1 << 16):
                    kept += chunk[: MOST_OUTPUT - len(kept)]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of it: asked first, then made to. What it put in a session of its own goes on."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(OSError):
            os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
