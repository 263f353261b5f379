"""The ledger's seam: what was sent, what is in flight, what was paid, and who may do what next.

The ledger keeps facts (a row for each intent with its outcome, a row for each task) and derives an action's state from
them; it is the only authority on limits and money. Each method is one transaction. Memory and SQLite pass one contract
kit. Nine rules are never broken, by any interleaving of processes, crashes and late answers:

1. intend refuses a stale fence
2. intend refuses while another intent of the action is open or uncertain, or one of its tasks is open
3. reaping an owner makes its open intents uncertain, never void
4. submitted keeps a task id whatever the fence and whatever became of the intent
5. refused speaks of its own intent only
6. a lost answer is uncertain, never sent again
7. a new claim looks into the results before it intends (the caller's duty; `Mine.fresh` says when)
8. a claim takes up open tasks before anything else
9. a result is stored before its task is settled (the caller's duty; a task is open until it is settled)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from flowrun.action import ActionDoc
from flowrun.ids import ActionKey, IntentId, OwnerId, RecipeKey, RunId, TaskId


class LedgerDamagedError(Exception):
    """The ledger's file is not a ledger, or SQLite calls it malformed. Nothing was written."""


class LedgerFormatError(LedgerDamagedError):
    """A sound ledger of another version of flowrun: nothing to rebuild."""


class StaleClaimError(Exception):
    """The claim's fence is no longer the newest (rule 1): someone else holds the action now."""


class BusyActionError(Exception):
    """Rule 2: another intent of the action is open or uncertain, or one of its tasks is open."""


class IntentOutcome(StrEnum):
    OPEN = "open"  # the request may be on its way
    REFUSED = "refused"  # certainly not accepted
    UNCERTAIN = "uncertain"  # may have been accepted; a person decides
    GIVEN_UP = "given-up"  # a person said: resend, or forget
    ACCEPTED = "accepted"  # it has a task id


@dataclass(frozen=True, slots=True)
class Origin:
    """For whom an action was claimed, so that its task can be collected and counted whatever became of the manifest.

    `store`: the store's folder; `project`, `flow`, `profile`: names ("" for no profile); `manifest`: its path below the
    project; `address`: with the take.
    """

    store: str
    project: str
    flow: str
    profile: str
    manifest: str
    address: str
    tags: tuple[str, ...] = ()
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to carry out one action. `fence` is larger than that of every earlier claim on the key."""

    key: ActionKey
    owner: OwnerId
    run: RunId
    fence: int


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task the ledger knows and nobody has settled. `ended`: its last status at the API, None while it may run; `store`:
    the folder of the store that is to have its result before it is settled."""

    task: TaskId
    key: ActionKey
    submitted_at: float
    ended: str | None = None
    store: str = ""


@dataclass(frozen=True, slots=True)
class IntentRow:
    """One paid request. Times in epoch seconds; `credits` the estimate reserved for it, None: unknown. `decided_at`: when
    it was refused, accepted or given up; None while it is open or uncertain."""

    intent: IntentId
    key: ActionKey
    outcome: IntentOutcome
    model: str
    credits: int | None
    request_digest: str
    intended_at: float
    decided_at: float | None
    owner: OwnerId
    run: RunId
    origin: Origin
    task: TaskId | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    charged: int | None = None  # credits booked for its task, None: the estimate stands

    @property
    def project(self) -> str:
        """The folder of the project it was sent for."""
        return self.origin.project


