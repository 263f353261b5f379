"""What a rebuilt ledger does not know, on record beside it until somebody has agreed to go on.

Owns that small file: its form, and that one which cannot be read still stands for a gap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import gmtime, strftime
from typing import Any, TypeVar

from flowrun.files import sync_directory, write_atomic
from flowrun.ids import OwnerId, RunId
from flowrun.ledger.protocol import RegisteredRun

FORMAT = 1
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Gaps:
    """`since`: when the copy was made that the ledger was rebuilt from (epoch seconds; None: from none); `missing`: runs whose
    journal was not found; `torn`: runs whose journal has lines that cannot be read; `numbers`: transactions that stand in no
    journal; `copies`: newer copies that are damaged too; `unread`: this record itself cannot be read."""

    at: float = 0.0
    since: float | None = None
    missing: tuple[RegisteredRun, ...] = ()
    torn: tuple[RegisteredRun, ...] = ()
    numbers: tuple[int, ...] = ()
    copies: int = 0
    no_copy: bool = False
    unread: bool = False

    def __bool__(self) -> bool:
        """Whether anything is unknown."""
        return bool(self.missing or self.torn or self.numbers or self.copies or self.no_copy or self.unread)

    def beside(self, other: Gaps | None) -> Gaps:
        """What is unknown by this one or by an earlier one that nobody has agreed to."""
        if other is None:
            return self
        return replace(
            self,
            since=None if self.since is None or other.since is None else min(self.since, other.since),
            missing=_both(other.missing, self.missing),
            torn=_both(other.torn, self.torn),
            numbers=_both(other.numbers, self.numbers),
            copies=max(self.copies, other.copies),
            no_copy=self.no_copy or other.no_copy,
            unread=self.unread or other.unread,
        )

    def without(self, runs: Iterable[RunId], numbers: Iterable[int]) -> Gaps:
        """Once the journals of these runs have turned up, with these transactions in them."""
        found, known = set(runs), set(numbers)
        missing = tuple(each for each in self.missing if each.run not in found)
        return replace(self, missing=missing, numbers=tuple(each for each in self.numbers if each not in known))


def _both(some: tuple[Item, ...], more: tuple[Item, ...]) -> tuple[Item, ...]:
    """Each once."""
    return tuple(dict.fromkeys((*some, *more)))


def gaps_path(ledger: Path) -> Path:
    return ledger.with_suffix(".gaps.json")


def read_gaps(ledger: Path) -> Gaps | None:
    """None: nothing is unknown of the ledger at that path. Raises OSError."""
    try:
        return _parsed(json.loads(gaps_path(ledger).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return Gaps(unread=True)


def write_gaps(ledger: Path, gaps: Gaps) -> None:
    """Durable; no gap, no file. Raises OSError."""
    if gaps:
        write_atomic(gaps_path(ledger), json.dumps({"format": FORMAT, **asdict(gaps)}, indent=1).encode(), mode=0o600)
        return
    with suppress(FileNotFoundError):
        gaps_path(ledger).unlink()
        sync_directory(ledger.parent)


def accept_gaps(ledger: Path, at: float) -> Path | None:
    """Somebody agreed to go on without: the record is put aside. Raises OSError."""
    target = unused(ledger.with_suffix(f".gaps-{stamp(at)}.json"))
    try:
        gaps_path(ledger).replace(target)
    except FileNotFoundError:
        return None
    sync_directory(ledger.parent)
    return target


def stamp(at: float) -> str:
    """A time as part of a file's name: UTC."""
    return strftime("%Y%m%dT%H%M%SZ", gmtime(at))


def unused(path: Path) -> Path:
    """`path`, or the same with a number where something has that name."""
    found, number = path, 1
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


def _parsed(data: dict[str, Any]) -> Gaps:
    if data.pop("format") != FORMAT:
        raise ValueError("another format")
    runs = {name: tuple(map(_run, data[name])) for name in ("missing", "torn")}
    return Gaps(**{**data, **runs, "numbers": tuple(map(int, data["numbers"]))})


def _run(data: dict[str, Any]) -> RegisteredRun:
    return RegisteredRun(**{**data, "run": RunId(data["run"]), "owner": OwnerId(data["owner"])})
