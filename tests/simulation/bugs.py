"""Five mistakes that people make, laid over the real code, to prove that the simulation would see them. Owns the mistakes: each is
a list of patches, as `simulate` takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flowrun.engine import attempt as attempts
from flowrun.engine.failure import AttemptError, Failure, Verdict
from flowrun.ledger.protocol import Failed, IntentOutcome
from flowrun.ledger.tables import where
from flowrun.ledger.transactions import FactLedger
from flowrun.runway.client import RunwayClient
from flowrun.runway.errors import AnswerLostError
from flowrun.store.landing import Landing

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
    """What belongs to a result comes into the store after it: its file is written first, and a death in between leaves half."""
    real = Landing.land
    late: list[Callable[[], None]] = []

    def land(self: Landing, draft: Any, target: Any, *, mode: int) -> None:
        if target.parent.parent.name != "blobs":
            real(self, draft, target, mode=mode)
            return
        draft.stream.flush()
        data = draft.path.read_bytes()
        late.append(lambda: self.write(target, data, mode=mode))

    return [(Landing, "land", land), *_then(late)]


def _then(late: list[Callable[[], None]]) -> Patches:
    from flowrun.store.blobs import DiskBlobs
    from flowrun.store.results import DiskResults

    commit, writing = DiskResults.commit, Landing.write

    def commit_first(self: DiskResults, result: Any) -> None:
        commit(self, result)
        while late:
            late.pop()()

    def write(self: Landing, target: Any, data: bytes, *, mode: int = 0o644) -> None:
        if target.parent.parent.name != "blobs":
            writing(self, target, data, mode=mode)
            return
        with self.draft() as draft:
            draft.stream.write(data)
            draft.stream.flush()
            target.parent.mkdir(parents=True, exist_ok=True)
            _moment(f"before store.land blobs/{target.name}")
            draft.path.replace(target)

    return [(DiskResults, "commit", commit_first), (DiskResults, "_admit", lambda self, result: None), (Landing, "write", write)]


def _moment(name: str) -> None:
    from tests.simulation.process import moment

    moment(name)


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
    """After Ctrl-C a task that has ended is settled and its output is left where it is."""
    real = attempts.collect

    async def collect(attempt: Any, seen: Any, submitted_at: float) -> Any:
        if attempt.run.stopping():
            attempt.ports.ledger.settle(seen.id, Failed("STOPPED", "The run was stopped."), None)
            raise AttemptError(Failure(Verdict.FAIL, "stopped", "The run was stopped.", task=seen.id))
        return await real(attempt, seen, submitted_at)

    return [(attempts, "collect", collect)]


BUGS: dict[str, Callable[[], Patches]] = {
    "resend-on-timeout": resend_on_timeout,
    "lease-freed-on-owner-death": lease_freed_on_owner_death,
    "commit-before-blob": commit_before_blob,
    "budget-checked-after-submit": budget_checked_after_submit,
    "download-skipped-on-stop": download_skipped_on_stop,
}
