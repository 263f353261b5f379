"""What an attempt needs of the world, handed in. Owns the provider's protocol; the real client and every fake fit it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from flowrun.action import ActionDoc
from flowrun.clock import Clock
from flowrun.engine.events import Event
from flowrun.engine.failure import Complaint
from flowrun.ids import OwnerId, RunId, TaskId
from flowrun.ledger.evidence import Reading
from flowrun.ledger.protocol import Ledger, Limits, Origin
from flowrun.media.facts import MediaFacts
from flowrun.runway.errors import InputProblem
from flowrun.runway.media_in import FreshUrl
from flowrun.runway.values import Accepted, Downloaded, Organization, SandboxMark, Task, Upload
from flowrun.secret import Secret, mask
from flowrun.store.protocol import Blobs, Results, Uploads

T = TypeVar("T")

HEARTBEAT = 10.0  # seconds; six of them make REAP_AFTER
REAP_AFTER = 60.0  # seconds without a heartbeat after which an owner counts as dead
SPEAKER = "key"  # the name under which a request's evidence tells whose key sent it, as a hash
CANCELLING = "cancelling"  # the name under which it tells whose key was about to cancel the task, likewise
SEND_WITHIN = REAP_AFTER / 2  # between intent and request; whoever was away for longer does not send


class Provider(Protocol):
    """The API, one call a request. Raises the errors of flowrun.runway.errors."""

    @property
    def sandbox(self) -> SandboxMark | None:
        """What a sandbox said of itself; None: not one, or nothing was asked yet."""
        ...

    async def submit(self, path: str, body: Mapping[str, Any]) -> Accepted: ...

    async def task(self, task: TaskId) -> Task: ...

    async def delete(self, task: TaskId) -> None: ...

    async def organization(self) -> Organization: ...

    async def upload(
        self, filename: str, media_type: str, opener: Callable[[], BinaryIO], size: int, now: float
    ) -> Upload: ...

    async def download(self, url: Secret, write: Callable[[bytes], None]) -> Downloaded: ...


class Offload(Protocol):
    """Runs what computes or reads long, away from the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside that an attempt touches. `account`: whose uploads are whose; `env`: values by name."""

    ledger: Ledger
    results: Results
    blobs: Blobs
    uploads: Uploads
    provider: Provider
    clock: Clock
    offload: Offload
    probe: Callable[[Path], MediaFacts]
    rng: random.Random
    account: str
    env: Mapping[str, Secret] = field(default_factory=dict)
    fresh: dict[str, FreshUrl] = field(default_factory=dict)  # by sha256
    speaker: str = ""  # hash of the key that asks; none: there is but one
    mask: Callable[[str], str] = mask  # takes what must not be shown out of a foreign text
    unfetched: set[str] = field(default_factory=set)  # by sha256: inputs whose address the API could not fetch
    uploaded: dict[str, float] = field(default_factory=dict)  # by URI: when this run made the upload

    def poll_seconds(self) -> float | None:
        """Seconds between polls that a sandbox allows; None: the API's own rule."""
        mark = self.provider.sandbox
        return mark.poll if mark else None


@dataclass(frozen=True, slots=True)
class Run:
    """Whose attempt it is, and what holds for it. `limits` gives what the organization allows a model now."""

    id: RunId
    owner: OwnerId
    limits: Callable[[str], Limits]
    sends_urls: bool = True  # whether the provider may be told to fetch an https address itself
    stopping: Callable[[], bool] = lambda: False  # whether nothing new may be sent any more
    is_gone: Callable[[str], bool] = lambda store: False  # whether a store's folder is no more
    counter: Callable[[str], Reading | None] = lambda model: None  # a model's generations, as last read before now
    trusts_counters: bool = False  # whether two readings may settle a request without an answer
    patience: int | None = None  # looks at a task that fail in a row before it is let be; None: as long as it takes


Report = Callable[[Event], None]
Place = Callable[[Iterable[InputProblem]], tuple[Complaint, ...]]


def unplaced(problems: Iterable[InputProblem]) -> tuple[Complaint, ...]:
    """Complaints without their places in a manifest."""
    return tuple(Complaint(problem.where, problem.message) for problem in problems)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one action: what, for whom, under which name in the events, with what, and who wants to hear of it. `place`
    finds where the fields of its request are written."""

    doc: ActionDoc
    origin: Origin
    unit: str
    ports: Ports
    run: Run
    report: Report
    place: Place = unplaced

    def now(self) -> float:
        return self.ports.clock.now()
