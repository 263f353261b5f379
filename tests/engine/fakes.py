"""An API, processes and their deaths, for attempts in virtual time.

The API's tasks live on whatever dies here. A `Process` is one owner with its own ledger instance on shared tables; after
its `Crash` nothing of it reaches the outside any more, as after ``kill -9``.
"""

from __future__ import annotations

import errno
import inspect
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, BinaryIO

from flowrun.action import ActionDoc
from flowrun.engine.events import Event
from flowrun.engine.ports import Attempt, Ports, Run
from flowrun.ids import ActionKey, OwnerId, RecipeKey, RunId, TaskId
from flowrun.ledger.memory import MemoryLedger, MemoryTables
from flowrun.ledger.protocol import Limits, Origin
from flowrun.ledger.tables import where
from flowrun.media.picture import PictureSpec, draw_picture
from flowrun.media.probe import probe
from flowrun.runway.errors import TransientError
from flowrun.runway.values import Accepted, Downloaded, Organization, OutputUrl, SandboxMark, Task, TaskStatus, Upload
from flowrun.secret import Secret
from flowrun.store.memory import MemoryBlobs, MemoryResults, MemoryUploads
from tests.support.virtual_time import VirtualClock, offload

MODEL = "gen4_image"
ORIGIN = Origin("/p/.flowrun", "p", "fox", "", "fox.yaml", "hero#1")
TWO_AT_ONCE = Limits(concurrency=2)
DISK_FULL = OSError(errno.ENOSPC, "No space left on device", "/store/x")
HTML = b"<!doctype html><title>please log in</title>"


class Crash(BaseException):
    """The process is gone at this point."""


@cache
def picture() -> bytes:
    return draw_picture(PictureSpec(64, 64, prompt="a fox", tiny=True))


def a_doc(name: str = "a", **more: Any) -> ActionDoc:
    plain = ActionDoc(
        ActionKey(f"key-{name}"), RecipeKey(f"recipe-{name}"), "runway", "2024-11-06", "text_to_image", MODEL,
        "/v1/text_to_image", {"promptText": "a fox"}, credits=5,
    )  # fmt: skip
    return replace(plain, **more)


def seen(status: str, **more: Any) -> Task:
    return Task(TaskId("?"), TaskStatus(status), word=status, **more)


RUNNING, THROTTLED = seen("RUNNING"), seen("THROTTLED")
DONE = seen("SUCCEEDED", outputs=(OutputUrl("https://out.example/1"),), charged=5)


@dataclass
class FakeProvider:
    """`submissions`: what becomes of the next ones (an exception: that, instead of a task). `polls`: what each task says,
    the last word again and again. `files`: by URL what its downloads bring, the last one again and again."""

    clock: VirtualClock
    sandbox: SandboxMark | None = None
    submissions: deque[Exception] = field(default_factory=deque)
    estimate: int | None = None
    script: tuple[Task | Exception, ...] = (RUNNING, RUNNING, DONE)
    files: dict[str, deque[Any]] = field(default_factory=dict)
    answer_takes: float = 1.0
    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    upload_error: Exception | None = None
    upload_takes: float = 1.0
    asked_at: dict[TaskId, list[float]] = field(default_factory=dict)
    downloads: Counter[str] = field(default_factory=Counter)
    polls: dict[TaskId, deque[Task | Exception]] = field(default_factory=dict)
    after_deletion: tuple[Task | Exception, ...] = ()  # what a deleted task says
    deleted: list[TaskId] = field(default_factory=list)

    async def submit(self, path: str, body: Mapping[str, Any]) -> Accepted:
        if self.submissions:
            error = self.submissions.popleft()
            await self.clock.sleep(self.answer_takes)
            raise error
        self.bodies.append(body)
        task = TaskId(f"task-{len(self.bodies)}")
        self.polls[task] = deque(self.script)
        await self.clock.sleep(self.answer_takes)
        return Accepted(task, self.estimate)

    async def task(self, task: TaskId) -> Task:
        self.asked_at.setdefault(task, []).append(self.clock.now())
        await self.clock.sleep(0.2)
        words = self.polls[task]
        word = words.popleft() if len(words) > 1 else words[0]
        if isinstance(word, Exception):
            raise word
        return replace(word, id=task)

    async def delete(self, task: TaskId) -> None:
        assert self.after_deletion, "nobody deletes here"
        self.deleted.append(task)
        self.polls[task] = deque(self.after_deletion)

    async def organization(self) -> Organization:
        raise TransientError("nobody answers here")

    async def upload(
        self, filename: str, media_type: str, opener: Callable[[], BinaryIO], size: int, now: float
    ) -> Upload:
        await self.clock.sleep(self.upload_takes)
        if self.upload_error is not None:
            raise self.upload_error
        with opener() as stream:
            assert len(stream.read()) == size
        self.uploads.append(filename)
        return Upload(f"runway://{filename}", now + 86_400.0)

    async def download(self, url: Secret, write: Callable[[bytes], None]) -> Downloaded:
        self.downloads[url.reveal()] += 1
        answers = self.files.setdefault(url.reveal(), deque([picture()]))
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        data = picture() if isinstance(answer, BaseException) else answer
        half = len(data) // 2
        write(data[:half])
        await self.clock.sleep(0.5)
        if isinstance(answer, BaseException):
            raise answer
        write(data[half:])
        return Downloaded("image/png", len(data))


