"""The runs' history in the store's database. Owns the tables ``runs``, ``steps`` and ``journal``.

For `show`, reports and tests; nothing is ever decided by it. It is the one thing that is lost with the database.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from flowrun.ids import ActionKey, ResultId, RunId, TaskId
from flowrun.store.index import Index
from flowrun.store.protocol import AmbiguousRunError, RunRow, StepRow

# The columns of both tables are the fields of RunRow and StepRow, in their order.
_SET_RUN = """
INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
  provider = excluded.provider, flow = excluded.flow, profile = excluded.profile, manifest = excluded.manifest,
  started_at = excluded.started_at, ended_at = excluded.ended_at, exit = excluded.exit,
  submitted = excluded.submitted, credits = excluded.credits, summary = excluded.summary
"""
_SET_STEP = """
INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, address) DO UPDATE SET
  state = excluded.state, decision = excluded.decision, reason = excluded.reason, key = excluded.key,
  result = excluded.result, task = excluded.task, credits = excluded.credits, detail = excluded.detail
"""
_LIST = """
SELECT * FROM runs WHERE manifest = coalesce(?, manifest) ORDER BY started_at DESC, rowid DESC LIMIT ?
"""
_BEGINNING = "SELECT * FROM runs WHERE substr(id, 1, length(:text)) = :text AND :text <> '' ORDER BY id"
_STEPS = "SELECT * FROM steps WHERE run = ? ORDER BY rowid"


class DiskRuns:
    def __init__(self, index: Index) -> None:
        self._index = index

    def begin(self, run: RunRow) -> None:
        self._index.write([(_SET_RUN, [_run_values(run)])])

    def step(self, run: RunId, step: StepRow) -> None:
        values = (getattr(step, name) for name in StepRow.__slots__)
        self._index.write([(_SET_STEP, [(run, *values)])])

    def end(self, run: RunRow) -> None:
        self.begin(run)

    def journal(self, run: RunId, events: Iterable[Mapping[str, Any]]) -> None:
        rows = [(run, json.dumps(dict(each))) for each in events]
        self._index.write([("INSERT INTO journal VALUES (?, ?)", rows)])

    def events(self, run: RunId) -> tuple[Mapping[str, Any], ...]:
        rows = self._index.read("SELECT event FROM journal WHERE run = ? ORDER BY rowid", (run,))
        return tuple(json.loads(event) for (event,) in rows)

    def list(self, manifest: str | None = None, limit: int = 50) -> tuple[RunRow, ...]:
        return tuple(_run(row) for row in self._index.read(_LIST, (manifest, limit)))

    def get(self, run: str) -> tuple[RunRow, tuple[StepRow, ...]] | None:
        found = one_of(run, [_run(row) for row in self._index.read(_BEGINNING, {"text": run})])
        return (found, tuple(_step(row) for row in self._index.read(_STEPS, (found.id,)))) if found else None


def one_of(beginning: str, found: Iterable[RunRow]) -> RunRow | None:
    """Of the runs whose id begins so: the one with just this id, else the only one. Raises AmbiguousRunError."""
    by_id = {each.id: each for each in found}
    if len(by_id) > 1 and beginning not in by_id:
        raise AmbiguousRunError(beginning, tuple(sorted(by_id)))
    return by_id.get(RunId(beginning)) or next(iter(by_id.values()), None)


def _run_values(run: RunRow) -> tuple[Any, ...]:
    values = tuple(getattr(run, name) for name in RunRow.__slots__ if name != "summary")
    return (*values, json.dumps(dict(run.summary)))


def _run(row: tuple[Any, ...]) -> RunRow:
    values = dict(zip(RunRow.__slots__, row, strict=True))
    return RunRow(**{**values, "summary": json.loads(values["summary"])})


def _step(row: tuple[Any, ...]) -> StepRow:
    _, address, state, decision, reason, key, result, task, *rest = row
    ids = (key and ActionKey(key), result and ResultId(result), task and TaskId(task))
    return StepRow(address, state, decision, reason, *ids, *rest)
