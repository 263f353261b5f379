"""Ctrl-C, a request to end, a closed terminal: how a command that works in a loop hears them. Owns their exit codes, and the
one question such a command may ask."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

import click

CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 143}  # a closed terminal ends it as a request to end does


def hand_signals(interrupt: Callable[[int], None]) -> None:
    """Hand every signal, as its exit code, to the run that the loop is for, where the platform lets the loop have them."""
    loop = asyncio.get_running_loop()
    for name, code in CODES.items():
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError, AttributeError):
            if not _is_to_outlive(name):
                loop.add_signal_handler(getattr(signal, name), interrupt, code)


def _is_to_outlive(name: str) -> bool:
    """Whether whoever started us did so for a closed terminal not to end us, as `nohup` does."""
    return name == "SIGHUP" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def asked(question: str) -> bool:
    """Whether a person at the terminal says yes. Raises click.Abort for a Ctrl-C instead of an answer."""
    with _hearing_interrupts():
        return click.confirm(question, default=False, err=True)


@contextlib.contextmanager
def _hearing_interrupts() -> Iterator[None]:
    """A question is asked inside a running loop, which keeps a Ctrl-C for when it goes on: after the answer."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
