"""The promises, held against the sandbox's books and the store's files. Owns what is looked at after every round and at the end;
what is checked at the moment of an acceptance is `world`'s."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowrun.ledger.protocol import IntentOutcome, LedgerDamagedError
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.media.probe import NotMediaError, probe
from flowrun.plan.model import Decision
from flowrun.plan.whole import Plan
from flowrun.sandbox.recipe import digest_of
from flowrun.sandbox.records import Task
from flowrun.store.protocol import Result
from tests.simulation.media import quick_media
from tests.simulation.model import Nodes
from tests.simulation.oracle import Wanted, evaluate
from tests.simulation.process import Process
from tests.simulation.world import ViolationError, World


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A plan as it was agreed to. `may_send`: keys that it showed as to be generated or taken up, whoever of several twins sends
    them; `undecided`: by address, the most requests."""

    may_send: frozenset[str]
    undecided: Mapping[str, int]
    decisions: Mapping[str, str]

    @classmethod
    def of(cls, plan: Plan) -> Snapshot:
        takes = [take for step in plan.steps.values() for take in step.takes if take.doc is not None]
        sends = (take.doc.key for take in takes if take.doc and take.decision in (Decision.RUN, Decision.RESUME))
        undecided = {
            str(at): each.most_submissions for at, each in plan.steps.items() if each.decision is Decision.UNDECIDED
        }
        return cls(frozenset(sends), undecided, {str(at): each.decision.value for at, each in plan.steps.items()})


def check_agreement(world: World, process: Process, agreed: Snapshot | None) -> None:
    """What a process submitted stood in the plan that it showed: nothing that it called a hit, and nothing besides."""
    beyond: dict[str, set[str]] = defaultdict(set)
    for each in world.accepted:
        if each.process is process and (agreed is None or each.row.key not in agreed.may_send):
            beyond[each.row.origin.address.partition("#")[0]].add(each.row.key)
    for address, keys in beyond.items():
        most = agreed.undecided.get(address, 0) if agreed else 0
        if len(keys) > most:
            said = agreed.decisions.get(address, "nothing") if agreed else "nothing"
            world.violated("unplanned", f"{address} sent {len(keys)} requests; the plan said {said}, at most {most}")


# -- the store


