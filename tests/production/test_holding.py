"""The rule of saved plans, on documents: what a step may have become, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from flowrun.diagnostics.model import DiagnosticError
from flowrun.ledger.memory import MemoryLedger
from flowrun.plan.model import Decision
from flowrun.production.holding import check, is_carried_out, spent_keys
from flowrun.production.saved import SavedPlan

_SENDS = {Decision.RUN: 1, Decision.UNDECIDED: 1}
ENDED = {Decision.HIT, Decision.RESUME, Decision.UNCERTAIN, Decision.REJECTED, Decision.BLOCKED}


def step(decision: Decision, address: str = "a", key: str = "k1", **other: Any) -> dict[str, Any]:
    most = _SENDS.get(decision, 0)
    credits = {"low": most * 5, "high": most * 5, "unknown": 0}
    has_take = decision not in (Decision.UNDECIDED, Decision.SKIP, Decision.BLOCKED, Decision.EXCLUDED)
    take = {"take": 1, "decision": decision, "key": key, "request": "r", "credits": credits, "result": "one"}
    return {
        "address": address,
        "decision": decision,
        "operation": "text_to_image",
        "model": "gen4_image",
        "written": "w",
        "submissions": {"least": 0, "most": most},
        "credits": credits,
        "takes": [take] if has_take else [],
        **other,
    }


def plan(*steps: dict[str, Any], **other: Any) -> SavedPlan:
    return SavedPlan.model_validate(
        {
            "flowrun": "1.0",
            "made_at": 0.0,
            "manifest": "flow.yaml",
            "folder": ".",
            "flow": "f",
            "profile": "",
            "provider": "runway",
            "account": None,
            "options": {},
            "limits": {},
            "submissions": {"least": 0, "most": 0},
            "credits": {"low": 0, "high": 0},
            "steps": steps,
            "outputs": {},
            "read": [],
            **other,
        }
    )


def moved(before: SavedPlan, now: SavedPlan) -> list[str]:
    try:
        check(before, now, {}, "flowrun plan f --save p")
    except DiagnosticError as error:
        return [note.message for note in error.diagnostics[0].notes]
    return []


@pytest.mark.parametrize("before", list(Decision))
@pytest.mark.parametrize("now", list(Decision))
def test_what_may_become_of_a_step(before: Decision, now: Decision) -> None:
    allowed = {
        Decision.RUN: ENDED | {Decision.RUN},
        Decision.RESUME: ENDED,
        Decision.UNDECIDED: ENDED | {Decision.RUN, Decision.UNDECIDED, Decision.SKIP},
        Decision.HIT: {Decision.HIT, Decision.BLOCKED},
    }.get(before, {before})
    found = moved(plan(step(before)), plan(step(now)))
    assert (found == []) == (now in allowed), found


def test_nothing_sends_more_or_costs_more_than_planned() -> None:
    dear = {"low": 9, "high": 9, "unknown": 0}
    run, undecided = plan(step(Decision.RUN)), plan(step(Decision.UNDECIDED))
    assert moved(undecided, plan(step(Decision.RUN, credits=dear))) == ["a: costs 9 credits, and 5 credits was planned"]
    assert moved(run, plan(step(Decision.RUN, credits={"low": 1, "high": 1}))) == [
        "a: costs 1 credit, and 5 credits was planned"
    ]
    twice = {"least": 2, "most": 2}
    assert moved(run, plan(step(Decision.RUN, submissions=twice))) == ["a: would send 2 requests, and 1 were planned"]


def test_a_price_that_was_unknown_may_become_known() -> None:
    unknown = {"low": 0, "high": 0, "unknown": 1}
    before = plan(step(Decision.UNDECIDED, credits=unknown))
    assert moved(before, plan(step(Decision.RUN))) == []
    priced = plan(step(Decision.UNDECIDED))
    assert moved(priced, plan(step(Decision.UNDECIDED, credits=unknown))) == [
        "a: costs 0 credits and 1 of unknown price, and 5 credits was planned"
    ]


def test_another_model_key_or_salt_is_another_plan() -> None:
    run = plan(step(Decision.RUN))
    assert moved(run, plan(step(Decision.RUN, model="gen4_image_turbo"))) == [
        "a: was text_to_image with gen4_image, is text_to_image with gen4_image_turbo"
    ]
    assert moved(run, plan(step(Decision.RUN, key="k2")))[0].startswith("a: its salt or API version is another")


def test_an_unselected_twin_may_have_become_a_hit_by_the_plans_own_doing() -> None:
    before = plan(step(Decision.RUN), step(Decision.EXCLUDED, "b"))
    assert moved(before, plan(step(Decision.HIT), step(Decision.HIT, "b"))) == []
    assert moved(before, plan(step(Decision.RUN), step(Decision.HIT, "b", "k9"))) == ["b: was excluded, is hit"]


def test_a_take_that_vanished_below_a_folded_decision_is_seen() -> None:
    both = step(Decision.RUN)
    both["takes"] = [*step(Decision.HIT, key="k0")["takes"], {**both["takes"][0], "take": 2}]
    now = step(Decision.RUN)
    now["takes"] = [*step(Decision.RUN, key="k0")["takes"], {**now["takes"][0], "take": 2}]
    assert moved(plan(both), plan(now)) == ["a: take 1 was hit, is run"]


def test_the_version_is_told_beside_what_moved_and_is_no_move_itself() -> None:
    before, now = plan(step(Decision.RUN)), plan(step(Decision.RUN), flowrun="2.0")
    assert moved(before, now) == []
    gone = plan(flowrun="2.0")
    assert moved(before, gone)[0] == "the plan was made by flowrun 1.0, and this is 2.0"


def test_files_outputs_and_limits_are_told() -> None:
    file = {"kind": "input", "path": "a.png", "sha256": "1"}
    before = plan(read=[file], outputs={"x": {"source": "1"}, "y": {"source": "1"}}, limits={"queue_ahead": 1})
    now = plan(read=[{**file, "sha256": "2"}], outputs={"x": {"source": "2"}, "z": {"source": "1"}})
    assert moved(before, now) == [
        "the input file a.png was changed after the plan was made",
        "limits.queue_ahead was 1, is 0",
        "the output 'x' was edited",
        "the output 'y' is gone",
        "the output 'z' is new",
    ]


def test_carried_out_means_that_there_was_work_and_none_is_left() -> None:
    run, hit = plan(step(Decision.RUN)), plan(step(Decision.HIT))
    assert is_carried_out(run, hit)
    assert not is_carried_out(run, run)
    assert not is_carried_out(hit, hit)


def test_a_task_that_is_taken_up_is_the_grant_of_its_wish() -> None:
    assert spent_keys(plan(step(Decision.RESUME)), MemoryLedger(lambda: 0.0)) == {"k1"}
    assert spent_keys(plan(step(Decision.RUN)), MemoryLedger(lambda: 0.0)) == frozenset()
