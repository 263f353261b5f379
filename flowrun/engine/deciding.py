"""Between the planner and the scheduler: steps become events and actions, outcomes become knowledge for the next step.
Owns what this run has made so far, and the picks that follow from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from flowrun.action import ActionDoc
from flowrun.digest import Digest
from flowrun.engine import events as ev
from flowrun.engine.body import needs_preparing
from flowrun.engine.commands import Settle
from flowrun.engine.failure import AttemptError, Failure, Verdict
from flowrun.engine.placing import placed
from flowrun.engine.ports import REAP_AFTER, Place, Ports, Run
from flowrun.engine.scheduler import unit_name
from flowrun.engine.states import USABLE, NodeState
from flowrun.engine.verdicts import of_doubt
from flowrun.graph.address import Address, parse
from flowrun.graph.outcomes import Barred, Made, Skipped
from flowrun.ids import ActionKey
from flowrun.ledger.protocol import Origin
from flowrun.plan.model import Decision, Step, TakeStep
from flowrun.plan.planner import Planner
from flowrun.store.protocol import Pick, Result, StoredFile

_WORDS = {
    NodeState.FAILED: "failed",
    NodeState.REJECTED: "was rejected",
    NodeState.UNCERTAIN: "is uncertain",
    NodeState.EXCLUDED: "is not selected and was not made with these inputs",
}


@dataclass(slots=True)
class Deciding:
    """`origin_of` makes the ledger's origin of a unit; `fetch` brings https inputs; `stash_input` puts a planned input
    into the store, as it was planned."""

    planner: Planner
    ports: Ports
    run: Run
    origin_of: Callable[[Step, TakeStep], Origin]
    fetch: Callable[[str], Awaitable[None]]
    stash_input: Callable[[Digest], None]
    agreed: Mapping[str, int] = field(default_factory=dict)  # by address, the most generations that the plan showed
    may_spend: bool = True  # whether a task that is only taken up may be generated anew where it fails
    resumed: frozenset[ActionKey] = frozenset()  # keys whose open tasks the plan takes up
    reap_after: float = REAP_AFTER
    units: dict[str, tuple[ActionDoc, Origin]] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    made: dict[str, Result] = field(default_factory=dict)
    shares: dict[str, bool] = field(default_factory=dict)  # by unit, whether a twin was to make it
    anew: dict[str, bool] = field(default_factory=dict)  # by unit, whether a request may be sent for it
    decided_at: dict[str, float] = field(default_factory=dict)  # by unit, when the ledger was looked at for it
    problems: dict[str, Failure] = field(default_factory=dict)

    async def decide(self, address: str) -> ev.Decided:
        """The planner's word, once every https input it needs has been fetched."""
        at = parse(address)
        step = self.planner.decide(at)
        if step.unread:
            try:
                for url in step.unread:
                    await self.fetch(url)
            except AttemptError as error:
                return self.not_decided(address, error.failure.code, _whole(error.failure.message, error.failure.hint))
            step = self.planner.decide(at)
        self.steps[address] = step
        refusal = self._refusal(address, step)
        return self.not_decided(address, *refusal) if refusal else self._decided(address, step)

    def _refusal(self, address: str, step: Step) -> tuple[str, str] | None:
        """Code and message of what stops the instance now that everything above it is known."""
        if step.problems:
            first = step.problems[0]
            message = f"{first.span}: {first.message}" if first.span else first.message
            return first.code, _whole(message, first.hint)
        if step.decision is Decision.UNDECIDED:  # everything upstream has ended, so nothing more will be known
            return "undecided", f"it {step.why.detail if step.why else 'waits'}, which has ended"
        if step.submissions > self.agreed.get(address, step.submissions):
            message = "a result or task that the plan counted on is gone, and it would have to be generated anew"
            return "changed-since-plan", _whole(message, "apply again to see what that costs")
        return None

    def not_decided(self, address: str, code: str, message: str) -> ev.Decided:
        """The answer for an instance that cannot be decided: it has failed, this time."""
        self.problems[address] = Failure(Verdict.FAIL, code, message)
        return ev.Decided(self.ports.clock.now(), address, "failed", code, detail=message)

    def _decided(self, address: str, step: Step) -> ev.Decided:
        specs = tuple(self._spec(address, step, take) for take in step.takes)
        retry = self.planner.graph.instances[step.address].node.decl.retry
        return ev.Decided(
            self.ports.clock.now(),
            address,
            step.decision.value,
            step.why.reason.value if step.why else None,
            specs,
            step.pick,
            retry,
            _detail(step),
        )

    def _spec(self, address: str, step: Step, take: TakeStep) -> ev.UnitSpec:
        unit = unit_name(address, take.take)
        if take.doc is not None:
            self.units[unit] = (take.doc, self.origin_of(step, take))
        if take.result is not None:
            self.made[unit] = take.result
        prepare = take.decision is Decision.RUN and take.doc is not None and self._needs_work(step, take.doc)
        self.shares[unit] = take.is_shared
        self.decided_at[unit] = self.ports.clock.now()
        anew = self.may_spend or take.decision is not Decision.RESUME
        anew = self.anew[unit] = anew and self.planner.may_run(step.address)
        credits = take.cost.high if take.doc else None
        return ev.UnitSpec(take.take, take.decision.value, step.model, credits, prepare, anew)

    def _needs_work(self, step: Step, doc: ActionDoc) -> bool:
        missing = any(not self.ports.blobs.has(each.digest) for each in doc.inputs.values())
        return missing or needs_preparing(doc, self.ports, self.run)

    async def stash(self, unit: str) -> None:
        """Put the unit's local inputs into the store. Raises AttemptError where a file is not as planned any more."""
        for media in self.units[unit][0].inputs.values():
            if not self.ports.blobs.has(media.digest):
                await self.ports.offload(partial(self.stash_input, media.digest))

    def settle(self, command: Settle) -> None:
        """Make the outcome known to what comes below, and record the pick that follows from it."""
        at, state = parse(command.address), NodeState(command.state)
        if state is NodeState.SKIPPED:
            self.planner.known[at] = Skipped()
        elif command.take is None or state not in USABLE:
            self.planner.known[at] = Barred(_WORDS.get(state, "is blocked"))
        else:
            self._flow(at, command.take)

    def _flow(self, at: Address, take: int) -> None:
        result = self.made[unit_name(str(at), take)]
        self.planner.known[at] = Made(result.outputs, self._all_takes(at))
        flow = self.planner.graph.flow
        now, provider = self.ports.clock.now(), self.planner.wishes.provider
        self.ports.results.flowed(provider, flow.name, flow.profile, str(at), result, now)
        _, origin = self.units[unit_name(str(at), take)]
        by = "forced" if origin.forced else "default"
        self.planner.sources.picks.set(Pick(result.recipe, take, result.id, by, now, str(at)))

    def _all_takes(self, at: Address) -> tuple[tuple[StoredFile, ...], ...] | None:
        numbers = range(1, self.planner.graph.instances[at].takes + 1)
        units = [unit_name(str(at), take) for take in numbers]
        if any(unit not in self.made for unit in units):
            return None
        return tuple(self.made[unit].outputs for unit in units)

    def placer(self, unit: str) -> Place:
        """Finds where the fields of the unit's request are written."""
        return partial(placed, self.planner, parse(unit).without_take())

    def refused_meanwhile(self, unit: str) -> Failure | None:
        """Another process sent the same while this unit waited, and it was refused for good: nobody asked to send it again."""
        ledger, key = self.ports.ledger, self.units[unit][0].key
        facts = ledger.last([key]).get(key)
        if facts is None or facts.failure is None or not facts.failure.rejected:
            return None
        row = next((each for each in ledger.tasks() if each.task == facts.failed_task), None)
        if row is None or row.run == self.run.id or (row.settled_at or 0.0) < self.decided_at[unit]:
            return None
        message = f"Another process sent it meanwhile, and nothing was sent from here. {facts.failure.message}"
        hint = "Change it, or apply again with --retry-rejected to send it as it is."
        return Failure(Verdict.FAIL, facts.failure.code, message, hint, row.task, charged=0)

    def gone(self) -> Failure:
        """A task was to be taken up, and is settled meanwhile without a result: generating anew was not agreed to."""
        message = "The task that was to be taken up has ended without a result; nothing was sent."
        return Failure(
            Verdict.FAIL, "changed-since-plan", message, "Apply again to see what generating it costs.", charged=0
        )

    def unshared(self) -> Failure:
        """What a twin was to make came to nothing, and a request of one's own was not agreed to."""
        message = "Its twin ended without a result; nothing was sent for this one."
        return Failure(Verdict.FAIL, "twin-failed", message, "Apply again to see what generating it costs.", charged=0)

    def lost_twin(self) -> Failure:
        return Failure(
            Verdict.RESEND, "twin-lost", "Its twin ended without a result; nothing was sent.", charged=0, delay=1.0
        )


def _detail(step: Step) -> str | None:
    """What is known of the decision beside its name: of an unanswered request, all."""
    doubts = [take.uncertain for take in step.takes if take.decision is Decision.UNCERTAIN and take.uncertain]
    if step.decision is Decision.UNCERTAIN and doubts:
        return of_doubt(doubts[0]).message
    return step.why.detail if step.why else None


def _whole(message: str, hint: str | None) -> str:
    return f"{message} ({hint})" if hint else message
