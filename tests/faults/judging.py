"""What must hold once a production that was killed or frozen has been taken up to its end. Owns the promises, as the server and
the disk show them: each request accepted once, each result in the store with the server's bytes, exports whole, no litter."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowrun.media.probe import NotMediaError, probe
from tests.faults.stage import EXPORTS, NODES, Production

Results = dict[str, dict[str, Any]]
"""By task."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`doubles`: requests accepted again though nobody said so; `lost`: tasks that succeeded and are not in the store; `wrong`:
    everything else, in words."""

    doubles: int
    lost: int
    wrong: tuple[str, ...]


def judge(project: Production, resent: Collection[str] = ()) -> Judgement:
    """`resent`: nodes that a person had sent again, each of which may be accepted once more."""
    accepted, results = project.accepted(), _results(project)
    return Judgement(
        _doubles(project, accepted, resent),
        _lost(project, accepted, results, resent),
        tuple(_wrong(project, accepted, results)),
    )


def _doubles(project: Production, accepted: list[dict[str, Any]], resent: Collection[str]) -> int:
    times = Counter((each["operation"], each["prompt"]) for each in accepted)
    again = {project.prompt(address) for address in resent}
    return sum(max(0, number - 1 - (prompt in again)) for (_, prompt), number in times.items())


def _lost(project: Production, accepted: list[dict[str, Any]], results: Results, resent: Collection[str]) -> int:
    """Of a request that a person had sent again, the first answer's id is known to nobody: the second one is in the store."""
    again = {project.prompt(address) for address in resent}
    missing = [each["prompt"] for each in accepted if each["status"] == "SUCCEEDED" and each["id"] not in results]
    return len(missing) - sum(min(missing.count(prompt), 1) for prompt in again)


def _wrong(project: Production, accepted: list[dict[str, Any]], results: Results) -> Iterator[str]:
    made = {each["prompt"] for each in accepted}
    yield from (f"{address} was never sent" for address in NODES if project.prompt(address) not in made)
    yield from (f"{each['prompt']} is {each['status']}" for each in accepted if each["status"] != "SUCCEEDED")
    unheard = set(results) - {each["id"] for each in accepted}
    yield from (f"a result of task {task}, which the server does not know" for task in unheard)
    for task, result in results.items():
        yield from _wrong_result(project, task, result)
    yield from _wrong_exports(project, results)
    yield from _litter(project)
    yield from _unsettled(project)


def _results(project: Production) -> Results:
    documents = [json.loads(each.read_bytes()) for each in (project.store / "results").rglob("*.json")]
    found = {document["task"]: document for document in documents}
    assert len(found) == len(documents), "two results of one task"
    return found


def _wrong_result(project: Production, task: str, result: dict[str, Any]) -> Iterator[str]:
    """The blobs are there, decode, and are what the server serves for that task."""
    digests = _digests(result)
    for sha256 in digests:
        blob = project.store / "blobs" / sha256[:2] / sha256
        if not blob.is_file() or _sha256(blob.read_bytes()) != sha256:
            yield f"the blob {sha256} of task {task} is missing or damaged"
        else:
            yield from _undecodable(blob)
    if digests != _served(project, task):
        yield f"the result of task {task} has other bytes than the server"


def _digests(result: dict[str, Any]) -> list[str]:
    return [each["sha256"] for each in result["outputs"]]


def _served(project: Production, task: str) -> list[str]:
    assert project.served is not None
    links = project.served.send("GET", f"/v1/tasks/{task}").json().get("output", [])
    return [_sha256(project.served.web.get(link).content) for link in links]


def _undecodable(path: Path) -> Iterator[str]:
    try:
        probe(path)
    except NotMediaError as error:
        yield f"{path} does not decode: {error}"


def _wrong_exports(project: Production, results: Results) -> Iterator[str]:
    files = [each for each in project.exports.rglob("*") if each.is_file() and not each.name.startswith(".tmp-")]
    kept = {sha256 for result in results.values() for sha256 in _digests(result)}
    if len(files) != EXPORTS:
        yield f"exported are {sorted(each.name for each in files)}"
    yield from (f"the export {each.name} is no result" for each in files if _sha256(each.read_bytes()) not in kept)


def _litter(project: Production) -> Iterator[str]:
    blobs = [each for each in (project.store / "blobs").rglob("*") if each.is_file()]
    yield from (f"litter: {each}" for each in blobs if _sha256(each.read_bytes()) != each.name)
    results = [each for each in (project.store / "results").rglob("*") if each.is_file()]
    yield from (f"litter: {each}" for each in results if each.suffix != ".json")
    yield from (f"litter: {each}" for each in project.leftovers())


def _unsettled(project: Production) -> Iterator[str]:
    with project.ledger() as ledger:
        left = {
            "open tasks": ledger.open(),
            "requests without answer": ledger.unanswered(),
            "slots held": ledger.in_flight(),
            "owners": ledger.owners(),
        }
    yield from (f"the ledger has {what}: {rows}" for what, rows in left.items() if rows)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
