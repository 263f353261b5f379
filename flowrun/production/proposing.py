"""What a person is asked to agree to: a plan, what it may cost and take, and what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowrun.engine.estimate import Foreseen, foresee
from flowrun.ledger.protocol import CapLeft, Limits
from flowrun.plan.whole import Plan
from flowrun.production.binding import Bound
from flowrun.production.budget import NEW_RUN, Caps, budget_document, limits_from
from flowrun.production.organization import OrganizationView


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan with what a person wants to know before agreeing to it.

    `balance` in credits, None: the API was not asked or did not answer. `daily_left`: generations that the day still has,
    for each model that may run; None: no limit. `daily_next`: when (epoch seconds) the day of a model of which more may run
    than it has left has a further one, None: not known. `seconds`: expected duration, None where nothing would run. `exports`:
    files that an apply would write from results that are here already. `caps`: all there are, and `left` what each leaves now;
    `foreseen`: what fits them, None where nothing would run. `at`: when the plan was made (epoch seconds).
    """

    plan: Plan
    balance: int | None
    daily_left: Mapping[str, int | None]
    seconds: float | None
    provider: str
    banner: str | None
    exports: int = 0
    caps: Caps = field(default_factory=Caps)
    left: tuple[CapLeft, ...] = ()
    foreseen: Foreseen | None = None
    daily_next: Mapping[str, float | None] = field(default_factory=dict)
    at: float = 0.0

    def document(self) -> dict[str, Any]:
        """As `plan --json` prints it."""
        from flowrun.plan.document import plan_document

        made = plan_document(
            self.plan,
            balance=self.balance,
            daily_left=self.daily_left,
            seconds=self.seconds,
            cap=self.cap,
            daily_next=self.daily_next,
            budget=budget_document(self.left, self.foreseen) if self.caps.bind else None,
        )
        document: dict[str, Any] = made.model_dump(mode="json")
        return document

    @property
    def cap(self) -> int | None:
        """The most credits that an apply would commit, None: no such cap."""
        return self.caps.run

    @property
    def changes(self) -> bool:
        """Whether an apply has anything to do, or to stop at: generate, collect, export, leave undone."""
        return not self.plan.is_done or self.exports > 0

    @property
    def spends(self) -> bool:
        """Whether an apply may cost real credits."""
        return self.provider == "runway" and (self.plan.cost.high > 0 or self.plan.cost.unknown > 0)


def make_proposal(plan: Plan, view: OrganizationView | None, caps: Caps, at: Bound) -> Proposal:
    """`view`: the organization's, None where it was not asked or did not answer."""
    limits = Limits(run_cap=caps.run, day_cap=caps.day) if view is None else view.limits("", caps)
    left = at.ledger.left(NEW_RUN, str(at.project), limits)
    concurrency = view.concurrency if view else (lambda model: None)
    foreseen = foresee(plan, concurrency, limits_from(left, caps)) if plan.needs_provider else None
    return Proposal(
        plan,
        view.organization.balance if view else None,
        _daily_left(plan, view),
        foreseen.seconds if foreseen else None,
        at.choice.name,
        at.choice.banner,
        caps=caps,
        left=left,
        foreseen=foreseen,
        daily_next=_daily_next(plan, view, caps),
        at=at.around.clock.now(),
    )


def _daily_left(plan: Plan, view: OrganizationView | None) -> dict[str, int | None]:
    models = {step.model for step in plan.steps.values() if step.cost.high or step.cost.unknown or step.submissions}
    return {model: view.daily_left(model) for model in sorted(models)} if view else {}


def _daily_next(plan: Plan, view: OrganizationView | None, caps: Caps) -> dict[str, float | None]:
    """For models of which more may run than the day has left."""
    left = _daily_left(plan, view).items()
    scarce = [model for model, few in left if few is not None and plan.submissions_of(model)[1] > few]
    return {model: view.ledger.next_in_day(model, view.limits(model, caps)) for model in scarce} if view else {}
