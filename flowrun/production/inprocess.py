"""The sandbox in this process as an httpx transport. Owns the joining of the two: requests to `handle`, answers back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.operations.catalogue import Catalogue
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.runway.inprocess import Answer, CallableTransport, Headers
from flowrun.sandbox.content import Content
from flowrun.sandbox.inprocess import InProcess
from flowrun.sandbox.messages import Request, Response
from flowrun.sandbox.scenario import Scenario, read_scenario
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import MemoryState, SqliteState, StateError
from flowrun.store.errors import is_damage, unavailable
from flowrun.store.protocol import StoreDamagedError

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport

_APART = "only its own tasks are in there; what was made is kept"


def open_sandbox(
    options: Options, around: Surroundings, folder: Path | None, catalogue: Catalogue | None = None
) -> Sandbox:
    """The sandbox whose account and tasks live in `folder`, or with this process alone. Raises DiagnosticError for a bad
    scenario, FlowrunError for one that is not there."""
    state = MemoryState() if folder is None else SqliteState(folder)
    if options.scenario is None:
        return Sandbox(state, catalogue=catalogue)
    scenario = scenario_at(around.named(options.scenario), catalogue)
    return Sandbox(state, scenario=scenario, catalogue=catalogue)


def scenario_at(path: Path, catalogue: Catalogue | None = None) -> Scenario:
    """`catalogue`: what is served, whose operations a fault may name.

    Raises DiagnosticError for a bad scenario, FlowrunError for one that is not there.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise FlowrunError(Exit.WRONG, f"--scenario: {path} cannot be read: {reason}", "check the path") from None
    return read_scenario(text, str(path), None if catalogue is None else catalogue.operations)


def sandbox_transport(
    options: Options, around: Surroundings, folder: Path | None, catalogue: Catalogue | None = None
) -> tuple[AsyncBaseTransport, str]:
    """A transport, and the address that it answers for. A request raises StoreDamagedError for a state that cannot be read,
    OSError where the disk refuses."""
    sandbox = open_sandbox(options, around, folder, catalogue)
    door = InProcess(sandbox, around.clock.now)

    def exchange(method: str, url: str, headers: Headers, body: bytes) -> Answer:
        with _usable(folder):
            return _answer(door.exchange(Request.of(method, url, dict(headers), body)))

    sleep, close = around.clock.sleep, sandbox.close
    return CallableTransport(exchange, offload=around.offload, sleep=sleep, on_close=close), sandbox.base_url


@contextmanager
def _usable(folder: Path | None) -> Iterator[None]:
    """The state is a part of the store, and what is wrong with it is told as for the rest of it."""
    try:
        yield
    except StateError as error:
        raise StoreDamagedError(f"{folder}: {error}; {_APART}") from error
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise StoreDamagedError(f"{folder}: the sandbox's state is damaged: {error}; {_APART}") from error
        if isinstance(error, sqlite3.OperationalError):
            raise unavailable(error, folder or Path(":memory:")) from error
        raise


def _answer(response: Response) -> Answer:
    head, body = (response.status, list(response.headers.items())), response.body
    if isinstance(body, Content):
        content = body if response.cut is None else body.part(0, response.cut)
        return Answer(*head, chunks=content.pieces(), delay=response.delay, lost=response.lost)
    held = body if isinstance(body, bytes) else b""
    sent = held if response.cut is None else held[: response.cut]
    return Answer(*head, sent, delay=response.delay, lost=response.lost)
