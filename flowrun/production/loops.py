"""Event loops around the public calls. Owns what happens where a call that needs a loop meets one that runs, and what a
cancellation from outside does to work that must end well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_alone(work: Callable[[], Coroutine[Any, Any, T]], name: str) -> T:
    """`work` in a loop of its own. `name`: of the public call; its twin for a running loop is named in the error.

    Raises RuntimeError inside a running loop, where waiting would stop everything else.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    raise RuntimeError(f"{name}() waits, and an event loop runs here already: use 'await {name}_async(...)' instead")


async def to_the_end(work: Awaitable[T], asked_to_stop: Callable[[], None] = lambda: None) -> T:
    """`work`'s result. A cancellation from outside does not reach it: `asked_to_stop` is called, once for each, and the
    cancellation goes on only when `work` has come to its end. So whatever `work` has open is closed by itself."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            asked_to_stop()
    if cancelled is None:
        return task.result()
    raise cancelled from (None if task.cancelled() else task.exception())
