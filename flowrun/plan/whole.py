"""A whole plan: every instance decided in turn, with what is predicted of those above it. Owns the sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from flowrun.diagnostics.model import Diagnostic
from flowrun.graph.address import Address
from flowrun.graph.model import Graph
from flowrun.plan.flowing import outcome_of_step
from flowrun.plan.model import Cost, Decision, Reason, Step
from flowrun.plan.planner import Planner
from flowrun.plan.reasons import cut


@dataclass(frozen=True)
class Plan:
    """Steps in the manifest's order. `warnings`: of reading, expanding and checking."""

    flow: str
    profile: str
    provider: str
    steps: Mapping[Address, Step]
    warnings: tuple[Diagnostic, ...] = ()

    @cached_property
    def counts(self) -> dict[Decision, int]:
        """Instances by decision; those with none are left out."""
        found = [step.decision for step in self.steps.values()]
        return {decision: found.count(decision) for decision in Decision if decision in found}

    @cached_property
    def cost(self) -> Cost:
        return sum((step.cost for step in self.steps.values()), Cost())

    @cached_property
    def by_model(self) -> dict[str, Cost]:
        """What each model may cost, where it costs anything."""
        sums: dict[str, Cost] = {}
        for step in self.steps.values():
            if step.cost != Cost():
                sums[step.model] = sums.get(step.model, Cost()) + step.cost
        return sums

    @property
    def submissions(self) -> int:
        """Requests that will certainly be sent."""
        return sum(step.submissions for step in self.steps.values())

    @property
    def most_submissions(self) -> int:
        """Requests that may be sent at most, retries aside."""
        return sum(step.most_submissions for step in self.steps.values())

    def submissions_of(self, model: str) -> tuple[int, int]:
        """The fewest and the most generations of a model that an apply may create."""
        steps = [step for step in self.steps.values() if step.model == model]
        return sum(step.submissions for step in steps), sum(step.most_submissions for step in steps)

    @property
    def is_done(self) -> bool:
        """Whether an apply would have nothing to generate, take up or ask a person about."""
        idle = {Decision.HIT, Decision.SKIP, Decision.HELD, Decision.EXCLUDED}
        return all(step.decision in idle for step in self.steps.values())

    @property
    def needs_provider(self) -> bool:
        """Whether an apply has anything to ask of the API."""
        asking = {Decision.RUN, Decision.RESUME, Decision.UNDECIDED}
        return any(step.decision in asking for step in self.steps.values())

    @property
    def problems(self) -> tuple[Diagnostic, ...]:
        return tuple(problem for step in self.steps.values() for problem in step.problems)


def make_plan(planner: Planner, warnings: Iterable[Diagnostic] = ()) -> Plan:
    """Decide everything, each wave of the graph in one batch of lookups; fills the planner's outcomes.

    Where something is made once more, twice: its twins, wherever they stand, take part in it.
    """
    steps = _decided(planner)
    again = {
        take.doc.key: at for at, step in steps.items() for take in step.takes if take.forced and take.doc is not None
    }
    if again:
        planner.remake(again)
        steps = _decided(planner)
    in_order = sorted(planner.graph, key=lambda instance: instance.order)
    flow, ordered = planner.graph.flow, {each.address: steps[each.address] for each in in_order}
    errors = {(each.code, each.span) for step in ordered.values() for each in step.problems}
    only = tuple(each for each in warnings if (each.code, each.span) not in errors)
    return Plan(flow.name, flow.profile, planner.wishes.provider, ordered, only)


def _decided(planner: Planner) -> dict[Address, Step]:
    graph = planner.graph
    steps: dict[Address, Step] = {}
    for wave in waves(graph):
        for step in planner.decide_all(wave):
            steps[step.address] = _blocked_by_selection(step, steps)
            planner.known[step.address] = outcome_of_step(steps[step.address])
    return steps


def _blocked_by_selection(step: Step, steps: Mapping[Address, Step]) -> Step:
    """Say how to go on where a selected node is blocked by one that was not selected."""
    why = step.why
    if step.decision is not Decision.BLOCKED or why is None or why.reason is not Reason.UPSTREAM_BLOCKED:
        return step
    excluded = [up for up in step.upstream if steps[up].decision is Decision.EXCLUDED]
    if not excluded:
        return step
    detail = f"{excluded[0]} is not selected and was not made with these inputs; select +{step.address} to make it too"
    return replace(step, why=replace(why, detail=cut(detail)))


def waves(graph: Graph) -> list[list[Address]]:
    """Instances by distance from the top, so that nobody in a wave depends on another in it, or asks whether it is there."""
    depth: dict[Address, int] = {}
    found: list[list[Address]] = []
    for instance in graph:
        level = 1 + max((depth[edge.source] for edge in instance.edges), default=-1)
        depth[instance.address] = level
        while len(found) <= level:
            found.append([])
        found[level].append(instance.address)
    return found
