"""The sandbox in this process as an httpx transport. Owns the joining of the two: requests to `handle`, answers back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.operations.catalogue import Catalogue
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.runway.inprocess import Answer, CallableTransport, Headers
from flowrun.sandbox.inprocess import InProcess
from flowrun.sandbox.messages import Request, Response
from flowrun.sandbox.scenario import Scenario, read_scenario
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import SqliteState

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport


def open_sandbox(options: Options, around: Surroundings, folder: Path, catalogue: Catalogue | None = None) -> Sandbox:
    """The sandbox whose account and tasks live in `folder`. Raises DiagnosticError for a bad scenario, FlowrunError for one
    that is not there."""
    if options.scenario is None:
        return Sandbox(SqliteState(folder), catalogue=catalogue)
    scenario = scenario_at(around.named(options.scenario))
    return Sandbox(SqliteState(folder), scenario=scenario, catalogue=catalogue)


def scenario_at(path: Path) -> Scenario:
    """Raises DiagnosticError for a bad scenario, FlowrunError for one that is not there."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise FlowrunError(Exit.WRONG, f"--scenario: {path} cannot be read: {reason}", "check the path") from None
    return read_scenario(text, str(path))


def sandbox_transport(
    options: Options, around: Surroundings, folder: Path, catalogue: Catalogue | None = None
) -> tuple[AsyncBaseTransport, str]:
    """A transport, and the address that it answers for."""
    sandbox = open_sandbox(options, around, folder, catalogue)
    door = InProcess(sandbox, around.clock.now)

    def exchange(method: str, url: str, headers: Headers, body: bytes) -> Answer:
        return _answer(door.exchange(Request.of(method, url, dict(headers), body)))

    sleep, close = around.clock.sleep, sandbox.close
    return CallableTransport(exchange, offload=around.offload, sleep=sleep, on_close=close), sandbox.base_url


def _answer(response: Response) -> Answer:
    body = bytes(response.body) if isinstance(response.body, bytes) else b""
    sent = body if response.cut is None else body[: response.cut]
    return Answer(response.status, list(response.headers.items()), sent, delay=response.delay, lost=response.lost)
