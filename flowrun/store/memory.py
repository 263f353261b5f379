"""The store in memory, for tests and for trying things out. Owns stand-ins that pass the disk's contract kit."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, BinaryIO

from flowrun.digest import Digest, of_bytes
from flowrun.ids import ActionKey, RecipeKey, ResultId, RunId
from flowrun.store.protocol import (
    BlobWriter,
    Defect,
    ExportRecord,
    FetchedUrl,
    Found,
    Pick,
    Result,
    RunRow,
    StepRow,
    Upload,
)
from flowrun.store.results import NEWEST, by_age, place
from flowrun.store.runs import one_of


@dataclass
class MemoryBlobWriter:
    """`path` is a real temporary file, because whoever probes needs one."""

    path: Path
    _stream: IO[bytes]
    _content: dict[str, bytes]

    def write(self, data: bytes) -> None:
        self._stream.write(data)
        self._stream.flush()

    def commit(self) -> Digest:
        data = self.path.read_bytes()
        digest = of_bytes(data)
        self._content[digest.sha256] = data
        return digest


@dataclass
class MemoryBlobs:
    """`content`: the bytes by SHA-256; a test that wants damage does it there."""

    content: dict[str, bytes] = field(default_factory=dict)

    def put(self, stream: BinaryIO) -> Digest:
        data = stream.read()
        digest = of_bytes(data)
        self.content[digest.sha256] = data
        return digest

    def put_file(self, path: Path) -> Digest:
        with path.open("rb") as stream:
            return self.put(stream)

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        with tempfile.NamedTemporaryFile() as stream:
            yield MemoryBlobWriter(Path(stream.name), stream, self.content)

    def has(self, digest: Digest) -> bool:
        return self.defect(digest) is None

    def defect(self, digest: Digest) -> Defect | None:
        data = self.content.get(digest.sha256)
        if data is None:
            return Defect.MISSING_BLOB
        return None if len(data) == digest.size else Defect.DAMAGED

    def open(self, digest: Digest) -> BinaryIO:
        if not self.has(digest):
            raise KeyError(str(digest))
        return io.BytesIO(self.content[digest.sha256])

    def path(self, digest: Digest) -> Path | None:
        return None

    def verify(self, digest: Digest) -> bool:
        return self.has(digest) and of_bytes(self.content[digest.sha256]) == digest


class MemoryResults:
    def __init__(self, blobs: MemoryBlobs, now: Callable[[], float]) -> None:
        self._blobs, self._now = blobs, now
        self._results: dict[ActionKey, dict[ResultId, Result]] = {}
        self._flows: list[tuple[tuple[str, str, str, str], float, Result]] = []

    def lookup(self, keys: Iterable[ActionKey]) -> Mapping[ActionKey, Found]:
        return {key: self._found(key) for key in dict.fromkeys(keys) if key in self._results}

    def _found(self, key: ActionKey) -> Found:
        results = sorted(self._results[key].values(), key=by_age)
        defects = {each.id: defect for each in results if (defect := self._defect(each))}
        return Found(tuple(each for each in results if each.id not in defects), tuple(sorted(defects.items())))

    def _defect(self, result: Result) -> Defect | None:
        states = (self._blobs.defect(each.digest) for each in result.outputs)
        return next((each for each in states if each), None)

    def commit(self, result: Result) -> None:
        for each in result.outputs:
            if not self._blobs.has(each.digest):
                raise KeyError(str(each.digest))
        of_key = self._results.setdefault(result.key, {})
        if result.id not in of_key:
            stamped = result if result.committed_at else replace(result, committed_at=self._now())
            of_key[result.id] = stamped
            self._flows.append((place(stamped), stamped.committed_at, stamped))

    def last_at(self, provider: str, flow: str, profile: str, address: str) -> Result | None:
        there = (provider, flow, profile, address)
        flows = [(at, number, each) for number, (where, at, each) in enumerate(self._flows) if where == there]
        return max(flows, key=lambda each: each[:2])[2] if flows else None

    def flowed(self, provider: str, flow: str, profile: str, address: str, result: Result, at: float) -> None:
        there = (provider, flow, profile, address)
        self._flows = [each for each in self._flows if each[0] != there or each[2].id != result.id]
        self._flows.append((there, at, result))

    def lose_index(self) -> None:
        """What becomes of the disk's knowledge when its database is deleted: only the results speak."""
        self._flows = [(place(each), each.committed_at, each) for each in sorted(self._all(), key=by_age)]

    def by_blob(self, sha256: str) -> tuple[Result, ...]:
        found = (each for each in self._all() if sha256 in {output.digest.sha256 for output in each.outputs})
        return tuple(sorted(found, key=by_age))

    def by_recipe(self, recipe: RecipeKey) -> tuple[Result, ...]:
        return tuple(sorted((each for each in self._all() if each.recipe == recipe), key=by_age))

    def durations(self, provider: str) -> Mapping[tuple[str, str], tuple[float, ...]]:
        found: dict[tuple[str, str], list[tuple[float, str, float]]] = {}
        for each in self._all():
            if each.provider != provider or each.ended_at is None or each.submitted_at is None:
                continue
            if each.ended_at >= each.submitted_at:
                times = (-each.ended_at, each.id, each.ended_at - each.submitted_at)
                found.setdefault((each.operation, each.model), []).append(times)
        return {name: tuple(times[2] for times in sorted(each)[:NEWEST]) for name, each in found.items()}

    def any_of(self, provider: str) -> bool:
        return any(each.provider == provider for each in self._all())

    def _all(self) -> Iterator[Result]:
        for of_key in self._results.values():
            yield from of_key.values()


