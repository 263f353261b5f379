"""What happens in a run, as facts in order. Owns their shape: the scheduler, the plain lines, `--events` and the journal
all read this one stream.

Addresses are text: of a node's instance (``shot[intro]``) in `address`, of one take of it (``shot[intro]#1``) in `unit`.
`at` is epoch seconds. No event holds a URL, a key or the value of an environment variable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from flowrun.engine.failure import Complaint
from flowrun.engine.states import NodeState

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Item:
    """One instance, as the scheduler needs it: what it waits for, its expected seconds, its place in the manifest. `whole`:
    somebody below asks for all of its takes, so it is settled only when all have ended. `model` and `takes`: what it would
    be generated with, and how often, `credits` what that costs at most (None: unknown), for those who show what is still to
    come."""

    address: str
    upstream: tuple[str, ...]
    seconds: float
    order: int
    whole: bool = False
    model: str = ""
    takes: int = 1
    credits: int | None = None


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """One take as decided. `decision`: run | resume | hit | uncertain | rejected. `prepare`: media has to be uploaded first;
    `anew`: a further request may be sent for it, where the first fails."""

    take: int
    decision: str
    model: str
    credits: int | None = None
    prepare: bool = False
    anew: bool = True


@dataclass(frozen=True, slots=True)
class ModelLimit:
    """What may be done with one model: generations in flight at once, how many the day still has, and how many it has in all.
    None: no limit."""

    model: str
    concurrency: int | None
    daily_left: int | None
    daily: int | None = None


@dataclass(frozen=True, slots=True)
class CapLeft:
    """What a cap leaves: `left` of `most` credits. `until`: when a day's cap gets credits back."""

    cap: str
    most: int
    left: int
    until: float | None = None


@dataclass(frozen=True, slots=True)
class RunStarted:
    """`cap`: the most credits this run may commit, `day_cap`: its project in any 24 hours; None: no such cap. `waits`: whether
    it waits for a model's day that is used up, or ends."""

    type: ClassVar[str] = "run-started"
    at: float
    run: str
    flow: str
    profile: str
    provider: str
    cap: int | None
    day_cap: int | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class LimitsRead:
    """What the organization allows, for each model that may run: read before the run, told again when it changed.
    `balance`: credits at that moment."""

    type: ClassVar[str] = "limits-read"
    at: float
    balance: int
    models: tuple[ModelLimit, ...]


@dataclass(frozen=True, slots=True)
class Expanded:
    """The graph grew; the first of these is the graph itself."""

    type: ClassVar[str] = "expanded"
    at: float
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """The planner's word on one instance. `pick`: the take that flows on, where that is fixed already.
    `retry`: the manifest's number of further attempts."""

    type: ClassVar[str] = "decided"
    at: float
    address: str
    decision: str
    reason: str | None
    units: tuple[UnitSpec, ...] = ()
    pick: int | None = None
    retry: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    type: ClassVar[str] = "prepared"
    at: float
    unit: str


@dataclass(frozen=True, slots=True)
class Queued:
    """No lease now. `limit`: which; `until`: when it may change by itself; `elsewhere`: slots of its model that are held, but
    not by this run: by another flowrun on this ledger, or by a task of an earlier run. None: not asked."""

    type: ClassVar[str] = "queued"
    at: float
    unit: str
    limit: str
    until: float | None
    elsewhere: int | None = None


@dataclass(frozen=True, slots=True)
class OverCap:
    """It does not fit: of the lowest cap `left` credits remain, and it would take `credits` (None: unknown). `until`: when a
    day's cap has room for it by itself."""

    type: ClassVar[str] = "over-cap"
    at: float
    unit: str
    cap: str
    left: int | None
    credits: int | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class CapsTold:
    """What each cap leaves, and when each model whose day is used up has a generation again (epoch seconds, null: nobody
    knows), once a run in which something did not fit has come to its end."""

    type: ClassVar[str] = "caps-told"
    at: float
    caps: tuple[CapLeft, ...]
    next_free: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Granted:
    """The unit may be carried out. `how`: new | resumed | joined."""

    type: ClassVar[str] = "granted"
    at: float
    unit: str
    how: str


@dataclass(frozen=True, slots=True)
class Submitted:
    type: ClassVar[str] = "submitted"
    at: float
    unit: str
    task: str
    credits: int | None


@dataclass(frozen=True, slots=True)
class Progressed:
    """A task's status or progress (0 to 1) changed."""

    type: ClassVar[str] = "progressed"
    at: float
    unit: str
    task: str
    status: str
    progress: float | None


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal at the API: its slot is free."""

    type: ClassVar[str] = "ended"
    at: float
    unit: str
    task: str
    status: str


@dataclass(frozen=True, slots=True)
class Stored:
    type: ClassVar[str] = "stored"
    at: float
    unit: str
    task: str
    result: str
    files: tuple[str, ...]
    credits: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody made it meanwhile: nothing to pay."""

    type: ClassVar[str] = "found"
    at: float
    unit: str
    result: str


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """`verdict`: see failure.Verdict; `delay`: seconds before a retry makes sense; `attempts`: how many the policy allows;
    `charged`: credits it cost, None: unknown; `problems`: what the API says of fields, with where their values are written."""

    type: ClassVar[str] = "attempt-failed"
    at: float
    unit: str
    verdict: str
    code: str
    message: str
    hint: str | None = None
    task: str | None = None
    charged: int | None = None
    delay: float = 0.0
    attempts: int = 0
    rejected: bool = False
    problems: tuple[Complaint, ...] = ()


