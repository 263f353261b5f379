"""The log of one run: ``.flowrun/logs/<run id>.log``, masked, a line a fact, written as it happens. Owns the file, its form and
how many are kept; what is told comes from events, from `log.say` and from `running`.

Nothing about the file may disturb a run: what cannot be written is left out, and said once.
"""

from __future__ import annotations

import logging
import os
import re
import traceback
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import astuple, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from flowrun import log
from flowrun.engine import events as ev
from flowrun.files import write_atomic
from flowrun.production.masking import Masker
from flowrun.store.location import FOLDER

KEEP = 100  # logs of runs, and as many reports of bugs
_BEFORE = 1000  # lines that are held before the run has a name
_RUN_LOG = re.compile(r"\d{8}-\d{6}-[0-9a-f]+\.log")  # as runs are named: their order is that of time
_BUG = re.compile(r"bug-\d{8}-\d{6}(-\d+)?\.txt")
_NOTE = "the run's log: "


def logs_folder(project: Path) -> Path:
    """Where a project's logs lie, sandbox runs and shared stores included: with the project, for whoever looks for them."""
    return project / FOLDER / "logs"


def make_logs_folder(project: Path) -> Path:
    """The folder, made if it is not there, and kept out of git. Raises OSError."""
    folder = logs_folder(project)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder.parent / ".gitignore").exists():
        write_atomic(folder.parent / ".gitignore", b"*\n")
    return folder


class RunLog(logging.Handler):
    """Hears everything within its block. Until `begin` nothing is written: an apply that never begins leaves no file.

    `now`: epoch seconds. `path`: of the file, once there is one; `trouble`: why it is not whole.
    """

    def __init__(self, project: Path, now: Callable[[], float], secrets: Iterable[str]) -> None:
        super().__init__()
        self._project, self._now, self._mask = project, now, Masker(secrets)
        self._held: list[str] = []
        self._file: int | None = None
        self._hearing: AbstractContextManager[None] = log.heard_by(self)
        self.path: Path | None = None
        self.trouble: str | None = None

    def __enter__(self) -> RunLog:
        self._hearing.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._hearing.__exit__(kind, error, at)
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None
            _remove_old(logs_folder(self._project), _RUN_LOG)
        self.close()

    def begin(self, run: str) -> None:
        """The run has a name: write what was heard so far, and from now on at once."""
        try:
            path = make_logs_folder(self._project) / f"{run}.log"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            self._give_up(error)
            return
        self.path = path
        held, self._held = self._held, []
        self._write("".join(held))

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises: neither a full disk nor an odd value ends what is logged."""
        try:
            self._line(record.levelname, record.name, record.getMessage())
        except Exception as error:  # as any handler must
            self._give_up(error)

    def take_in(self, event: ev.Event) -> None:
        """An event of the run, as it happens."""
        with log.heard_by(self):  # a signal's call comes from outside of the block
            level = log.WARNING if isinstance(event, ev.AttemptFailed | ev.Halted) else log.INFO
            log.say("run", event.type, level=level, **_facts(event))

    def traceback(self, error: BaseException) -> None:
        """An error that nobody foresaw, whole; the error gets a note that names the file."""
        self._line("ERROR", "flowrun.run", "unforeseen error")
        self._write_or_hold(_indented(self._mask("".join(traceback.format_exception(error)))))
        if self.path is not None:
            _innermost(error).add_note(f"{_NOTE}{self.path}")

    def text(self, text: str) -> None:
        """Foreign text of several lines, masked and set apart."""
        self._write_or_hold(_indented(self._mask(text)))

    def _line(self, level: str, name: str, message: str) -> None:
        at = datetime.fromtimestamp(self._now(), UTC)
        stamp = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
        flat = self._mask(message).replace("\r", "\\r").replace("\n", "\\n")
        self._write_or_hold(f"{stamp} {level:<7} {name} {flat}\n")

    def _write_or_hold(self, text: str) -> None:
        if self._file is not None:
            self._write(text)
        elif self.trouble is None and len(self._held) < _BEFORE:
            self._held.append(text)

    def _write(self, text: str) -> None:
        """Straight to the system, so that a killed process leaves every line."""
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data and self._file is not None:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
        self._file, self._held = None, []
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self.trouble = self.trouble or f"the log of this run could not be written: {reason}; the run itself goes on"


def log_of(error: BaseException) -> str | None:
    """The log of the run that `error` ended, where there is one."""
    notes = getattr(_innermost(error), "__notes__", ())
    return next((note.removeprefix(_NOTE) for note in notes if note.startswith(_NOTE)), None)


def write_bug(project: Path, report: str, stamp: str) -> Path:
    """A report of a bug beside the logs; `report` is masked already. Raises OSError."""
    folder = make_logs_folder(project)
    names = [f"bug-{stamp}.txt", *(f"bug-{stamp}-{number}.txt" for number in range(2, KEEP))]
    path = next((folder / name for name in names if not (folder / name).exists()), folder / names[-1])
    path.write_text(report, encoding="utf-8", errors="backslashreplace")
    _remove_old(folder, _BUG)
    return path


def _remove_old(folder: Path, pattern: re.Pattern[str]) -> None:
    """All but the newest; others' files are left alone."""
    with suppress(OSError):
        found = sorted(each for each in folder.iterdir() if pattern.fullmatch(each.name))
        for each in found[:-KEEP]:
            each.unlink(missing_ok=True)


def _innermost(error: BaseException) -> BaseException:
    """Of a group the first: the one that a person is told of."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _indented(text: str) -> str:
    return "".join(f"    {each}\n" for each in text.splitlines())


def _facts(event: ev.Event) -> dict[str, Any]:
    """An event's facts in a line: its time is the line's, a graph is a count, and the summary comes apart."""
    facts = {each.name: getattr(event, each.name) for each in fields(event)}
    facts.pop("at")
    if isinstance(event, ev.Expanded):
        return {"instances": len(event.items)}
    if isinstance(event, ev.RunEnded):
        return {"exit": event.exit}
    if isinstance(event, ev.Decided):
        facts["units"] = [f"{each.take}:{each.decision}:{each.model}:{each.credits}" for each in event.units] or None
    return {name: _short(value) for name, value in facts.items()}


def _short(value: Any) -> Any:
    """Records within an event as ``gen4_turbo:5:1000``."""
    if isinstance(value, tuple):
        return [
            ":".join(map(str, astuple(each))) if is_dataclass(each) and not isinstance(each, type) else each
            for each in value
        ]
    return value
