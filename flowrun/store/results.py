"""Results on disk: ``results/ab/<key>/<result id>.json``. Owns the action index.

The files are the truth. What is on record for a key is read from its folder each time, so whatever another process,
a copied folder or a crash left there counts at once. The database only answers what the folders cannot: by address, by
recipe, by blob, how long. It is told first and the file is written after it: an entry whose file never came is passed
over, but no file is ever unknown to it because of a crash.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from flowrun.ids import ActionKey, RecipeKey, ResultId
from flowrun.store.blobs import DiskBlobs
from flowrun.store.documents import DocumentError, dump, load, result_from_json, result_to_json
from flowrun.store.index import Index, Statement
from flowrun.store.landing import Landing, set_aside
from flowrun.store.protocol import Defect, Found, Result

NEWEST = 50  # durations kept in mind for each operation and model
SANDBOX = "sandbox"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # what may become a file's name
_SUFFIX = ".json"
_KNOWN = "SELECT key, id FROM results WHERE key IN (SELECT value FROM json_each(?))"  # any number of keys


class ResultFiles:
    """Where results lie and how they are read. Never raises for what a file contains."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder(self, key: ActionKey) -> Path:
        return self._folder.joinpath(key)

    def path(self, key: ActionKey, result: ResultId) -> Path:
        return self._folder.joinpath(key, f"{result}{_SUFFIX}")

    def names(self, key: ActionKey) -> list[str]:
        """The file names on record for a key, sorted; none for a key that could not be a folder's name."""
        if not _NAME.fullmatch(key):
            return []
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.folder(key)) as entries:
            return sorted(each.name for each in entries if each.name.endswith(_SUFFIX))
        return []

    def read(self, key: ActionKey, name: str) -> Result | None:
        """None for a file that is gone, or that is not the result its name says it is."""
        try:
            result = result_from_json(load(self._folder.joinpath(key, name).read_bytes()))
        except (FileNotFoundError, IsADirectoryError, DocumentError):
            return None
        return result if result.key == key and name == f"{result.id}{_SUFFIX}" else None

    def all(self) -> Iterator[Result]:
        """Every readable result, in no order."""
        for folder in self._folder.glob("*"):
            key = ActionKey(folder.name)
            yield from (result for name in self.names(key) if (result := self.read(key, name)))


def by_age(result: Result) -> tuple[float, str]:
    return result.committed_at, result.id


