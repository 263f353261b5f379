"""A person's word on what nobody else can know: nothing came of a request, or this task is its answer.

Owns which requests a node's name means: those that were sent under it, whatever became of the manifest since, and those of what
the node would generate now, whoever sent them. So the name that a plan shows is as good as the one that `status` shows; where
the two are not the same request, it is asked which.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
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
from flowrun.production.configuring import settings_of
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.mending import when
from flowrun.production.offline import check_options
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from flowrun.production.taking_over import take_over
from flowrun.runway.errors import Afterwards, GoneError, RunwayError
from flowrun.store.location import find_project, is_no_more, name_in, store_root

_TASK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)  # the description's form: a UUID
_TASK_ID_HINT = "give it whole, as the API does: 36 characters, such as 1f0c3b52-8a54-4c1e-9f3b-2d6f0a7c9e11"


def forget_uncertain(path: Path, node: str, options: Options, around: Surroundings, request: int | None = None) -> int:
    """Settle every uncertain intent of a node (an instance, or one take) of the manifest at `path`: nothing came of it; and
    every task of it that the API does not know, asked with another key than sent its request. `request`: only the intent of
    that number. How many. Raises FlowrunError, DiagnosticError."""
    with _opened(path, node, options, around) as (at, meant):
        gone = [row for row, _ in at.ledger.open(str(at.store.root)) if row.status == GONE]
        unknown = [row.task for row in gone if meant.named(row) or meant.now(row)] if request is None else []
        rows = [] if unknown else meant.several(at, request)
        if any(map(meant.only_named, rows)) and any(map(meant.only_now, rows)):
            raise _which(node, rows)
        for row in rows:
            at.ledger.decide(row.intent, Forgotten())
        for task in unknown:
            at.ledger.settle(task, Failed(Afterwards.GONE.value, "The API did not know it, and it was given up."), None)
        _keep_word(at)
    return len(rows) + len(unknown)


def adopt_task(
    path: Path, node: str, task: str, options: Options, around: Surroundings, request: int | None = None
) -> str:
    """Settle a node's uncertain intent: this task is its answer. The next apply collects it. `request`: of several, the intent
    of that number. The take's address.

    Raises FlowrunError: `task` is no id, or none that the API knows or can be asked about; nothing is uncertain there, several
    are, or the task is on record already. Raises DiagnosticError.
    """
    if _TASK_ID.fullmatch(task) is None:  # an id that the API does not know would end as a lost task, for good
        raise FlowrunError(Exit.WRONG, f"{task[:64]!r} is no task id; nothing was settled", _TASK_ID_HINT)
    with _opened(path, node, options, around) as (at, meant):
        rows = meant.several(at, request)
        if len(rows) > 1:
            raise _which(node, rows)
        asyncio.run(_check_task(at, TaskId(task)))
        try:
            at.ledger.decide(rows[0].intent, Adopted(TaskId(task)))
        except ValueError as error:
            raise FlowrunError(
                Exit.WRONG, f"task {task} cannot be adopted: {error}", "flowrun status lists tasks"
            ) from None
        _keep_word(at)
    return meant.address_of(rows[0])


@contextmanager
def _opened(path: Path, node: str, options: Options, around: Surroundings) -> Iterator[tuple[Bound, _Meant]]:
    check_options(options)
    wanted = _address(node)
    project = find_project(around.cwd / path)
    production = _read(path, options, around)
    settings = settings_of(project, around)
    if isinstance(production, Exception) and not store_root(project, str(settings.cache.dir or "")).exists():
        raise production  # a name that was mistyped makes no store
    with bound(project, options, around, settings) as at:
        take_over(at)
        at.reap()
        yield at, _meant(path, wanted, production, at)


def _read(path: Path, options: Options, around: Surroundings) -> Production | Exception:
    """The manifest, or why it cannot be read: what was sent under its name can be settled all the same."""
    try:
        return Production(path, options, around, demand=False)
    except (DiagnosticError, FlowrunError) as error:
        return error


def _address(node: str) -> Address:
    try:
        return parse(node)
    except ValueError as error:
        raise FlowrunError(Exit.WRONG, str(error)) from None


# ---- which requests are meant ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Meant:
    """`manifest`: its name in the records of `store`; `keys`: what the node's takes would generate now, and their addresses;
    `unread`: why that is not known."""

    store: str
    manifest: str
    wanted: Address
    keys: Mapping[ActionKey, Address] = field(default_factory=dict)
    unread: Exception | None = None

    def named(self, row: IntentRow | TaskRow) -> bool:
        """Sent under that name: by this project, wherever it was then."""
        of_ours = row.origin.store == self.store or is_no_more(row.origin.store)
        return of_ours and row.origin.manifest == self.manifest and _is(parse(row.origin.address), self.wanted)

    def now(self, row: IntentRow | TaskRow) -> bool:
        """What the node would generate, whoever sent it."""
        return row.key in self.keys

    def only_named(self, row: IntentRow) -> bool:
        return not self.now(row)

    def only_now(self, row: IntentRow) -> bool:
        return not self.named(row)

    def several(self, at: Bound, request: int | None) -> list[IntentRow]:
        """At least one. Raises FlowrunError, DiagnosticError."""
        rows = [row for row in at.ledger.uncertain() if self.named(row) or self.now(row)]
        rows = [row for row in rows if request in (None, row.intent)]
        if not rows and self.unread is not None:  # that may be the reason
            raise self.unread
        if not rows:
            what = "uncertain submission" if request is None else f"uncertain submission of the number {request}"
            raise FlowrunError(Exit.WRONG, f"'{self.wanted}' has no {what}", "flowrun status lists them")
        return rows

    def address_of(self, row: IntentRow) -> str:
        return str(self.keys.get(row.key, row.origin.address))


def _which(node: str, rows: Iterable[IntentRow]) -> FlowrunError:
    """Where a name means several, and a guess could give a task to the wrong one, or give up one that nobody spoke of."""
    told = (f"{row.intent} (sent as {row.origin.address}, {when(row.intended_at)})" for row in rows)
    hint = f"say which with --request N: {', '.join(told)}"
    return FlowrunError(Exit.WRONG, f"'{node}' has several uncertain submissions; nothing was settled", hint)


def _meant(path: Path, wanted: Address, production: Production | Exception, at: Bound) -> _Meant:
    store, name = str(at.store.root), name_in(at.project, (at.around.cwd / path).absolute())
    if isinstance(production, Exception):
        return _Meant(store, name, wanted, unread=production)
    try:
        plan = production.plan_with(at)
    except (DiagnosticError, FlowrunError) as error:
        return _Meant(store, name, wanted, unread=error)
    return _Meant(store, name, wanted, {key: each for step in plan.steps.values() for key, each in _keys(step, wanted)})


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
