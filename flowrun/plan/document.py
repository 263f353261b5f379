"""The JSON of a plan: what `plan --json` prints and `plan --save` keeps. Owns its shape, version 1; how it looks to people
is ui's.

Nothing secret is in it: a text with environment variables shows their names, media is its digest, a hand-written upload
URI only that there is one; API keys and tokens in texts are masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flowrun.action import ENV, TEXT, URI
from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.render import to_json
from flowrun.plan.model import Change, Cost, Decision, Reason, Step, TakeStep, Why
from flowrun.plan.whole import Plan
from flowrun.secret import MASK, mask

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CreditsDocument(_Model):
    """Credits from `low` to `high`; `unknown` generations without a known price are in neither."""

    low: int = Field(ge=0)
    high: int = Field(ge=0)
    unknown: int = Field(0, ge=0)


class ChangeDocument(_Model):
    """One field that differs from the last result; null where one side has no such field."""

    path: str
    old: Any = None
    new: Any = None


class TakeDocument(_Model):
    """One take. `key`: of the action; `result`: what a hit uses; `task`: what a resume takes up, or what was rejected."""

    take: int = Field(ge=1)
    decision: Decision
    reason: Reason | None = None
    key: str | None = None
    credits: CreditsDocument
    result: str | None = None
    task: str | None = None
    forced: bool = False
    detail: str | None = None


class StepDocument(_Model):
    """One instance. `pick`: the take that flows on, where that is fixed; `upstream`: what it waits for."""

    address: str
    decision: Decision
    reason: Reason | None = None
    operation: str
    model: str
    credits: CreditsDocument
    takes: tuple[TakeDocument, ...] = ()
    changes: tuple[ChangeDocument, ...] = ()
    detail: str | None = None
    pick: int | None = None
    upstream: tuple[str, ...] = ()
    problems: tuple[dict[str, Any], ...] = ()


class SubmissionsDocument(_Model):
    """Requests that will certainly be sent, and that may be sent, retries aside."""

    least: int = Field(ge=0)
    most: int = Field(ge=0)


class BalanceDocument(_Model):
    """Credits left afterwards. `low` null: something has no known price, so there is no lower bound."""

    low: int | None = None
    high: int


class CapDocument(_Model):
    """A cap, in estimated credits. `most` is what it allows, `left` what of that an apply started now could commit; `until`:
    when a day's cap gets credits back (epoch seconds)."""

    cap: str
    most: int = Field(ge=0)
    left: int = Field(ge=0)
    until: float | None = None


class PortionDocument(_Model):
    """Takes that fit, or do not. `credits`: their sum at most; `unknown`: how many of them have no known price."""

    credits: int = Field(0, ge=0)
    unknown: int = Field(0, ge=0)
    takes: tuple[str, ...] = ()


class BudgetDocument(_Model):
    """What an apply under these caps would come to, if everything costs its most. `fits` in the order in which they would
    start, `over` by the cap that has no room for them, `behind` what waits for one that does not fit."""

    caps: tuple[CapDocument, ...]
    fits: PortionDocument = PortionDocument()
    over: dict[str, PortionDocument] = Field(default_factory=dict)
    behind: PortionDocument = PortionDocument()


class TotalsDocument(_Model):
    """Sums of all steps. Null balance: the API was not asked; a null in `daily_left`: no limit; `daily_next`: when a model of
    which more would run than that has a further generation (epoch seconds), null where nobody knows; `seconds`: expected."""

    nodes: dict[Decision, int] = Field(description="Instances by decision; those with none are left out.")
    submissions: SubmissionsDocument
    credits: CreditsDocument
    by_model: dict[str, CreditsDocument]
    balance: int | None = None
    balance_after: BalanceDocument | None = None
    daily_left: dict[str, int | None]
    daily_next: dict[str, float | None] = Field(default_factory=dict)
    seconds: float | None = None