def entries(result: Result) -> list[Statement]:
    """The index's rows for one result. Made once: what is known of it already stays."""
    name = (result.key, result.id)
    times = (result.submitted_at, result.ended_at, result.committed_at)
    row = (*name, result.recipe, result.provider, result.operation, result.model, *times)
    flow = [(*place(result), *name, result.committed_at)]
    outputs = [(sha256, *name) for sha256 in sorted({each.digest.sha256 for each in result.outputs})]
    return [
        ("INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [row]),
        ("INSERT OR IGNORE INTO outputs VALUES (?, ?, ?)", outputs),
        ("INSERT OR IGNORE INTO flows VALUES (?, ?, ?, ?, ?, ?, ?)", flow),
    ]


def place(result: Result) -> tuple[str, str, str, str]:
    flow, profile, address = (str(result.origin.get(name) or "") for name in ("flow", "profile", "address"))
    return result.provider, flow, profile, address


class DiskResults:
    """`provider`: whose store this is; what the sandbox made is not let in among what was paid for."""

    def __init__(
        self,
        files: ResultFiles,
        index: Index,
        blobs: DiskBlobs,
        landing: Landing,
        now: Callable[[], float],
        *,
        provider: str,
    ) -> None:
        self._files, self._index, self._blobs, self._landing = files, index, blobs, landing
        self._now, self._provider = now, provider

    def lookup(self, keys: Iterable[ActionKey]) -> Mapping[ActionKey, Found]:
        found = {key: each for key in dict.fromkeys(keys) if (each := self._found(key))}
        self._make_known(found)
        return found

    def _found(self, key: ActionKey) -> Found | None:
        results, defects = [], []
        for name in self._files.names(key):
            result = self._files.read(key, name)
            defect = self._defect(result) if result else None
            if result is None or defect:
                defects.append((result.id if result else name, defect or Defect.DAMAGED))
            else:
                results.append(result)
        return Found(tuple(sorted(results, key=by_age)), tuple(defects)) if results or defects else None

    def _defect(self, result: Result) -> Defect | None:
        states = (self._blobs.defect(each.digest) for each in result.outputs)
        return next((each for each in states if each), None)

    def _make_known(self, found: Mapping[ActionKey, Found]) -> None:
        """Tell the index of results that came another way than by `commit`."""
        known = set(self._index.read(_KNOWN, (json.dumps(list(found)),)))
        unknown = [result for each in found.values() for result in each.results if (result.key, result.id) not in known]
        if unknown:
            self._index.write(row for result in unknown for row in entries(result))

    def commit(self, result: Result) -> None:
        """Raises KeyError for a blob that is not there, ValueError for a name that cannot be a file's or a sandbox
        result in another store, OSError."""
        self._admit(result)
        path = self._files.path(result.key, result.id)
        if there := self._files.read(result.key, path.name):
            self._index.write(entries(there))
            return
        stamped = result if result.committed_at else replace(result, committed_at=self._now())
        self._index.write(entries(stamped), durable=True)
        document = dump(result_to_json(stamped))
        while not self._landing.create(path, document) and self._files.read(result.key, path.name) is None:
            set_aside(path)

    def _admit(self, result: Result) -> None:
        if not (_NAME.fullmatch(result.key) and _NAME.fullmatch(result.id)):
            raise ValueError(f"cannot be a file's name: {result.key!r}, {result.id!r}")
        if result.provider == SANDBOX != self._provider:
            raise ValueError(f"a sandbox result does not belong into the store of {self._provider}")
        for each in result.outputs:
            if not self._blobs.has(each.digest):
                raise KeyError(str(each.digest))

    def last_at(self, provider: str, flow: str, profile: str, address: str) -> Result | None:
        sql = (
            "SELECT key, id FROM flows WHERE provider = ? AND flow = ? AND profile = ? AND address = ?"
            " ORDER BY at DESC, rowid DESC"
        )
        return next(self._read(self._index.read(sql, (provider, flow, profile, address))), None)

    def flowed(self, provider: str, flow: str, profile: str, address: str, result: Result, at: float) -> None:
        row = (provider, flow, profile, address, result.key, result.id, at)
        self._index.write([("INSERT OR REPLACE INTO flows VALUES (?, ?, ?, ?, ?, ?, ?)", [row])])

    def by_blob(self, sha256: str) -> tuple[Result, ...]:
        rows = self._index.read("SELECT key, id FROM outputs WHERE sha256 = ?", (sha256,))
        return tuple(sorted(self._read(rows), key=by_age))

    def by_recipe(self, recipe: RecipeKey) -> tuple[Result, ...]:
        rows = self._index.read("SELECT key, id FROM results WHERE recipe = ?", (recipe,))
        return tuple(sorted(self._read(rows), key=by_age))

    def durations(self, provider: str) -> Mapping[tuple[str, str], tuple[float, ...]]:
        sql = (
            "SELECT operation, model, ended_at - submitted_at FROM (SELECT *, row_number() OVER"
            " (PARTITION BY operation, model ORDER BY ended_at DESC, id) AS place FROM results"
            " WHERE provider = ? AND ended_at >= submitted_at) WHERE place <= ? ORDER BY operation, model, place"
        )
        found: dict[tuple[str, str], list[float]] = {}
        for operation, model, seconds in self._index.read(sql, (provider, NEWEST)):
            found.setdefault((operation, model), []).append(seconds)
        return {name: tuple(each) for name, each in found.items()}

    def any_of(self, provider: str) -> bool:
        rows = self._index.read("SELECT key, id FROM results WHERE provider = ?", (provider,))
        return next(self._read(rows), None) is not None

    def _read(self, rows: Iterable[tuple[str, str]]) -> Iterator[Result]:
        """The results of index rows; those whose file is gone or cannot be read are passed over."""
        for key, name in rows:
            result = self._files.read(ActionKey(key), f"{name}{_SUFFIX}")
            if result:
                yield result
