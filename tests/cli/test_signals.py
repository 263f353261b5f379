"""Which signals a command that works in a loop hears."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from flowrun.cli.signals import CODES, hand_signals

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such signals")


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = {name: signal.getsignal(getattr(signal, name)) for name in CODES}
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


def _heard(name: str) -> list[int]:
    """What a run is told when this process is sent that signal, and then a request to end."""

    async def main() -> list[int]:
        heard: list[int] = []
        hand_signals(heard.append)
        for each in dict.fromkeys((name, "SIGTERM")):
            os.kill(os.getpid(), getattr(signal, each))
            for _ in range(3):
                await asyncio.sleep(0)
        return heard

    return asyncio.run(main())


@pytest.mark.parametrize(("name", "codes"), [("SIGINT", [130, 143]), ("SIGTERM", [143]), ("SIGHUP", [143, 143])])
def test_each_is_handed_on(name: str, codes: list[int]) -> None:
    signal.signal(getattr(signal, name), signal.SIG_DFL)
    assert _heard(name) == codes


def test_a_closed_terminal_is_not_heard_of_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert _heard("SIGHUP") == [143]
