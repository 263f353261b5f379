"""A run's journal: the facts that it wrote to the ledger, a line for each transaction, in case the ledger is damaged.

Owns the format: what a line says, and telling a whole line from a torn or a changed one. Pure: bytes and values. Where a
journal lies is decided at the top; what its lines are worth to a ledger, `replaying`'s. Nothing reads one while the ledger is
sound.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flowrun.ids import IntentId, OwnerId, RunId, TaskId
from flowrun.ledger.protocol import IntentRow, RegisteredRun, TaskRow
from flowrun.ledger.schema import DOCUMENTS, INTENTS, TASKS, Shape
from flowrun.ledger.tables import DocumentRow

FORMAT = 1
SUFFIX = ".ndjson"
_SUM = b',"sum":"'
_SHAPES: Mapping[str, Shape[Any]] = {shape.table: shape for shape in (DOCUMENTS, INTENTS, TASKS)}

Fact = IntentRow | TaskRow | DocumentRow


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered to an intent, where the ledger could not take it down."""

    intent: IntentId
    task: TaskId
    credits: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """One transaction. `number`: its place among all transactions of the ledger that wrote facts; `at`: epoch seconds."""

    number: int
    at: float
    facts: tuple[Fact, ...] = ()
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A journal as it was read. `epoch`: which ledger it was written beside: a rebuilt one is another; `damaged`: lines that
    are not as they were written, but for a last one that was cut short, whose transaction never was durable."""

    run: RegisteredRun
    account: str
    epoch: int
    lines: tuple[Line, ...] = ()
    damaged: int = 0


# ---- writing ---------------------------------------------------------------------------------------------------------


def header(run: RegisteredRun, account: str, epoch: int) -> bytes:
    """The first line."""
    who = {"run": run.run, "owner": run.owner, "store": run.store, "started_at": run.started_at}
    return _sealed({"format": FORMAT, "account": account, "epoch": epoch, **who})


def line(number: int, at: float, facts: Iterable[Fact]) -> bytes:
    return _sealed({"number": number, "at": at, "facts": [_told(fact) for fact in facts]})


def void(number: int) -> bytes:
    """The transaction of that number was undone."""
    return _sealed({"void": number})


def answered(intent: IntentId, task: TaskId, credits: int | None, at: float) -> bytes:
    return _sealed({"answered": intent, "task": task, "credits": credits, "at": at})


def _told(fact: Fact) -> dict[str, Any]:
    shape = _shape(fact)
    return {"table": shape.table, **dict(zip(shape.columns, shape.encode(fact), strict=False))}


def _shape(fact: Fact) -> Shape[Any]:
    if isinstance(fact, IntentRow):
        return INTENTS
    return TASKS if isinstance(fact, TaskRow) else DOCUMENTS


def _sealed(values: Mapping[str, Any]) -> bytes:
    body = json.dumps(values, separators=(",", ":"), allow_nan=False).encode()
    return body[:-1] + _SUM + f"{zlib.crc32(body):08x}".encode() + b'"}\n'


# ---- reading ---------------------------------------------------------------------------------------------------------


def read(data: bytes) -> Written | None:
    """None for what is no journal, or one whose first line cannot be read. Never raises for what the bytes say."""
    *whole, _ = data.split(b"\n")  # what has no end was not durable when the process or the machine went
    first = _opened(whole[0]) if whole else None
    found = None if first is None else _header(first)
    if found is None:
        return None
    lines: list[Line] = []
    damaged = sum(not _take(lines, each) for each in whole[1:])
    return replace(found, lines=tuple(lines), damaged=damaged)


def _take(lines: list[Line], raw: bytes) -> bool:
    """Add what a line says. Whether it could be read."""
    values = _opened(raw)
    try:
        if values is None:
            return False
        if "void" in values:
            _undo(lines, int(values["void"]))
        elif "answered" in values:
            answer = Answer(IntentId(values["answered"]), TaskId(values["task"]), values["credits"])
            lines.append(Line(lines[-1].number if lines else 0, float(values["at"]), answer=answer))
        else:
            facts = tuple(map(_fact, values["facts"]))
            lines.append(Line(int(values["number"]), float(values["at"]), facts))
    except (KeyError, TypeError, ValueError):
        return False
    return True


def _undo(lines: list[Line], number: int) -> None:
    if lines and lines[-1].number == number and lines[-1].answer is None:
        del lines[-1]


def _fact(values: dict[str, Any]) -> Fact:
    shape = _SHAPES[values["table"]]
    fact: Fact = shape.decode([values[column] for column in shape.columns])
    return fact


def _header(values: Mapping[str, Any]) -> Written | None:
    try:
        if values["format"] != FORMAT:
            return None
        run = RegisteredRun(
            RunId(values["run"]), OwnerId(values["owner"]), values["store"], float(values["started_at"])
        )
        return Written(run, str(values["account"]), int(values["epoch"]))
    except (KeyError, TypeError, ValueError):
        return None


def _opened(raw: bytes) -> dict[str, Any] | None:
    """What a line says; None where its sum does not fit."""
    head, mark, tail = raw.rpartition(_SUM)
    body = head + b"}"
    if not mark or tail != f"{zlib.crc32(body):08x}".encode() + b'"}':
        return None
    try:
        values = json.loads(body)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
