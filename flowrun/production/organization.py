"""What the organization allows, as last read: limits by model, generations of the day, the balance. Owns turning that into
the ledger's limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flowrun.engine.events import LimitsRead, ModelLimit
from flowrun.engine.failure import AttemptError
from flowrun.ledger.evidence import Reading, reading, standing
from flowrun.ledger.protocol import Ledger, Limits
from flowrun.plan.model import Decision
from flowrun.plan.whole import Plan
from flowrun.production.binding import Bound
from flowrun.production.budget import Caps
from flowrun.production.exits import Exit, FlowrunError
from flowrun.runway.errors import KeyRefusedError, RunwayError, WrongProviderError
from flowrun.runway.pace import MIN_POLL
from flowrun.runway.values import ModelLimits, Organization

DAY = 24 * 3600.0
_MAY_RUN = frozenset({Decision.RUN, Decision.UNDECIDED, Decision.RESUME})


@dataclass(frozen=True, slots=True)
class OrganizationView:
    """`read_at`: epoch seconds. `lowered`: the manifest's own limits, which never raise the organization's. `queue_ahead`:
    how many more may wait at the API, THROTTLED until a slot is free, of each model that the manifest does not lower.
    `is_quick`: a sandbox answered that wants to be asked for tasks more often than the API allows, so they are short."""

    organization: Organization
    read_at: float
    lowered: Mapping[str, int]
    ledger: Ledger
    queue_ahead: int = 0
    is_quick: bool = False

    def concurrency(self, model: str) -> int | None:
        """Generations of a model that may be in flight; None: no limit."""
        tier, own = self._of(model).concurrent, self.lowered.get(model)
        if own is not None and (tier is None or own < tier):
            return own  # beyond it the API would still run them, not throttle them
        return None if tier is None else tier + self.queue_ahead

    def daily_left(self, model: str) -> int | None:
        """Generations of a model that the day still has; None: no limit."""
        daily = self._of(model).daily
        if daily is None:
            return None
        used = max(self.organization.used_today.get(model, 0), self._counted(model))
        return max(0, daily - used)

    def model_limit(self, model: str) -> ModelLimit:
        return ModelLimit(model, self.concurrency(model), self.daily_left(model), self._of(model).daily)

    def limits(self, model: str, caps: Caps) -> Limits:
        """Everything that holds for a request of `model`."""
        used = self.organization.used_today.get(model, 0)
        return Limits(
            concurrency=self.concurrency(model),
            daily=self._of(model).daily,
            used_elsewhere=max(0, used - self._counted_until(model)),
            balance=self.organization.balance,
            balance_at=self.read_at,
            run_cap=caps.run,
            day_cap=caps.day,
            allow_unknown_price=caps.allow_unknown_price,
        )

    def reading(self, model: str) -> Reading:
        """The API's count of a model's generations, held against the ledger's as it stood then."""
        stood = standing(self.ledger, model, self.read_at)
        return reading(self.organization.used_today.get(model, 0), self.read_at, stood, stood)

    def _of(self, model: str) -> ModelLimits:
        return self.organization.models.get(model, ModelLimits())

    def _counted(self, model: str) -> int:
        return self.ledger.created_since(model, self.read_at - DAY)

    def _counted_until(self, model: str) -> int:
        """Creations this ledger knows of from the day before the reading."""
        return self._counted(model) - self.ledger.created_since(model, self.read_at)


def models_that_may_run(plan: Plan) -> tuple[str, ...]:
    """Models of the steps that may ask the API for something, sorted."""
    return tuple(sorted({step.model for step in plan.steps.values() if step.model and step.decision in _MAY_RUN}))


def limits_read(view: OrganizationView, models: Iterable[str], now: float) -> LimitsRead:
    """The view as an event, for those who show it."""
    return LimitsRead(now, view.organization.balance, tuple(map(view.model_limit, models)))


async def read_organization(bound: Bound, lowered: Mapping[str, int], queue_ahead: int = 0) -> OrganizationView:
    """Ask the API. Raises FlowrunError: unreachable, key refused, another provider than planned for."""
    client, now = bound.client(), bound.around.clock.now()
    try:
        found = await client.organization()
        client.check_provider(bound.choice.name)
    except KeyRefusedError as error:
        hint = "check RUNWAYML_API_SECRET: whole, not disabled, for this address; nothing was submitted"
        raise FlowrunError(Exit.SURROUNDINGS, f"the API refused the key: {error}", hint) from error
    except WrongProviderError as error:
        hint = "check RUNWAYML_BASE_URL; nothing was submitted"
        raise FlowrunError(Exit.SURROUNDINGS, str(error), hint) from error
    except (RunwayError, AttemptError) as error:
        hint = "check the network and RUNWAYML_BASE_URL, then apply again; nothing was submitted"
        raise FlowrunError(Exit.SURROUNDINGS, f"the API cannot be reached: {error}", hint) from error
    poll = client.sandbox.poll if client.sandbox else None
    is_quick = poll is not None and poll < MIN_POLL
    return OrganizationView(found, now, lowered, bound.ledger, queue_ahead, is_quick)
