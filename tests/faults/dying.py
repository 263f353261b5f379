"""``python -m tests.faults.dying POINT NTH [--stop] [--brisk] -- apply FILE ...``: the real program, which kills itself with
SIGKILL (or stops itself with SIGSTOP) the NTH time that it comes to a point; `nowhere` is none. Owns what is different about
such a process: the moment, requests that leave one by one, and, with --brisk, a short time until it counts as dead."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from inspect import Parameter, signature
from types import ModuleType
from typing import Any

NOWHERE = "nowhere"
REAP_AFTER, SEND_WITHIN, HEARTBEAT = 1.5, 0.75, 0.25  # seconds, of a brisk process
BRISK = {"REAP_AFTER": REAP_AFTER, "SEND_WITHIN": SEND_WITHIN, "HEARTBEAT": HEARTBEAT}
IMPORTERS = (
    *("flowrun.engine.ports", "flowrun.engine.submit", "flowrun.engine.deciding"),
    *("flowrun.engine.driver", "flowrun.production.binding"),
)
"""The modules that have one of these numbers, as far as is known here."""


def main(words: list[str] | None = None) -> int:
    asked = _arguments(words)
    if asked.brisk:
        _be_brisk()
    if asked.point != NOWHERE:
        _arm(asked.point, asked.nth, signal.SIGSTOP if asked.stop else signal.SIGKILL)
        _send_one_by_one()
    from flowrun.cli.main import run

    return run(asked.command)


def struck(point: str, nth: int) -> str:
    """The line on stderr that a process leaves right before its moment."""
    return f"struck {point} {nth}"


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.dying")
    parser.add_argument("point", nargs="?", default=NOWHERE)
    parser.add_argument("nth", nargs="?", type=int, default=0)
    parser.add_argument("--stop", action="store_true")
    parser.add_argument("--brisk", action="store_true")
    words = sys.argv[1:] if words is None else words
    own = words[: words.index("--")]
    asked = parser.parse_args(own)
    asked.command = words[len(own) + 1 :]
    return asked


def _arm(point: str, nth: int, number: signal.Signals) -> None:
    from tests.faults.points import POINTS, Moment

    def strike() -> None:
        os.write(2, f"{struck(point, nth)}\n".encode())
        os.kill(os.getpid(), number)

    POINTS[point](Moment(nth, strike))


def _send_one_by_one() -> None:
    """Between intent and id there is one request at a time, and no task is asked for meanwhile, so that at the moment no other
    request is in that window: what is uncertain afterwards is uncertain by the moment alone. Everything else goes on at once."""
    from flowrun.engine import attempt
    from flowrun.runway.client import RunwayClient

    door = asyncio.Lock()
    attempt.submit = _behind(door, attempt.submit)
    RunwayClient.task = _behind(door, RunwayClient.task)


def _behind(door: asyncio.Lock, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def patched(*args: Any) -> Any:
        async with door:
            return await call(*args)

    return patched


def _be_brisk() -> None:
    """Every module of flowrun's that has one of the numbers has the short one, and those we know of have it."""
    import_module("flowrun.production.production")
    from flowrun.engine.deciding import Deciding

    fields = [each for each in signature(Deciding).parameters.values() if each.default is not Parameter.empty]
    defaults = (REAP_AFTER if each.name == "reap_after" else each.default for each in fields)
    Deciding.__init__.__defaults__ = tuple(defaults)
    places = [(module, name) for module in _modules() for name in BRISK if name in vars(module)]
    for module, name in places:
        setattr(module, name, BRISK[name])
    assert {module.__name__ for module, _ in places} >= set(IMPORTERS)
    assert all(getattr(module, name) == BRISK[name] for module, name in places)
    assert signature(Deciding).parameters["reap_after"].default == REAP_AFTER


def _modules() -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name.startswith("flowrun.")]


if __name__ == "__main__":
    sys.exit(main())
