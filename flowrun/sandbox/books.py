"""The sandbox's records in SQLite, inside one transaction. Owns the tables and every question asked of them.

Reading and writing only: what a task costs, when it starts and whether it may be accepted is decided by the callers.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, fields

from flowrun.media.facts import MediaFacts
from flowrun.sandbox.records import Task, Upload

VERSION = 1  # of the tables

TABLES = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (
  ordinal INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
  operation TEXT NOT NULL, model TEXT NOT NULL, prompt TEXT NOT NULL,
  created REAL NOT NULL, starts REAL NOT NULL, ends REAL NOT NULL, pending REAL NOT NULL, duration REAL NOT NULL,
  outcome TEXT NOT NULL, failure TEXT, failure_code TEXT, cost INTEGER NOT NULL, refunded INTEGER NOT NULL,
  recipe TEXT NOT NULL, removed REAL);
CREATE INDEX IF NOT EXISTS tasks_by_end ON tasks (model, ends);
CREATE INDEX IF NOT EXISTS tasks_by_creation ON tasks (model, created);
CREATE TABLE IF NOT EXISTS uploads (
  id TEXT PRIMARY KEY, filename TEXT NOT NULL, media_type TEXT NOT NULL, created REAL NOT NULL, expires REAL NOT NULL,
  stored TEXT, facts TEXT) WITHOUT ROWID;
"""

_NAMES = tuple(field.name for field in fields(Task))
_TASK = ", ".join(_NAMES)
_UPLOAD = tuple(field.name for field in fields(Upload))