@dataclass
class MemoryPicks:
    _picks: dict[RecipeKey, Pick] = field(default_factory=dict)

    def get(self, recipe: RecipeKey) -> Pick | None:
        return self._picks.get(recipe)

    def set(self, pick: Pick) -> None:
        if pick.by != "default" or pick.recipe not in self._picks:
            self._picks[pick.recipe] = pick


@dataclass
class MemoryUrls:
    _urls: dict[str, FetchedUrl] = field(default_factory=dict)

    def get(self, url: str) -> FetchedUrl | None:
        return self._urls.get(url)

    def set(self, fetched: FetchedUrl) -> None:
        self._urls[fetched.url] = fetched


@dataclass
class MemoryUploads:
    _uploads: dict[tuple[str, Digest], Upload] = field(default_factory=dict)

    def get(self, account: str, digest: Digest, now: float) -> Upload | None:
        upload = self._uploads.get((account, digest))
        return upload if upload and upload.expires_at > now else None

    def set(self, upload: Upload) -> None:
        self._uploads[upload.account, upload.digest] = upload


@dataclass
class MemoryExports:
    _records: dict[str, ExportRecord] = field(default_factory=dict)

    def get(self, folder: str) -> ExportRecord | None:
        return self._records.get(folder)

    def set(self, record: ExportRecord) -> None:
        self._records[record.folder] = record


class MemoryRuns:
    def __init__(self) -> None:
        self._runs: dict[RunId, RunRow] = {}
        self._steps: dict[RunId, dict[str, StepRow]] = {}
        self._events: dict[RunId, list[Mapping[str, Any]]] = {}

    def begin(self, run: RunRow) -> None:
        self._runs[run.id] = run

    def step(self, run: RunId, step: StepRow) -> None:
        self._steps.setdefault(run, {})[step.address] = step

    def end(self, run: RunRow) -> None:
        self._runs[run.id] = run

    def journal(self, run: RunId, events: Iterable[Mapping[str, Any]]) -> None:
        self._events.setdefault(run, []).extend(dict(each) for each in events)

    def events(self, run: RunId) -> tuple[Mapping[str, Any], ...]:
        return tuple(self._events.get(run, ()))

    def list(self, manifest: str | None = None, limit: int = 50) -> tuple[RunRow, ...]:
        wanted = [run for run in self._runs.values() if manifest in (None, run.manifest)]
        wanted.reverse()  # of two that began at once, the later one first: sorting keeps the order of equals
        return tuple(sorted(wanted, key=lambda run: -run.started_at)[:limit])

    def get(self, run: str) -> tuple[RunRow, tuple[StepRow, ...]] | None:
        found = one_of(run, (each for each in self._runs.values() if run and each.id.startswith(run)))
        return (found, tuple(self._steps.get(found.id, {}).values())) if found else None
