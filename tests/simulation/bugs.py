"""Five mistakes that people make, laid over the real code, to prove that the simulation would see them. Owns the mistakes: each
is a list of patches, as `simulate` takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowrun.engine import attempt as attempts
from flowrun.engine.failure import AttemptError, Failure, Verdict
from flowrun.engine.ports import Attempt
from flowrun.ledger.protocol import Failed, IntentOutcome
from flowrun.ledger.tables import where
from flowrun.ledger.transactions import FactLedger
from flowrun.runway.client import RunwayClient
from flowrun.runway.errors import AnswerLostError
from flowrun.runway.values import Task
from flowrun.store.landing import Draft, Landing
from flowrun.store.protocol import Result
from flowrun.store.results import DiskResults
from tests.simulation.process import moment

Patches = list[tuple[Any, str, Any]]


def resend_on_timeout() -> Patches:
    """The client sends a creation again whose answer did not come, as the official SDK does."""
    real = RunwayClient.submit

    async def submit(self: RunwayClient, path: str, body: Any) -> Any:
        try:
            return await real(self, path, body)
        except AnswerLostError:
            return await real(self, path, body)

    return [(RunwayClient, "submit", submit)]


def lease_freed_on_owner_death() -> Patches:
    """Reaping a dead owner frees the slots of its tasks, which still run at the API."""
    real = FactLedger._let_go

    def let_go(self: FactLedger, owner: Any) -> None:
        real(self, owner)
        for intent in self._tables.intents.find(where(owner=(owner,), outcome=(IntentOutcome.ACCEPTED,))):
            for row in self._tables.tasks.find(where(key=(intent.key,), settled=(False,))):
                self._tables.tasks.put(replace(row, status="FREED"))

    return [(FactLedger, "_let_go", let_go)]


def commit_before_blob() -> Patches:
    """A result is written before its blobs are in the store, and a death in between leaves half."""
    landing, committing = Landing.land, DiskResults.commit
    late: list[Callable[[], None]] = []

    def land(self: Landing, draft: Draft, target: Path, *, mode: int) -> None:
        if "blobs" not in target.parts:
            landing(self, draft, target, mode=mode)
            return
        draft.stream.flush()
        data = draft.path.read_bytes()
        late.append(lambda: _put(target, data))

    def commit(self: DiskResults, result: Result) -> None:
        committing(self, result)
        while late:
            late.pop()()

    admitted: Patches = [(DiskResults, "_admit", lambda self, result: None)]
    return [*admitted, (Landing, "land", land), (DiskResults, "commit", commit)]


def _put(target: Path, data: bytes) -> None:
    moment("before store.land blobs")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def budget_checked_after_submit() -> Patches:
    """A request is granted as long as the cap is not used up; what it costs itself counts only once it was sent."""
    real = FactLedger.reserve

    def reserve(self: FactLedger, claim: Any, model: str, credits: int | None, limits: Any) -> Any:
        cap = limits.run_cap
        if cap is not None and self.committed(claim.run) < cap:
            limits = replace(limits, run_cap=cap + 1_000_000)
        return real(self, claim, model, credits, limits)

    return [(FactLedger, "reserve", reserve)]


def download_skipped_on_stop() -> Patches:
    """After Ctrl-C a task that has ended is settled, and its output is left where it is."""
    real = attempts.collect

    async def collect(attempt: Attempt, seen: Task, submitted_at: float) -> Result:
        work = asyncio.ensure_future(real(attempt, seen, submitted_at))
        while not (work.done() or attempt.run.stopping()):
            await asyncio.wait([work], timeout=0.005)
        if work.done():
            return work.result()
        work.cancel()
        await asyncio.wait([work])
        attempt.ports.ledger.settle(seen.id, Failed("STOPPED", "The run was stopped."), None)
        raise AttemptError(Failure(Verdict.FAIL, "stopped", "The run was stopped.", task=seen.id))

    return [(attempts, "collect", collect)]


BUGS: dict[str, Callable[[], Patches]] = {
    "resend-on-timeout": resend_on_timeout,
    "lease-freed-on-owner-death": lease_freed_on_owner_death,
    "commit-before-blob": commit_before_blob,
    "budget-checked-after-submit": budget_checked_after_submit,
    "download-skipped-on-stop": download_skipped_on_stop,
}
