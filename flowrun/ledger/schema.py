"""The ledger's tables in SQLite: their columns, indexes and version, and how a row becomes values and back.

Owns the format on disk. Opening files and transactions are `sqlite`'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Generic

from flowrun.ledger.protocol import Failed, IntentOutcome, IntentRow, Origin, OwnerRow, RegisteredRun, TaskRow
from flowrun.ledger.tables import ClaimRow, CounterRow, DocumentRow, Row

APPLICATION_ID = 0x666C6472  # "fldr": a flowrun ledger, in the file's header
VERSION = 2

# `place` keeps the order of arrival, also across VACUUM. The indexes serve: facts of a key; slots and uncertain ones (by
# outcome, by status); the rolling day (model, outcome, decided_at); a run's credits and the balance without touching rows.
# A row that no choice finds would not stand in the way of a second request: so what is chosen by is checked.
_FIRST = (
    """CREATE TABLE claims (
        place INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, run TEXT NOT NULL,
        fence INTEGER NOT NULL, origin TEXT NOT NULL, model TEXT, credits INTEGER)""",
    """CREATE TABLE intents (
        place INTEGER PRIMARY KEY, intent INTEGER NOT NULL UNIQUE, key TEXT NOT NULL, outcome TEXT NOT NULL
        CHECK (outcome IN ('open', 'refused', 'uncertain', 'given-up', 'accepted')),
        model TEXT NOT NULL, credits INTEGER, request_digest TEXT NOT NULL, intended_at REAL NOT NULL, decided_at REAL,
        owner TEXT NOT NULL, run TEXT NOT NULL, origin TEXT NOT NULL, task TEXT, evidence TEXT NOT NULL,
        charged INTEGER)""",
    """CREATE TABLE tasks (
        place INTEGER PRIMARY KEY, task TEXT NOT NULL UNIQUE, key TEXT NOT NULL, recipe TEXT NOT NULL,
        model TEXT NOT NULL, operation TEXT NOT NULL, run TEXT NOT NULL, origin TEXT NOT NULL,
        submitted_at REAL NOT NULL, status TEXT NOT NULL, settled INTEGER NOT NULL CHECK (settled IN (0, 1)),
        charged INTEGER, failure TEXT, intent INTEGER, credits INTEGER, ended_at REAL, settled_at REAL)""",
    "CREATE TABLE owners (place INTEGER PRIMARY KEY, owner TEXT NOT NULL UNIQUE, heartbeat REAL NOT NULL)",
    """CREATE TABLE documents (
        place INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, recipe TEXT NOT NULL, operation TEXT NOT NULL,
        text TEXT NOT NULL)""",
    "CREATE TABLE counters (place INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, value INTEGER NOT NULL)",
    "CREATE INDEX claims_model ON claims (model)",
    "CREATE INDEX intents_key ON intents (key, outcome)",
    "CREATE INDEX intents_outcome ON intents (outcome, decided_at, charged, credits)",
    "CREATE INDEX intents_day ON intents (model, outcome, decided_at, intended_at)",
    "CREATE INDEX intents_run ON intents (run, outcome, charged, credits)",
    "CREATE INDEX tasks_key ON tasks (key)",
    "CREATE INDEX tasks_recipe ON tasks (recipe)",
    "CREATE INDEX tasks_run ON tasks (run)",
    "CREATE INDEX tasks_status ON tasks (status, model)",
    "CREATE INDEX tasks_settled ON tasks (settled)",
)
MIGRATIONS: Mapping[int, tuple[str, ...]] = {  # from a version to the next one
    1: (  # what a project spends in a day is found without reading everybody's rows; where the journals of runs lie
        "ALTER TABLE claims ADD COLUMN project TEXT",
        "ALTER TABLE intents ADD COLUMN project TEXT",
        "UPDATE claims SET project = json_extract(origin, '$.project')",
        "UPDATE intents SET project = json_extract(origin, '$.project')",
        "CREATE INDEX claims_project ON claims (project)",
        "CREATE INDEX intents_project ON intents (project, outcome, intended_at, charged, credits)",
        """CREATE TABLE runs (
            place INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, store TEXT NOT NULL,
            started_at REAL NOT NULL, ended_at REAL)""",
        "CREATE INDEX runs_owner ON runs (owner)",
    ),
}
STATEMENTS = (*_FIRST, *(statement for version in sorted(MIGRATIONS) for statement in MIGRATIONS[version]))

Encoders = Mapping[str, Callable[[Any], object]]
Decoders = Mapping[str, Callable[[Any], Any]]


@dataclass(frozen=True, slots=True)
class Shape(Generic[Row]):
    """One table: its rows' type, the column of their id, and the columns that are not stored as they are. `derived`: columns
    to choose by, which follow from the others."""

    table: str
    id_column: str
    row: Callable[..., Row]
    columns: tuple[str, ...]
    encoders: Encoders = field(default_factory=dict)
    decoders: Decoders = field(default_factory=dict)
    derived: tuple[str, ...] = ()

    @property
    def written(self) -> tuple[str, ...]:
        return (*self.columns, *self.derived)

    def encode(self, row: Row) -> tuple[object, ...]:
        """Values of the columns that are `written`."""
        values = {column: getattr(row, column) for column in self.written}
        return tuple({**values, **{name: to(values[name]) for name, to in self.encoders.items()}}.values())

    def decode(self, values: Sequence[Any]) -> Row:
        """Raises KeyError, TypeError or ValueError for what no ledger wrote."""
        found = dict(zip(self.columns, values, strict=True))
        return self.row(**{**found, **{name: of(found[name]) for name, of in self.decoders.items()}})


def _json(value: object) -> str:
    """ASCII, because a path may hold what UTF-8 cannot."""
    return json.dumps(value, separators=(",", ":"))


def _of_origin(origin: Origin) -> str:
    return _json(asdict(origin))


def _origin(text: str) -> Origin:
    data = json.loads(text)
    return Origin(**{**data, "tags": tuple(data["tags"])})


def _of_failure(failure: Failed | None) -> str | None:
    return None if failure is None else _json(asdict(failure))


def _failure(text: str | None) -> Failed | None:
    return None if text is None else Failed(**json.loads(text))


def _columns(row: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(row))


CLAIMS = Shape("claims", "key", ClaimRow, _columns(ClaimRow), {"origin": _of_origin}, {"origin": _origin}, ("project",))
INTENTS = Shape(
    "intents",
    "intent",
    IntentRow,
    _columns(IntentRow),
    {"origin": _of_origin, "evidence": _json, "outcome": str},
    {"origin": _origin, "evidence": json.loads, "outcome": IntentOutcome},
    ("project",),
)
TASKS = Shape(
    "tasks",
    "task",
    TaskRow,
    _columns(TaskRow),
    {"origin": _of_origin, "failure": _of_failure, "settled": int},
    {"origin": _origin, "failure": _failure, "settled": bool},
)
OWNERS = Shape("owners", "owner", OwnerRow, _columns(OwnerRow))
DOCUMENTS = Shape("documents", "key", DocumentRow, _columns(DocumentRow))
COUNTERS = Shape("counters", "name", CounterRow, _columns(CounterRow))
RUNS = Shape("runs", "run", RegisteredRun, _columns(RegisteredRun))
SHAPES: tuple[Shape[Any], ...] = (CLAIMS, INTENTS, TASKS, OWNERS, DOCUMENTS, COUNTERS, RUNS)
