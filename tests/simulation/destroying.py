"""The ledger's file destroyed before each round, whatever the processes of the round before left in it. Owns the destruction,
laid over a simulation like a deliberate mistake; only that here no promise may break."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowrun.ledger.location import ledger_path
from flowrun.ledger.protocol import LedgerDamagedError
from flowrun.ledger.sqlite import SqliteLedger, damage_mark
from tests.simulation import visits

Patches = list[tuple[Any, str, Any]]
PAGE = 4096


def _garbage(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(3 * PAGE))


def _cut(path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: PAGE * rng.randrange(1, max(2, len(data) // PAGE - 2))])


def _deleted(path: Path, rng: random.Random) -> None:
    path.unlink()


WAYS: tuple[Callable[[Path, random.Random], None], ...] = (_garbage, _cut, _deleted)


def ledger_destroyed() -> Patches:
    """What a person said stands in a copy, as `adopt` and `forget` see to; who destroys it waits until nobody has it open."""
    session: Any = visits._Session
    apply, settle, settled = session.apply, session.settle, session._settle

    def destroyed(self: Any, *args: Any) -> Any:
        path = _path(self)
        if path.exists():
            rng = random.Random(f"{self.case.seed} {len(self.world.processes)}")
            rng.choice(WAYS)(path, rng)
            self.world.tally["ledger destroyed"] += 1
            self.world.tell("the ledger is destroyed")
        return apply(self, *args)

    def if_sound(self: Any, how: str) -> tuple[str, ...]:
        """Where the last one died before it had mended the ledger, a person is told that it is damaged."""
        path = _path(self)
        if not path.exists() or damage_mark(path).exists():
            return ()
        try:
            return tuple(settle(self, how))
        except LedgerDamagedError:
            return ()

    def kept(self: Any, ledger: SqliteLedger, *args: Any) -> None:
        settled(self, ledger, *args)
        ledger.back_up()

    return [(session, "apply", destroyed), (session, "settle", if_sound), (session, "_settle", kept)]


def _path(session: Any) -> Path:
    return ledger_path(session.world.folder / ".flowrun" / "sandbox", "in-process")
