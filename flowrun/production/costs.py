"""What was spent, by node, tag, model or day: the ledger's account, held against the API's own. Owns the sums; the ledger owns
the facts, and the words for a person are the UI's.

A day is a UTC day, as the API counts. A task belongs to the day on which it was accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import product
from pathlib import Path

from flowrun.engine.failure import AttemptError
from flowrun.graph.address import parse
from flowrun.ledger.looking import joined
from flowrun.ledger.protocol import IntentOutcome, IntentRow, Ledger, TaskRow
from flowrun.production.binding import Bound, bound
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.runway.errors import RunwayError
from flowrun.runway.values import UsageRow
from flowrun.store.location import find_project

LONGEST_QUERY = 90  # days of usage that the API tells at once; its description says so
USUAL_DAYS = 30
_CLOCKS = 3600.0  # seconds between a request and its acceptance, at most


class By(StrEnum):
    """What spending is told by."""

    NODE = "node"
    TAG = "tag"
    MODEL = "model"
    DAY = "day"


COMPARABLE = frozenset({By.MODEL, By.DAY})  # the API knows of nothing else


@dataclass(frozen=True, slots=True)
class Period:
    """UTC days, both included."""

    since: date
    until: date

    @classmethod
    def of(cls, since: date | None, until: date | None, now: float) -> Period:
        """The last thirty days where nothing is said. Raises FlowrunError for one that ends before it begins."""
        last = until or max(_day(now), since or date.min)
        first = since or last - timedelta(days=USUAL_DAYS - 1)
        if first > last:
            raise FlowrunError(Exit.WRONG, f"--until {last} is before --since {first}", "swap them")
        return cls(first, last)

    @property
    def begins(self) -> float:
        return datetime(self.since.year, self.since.month, self.since.day, tzinfo=UTC).timestamp()

    @property
    def ends(self) -> float:
        """The first moment after it."""
        return datetime(self.until.year, self.until.month, self.until.day, tzinfo=UTC).timestamp() + 86_400

    def queries(self) -> Iterator[tuple[date, date]]:
        """First days and the days after the last, none longer than the API allows."""
        first, end = self.since, self.until + timedelta(days=1)
        while first < end:
            after = min(first + timedelta(days=LONGEST_QUERY), end)
            yield first, after
            first = after


@dataclass(slots=True)
class Amount:
    """Credits. `unknown`: how many parts of it nobody knows, which `credits` leaves out; `assumed`: how many parts of it are
    estimates that stand because the API told no cost."""

    credits: int = 0
    unknown: int = 0
    assumed: int = 0

    def add(self, credits: int | None, *, assumed: bool = False) -> None:
        self.credits += credits or 0
        self.unknown += credits is None
        self.assumed += assumed and credits is not None


@dataclass(slots=True)
class CostRow:
    """Tasks that have the same `names`, one for each thing asked for. `open`: not at their end, or not collected. `charged`: what
    the API told, else the estimate. `told`: the API's own sum, None where it was not asked or cannot know."""

    names: tuple[str, ...] = ()
    sent: int = 0
    made: int = 0
    failed: int = 0
    refunded: int = 0
    open: int = 0
    estimated: Amount = field(default_factory=Amount)
    charged: Amount = field(default_factory=Amount)
    told: int | None = None

    @property
    def difference(self) -> int | None:
        """What the API says beyond the ledger; None where either is not known."""
        return None if self.told is None or self.charged.unknown else self.told - self.charged.credits

    def take_in(self, task: TaskRow) -> None:
        self.sent += 1
        self.open += not task.settled
        self.made += task.settled and task.failure is None
        self.failed += task.failure is not None
        self.refunded += task.failure is not None and task.charged == 0
        self.estimated.add(task.credits)
        self.charged.add(task.credits if task.charged is None else task.charged, assumed=task.charged is None)


@dataclass(slots=True)
class Unanswered:
    """Requests without a task: what they may have cost is in no sum."""

    requests: int = 0
    at_most: Amount = field(default_factory=Amount)

    def take_in(self, row: IntentRow) -> None:
        self.requests += 1
        self.at_most.add(row.credits)


@dataclass(slots=True)
class Costs:
    """`not_compared`: why the API's numbers are not here, None: they are. `ledgers`: the accounts whose ledgers were read.
    `uncertain`: waits for a person's word; `given_up`: a person said resend, or forget."""

    provider: str
    period: Period
    by: tuple[By, ...]
    file: Path | None
    ledgers: tuple[str, ...]
    rows: list[CostRow]
    total: CostRow
    uncertain: Unanswered
    given_up: Unanswered
    not_compared: str | None = None


Request = tuple[IntentRow, tuple[TaskRow, ...]]


