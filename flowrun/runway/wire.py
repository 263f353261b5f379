"""Answers as they come over the wire. Owns pydantic's part: what must be there, what may be odd; makes `values`.

Read tolerantly: the API adds fields under one version, leaves others out, and its limits may be null. What a caller
cannot do without is required; the rest is dropped where it is not what it should be.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from flowrun.ids import TaskId
from flowrun.runway.values import Accepted, ModelLimits, Organization, OutputUrl, Task, TaskStatus, UsageRow

MOST = 1 << 53  # no count of anything is larger: it would go neither into a float nor into the ledger


def _count(value: Any) -> int | None:
    """A number rounded up to a whole one; None for what is none, and for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MOST <= value <= MOST:
        return None
    return math.ceil(value)


def _credits(value: Any) -> int | None:
    """A price; a negative one is none, for it would make room below a cap."""
    found = _count(value.get("credits")) if isinstance(value, dict) else None
    return None if found is None or found < 0 else found


def _fraction(value: Any) -> float | None:
    return float(value) if _count(value) is not None and 0 <= value <= 1 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _object(value: Any) -> Any:
    return value if isinstance(value, dict) else {}


def _required(value: Any) -> Any:
    return value if (count := _count(value)) is None else count


def _balance(value: Any) -> Any:
    """Rounded down: a part of a credit buys nothing."""
    return value if _count(value) is None else math.floor(value)


Count = Annotated[int | None, BeforeValidator(_count)]
Credits = Annotated[int | None, BeforeValidator(_credits)]
Text = Annotated[str | None, BeforeValidator(_text)]


class Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class Created(Wire):
    id: str = Field(min_length=1, max_length=200, pattern=r"^[^\s/?#]+$")
    estimated_cost: Credits = None

    def value(self) -> Accepted:
        return Accepted(TaskId(self.id), self.estimated_cost)


_STATUSES = {status.value: status for status in TaskStatus} | {"CANCELED": TaskStatus.CANCELLED}


class TaskDetail(Wire):
    status: str
    progress: Annotated[float | None, BeforeValidator(_fraction)] = None
    output: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    failure: Text = None
    failure_code: Text = None
    estimated_cost: Credits = None
    cost: Credits = None

    def value(self, task: TaskId) -> Task:
        status = _STATUSES.get(self.status.upper(), TaskStatus.UNKNOWN)
        failed = status is TaskStatus.FAILED
        return Task(
            id=task,
            status=status,
            progress=self.progress if status is TaskStatus.RUNNING else None,
            outputs=tuple(map(OutputUrl, self.output)) if status is TaskStatus.SUCCEEDED else (),
            failure=self.failure if failed else None,
            failure_code=self.failure_code if failed else None,
            charged=self.cost if status.terminal else None,
            estimated=self.estimated_cost,
            word=self.status,
        )


class Limits(Wire):
    max_concurrent_generations: Count = None
    max_daily_generations: Count = None


class Tier(Wire):
    models: dict[str, Annotated[Limits, BeforeValidator(_object)]]
    max_monthly_credit_spend: Count = None


class Used(Wire):
    daily_generations: Count = None


class Usage(Wire):
    models: Annotated[dict[str, Annotated[Used, BeforeValidator(_object)]], BeforeValidator(_object)] = {}


class OrganizationDetail(Wire):
    tier: Tier
    credit_balance: Annotated[int, BeforeValidator(_balance)]
    usage: Annotated[Usage, BeforeValidator(_object)] = Usage()

    def value(self) -> Organization:
        limits = {
            name: ModelLimits(each.max_concurrent_generations, each.max_daily_generations)
            for name, each in self.tier.models.items()
        }
        used = {name: each.daily_generations or 0 for name, each in self.usage.models.items()}
        return Organization(limits, used, self.credit_balance, self.tier.max_monthly_credit_spend)


class ModelSpend(Wire):
    model: str
    amount: Annotated[int, BeforeValidator(_required)]


class Day(Wire):
    date: str
    used_credits: tuple[ModelSpend, ...]


class UsageReport(Wire):
    results: tuple[Day, ...]

    def value(self) -> tuple[UsageRow, ...]:
        return tuple(UsageRow(day.date, each.model, each.amount) for day in self.results for each in day.used_credits)


class Placeholder(Wire):
    """Where an upload goes: `fields` in the server's order, which the storage's signature may depend on."""

    upload_url: str
    fields: dict[str, str]
    runway_uri: str = Field(pattern=r"^runway://")


Shape = TypeVar("Shape", bound=Wire)


class MisshapenError(ValueError):
    """A body that is not the JSON it should be. Its text names the places, never the values."""


def parse(shape: type[Shape], body: bytes | None) -> Shape:
    """Raises MisshapenError."""
    try:
        return shape.model_validate_json(body or b"")
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        places = sorted({".".join(map(str, each["loc"])) or "the body" for each in found})
        raise MisshapenError(", ".join(places[:5])) from None