@dataclass(frozen=True, slots=True)
class Weighing:
    """A request of the unit was never answered, and the organization's counters are to say whether it was accepted; that takes
    `seconds`, at least. Before a run it is one of an earlier run."""

    type: ClassVar[str] = "weighing"
    at: float
    unit: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SlotFreed:
    """A slot of a model that something here waits for has come free, and none of this run's units held it."""

    type: ClassVar[str] = "slot-freed"
    at: float
    model: str


@dataclass(frozen=True, slots=True)
class Woke:
    """A time that was waited for has come: of a unit, or of a model."""

    type: ClassVar[str] = "woke"
    at: float
    unit: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """The run stops; the unit's task stays at the API and on record."""

    type: ClassVar[str] = "left"
    at: float
    unit: str
    task: str | None


@dataclass(frozen=True, slots=True)
class Settled:
    """An instance has its outcome. `take`: the one that flows on."""

    type: ClassVar[str] = "settled"
    at: float
    address: str
    state: NodeState
    take: int | None = None


@dataclass(frozen=True, slots=True)
class Recovered:
    """A task of an earlier run, which nothing in this plan takes up. `status`: collected (`detail` is the result's id); failed,
    which is its end, or left, on record (`detail` says why)."""

    type: ClassVar[str] = "recovered"
    at: float
    address: str
    task: str
    status: str
    detail: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What became of a task of this run after an interrupt that cancels. `status`: cancelled | collected | failed | left, with
    `detail`: why. `credits`: what it cost as the API told, None: it did not."""

    type: ClassVar[str] = "withdrawn"
    at: float
    unit: str
    task: str
    status: str
    detail: str = ""
    credits: int | None = None


@dataclass(frozen=True, slots=True)
class Halted:
    """The surroundings fail beside any attempt (a full disk under a pick): nothing new starts, and what is at the API stays."""

    type: ClassVar[str] = "halted"
    at: float
    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """`cancels`: what this run has at the API is cancelled once nothing is being sent or collected any more."""

    type: ClassVar[str] = "interrupted"
    at: float
    times: int = 1
    cancels: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """`status`: written | replaced | unchanged | kept | damaged | removed | orphan, or without a path skipped | missing."""

    type: ClassVar[str] = "exported"
    at: float
    output: str
    path: str
    status: str


@dataclass(frozen=True, slots=True)
class ExportFailed:
    """Outputs could not be exported; what was made is safe in the store. `where`: which, with the place in the manifest."""

    type: ClassVar[str] = "export-failed"
    at: float
    where: str
    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class RunEnded:
    type: ClassVar[str] = "run-ended"
    at: float
    exit: int
    summary: Mapping[str, Any] = field(default_factory=dict)


Event = (
    RunStarted
    | LimitsRead
    | Expanded
    | Decided
    | Prepared
    | Queued
    | OverCap
    | CapsTold
    | Granted
    | Submitted
    | Progressed
    | Ended
    | Stored
    | Found
    | AttemptFailed
    | Weighing
    | SlotFreed
    | Woke
    | Left
    | Settled
    | Recovered
    | Withdrawn
    | Halted
    | Interrupted
    | Exported
    | ExportFailed
    | RunEnded
)
EVENTS: tuple[type[Event], ...] = get_args(Event)
_KINDS: Mapping[str, type[Event]] = {kind.type: kind for kind in EVENTS}
_NOTHING = object()


def to_json(event: Event) -> dict[str, Any]:
    """The event as it stands in NDJSON: its type first."""
    return {"type": event.type, **asdict(event)}


def from_json(value: Mapping[str, Any]) -> Event:
    """The event that `to_json` wrote so. What an older flowrun did not write yet has its default; anything else that does not
    come back just as it stands is refused. Raises ValueError."""
    from pydantic import ValidationError

    kind = _KINDS.get(str(value.get("type")))
    if kind is None:
        raise ValueError(f"no event has the type {value.get('type')!r}")
    fields = {name: each for name, each in value.items() if name != "type"}
    try:
        event = _reader(kind.type).validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"a damaged {kind.type} event: {where}: {first['msg']}") from None
    written = json.loads(json.dumps(to_json(event)))
    if extra := next((name for name in value if written.get(name, _NOTHING) != value[name]), None):
        raise ValueError(f"a damaged {kind.type} event: {extra}: not as any flowrun writes it")
    return event


@cache
def _reader(name: str) -> TypeAdapter[Event]:
    from pydantic import TypeAdapter

    return TypeAdapter(_KINDS[name])


def event_schema() -> dict[str, Any]:
    """The JSON Schema of one line of `--events`, generated from the types above."""
    from pydantic import TypeAdapter

    definitions: dict[str, Any] = {}
    forms = []
    for kind in EVENTS:
        schema = TypeAdapter(kind).json_schema(ref_template="#/$defs/{model}")
        definitions |= schema.pop("$defs", {})
        schema["properties"] = {"type": {"const": kind.type}, **schema["properties"]}
        schema["required"] = ["type", *(name for name in schema["properties"] if name != "type")]
        forms.append(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "flowrun event",
        "oneOf": forms,
        "$defs": definitions,
    }
