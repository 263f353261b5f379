"""What the store keeps, as protocols. Memory and disk pass one contract kit.

Owns artifacts and their provenance: blobs (bytes by digest), results (what a task made, with its whole recipe), picks
(which take of a recipe flows on), fetched URLs, export records, runs. What was paid and is in flight is the ledger's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from flowrun.digest import Digest
from flowrun.ids import ActionKey, RecipeKey, ResultId, RunId, TaskId
from flowrun.media.facts import MediaFacts


class StoreDamagedError(Exception):
    """The store cannot be read as one. Says which file, and what to do."""


class AmbiguousRunError(KeyError):
    """The beginning of a run's id that several runs share. `candidates`: their ids, sorted."""

    def __init__(self, beginning: str, candidates: tuple[RunId, ...]) -> None:
        super().__init__(beginning)
        self.candidates = candidates


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One output of a result: an artifact's bytes and what is known of them."""

    digest: Digest
    facts: MediaFacts


@dataclass(frozen=True, slots=True)
class Result:
    """What one task made. Never changed, never replaced. Times in epoch seconds.

    `origin`: where it came from (flow, profile, manifest, address, run, project), for people and for `why`.
    `ingredients`: what the key is the digest of. `seed`: what was sent, given or derived.
    """

    id: ResultId
    key: ActionKey
    recipe: RecipeKey
    task: TaskId
    provider: str
    operation: str
    model: str
    take: int
    outputs: tuple[StoredFile, ...]
    ingredients: Mapping[str, Any]
    origin: Mapping[str, Any]
    seed: int | None = None
    credits: int | None = None
    submitted_at: float | None = None
    ended_at: float | None = None
    committed_at: float = 0.0
    forced: bool = False


def result_id_of(task: str) -> ResultId:
    """One task is one result, whoever collects it."""
    return ResultId(hashlib.sha256(f"result of {task}".encode()).hexdigest()[:20])


class Defect(StrEnum):
    """Why a result that is on record cannot be used."""

    MISSING_BLOB = "result-missing"
    DAMAGED = "result-damaged"


@dataclass(frozen=True, slots=True)
class Found:
    """All that is on record for one key: usable results, oldest first, and what is wrong with the others."""

    results: tuple[Result, ...] = ()
    defects: tuple[tuple[str, Defect], ...] = ()  # (result id or file name, what is wrong)


class Results(Protocol):
    """The action index."""

    def lookup(self, keys: Iterable[ActionKey]) -> Mapping[ActionKey, Found]:
        """Batched; keys with nothing on record are left out. A blob counts as there when its file has the right size;
        full verification is `Blobs.verify`'s."""
        ...

    def commit(self, result: Result) -> None:
        """Durable. Idempotent: the same id again is a no-op. Its blobs must be there: raises KeyError.
        A `committed_at` of 0 is set to now."""
        ...

    def last_at(self, provider: str, flow: str, profile: str, address: str) -> Result | None:
        """The last result that flowed at this address: made there, or recorded by `flowed`."""
        ...

    def flowed(self, provider: str, flow: str, profile: str, address: str, result: Result, at: float) -> None:
        """Note that this result was used at this address (an index entry; lost with the index)."""
        ...

    def by_blob(self, sha256: str) -> tuple[Result, ...]:
        """The results that have this file among their outputs."""
        ...

    def by_recipe(self, recipe: RecipeKey) -> tuple[Result, ...]:
        """All results of a recipe, whatever the take, oldest first."""
        ...

    def durations(self, provider: str) -> Mapping[tuple[str, str], tuple[float, ...]]:
        """Seconds from submission to end of the newest (at most 50) tasks, newest first, by (operation, model)."""
        ...

    def any_of(self, provider: str) -> bool:
        """Whether any result of this provider is on record."""
        ...