class Faulty:
    """`target`, but the call of `method` fails with `error`, before or after its work is done; and a dead process can
    call nothing."""

    def __init__(self, target: Any, process: Process) -> None:
        self._target, self._process = target, process

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found
        call = self._process.wait if inspect.iscoroutinefunction(found) else self._process.call
        return lambda *args, **more: call(name, found, args, more)


@dataclass
class Process:
    """One owner. `fails`: method -> (error, or something to happen, whether the method's work is done by then)."""

    world: World
    owner: OwnerId
    fails: dict[str, tuple[BaseException | Callable[[], None], bool]] = field(default_factory=dict)
    dead: bool = False
    reports: list[Event] = field(default_factory=list)

    def call(self, name: str, found: Callable[..., Any], args: Any, more: Any) -> Any:
        if self.dead:
            raise Crash
        fault, after = self.fails.pop(name, (None, False))
        if fault is None:
            return found(*args, **more)
        answer = found(*args, **more) if after else None
        self._strike(fault)
        return answer

    async def wait(self, name: str, found: Callable[..., Any], args: Any, more: Any) -> Any:
        if self.dead:
            raise Crash
        fault, after = self.fails.pop(name, (None, False))
        if fault is not None and not after:
            self._strike(fault)
        try:
            answer = await found(*args, **more)
        except Crash:
            self.dead = True
            raise
        if fault is not None and after:
            self._strike(fault)
        return answer

    def _strike(self, fault: BaseException | Callable[[], None]) -> None:
        if not isinstance(fault, BaseException):
            fault()
            return
        self.dead = isinstance(fault, Crash)
        raise fault

    def attempt(self, doc: ActionDoc, *, forced: bool = False, unit: str = "hero#1") -> Attempt:
        origin = replace(ORIGIN, forced=forced)
        run = Run(RunId(f"run-{self.owner}"), self.owner, lambda model: self.world.limits)
        return Attempt(doc, origin, unit, self.ports(), run, self.reports.append)

    def ports(self) -> Ports:
        world = self.world
        ledger = MemoryLedger(world.clock.now, world.tables)
        return Ports(
            Faulty(ledger, self), Faulty(world.results, self), world.blobs, world.uploads, Faulty(world.api, self),
            world.clock, offload, probe, random.Random(7), "account", world.env,
        )  # fmt: skip


class FullBlobs(MemoryBlobs):
    """A disk that is full while `full`."""

    full = False

    def writer(self) -> Any:
        if self.full:
            raise DISK_FULL
        return super().writer()


@dataclass
class World:
    """What outlives a process."""

    clock: VirtualClock
    limits: Limits = TWO_AT_ONCE
    env: dict[str, Secret] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tables = MemoryTables()
        self.ledger = MemoryLedger(self.clock.now, self.tables)
        self.blobs = FullBlobs()
        self.results = MemoryResults(self.blobs, self.clock.now)
        self.uploads = MemoryUploads()
        self.api = FakeProvider(self.clock)

    def process(self, name: str = "anne") -> Process:
        return Process(self, OwnerId(name))

    def bury(self, process: Process) -> None:
        """What the next apply does about a dead owner."""
        process.dead = True
        self.ledger.reap(1e9, lambda owner: owner == process.owner)

    def stored(self, doc: ActionDoc) -> list[str]:
        found = self.results.lookup([doc.key]).get(doc.key)
        return [result.task for result in found.results] if found else []

    @property
    def claims(self) -> list[ActionKey]:
        return [row.key for row in self.tables.claims.find(where())]

    @property
    def held(self) -> dict[str, int]:
        """Slots, by model."""
        return dict(self.ledger.in_flight())