def results(world: World) -> list[dict[str, Any]]:
    folder = world.folder / ".flowrun" / "sandbox" / "results"
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*/*.json"))]


def _blob(world: World, sha256: str) -> Path:
    return world.folder / ".flowrun" / "sandbox" / "blobs" / sha256[:2] / sha256


def check_store(world: World) -> None:
    """Every result on record is whole: its blobs are here, are what their names say, and decode."""
    for each in results(world):
        for output in each["outputs"]:
            named = _sha256(output)
            if named not in world.sound:
                _check_blob(world, each, named)
                world.sound.add(named)


def _check_blob(world: World, result: Mapping[str, Any], named: str) -> None:
    path = _blob(world, named)
    if not path.is_file():
        world.violated("half-committed", f"result {result['id']} is on record, and its blob {named[:12]} is not here")
    elif hashlib.sha256(path.read_bytes()).hexdigest() != named:
        world.violated("damaged", f"the blob {named[:12]} of result {result['id']} is not what its name says")
    else:
        try:
            probe(path)
        except NotMediaError as error:
            world.violated("undecodable", f"the blob {named[:12]} of result {result['id']}: {error}")


def _sha256(output: Mapping[str, Any]) -> str:
    digest = output.get("digest", output)
    return str(digest["sha256"] if isinstance(digest, Mapping) else digest)


def check_refusals(world: World, ledger: Callable[[], SqliteLedger]) -> None:
    """No request is on record as refused whose task was accepted; once the ledger can be read, where it was destroyed."""
    if not world.accepted:
        return
    with suppress(LedgerDamagedError), closing(ledger()) as at:
        for each in world.accepted:
            row = at._tables.intents.get(each.row.intent)
            if row is not None and row.outcome is IntentOutcome.REFUSED:
                world.violated(
                    "called-refused", f"task {each.task} was accepted, and its request is on record as refused"
                )


# -- the end


def check_end(world: World, nodes: Nodes, plan: Plan, known: set[str]) -> None:
    """Everything that was asked for is there, made of what it should be made of, and nothing that was paid for is lost. `known`:
    the ledger's tasks. Raises ViolationError."""
    _check_kept(world, known)
    tasks = {each.id: each for each in world.tasks()}
    flows = {str(at): _flowing(str(at), step) for at, step in plan.steps.items()}
    wanted = evaluate(nodes)
    if set(flows) != set(wanted):
        raise ViolationError("other-graph", f"planned {sorted(flows)}, and {sorted(wanted)} were asked for")
    for address, asked in wanted.items():
        result = flows[address]
        if (asked is None) != (result is None):
            raise ViolationError("not-there", f"{address}: {asked} was asked for, {result} is there")
        if asked is not None and result is not None:
            _check_made(address, asked, result, flows, tasks)
            _check_takes(address, asked, plan)
    _check_exports(world, flows)


def _check_kept(world: World, known: set[str]) -> None:
    """A task that succeeded ends in the store, unless its id was lost and a person said to forget it."""
    kept = {str(each["task"]) for each in results(world)}
    rows = {each.task: each.row for each in world.accepted}
    for task in world.tasks():
        if task.removed is not None and task.removed < task.ends:
            continue  # cancelled while it ran
        if task.outcome == "SUCCEEDED" and task.id not in kept:
            row = rows.get(task.id)
            if task.id in known or row is None or row.intent not in world.given_up:
                at = row.origin.address if row else "?"
                raise ViolationError(
                    "lost", f"task {task.id} of {at} succeeded, cost {task.cost}, and is not in the store"
                )


def _flowing(address: str, step: Any) -> Result | None:
    if step.decision is Decision.SKIP:
        return None
    if step.decision is not Decision.HIT:
        raise ViolationError("not-there", f"{address} is {step.decision} after a quiet apply")
    found = next((take.result for take in step.takes if take.take == step.pick), None)
    if found is None:
        raise ViolationError("not-there", f"no take of {address} flows: pick {step.pick}")
    result: Result = found
    return result


def _check_made(
    address: str, asked: Wanted, result: Result, flows: Mapping[str, Result | None], tasks: Mapping[str, Task]
) -> None:
    task = tasks[result.task]
    recipe = json.loads(task.recipe)
    made = (task.operation, task.model, recipe["prompt"])
    if made != (asked.operation, asked.model, asked.prompt):
        raise ViolationError("other-result", f"{address} should be {asked}, and was made as {made}")
    bytes_of = {digest_of(each.recipe): hashlib.sha256(quick_media(each.recipe)).hexdigest() for each in tasks.values()}
    sources = [each["blob"] or bytes_of.get(each["recipe"]) for each in recipe["sources"]]
    expected = [_bytes(flows[each]) for each in asked.images]
    if sources != expected:
        raise ViolationError("other-input", f"{address} was made from {sources}, and {expected} flow into it")
    if _bytes(result) != bytes_of[digest_of(task.recipe)]:
        raise ViolationError("other-bytes", f"{address} has not the bytes that task {task.id} made")


def _bytes(result: Result | None) -> str:
    return "" if result is None else result.outputs[0].digest.sha256


def _check_takes(address: str, asked: Wanted, plan: Plan) -> None:
    step = next(step for at, step in plan.steps.items() if str(at) == address)
    there = {take.take for take in step.takes if take.decision is Decision.HIT}
    if not set(range(1, asked.takes + 1)) <= there:
        raise ViolationError("takes", f"{address} should have {asked.takes} takes, and has {sorted(there)}")


def _check_exports(world: World, flows: Mapping[str, Result | None]) -> None:
    """Each result that flows is exported, with its bytes."""
    folder = world.folder / "out" / "sandbox" / "sim"
    there = {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}
    for address, result in flows.items():
        if result is not None and _bytes(result) not in there:
            raise ViolationError("not-exported", f"the result of {address} is not among the exports")