class PlanDocument(_Model):
    """What an apply would do, and why."""

    flowrun_plan: Literal[1] = 1
    flow: str
    profile: str
    provider: str
    steps: tuple[StepDocument, ...]
    totals: TotalsDocument
    cap: int | None = Field(None, description="The most credits an apply may commit.")
    budget: BudgetDocument | None = Field(None, description="What fits the caps; null where there is none.")
    warnings: tuple[dict[str, Any], ...] = ()


def plan_document(
    plan: Plan,
    *,
    balance: int | None,
    daily_left: Mapping[str, int | None],
    seconds: float | None,
    cap: int | None,
    daily_next: Mapping[str, float | None] = {},
    budget: BudgetDocument | None = None,
) -> PlanDocument:
    """The document of a plan and of what is known beside it: credits, generations left by model, expected seconds."""
    return PlanDocument(
        flow=plan.flow,
        profile=plan.profile,
        provider=plan.provider,
        steps=tuple(_step(step) for step in plan.steps.values()),
        totals=TotalsDocument(
            nodes=plan.counts,
            submissions=SubmissionsDocument(least=plan.submissions, most=plan.most_submissions),
            credits=_credits(plan.cost),
            by_model={model: _credits(cost) for model, cost in plan.by_model.items()},
            balance=balance,
            balance_after=None if balance is None else _after(balance, plan.cost),
            daily_left=dict(daily_left),
            daily_next=dict(daily_next),
            seconds=seconds,
        ),
        cap=cap,
        budget=budget,
        warnings=_diagnostics(plan.warnings),
    )


def plan_schema() -> dict[str, Any]:
    """JSON Schema of the document, as `schemas/plan-1.json`."""
    schema = PlanDocument.model_json_schema(mode="serialization")
    return {"$schema": DIALECT, **schema, "title": "A flowrun plan, version 1"}


def _step(step: Step) -> StepDocument:
    return StepDocument(
        address=str(step.address),
        decision=step.decision,
        reason=_reason(step.why),
        operation=step.operation,
        model=step.model,
        credits=_credits(step.cost),
        takes=tuple(_take(take) for take in step.takes),
        changes=tuple(_change(change) for change in (step.why.changes if step.why else ())),
        detail=_detail(step),
        pick=step.pick,
        upstream=tuple(str(up) for up in step.upstream),
        problems=_diagnostics(step.problems),
    )


def _take(take: TakeStep) -> TakeDocument:
    return TakeDocument(
        take=take.take,
        decision=take.decision,
        reason=_reason(take.why),
        key=take.doc.key if take.doc else None,
        credits=_credits(take.cost),
        result=take.result.id if take.result else None,
        task=take.task,
        forced=take.forced,
        detail=mask(take.why.detail) if take.why and take.why.detail is not None else None,
    )


def _detail(step: Step) -> str | None:
    if step.why is not None and step.why.detail is not None:
        return mask(step.why.detail)
    return mask(step.problems[0].message) if step.problems else None


def _reason(why: Why | None) -> Reason | None:
    return None if why is None else why.reason


def _credits(cost: Cost) -> CreditsDocument:
    return CreditsDocument(low=cost.low, high=cost.high, unknown=cost.unknown)


def _after(balance: int, cost: Cost) -> BalanceDocument:
    return BalanceDocument(low=None if cost.unknown else balance - cost.high, high=balance - cost.low)


def _diagnostics(diagnostics: Iterable[Diagnostic]) -> tuple[dict[str, Any], ...]:
    return tuple(to_json(diagnostics))


def _change(change: Change) -> ChangeDocument:
    return ChangeDocument(path=change.path, old=_plain(change.old), new=_plain(change.new))


def _plain(value: Any) -> Any:
    """Values as a person wrote them, the marks of an action document resolved to what may be shown. Media is shown by its
    digest already: `reasons` does that."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return _plain_mapping(value) if isinstance(value, Mapping) else value


def _plain_mapping(value: Mapping[str, Any]) -> Any:
    if URI in value:
        return f"runway://{MASK}"
    if ENV in value:
        return f"${value[ENV]}"
    if TEXT in value:
        return mask("".join(str(_plain(part)) for part in value[TEXT]))
    return {name: _plain(each) for name, each in value.items()}