class Blobs(Protocol):
    """Bytes by digest; content-addressed, idempotent, read-only once there."""

    def put(self, stream: BinaryIO) -> Digest:
        """Durable on return. Raises OSError when the disk is full; nothing half is left."""
        ...

    def put_file(self, path: Path) -> Digest:
        """A local file, by reflink or copy: the digest of what was copied. Raises OSError."""
        ...

    def writer(self) -> AbstractContextManager[BlobWriter]:
        """For what arrives in chunks: write, then `commit`. Left without commit, nothing stays."""
        ...

    def has(self, digest: Digest) -> bool: ...

    def open(self, digest: Digest) -> BinaryIO:
        """Raises KeyError for a blob that is not there."""
        ...

    def path(self, digest: Digest) -> Path | None:
        """A local file with the bytes, where there is one."""
        ...

    def verify(self, digest: Digest) -> bool:
        """Reads it all and compares."""
        ...


class BlobWriter(Protocol):
    path: Path
    """The temporary file, so that the bytes can be probed before they are committed."""

    def write(self, data: bytes) -> None: ...

    def commit(self) -> Digest: ...


@dataclass(frozen=True, slots=True)
class Pick:
    """Which take of a recipe flows on, and which of its results. `by`: default | forced | user."""

    recipe: RecipeKey
    take: int
    result: ResultId
    by: str
    at: float
    address: str = ""


class Picks(Protocol):
    """Picks by recipe, as small synced files: whatever became of an address, its recipe finds its pick."""

    def get(self, recipe: RecipeKey) -> Pick | None: ...

    def set(self, pick: Pick) -> None:
        """Durable. A default pick never replaces another pick."""
        ...


@dataclass(frozen=True, slots=True)
class FetchedUrl:
    """An https input as it was when it was fetched. `by_url`: the API could fetch it by the same address."""

    url: str
    digest: Digest
    facts: MediaFacts
    etag: str | None
    fetched_at: float
    by_url: bool = False


class Urls(Protocol):
    def get(self, url: str) -> FetchedUrl | None: ...

    def set(self, fetched: FetchedUrl) -> None: ...


@dataclass(frozen=True, slots=True)
class Upload:
    """A file at the API's storage. `uri` is a bearer of nothing but is masked when shown all the same."""

    account: str
    digest: Digest
    uri: str
    expires_at: float


class Uploads(Protocol):
    """Uploads by account and digest, until they expire."""

    def get(self, account: str, digest: Digest, now: float) -> Upload | None: ...

    def set(self, upload: Upload) -> None: ...


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One exported file, `path` relative to the export folder, as we left it."""

    path: str
    digest: Digest
    output: str  # the name under `outputs:`
    address: str


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """What one manifest (its path below the project) last exported into one folder."""

    folder: str
    manifest: str
    files: tuple[ExportedFile, ...] = ()


class Exports(Protocol):
    def get(self, folder: str) -> ExportRecord | None: ...

    def set(self, record: ExportRecord) -> None: ...


@dataclass(frozen=True, slots=True)
class StepRow:
    """How one step of a run ended. `state`: a final NodeState; `detail`: what a person needs to know of it."""

    address: str
    state: str
    decision: str
    reason: str
    key: ActionKey | None = None
    result: ResultId | None = None
    task: TaskId | None = None
    credits: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution of a plan. `exit`: None while it runs or if it died."""

    id: RunId
    provider: str
    flow: str
    profile: str
    manifest: str
    started_at: float
    ended_at: float | None = None
    exit: int | None = None
    submitted: int = 0
    credits: int = 0
    summary: Mapping[str, Any] = field(default_factory=dict)


class Runs(Protocol):
    """The runs' history: an index, the one thing that is lost when the database is."""

    def begin(self, run: RunRow) -> None: ...

    def step(self, run: RunId, step: StepRow) -> None: ...

    def end(self, run: RunRow) -> None: ...

    def journal(self, run: RunId, events: Iterable[Mapping[str, Any]]) -> None:
        """Append to the run's stored events."""
        ...

    def list(self, manifest: str | None = None, limit: int = 50) -> tuple[RunRow, ...]:
        """Newest first."""
        ...

    def get(self, run: str) -> tuple[RunRow, tuple[StepRow, ...]] | None:
        """By id or unambiguous beginning of one; None for an unknown one. Raises AmbiguousRunError."""
        ...

    def events(self, run: RunId) -> tuple[Mapping[str, Any], ...]:
        """The run's journal, in the order it was written."""
        ...
