"""The seams where a simulated process meets its world, patched for as long as a simulation goes on: each ledger transaction,
each file that comes into the store or out of it, each request. Owns what is patched, and nothing of what follows from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

from flowrun.engine import driver
from flowrun.ledger import locking, rebuilding
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.ledger.transactions import FactLedger
from flowrun.production import applying, inprocess, owner, production
from flowrun.production.journals import DiskJournal
from flowrun.sandbox.render import Render
from flowrun.store import exporter
from flowrun.store.blobs import DiskBlobWriter
from flowrun.store.index import Index
from flowrun.store.landing import Landing
from tests.simulation.media import quick_media
from tests.simulation.process import RUNNING, moment

WRITES = (
    *("claim", "reserve", "intend", "release", "refused", "lost", "submitted", "decide"),
    *("ended", "note", "settle", "heartbeat", "reap", "retire", "begin"),
)
FOLDERS = ("blobs", "results", "picks", "uploads", "exports")
REBUILDING = ("write_gaps", "_set_aside", "_sync", "sync_directory")
READS = ("last", "open", "rejections", "uncertain", "unanswered", "tasks")


@contextmanager
def patched(changes: list[tuple[Any, str, Any]]) -> Iterator[None]:
    with ExitStack() as undo:
        for place, name, value in changes:
            undo.callback(setattr, place, name, place.__dict__[name])
            setattr(place, name, value)
        yield


def ports(world: Any) -> list[tuple[Any, str, Any]]:
    """Every patch of one simulated world."""
    changes: list[tuple[Any, str, Any]] = [
        *(
            (FactLedger, name, _dying(getattr(FactLedger, name), f"ledger.{name}"))
            for name in WRITES
            if name not in ("intend", "submitted", "decide")
        ),
        *((FactLedger, name, _refused(getattr(FactLedger, name))) for name in READS),
        (FactLedger, "intend", _intending(FactLedger.intend, world)),
        (FactLedger, "submitted", _recording(FactLedger.submitted, world)),
        (FactLedger, "decide", _deciding(FactLedger.decide, world)),
        (locking, "PATIENCE", 0.0),  # who holds it stands still in virtual time
        (DiskJournal, "write", _dying(DiskJournal.write, "journal.write")),
        *(
            (SqliteLedger, name, _dying(getattr(SqliteLedger, name), f"ledger.{name}"))
            for name in ("back_up", "take_in")
        ),
        *((rebuilding, name, _dying(getattr(rebuilding, name), f"rebuilding.{name}")) for name in REBUILDING),
        (Landing, "land", _dying(Landing.land, "store.land", _target)),
        (Landing, "land_new", _dying(Landing.land_new, "store.land", _target)),
        (Index, "write", _dying(Index.write, "store.index")),
        (DiskBlobWriter, "write", _dying(DiskBlobWriter.write, "blob.write")),
        (exporter, "replacing", _replacing(exporter.replacing)),
        (Render, "_made", lambda render: quick_media(render.recipe)),
        (inprocess, "sandbox_transport", world.transport),
        (applying, "Driver", _checked(driver.Driver)),
        (production, "secrets", SimpleNamespace(token_hex=world.token)),
        (owner, "os", SimpleNamespace(getpid=lambda: _process().pid)),
        (owner, "socket", SimpleNamespace(gethostname=lambda: _process().host)),
        (owner, "_lives", world.lives),
        (owner, "_started", lambda pid: 1),
    ]
    if os.name != "nt":
        changes.append((os, "fsync", lambda handle: None))  # power is never lost here
    return changes


def _process() -> Any:
    return RUNNING.get() or SimpleNamespace(pid=1, host="host-0")


def _dying(method: Callable[..., Any], name: str, more: Callable[..., str] = lambda *args, **kwargs: "") -> Any:
    def mortal(*args: Any, **kwargs: Any) -> Any:
        if RUNNING.get() is None:
            return method(*args, **kwargs)
        at = name + more(*args, **kwargs)
        moment(f"before {at}")
        value = method(*args, **kwargs)
        moment(f"after {at}")
        return value

    return mortal


def _refused(method: Callable[..., Any]) -> Any:
    """Reading changes nothing, so dying beside it is no case of its own; but the dead do not read."""

    def mortal(*args: Any, **kwargs: Any) -> Any:
        process = RUNNING.get()
        if process is not None and process.dead:
            process.moment("reading")
        return method(*args, **kwargs)

    return mortal


def _target(landing: Any, draft: Any, target: Any, **more: Any) -> str:
    return f" {next((each for each in target.parts[::-1] if each in FOLDERS), 'else')}"


def _intending(method: Callable[..., Any], world: Any) -> Any:
    def intend(ledger: Any, claim: Any, *args: Any, **kwargs: Any) -> Any:
        moment("before ledger.intend")
        intent = method(ledger, claim, *args, **kwargs)
        world.intended(ledger, intent)
        moment("after ledger.intend")
        return intent

    return intend


def _recording(method: Callable[..., Any], world: Any) -> Any:
    def submitted(ledger: Any, intent: Any, task: Any, *args: Any, **kwargs: Any) -> None:
        moment("before ledger.submitted")
        method(ledger, intent, task, *args, **kwargs)
        world.recorded(ledger, task)
        moment("after ledger.submitted")

    return submitted


def _deciding(method: Callable[..., Any], world: Any) -> Any:
    mortal = _dying(method, "ledger.decide")

    def decide(ledger: Any, intent: Any, decision: Any) -> None:
        world.decided(ledger, intent, decision)
        mortal(ledger, intent, decision)

    return decide


def _replacing(method: Callable[..., Any]) -> Any:
    @contextmanager
    def replacing(target: Any, **more: Any) -> Iterator[Any]:
        moment("before export")
        with method(target, **more) as stream:
            yield stream
            moment("within export")
        moment("after export")

    return replacing


def _checked(kind: Any) -> Any:
    def make(*args: Any, **kwargs: Any) -> Any:
        made = kind(*args, **kwargs)
        made.checks = True
        return made

    return make
