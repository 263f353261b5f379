"""What flowrun tells a log. Owns the `flowrun` logger, who hears a run besides its handlers, and the form of a line.

Within `heard_by` every line goes to one more handler, whatever levels the host program has set: a run keeps its own log
without a change to anybody's logging, and two runs in one process do not hear each other. Nothing is printed unless a
handler is set: importing this adds the one that keeps Python's last resort silent.

No caller may tell a key, a URL with its query, a header or a body; masking is the handler's, and only a second net.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

ROOT = "flowrun"
INFO, WARNING, ERROR = logging.INFO, logging.WARNING, logging.ERROR
_PLAIN = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f-\x9f]+")
_HEARD_BY: ContextVar[logging.Handler | None] = ContextVar("flowrun_log", default=None)

logging.getLogger(ROOT).addHandler(logging.NullHandler())


@contextmanager
def heard_by(handler: logging.Handler) -> Iterator[None]:
    """`handler` hears what is told from here on, in this context and in the tasks and threads begun from it."""
    token = _HEARD_BY.set(handler)
    try:
        yield
    finally:
        _HEARD_BY.reset(token)


def say(name: str, what: str, /, *, level: int = INFO, **facts: Any) -> None:
    """Tell the log `name` below flowrun's that `what` happened: ``say("runway", "request", status=200)``. None is left out."""
    logger, listener = logging.getLogger(f"{ROOT}.{name}"), _HEARD_BY.get()
    ordinary = logger.isEnabledFor(level)
    if listener is None and not ordinary:
        return
    record = logger.makeRecord(logger.name, level, "", 0, line(what, facts), (), None)
    with suppress(Exception):  # what a host program's handler cannot take must not cost the answer to a paid request
        if listener is not None:
            listener.handle(record)
        if ordinary:
            logger.handle(record)


def line(what: str, facts: Mapping[str, Any]) -> str:
    """``request method=GET path=/v1/tasks/1 seconds=0.021``: a value that is no plain word stands as a JSON text."""
    return " ".join([what, *(f"{name}={_value(value)}" for name, value in facts.items() if value is not None)])


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, (list, tuple)):
        value = ",".join(map(str, value))
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