@dataclass(frozen=True, slots=True)
class Mine:
    """The claim is ours. `open_tasks` first (rule 8); else `uncertain` stops us; else, where `fresh`, look into Results
    once more (rule 7) and go on to reserve."""

    claim: Claim
    open_tasks: tuple[OpenTask, ...] = ()
    uncertain: tuple[IntentRow, ...] = ()
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Join:
    """Another live owner has it. Follow `tasks` where there are any, and claim again when `owner` is gone."""

    owner: OwnerId
    tasks: tuple[OpenTask, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one reservation, as the caller last read it. None: no limit.

    `concurrency`: generations of this model in flight. `daily`: creations of this model in a rolling 24 hours.
    `used_elsewhere`: creations of the last 24 hours that the API counts and this ledger does not know.
    `balance`: the organization's credits as read at `balance_at` (epoch seconds); what was intended later, or was open
    then, is taken off it by the ledger. `run_cap`: the most this run may commit in estimated credits. `day_cap`: the most
    that all runs of the claim's project together may commit in any rolling 24 hours.
    """

    concurrency: int | None = None
    daily: int | None = None
    used_elsewhere: int = 0
    balance: int | None = None
    balance_at: float = 0.0
    run_cap: int | None = None
    day_cap: int | None = None
    allow_unknown_price: bool = False


class LimitName(StrEnum):
    CONCURRENCY = "concurrency"
    DAILY = "daily"
    BALANCE = "balance"
    RUN_CAP = "run-cap"
    DAY_CAP = "day-cap"
    UNKNOWN_PRICE = "unknown-price"


@dataclass(frozen=True, slots=True)
class Granted:
    """A slot, a place in the day and the credits are reserved for the claim."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now. `until`: when (epoch seconds) it changes by itself, as far as this ledger knows; None: when something ends."""

    limit: LimitName
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Over:
    """Not in this run, not in this day, or not with this balance: `left` credits of the cap remain. Of several caps it is the
    one that leaves least. `until`: when (epoch seconds) enough of the day's commitments will have aged out, None: not by
    itself."""

    cap: LimitName
    left: int | None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class CapLeft:
    """What one cap still leaves: `left` of `most` credits. `until`: when (epoch seconds) the first of the day's commitments
    ages out, None: not by itself."""

    cap: LimitName
    most: int
    left: int
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    intent: IntentId
    claim: Claim
    intended_at: float


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The task's result is in the store."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The task ended without a result. `rejected`: for good, not sent again unasked; `input_refused`: the recipe itself was."""

    code: str
    message: str
    rejected: bool = False
    input_refused: bool = False


@dataclass(frozen=True, slots=True)
class Adopted:
    task: TaskId


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Nothing came of it. `said`: whose word that is, kept with the evidence."""

    said: str = "forgotten"


@dataclass(frozen=True, slots=True)
class Resend:
    """Send it again, at the risk of paying twice."""


Decision = Adopted | Forgotten | Resend


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One accepted task. `status`: the last one at the API (``open`` until it ended); `credits`: the estimate, `charged`:
    what was booked in its place. Settled without `failure`: it succeeded."""

    task: TaskId
    key: ActionKey
    recipe: RecipeKey
    model: str
    operation: str
    run: RunId
    origin: Origin
    submitted_at: float
    status: str
    settled: bool
    charged: int | None
    failure: Failed | None
    intent: IntentId | None = None
    credits: int | None = None
    ended_at: float | None = None
    settled_at: float | None = None


@dataclass(frozen=True, slots=True)
class ActionFacts:
    """What the planner needs to know of one key: derived from intents and tasks at the time of asking."""

    key: ActionKey
    open_tasks: tuple[OpenTask, ...] = ()
    open_intents: tuple[IntentRow, ...] = ()
    uncertain: tuple[IntentRow, ...] = ()
    failure: Failed | None = None  # of the last settled task, if that failed
    failed_task: TaskId | None = None


@dataclass(frozen=True, slots=True)
class OwnerRow:
    owner: OwnerId
    heartbeat: float


@dataclass(frozen=True, slots=True)
class RegisteredRun:
    """A run that may send requests. `store`: the folder that has its journal; `ended_at`: None while it goes on, or where
    nobody has noticed its end yet."""

    run: RunId
    owner: OwnerId
    store: str
    started_at: float
    ended_at: float | None = None


class Journal(Protocol):
    """Where a run's facts are written once more, outside of the ledger, in case that is damaged."""

    def write(self, line: bytes) -> None:
        """Durable when it returns. Raises OSError; then nothing of it stands there, or half a line."""
        ...

    def close(self) -> None: ...


class Ledger(Protocol):
    """Raises KeyError for an intent or task never heard of; LedgerDamagedError, and OSError for a full disk or a file that
    cannot be used, from any method of a ledger that lies on a disk."""

    def claim(self, doc: ActionDoc, origin: Origin, run: RunId, owner: OwnerId) -> Mine | Join:
        """By the doc's key. Claiming again what one holds gives the same claim. A dead owner must be reaped first."""
        ...

    def reserve(self, claim: Claim, model: str, credits: int | None, limits: Limits) -> Granted | Wait | Over:
        """Concurrency, rolling day, balance, and the caps of run and day, atomically. Reserving again what one holds is granted.
        Raises StaleClaimError."""
        ...

    def intend(self, claim: Claim, request_digest: str, evidence: Mapping[str, Any]) -> Intent:
        """Durable before the request leaves. Needs a reservation. Raises StaleClaimError, BusyActionError."""
        ...

    def refused(self, intent: Intent) -> None:
        """Certainly not accepted: slot, credits and the place in the day are free; the claim is kept, its reservation gone."""
        ...

    def lost(self, intent: Intent, evidence: Mapping[str, Any]) -> None:
        """Nobody knows: uncertain. Keeps credits and its place in the day; its slot for 30 minutes at most."""
        ...

    def submitted(self, intent: Intent, task: TaskId, credits: int | None = None) -> None:
        """Whatever the fence and whatever became of the intent. `credits`: the API's own estimate, where it gave one."""
        ...

    def ended(self, task: TaskId, status: str) -> None:
        """Terminal at the API: frees the slot. First writer wins."""
        ...

    def settle(self, task: TaskId, outcome: Succeeded | Failed, credits: int | None) -> None:
        """First writer wins; books the credits (None: the estimate stands) and lets go of the action's claim, whoever holds
        it: who looked into the results before this one was there must claim and look again."""
        ...

    def release(self, claim: Claim) -> None:
        """Let go of a claim and its reservation; a no-op for a stale one. Open intents and tasks stay."""
        ...

    def decide(self, intent: IntentId, decision: Decision) -> None:
        """A person's word on an uncertain intent. Raises KeyError for one that is not uncertain, ValueError for adopting
        a task that is on record already."""
        ...

    def begin(self, run: RunId, owner: OwnerId, store: str, account: str, journal: Journal) -> None:
        """Register a run before its first claim. From here on each fact that this ledger writes (an intent and what became
        of it, a task, its settlement, their documents) stands in `journal` before its transaction is durable. Where the journal
        takes no line (OSError), nothing is intended; what has happened already is written all the same, and is missed there
        by its number. Reaping or retiring the owner ends its runs."""
        ...

    def runs(self) -> tuple[RegisteredRun, ...]:
        """All that ever began, in that order."""
        ...

    def heartbeat(self, owner: OwnerId) -> None: ...

    def owners(self) -> tuple[OwnerRow, ...]:
        """Those that hold a claim or were heard of, and were not reaped or retired."""
        ...

    def reap(self, older_than: float, gone: Callable[[OwnerId], bool]) -> tuple[OwnerId, ...]:
        """Owners last heard of more than `older_than` seconds ago, or `gone`: reservations fall, open intents become
        uncertain, claims are free, tasks stay open."""
        ...

    def retire(self, owner: OwnerId) -> None:
        """The owner ends in good order. Like being reaped, by oneself."""
        ...

    def uncertain(self) -> tuple[IntentRow, ...]: ...

    def unanswered(self) -> tuple[IntentRow, ...]:
        """Open and uncertain intents: requests that may be on their way, or were sent by who has not been reaped yet, too."""
        ...

    def open(self, store: str | None = None) -> tuple[tuple[TaskRow, ActionDoc], ...]:
        """Unsettled tasks, oldest first; of one store, or all."""
        ...

    def evidence(self, task: TaskId) -> Mapping[str, Any]:
        """What was noted about the request that made the task; nothing for one that no request is on record of."""
        ...

    def note(self, task: TaskId, evidence: Mapping[str, Any]) -> None:
        """Durably add to what is known of the request that made the task: what is about to be done to the task, too, before it
        is done. Decides nothing. Raises KeyError for a task that no request is on record of, as for one never heard of."""
        ...

    def document(self, key: ActionKey) -> ActionDoc | None: ...

    def last(self, keys: Iterable[ActionKey]) -> Mapping[ActionKey, ActionFacts]:
        """Batched; keys nothing is known of are left out."""
        ...

    def rejections(self, recipes: Iterable[RecipeKey]) -> Mapping[RecipeKey, tuple[TaskId, Failed]]:
        """The last input refusal of each recipe, whatever the take, unless a later task of the recipe succeeded."""
        ...

    def created_since(self, model: str, since: float) -> int:
        """Creations of `model` this ledger counts towards the rolling day (accepted, open, uncertain) since then."""
        ...

    def in_flight(self) -> Mapping[str, int]:
        """Slots held now, by model."""
        ...

    def changes(self) -> int:
        """A number that is another one once anybody has written; cheap enough to be asked for several times a second."""
        ...

    def committed(self, run: RunId) -> int:
        """Estimated or booked credits of the run's intents that were not refused, and of its reservations."""
        ...

    def left(self, run: RunId, project: str, limits: Limits) -> tuple[CapLeft, ...]:
        """What each cap that `limits` has would leave for a request of `run` in `project` now."""
        ...

    def next_in_day(self, model: str, limits: Limits) -> float | None:
        """When (epoch seconds) the day of `model` has a further place beside those it has now. None: no limit, or not known."""
        ...

    def tasks(self, run: RunId | None = None) -> tuple[TaskRow, ...]: ...

    def requests(self, since: float, before: float) -> tuple[tuple[IntentRow, tuple[TaskRow, ...]], ...]:
        """What was asked for in ``[since, before)`` (epoch seconds of the intent) and not refused, oldest first, each with its
        tasks: mostly one, none where nobody knows, several where one was adopted and the answer came all the same."""
        ...

    def close(self) -> None: ...
