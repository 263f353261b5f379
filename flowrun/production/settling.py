"""A person's word on what nobody else can know: nothing came of a request, or this task is its answer.

Owns which requests a node's name means: those that were sent under it, whatever became of the manifest since, and those of what
the node would generate now, whoever sent them. So the name that a plan shows is as good as the one that `status` shows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flowrun.diagnostics.model import DiagnosticError
from flowrun.engine.failure import AttemptError
from flowrun.engine.follow import GONE
from flowrun.graph.address import Address, parse
from flowrun.ids import ActionKey, TaskId
from flowrun.ledger.protocol import Adopted, Failed, Forgotten, IntentRow, TaskRow
from flowrun.plan.model import Step
from flowrun.production.binding import Bound, bound
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.offline import check_options
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from flowrun.production.taking_over import take_over
from flowrun.runway.errors import Afterwards, GoneError, RunwayError
from flowrun.store.location import find_project, name_in

_TASK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)  # the description's form: a UUID
_TASK_ID_HINT = "give it whole, as the API does: 36 characters, such as 1f0c3b52-8a54-4c1e-9f3b-2d6f0a7c9e11"


def forget_uncertain(path: Path, node: str, options: Options, around: Surroundings) -> int:
    """Settle every uncertain intent of a node (an instance, or one take) of the manifest at `path`: nothing came of it; and
    every task of it that the API does not know, asked with another key than sent its request. How many. Raises FlowrunError,
    DiagnosticError."""
    with _opened(path, node, options, around) as (at, meant):
        gone = [row for row, _ in at.ledger.open(str(at.store.root)) if row.status == GONE]
        unknown = [row.task for row in gone if meant.named(row) or meant.now(row)]
        doubted = [] if unknown else at.ledger.uncertain()
        rows = [row for row in doubted if meant.named(row) or meant.now(row)]
        if not rows and not unknown:
            raise meant.nothing()
        for row in rows:
            at.ledger.decide(row.intent, Forgotten())
        for task in unknown:
            at.ledger.settle(task, Failed(Afterwards.GONE.value, "The API did not know it, and it was given up."), None)
        _keep_word(at)
    return len(rows) + len(unknown)


def adopt_task(path: Path, node: str, task: str, options: Options, around: Surroundings) -> str:
    """Settle a node's uncertain intent: this task is its answer. The next apply collects it. The take's address.

    Where the node was changed since it was asked for in vain, what it would generate now goes before what it was. Raises
    FlowrunError: `task` is no id, or none that the API knows or can be asked about; nothing is uncertain there, several are, or
    the task is on record already. Raises DiagnosticError.
    """
    if _TASK_ID.fullmatch(task) is None:  # an id that the API does not know would end as a lost task, for good
        raise FlowrunError(Exit.WRONG, f"{task[:64]!r} is no task id; nothing was settled", _TASK_ID_HINT)
    with _opened(path, node, options, around) as (at, meant):
        row = meant.one(at)
        asyncio.run(_check_task(at, TaskId(task)))
        try:
            at.ledger.decide(row.intent, Adopted(TaskId(task)))
        except ValueError as error:
            raise FlowrunError(
                Exit.WRONG, f"task {task} cannot be adopted: {error}", "flowrun status lists tasks"
            ) from None
        _keep_word(at)
    return meant.address_of(row)


@contextmanager
def _opened(path: Path, node: str, options: Options, around: Surroundings) -> Iterator[tuple[Bound, _Meant]]:
    check_options(options)
    wanted = _address(node)
    project = find_project(around.cwd / path)
    with bound(project, options, around) as at:
        take_over(at)
        at.reap()
        yield at, _meant(path, wanted, options, at)


def _address(node: str) -> Address:
    try:
        return parse(node)
    except ValueError as error:
        raise FlowrunError(Exit.WRONG, str(error)) from None


# ---- which requests are meant ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Meant:
    """`manifest`: its name in records; `keys`: what the node's takes would generate now, and their addresses; `unread`: why that
    is not known."""

    manifest: str
    wanted: Address
    keys: Mapping[ActionKey, Address] = field(default_factory=dict)
    unread: Exception | None = None

    def named(self, row: IntentRow | TaskRow) -> bool:
        return row.origin.manifest == self.manifest and _is(parse(row.origin.address), self.wanted)

    def now(self, row: IntentRow | TaskRow) -> bool:
        return row.key in self.keys

    def one(self, at: Bound) -> IntentRow:
        """Raises FlowrunError, DiagnosticError."""
        doubted = at.ledger.uncertain()
        rows = list(filter(self.now, doubted)) or list(filter(self.named, doubted))
        if not rows:
            raise self.nothing()
        if len(rows) > 1:
            takes = ", ".join(sorted(map(self.address_of, rows)))
            raise FlowrunError(Exit.WRONG, f"'{self.wanted}' has several uncertain submissions", f"name one: {takes}")
        return rows[0]

    def address_of(self, row: IntentRow) -> str:
        return str(self.keys.get(row.key, row.origin.address))

    def nothing(self) -> Exception:
        """There is none. Where the manifest cannot be read, that may be the reason."""
        if self.unread is not None:
            return self.unread
        return FlowrunError(Exit.WRONG, f"'{self.wanted}' has no uncertain submission", "flowrun status lists them")


def _meant(path: Path, wanted: Address, options: Options, at: Bound) -> _Meant:
    name = name_in(at.project, (at.around.cwd / path).absolute())
    try:
        plan = Production(path, options, at.around, demand=False).plan_with(at)
    except (DiagnosticError, FlowrunError) as error:
        return _Meant(name, wanted, unread=error)
    return _Meant(name, wanted, {key: each for step in plan.steps.values() for key, each in _keys(step, wanted)})


def _keys(step: Step, wanted: Address) -> Iterator[tuple[ActionKey, Address]]:
    for take in step.takes:
        address = step.address.of_take(take.take)
        if take.doc is not None and _is(address, wanted):
            yield take.doc.key, address


def _is(address: Address, wanted: Address) -> bool:
    if wanted.take is not None:
        return address == wanted
    return address.without_take() == wanted or (wanted.key is None and address.node_id == wanted.node_id)


# ---- what is done about them -----------------------------------------------------------------------------------------


def _keep_word(at: Bound) -> None:
    """A person's word stands in no journal, but in the ledger's newest copy. Where there is no room for one it is asked for
    again, should the ledger be damaged."""
    with suppress(OSError):
        at.written.back_up()


async def _check_task(at: Bound, task: TaskId) -> None:
    """A task that is not there would be settled as lost, and paid for again. Asking costs nothing. Raises FlowrunError."""
    try:
        await at.client().task(task)
    except GoneError as error:
        hint = "copy the id from where the task is listed; a task of another key is known to that key only"
        raise FlowrunError(Exit.WRONG, f"the API knows no task {task}; nothing was settled", hint) from error
    except (RunwayError, AttemptError) as error:
        message = f"the API cannot be asked about task {task}: {error}; nothing was settled"
        raise FlowrunError(Exit.SURROUNDINGS, message, "check key and network, and adopt again") from error
    finally:
        await at.close_client()