class Books:
    """The records, as one open transaction sees and changes them."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    # counters

    def count(self, name: str, by: int = 1) -> int:
        """Raise a counter, which begins at 0, and give its new value."""
        sql = (
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value "
            "RETURNING value"
        )
        ((value,),) = self._connection.execute(sql, (name, by)).fetchall()
        return int(value)

    def counter(self, name: str) -> int | None:
        """A counter's value, None where it was never raised."""
        row = self._connection.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def put(self, name: str, value: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO counters VALUES (?, ?)", (name, value))

    def counters(self, prefix: str) -> dict[str, int]:
        """The counters whose names begin so, by the rest of their names."""
        rows = self._connection.execute("SELECT name, value FROM counters ORDER BY name")
        return {name.removeprefix(prefix): value for name, value in rows if name.startswith(prefix)}

    # tasks

    def add_task(self, task: Task) -> None:
        marks = ", ".join("?" * len(_NAMES))
        self._connection.execute(f"INSERT INTO tasks ({_TASK}) VALUES ({marks})", astuple(task))  # noqa: S608  # fixed names

    def task(self, task_id: str) -> Task | None:
        return next(self._tasks("id = ?", task_id.lower()), None) if task_id.isascii() else None

    def tasks(self) -> list[Task]:
        """All tasks ever accepted, in order."""
        return list(self._tasks("TRUE"))

    def unstarted(self, model: str, now: float) -> list[Task]:
        """The tasks of `model` that have no slot yet, in order."""
        return list(self._tasks("model = ? AND ends > ? AND starts > ?", model, now, now))

    def _tasks(self, condition: str, *values: object) -> Iterator[Task]:
        sql = f"SELECT {_TASK} FROM tasks WHERE {condition} ORDER BY ordinal"  # noqa: S608  # fixed names
        for row in self._connection.execute(sql, values).fetchall():
            yield Task(**{**dict(zip(_NAMES, row, strict=True)), "refunded": bool(row[_NAMES.index("refunded")])})

    def free_times(self, model: str, limit: int | None) -> list[float]:
        """The latest `limit` ends of `model`'s tasks, latest first; none where there is no limit to keep."""
        if limit is None:
            return []
        sql = "SELECT ends FROM tasks WHERE model = ? ORDER BY ends DESC LIMIT ?"
        return [ends for (ends,) in self._connection.execute(sql, (model, limit))]

    def running_ends(self, model: str, now: float) -> list[float]:
        """When the slots that are held at `now` come free."""
        sql = "SELECT ends FROM tasks WHERE model = ? AND ends > ? AND starts <= ?"
        return [ends for (ends,) in self._connection.execute(sql, (model, now, now))]

    def reschedule(self, ordinal: int, starts: float, ends: float) -> None:
        self._connection.execute("UPDATE tasks SET starts = ?, ends = ? WHERE ordinal = ?", (starts, ends, ordinal))

    def remove(self, ordinal: int, now: float) -> None:
        """From now on the task is not found; its record stays."""
        self._connection.execute("UPDATE tasks SET removed = ? WHERE ordinal = ?", (now, ordinal))

    def cancel(self, ordinal: int, now: float, *, refunded: bool) -> None:
        """End an unfinished task at `now`, and with it its claim on a slot."""
        sql = (
            "UPDATE tasks SET removed = :now, outcome = 'CANCELLED', failure = NULL, failure_code = NULL, "
            "refunded = :refunded, starts = min(starts, :now), ends = :now WHERE ordinal = :ordinal"
        )
        self._connection.execute(sql, {"now": now, "refunded": refunded, "ordinal": ordinal})

    def created_since(self, model: str, since: float) -> int:
        """How many tasks of `model` were accepted after `since`, whatever became of them."""
        sql = "SELECT count(*) FROM tasks WHERE model = ? AND created > ?"
        return int(self._connection.execute(sql, (model, since)).fetchone()[0])

    def spent(self, settled: float) -> int:
        """Credits charged up to now, less those given back of tasks that ended by `settled`."""
        sql = "SELECT coalesce(sum(cost), 0) - coalesce(sum(CASE WHEN refunded AND ends <= ? THEN cost END), 0) FROM tasks"
        return int(self._connection.execute(sql, (settled,)).fetchone()[0])

    def charges(self, days: tuple[float, float], now: float, back: float | None) -> list[tuple[int, str, int]]:
        """(days since 1970-01-01 UTC, model, net credits) within ``[begin, end)``, days first.

        Credits are booked when a task is accepted. `back`: they are given back so many seconds after its end, and booked
        then; None: at its end, and booked where they were charged, so that no day's sum is less than 0.
        """
        sql = (
            "SELECT CAST(booked / 86400 AS INTEGER) AS day, model, sum(amount) FROM ("
            "SELECT created AS booked, model, cost AS amount FROM tasks UNION ALL "
            "SELECT CASE WHEN :back IS NULL THEN created ELSE ends + :back END, model, -cost FROM tasks "
            "WHERE refunded AND ends + coalesce(:back, 0) <= :now"
            ") WHERE booked >= :begin AND booked < :end GROUP BY day, model ORDER BY day, model"
        )
        values = {"back": back, "now": now, "begin": days[0], "end": days[1]}
        return [(day, model, amount) for day, model, amount in self._connection.execute(sql, values)]

    # uploads

    def add_upload(self, upload: Upload) -> None:
        sql = "INSERT INTO uploads (id, filename, media_type, created, expires) VALUES (?, ?, ?, ?, ?)"
        values = (upload.id, upload.filename, upload.media_type, upload.created, upload.expires)
        self._connection.execute(sql, values)

    def fill_upload(self, upload_id: str, stored: str, facts: MediaFacts | None) -> None:
        text = None if facts is None else json.dumps(facts.to_json())
        self._connection.execute("UPDATE uploads SET stored = ?, facts = ? WHERE id = ?", (stored, text, upload_id))

    def upload(self, upload_id: str) -> Upload | None:
        sql = f"SELECT {', '.join(_UPLOAD)} FROM uploads WHERE id = ?"  # noqa: S608  # fixed names
        row = self._connection.execute(sql, (upload_id,)).fetchone() if upload_id.isascii() else None
        if row is None:
            return None
        facts = None if row[-1] is None else MediaFacts.from_json(json.loads(row[-1]))
        return Upload(**{**dict(zip(_UPLOAD, row, strict=True)), "facts": facts})
