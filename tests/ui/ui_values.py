"""Plans, steps and ledger rows for the tests of what people read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowrun.graph.address import Address, parse
from flowrun.ids import ActionKey, IntentId, OwnerId, RecipeKey, RunId, TaskId
from flowrun.ledger.protocol import IntentOutcome, IntentRow, Origin, TaskRow
from flowrun.plan.model import Change, Cost, Decision, Reason, Step, TakeStep, Why
from flowrun.plan.whole import Plan
from tests.support.golden import check_golden

GOLDEN = Path(__file__).parent / "golden"
KEY = "key_" + "0f" * 64
AT = 1_795_316_725.0  # 2026-11-22 03:05:25 UTC


def golden(name: str, text: str) -> None:
    check_golden(GOLDEN / f"{name}.txt", text + "\n")


def origin(address: str, manifest: str = "story.yaml") -> Origin:
    return Origin("/p/.flowrun", "p", "fox", "", manifest, address)


def intent(address: str = "shot[b]#1", credits: int | None = 25, manifest: str = "story.yaml") -> IntentRow:
    return IntentRow(
        IntentId(1), ActionKey("k"), IntentOutcome.UNCERTAIN, "gen4_turbo", credits, "d", AT, None, OwnerId("o"),
        RunId("r"), origin(address, manifest),
    )  # fmt: skip


def task_row(address: str, **fields: Any) -> TaskRow:
    known: dict[str, Any] = {
        "task": TaskId("5f0c9f3e-3a53-4a2f-8b36-0d6f3b1c2d4e"),
        "key": ActionKey("k"),
        "recipe": RecipeKey("r"),
        "model": "gen4_turbo",
        "operation": "image_to_video",
        "run": RunId("r"),
        "origin": origin(address),
        "submitted_at": AT,
        "status": "open",
        "settled": False,
        "charged": None,
        "failure": None,
        "credits": 25,
    }
    return TaskRow(**{**known, **fields})


def step(
    name: str,
    decision: Decision,
    why: Why | Reason | None = None,
    *,
    credits: tuple[int, int] | int | None = None,
    takes: tuple[TakeStep, ...] = (),
    upstream: tuple[str, ...] = (),
    uses: str = "image_to_video/gen4_turbo",
    **fields: Any,
) -> Step:
    operation, _, model = uses.partition("/")
    low, high = credits if isinstance(credits, tuple) else (credits or 0, credits or 0)
    cost = fields.pop("cost", Cost(low, high))
    return Step(
        parse(name),
        decision,
        operation,
        model,
        Why(why) if isinstance(why, Reason) else why,
        takes or (TakeStep(1, decision, cost=cost),),
        cost,
        upstream=tuple(map(parse, upstream)),
        **fields,
    )


def plan_of(*steps: Step, profile: str = "", provider: str = "runway") -> Plan:
    by_address: dict[Address, Step] = {each.address: each for each in steps}
    return Plan("fox", profile, provider, by_address)


def changed(*changes: tuple[str, Any, Any], reason: Reason = Reason.INPUT_CHANGED) -> Why:
    return Why(reason, tuple(Change(*change) for change in changes))