def costs(
    file: Path | None,
    by: Sequence[By],
    since: date | None,
    until: date | None,
    options: Options,
    around: Surroundings,
) -> Costs:
    """What a manifest has spent, or every client of the account that keeps its ledger here. Raises FlowrunError."""
    if file is not None and not (around.cwd / file).is_file():
        raise FlowrunError(Exit.WRONG, f"there is no file {file}", "name a manifest, or leave it away for the account")
    period = Period.of(since, until, around.clock.now())
    project = find_project(around.cwd / (file or "manifest"))
    with bound(project, options, around, reading=True) as at:
        requests = list(_requests(joined([at.ledger, *at.former.values()], around.clock.now), period))
        if file is not None:
            requests = [each for each in requests if _is_of(each[0], file, at)]
        found = _summed(requests, tuple(dict.fromkeys(by)), period, named=file is None)
        found.provider, found.file, found.ledgers = at.choice.name, file, (at.account, *sorted(at.former))
        found.not_compared = _compare(found, at)
    return found


def _requests(ledger: Ledger, period: Period) -> Iterator[Request]:
    """Of the period, by when they were accepted; those without a task by when they were sent."""
    for row, tasks in ledger.requests(period.begins - _CLOCKS, period.ends):
        accepted = tuple(task for task in tasks if period.begins <= task.submitted_at < period.ends)
        if accepted or (not tasks and row.intended_at >= period.begins):
            yield row, accepted


def _is_of(row: IntentRow, file: Path, at: Bound) -> bool:
    path = (at.around.cwd / file).absolute()
    manifest = path.relative_to(at.project).as_posix() if path.is_relative_to(at.project) else str(path)
    return (row.origin.project, row.origin.manifest) == (str(at.project), manifest)


# -- sums


def _summed(requests: Iterable[Request], by: tuple[By, ...], period: Period, *, named: bool) -> Costs:
    """`named`: nodes are told with the flow they belong to."""
    rows: dict[tuple[str, ...], CostRow] = {}
    found = Costs("", period, by, None, (), [], CostRow(), Unanswered(), Unanswered())
    for row, tasks in requests:
        if not tasks:
            (found.given_up if row.outcome is IntentOutcome.GIVEN_UP else found.uncertain).take_in(row)
        for task in tasks:
            found.total.take_in(task)
            for names in product(*(_names(task, each, named) for each in by)):
                rows.setdefault(names, CostRow(names)).take_in(task)
    found.rows = [rows[names] for names in sorted(rows)]
    return found


def _names(task: TaskRow, by: By, named: bool) -> tuple[str, ...]:
    """Where a task belongs; with several tags in several places."""
    if by is By.TAG:
        return tuple(dict.fromkeys(task.origin.tags)) or ("",)
    if by is By.MODEL:
        return (task.model,)
    return (str(_day(task.submitted_at)) if by is By.DAY else _node(task, named),)


def _node(task: TaskRow, named: bool) -> str:
    origin = task.origin
    node = ".".join(segment.id for segment in parse(origin.address).segments)
    flow = f"{origin.flow}.{origin.profile}" if origin.profile else origin.flow
    return f"{flow}: {node}" if named else node


def _day(moment: float) -> date:
    return datetime.fromtimestamp(moment, UTC).date()


# -- the API's own account


def _compare(found: Costs, at: Bound) -> str | None:
    """Put the API's sums beside the ledger's; why not, where that cannot be."""
    if found.file is not None:
        return "the API does not know which manifest a request was of; leave the file away"
    if not set(found.by) <= COMPARABLE:
        return "the API tells what was spent by model and day alone"
    if at.options.offline and not at.choice.is_local:
        return "--offline asks nothing"
    if at.choice.key is None:
        return "there is no key to ask it with"
    try:
        usage = asyncio.run(_usage(found.period, at))
    except (RunwayError, AttemptError, FlowrunError) as error:
        return f"it could not be asked: {error}"
    _tell(found, usage)
    return None


async def _usage(period: Period, at: Bound) -> list[UsageRow]:
    client = at.client()
    try:
        found = [row for first, after in period.queries() for row in await client.usage(first, after)]
        client.check_provider(at.choice.name)
    finally:
        await at.close_client()
    return found


def _tell(found: Costs, usage: Iterable[UsageRow]) -> None:
    """Every row gets its sum; what the API has and the ledger does not becomes a row."""
    rows = {row.names: row for row in found.rows}
    for row in (*rows.values(), found.total):
        row.told = 0
    for each in usage:
        of: Mapping[By, str] = {By.MODEL: each.model, By.DAY: each.date}
        names = tuple(of[by] for by in found.by)
        row = rows.setdefault(names, CostRow(names, told=0))
        row.told = (row.told or 0) + each.credits
        found.total.told = (found.total.told or 0) + each.credits
    found.rows = [rows[names] for names in sorted(rows)]
