"""The moments of an apply at which a process may die or stand still, by name. Owns the seam of each: what is patched, and on
which side of it the moment lies. Nothing of the engine is imported here, so that a process can set its constants first."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from flowrun.digest import Digest
from flowrun.ledger.transactions import FactLedger
from flowrun.runway.client import RunwayClient
from flowrun.store import exporter
from flowrun.store.blobs import DiskBlobWriter
from flowrun.store.landing import Landing
from flowrun.store.records import DiskPicks
from flowrun.store.results import DiskResults
from flowrun.store.runs import DiskRuns

ANSWER_BEGINS = "http11.receive_response_headers.started"  # httpcore's: all was sent, and nothing has been read


@dataclass(slots=True)
class Moment:
    """Passed again and again; at the `nth` passing it strikes."""

    nth: int
    strike: Callable[[], None]
    passed: int = 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.nth:
            self.strike()


Seam = Callable[[Moment], None]
"""Patches this process so that it passes a moment."""


def _before(place: Any, name: str, counts: Callable[..., bool] = lambda *args, **more: True) -> Seam:
    """`counts`: whether a call, by its arguments, is one of that moment."""

    def seam(moment: Moment) -> None:
        method = getattr(place, name)

        def patched(*args: Any, **more: Any) -> Any:
            if counts(*args, **more):
                moment()
            return method(*args, **more)

        setattr(place, name, patched)

    return seam


def _after(place: Any, name: str) -> Seam:
    def seam(moment: Moment) -> None:
        method = getattr(place, name)

        def patched(*args: Any, **more: Any) -> Any:
            value = method(*args, **more)
            moment()
            return value

        setattr(place, name, patched)

    return seam


def _answered(name: str) -> Seam:
    """After a call of the client has its answer."""

    def seam(moment: Moment) -> None:
        method: Callable[..., Awaitable[Any]] = getattr(RunwayClient, name)

        async def patched(*args: Any) -> Any:
            answer = await method(*args)
            moment()
            return answer

        setattr(RunwayClient, name, patched)

    return seam


def _accepted(moment: Moment) -> None:
    """The whole request has left and the server has accepted it, which it says itself; nothing of its answer was read."""
    send = httpx.AsyncClient.send

    async def patched(client: httpx.AsyncClient, request: httpx.Request, **more: Any) -> httpx.Response:
        async def trace(event: str, info: Any) -> None:
            if event == ANSWER_BEGINS:
                _await_accepted(request)
                moment()

        if request.method == "POST" and b'"promptText"' in request.content:
            request.extensions = {**request.extensions, "trace": trace}
        return await send(client, request, **more)

    httpx.AsyncClient.send = patched


def _await_accepted(request: httpx.Request) -> None:
    """Ask the server until it knows the task. This process does nothing else meanwhile."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    prompt = json.loads(request.content)["promptText"]
    while True:
        with direct.open(str(request.url.join("/__sandbox__/state")), timeout=30) as answer:
            if prompt in (each["prompt"] for each in json.load(answer)["submissions"]):
                return


def _half_written(moment: Moment) -> None:
    """Half of the first bytes that came are in the temporary file."""
    write = DiskBlobWriter.write

    def patched(writer: DiskBlobWriter, data: bytes) -> None:
        half = len(data) // 2
        write(writer, data[:half])
        moment()
        write(writer, data[half:])

    DiskBlobWriter.write = patched


def _half_exported(moment: Moment) -> None:
    """Half of a file lies beside its target, under a temporary name."""
    copy = exporter._copy

    def patched(source: Any, stream: Any, digest: Digest) -> None:
        stream.write(source.read(digest.size // 2))
        stream.flush()
        moment()
        source.seek(0)
        stream.seek(0)
        copy(source, stream, digest)

    exporter._copy = patched


def _is_result(landing: Landing, target: Path, *args: Any, **more: Any) -> bool:
    return target.suffix == ".json" and "results" in target.parts


POINTS: dict[str, Seam] = {
    "after-claim": _after(FactLedger, "claim"),
    "after-reserve": _after(FactLedger, "reserve"),
    "before-intent": _before(FactLedger, "intend"),
    "after-intent": _after(FactLedger, "intend"),
    "before-send": _before(RunwayClient, "submit"),
    "after-send": _accepted,
    "after-answer": _answered("submit"),
    "after-id": _after(FactLedger, "submitted"),
    "polling": _before(RunwayClient, "task"),
    "before-ended": _before(FactLedger, "ended"),
    "after-ended": _after(FactLedger, "ended"),
    "half-download": _half_written,
    "before-commit": _before(DiskResults, "commit"),
    "half-commit": _before(Landing, "create", _is_result),
    "after-commit": _after(DiskResults, "commit"),
    "after-settle": _after(FactLedger, "settle"),
    "before-pick": _before(DiskPicks, "set"),
    "half-export": _half_exported,
    "after-export": _after(exporter.Exporter, "_place"),
    "before-end": _before(DiskRuns, "end"),
    "before-retire": _before(FactLedger, "retire"),
}
"""In the order of an apply. polling: the end of a task was not seen, and it is about to be asked for; half-commit: the index
tells of the result, and its file is not there."""

UNKNOWN = ("after-intent", "before-send", "after-send", "after-answer")
"""Where nobody can know afterwards whether the request was accepted."""

ACCEPTED = ("after-send", "after-answer")
"""Those of them where it was."""
