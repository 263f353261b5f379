"""The sandbox as a server of its own. Owns the making of one from flags: its account, its state's folder, its address."""

from __future__ import annotations

import secrets
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.operations.catalogue import Catalogue, described
from flowrun.operations.catalogue import catalogue as shipping
from flowrun.production.cataloguing import catalogue_of
from flowrun.production.configuring import settings_of
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.inprocess import scenario_at
from flowrun.production.options import Surroundings
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import SqliteState, StateError
from flowrun.store.location import find_project

if TYPE_CHECKING:
    from flowrun.sandbox.server import Listener, ListenError, SandboxServer

PORT = 8642  # nobody's registered one
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Flags of `flowrun sandbox`. `port` 0: any free one. `state` None: a folder that goes when the server ends.
    `description_only`: the API as it is described, without what changed since."""

    host: str = LOOPBACK
    port: int = PORT
    realistic: bool = False
    tier: int | None = None
    credits: int | None = None
    scenario: Path | None = None
    state: Path | None = None
    description_only: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """A server that listens and is still to be served, and the account behind it."""

    server: SandboxServer
    sandbox: Sandbox
    is_loopback: bool


@contextmanager
def open_server(options: ServerOptions, around: Surroundings | None = None) -> Iterator[Served]:
    """`around`: where the project is whose settings name the catalogue; None: the one that ships.

    Raises DiagnosticError for a bad scenario, setting or overlay; FlowrunError for one that is not there, a port that is
    taken, a state that cannot be used.
    """
    catalogue = _served(options, around)
    scenario = None if options.scenario is None else scenario_at(options.scenario, catalogue)
    with _folder(options.state) as folder, _listening(options) as listener:
        from flowrun.sandbox.server import SandboxServer

        sandbox = Sandbox(
            SqliteState(folder),
            tier=options.tier,
            credits=options.credits,
            scenario=scenario,
            realistic=options.realistic,
            base_url=listener.url,
            salt=secrets.token_hex(8),
            catalogue=catalogue,
        )
        _check(sandbox, folder)
        yield Served(SandboxServer(sandbox, listener), sandbox, listener.is_loopback)


def _served(options: ServerOptions, around: Surroundings | None) -> Catalogue:
    if options.description_only:
        return described()
    return shipping() if around is None else catalogue_of(settings_of(find_project(around.cwd / "manifest"), around))


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="flowrun-sandbox-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@contextmanager
def _listening(options: ServerOptions) -> Iterator[Listener]:
    from flowrun.sandbox.server import ListenError, listen

    try:
        listener = listen(options.host, options.port)
    except ListenError as error:
        raise _not_had(error) from None
    try:
        yield listener
    finally:
        listener.socket.close()


def _not_had(error: ListenError) -> FlowrunError:
    at = f"{error.host} port {error.port}"
    if error.in_use:
        message, hint = f"{at} is in use by another program", "give another --port; --port 0 takes any free one"
    elif error.no_permission:
        message, hint = f"{at} may not be used: {error}", "give a --port above 1023; --port 0 takes any free one"
    else:
        message, hint = (
            f"{at} cannot be listened at: {error}",
            "give --host an address of this machine, or leave it out",
        )
    return FlowrunError(Exit.SURROUNDINGS, f"{message}; the sandbox was not started", hint)


def _check(sandbox: Sandbox, folder: Path) -> None:
    """Make or read the state once, before anybody is told that it can be used."""
    try:
        sandbox.report()
    except StateError as error:
        sandbox.close()
        raise FlowrunError(Exit.SURROUNDINGS, f"{folder}: {error}", "give another --state folder") from None
    except sqlite3.Error as error:
        sandbox.close()
        raise FlowrunError(Exit.SURROUNDINGS, f"{folder} cannot hold the sandbox's state: {error}", _OTHER) from None


_OTHER = "give another --state folder, or leave it out: then a temporary one is used"
