"""What a run came to, from its events alone."""

from __future__ import annotations

import json

from flowrun.engine import events as ev
from flowrun.engine.failure import Verdict
from flowrun.engine.shortfall import Unfit, Waiting
from flowrun.engine.states import NodeState
from flowrun.engine.summary import Summary


def fold(*events: ev.Event) -> Summary:
    summary = Summary()
    for event in events:
        summary.take_in(event)
    return summary


def failed(unit: str, verdict: Verdict, **more: object) -> ev.AttemptFailed:
    return ev.AttemptFailed(1.0, unit, verdict.value, "CODE", "what happened", "what to do", **more)


def expanded(*names: str) -> ev.Expanded:
    return ev.Expanded(0.0, tuple(ev.Item(name, (), 1.0, place) for place, name in enumerate(names)))


def settled(name: str, state: NodeState, take: int | None = None) -> ev.Settled:
    return ev.Settled(2.0, name, state, take)


def test_a_run_in_which_everything_goes_well():
    summary = fold(
        ev.RunStarted(0.0, "r", "f", "", "sandbox", None),
        expanded("a", "b", "c"),
        settled("a", NodeState.REUSED, 1),
        ev.Granted(1.0, "b#1", "new"),
        ev.Submitted(1.0, "b#1", "t1", 5),
        ev.Stored(2.0, "b#1", "t1", "r1", (), 4),
        settled("b", NodeState.SUCCEEDED, 1),
        ev.Submitted(1.0, "c#1", "t2", None),
        ev.Stored(2.0, "c#1", "t2", "r2", (), None),
        settled("c", NodeState.SUCCEEDED, 1),
        ev.Exported(3.0, "film", "film.mp4", "written"),
        ev.RunEnded(3.0, 0),
    )
    assert summary.to_json() == {
        "nodes": {"reused": 1, "succeeded": 2},
        "submitted": 2,
        "credits": 4,
        "unknown_prices": 1,
        "troubles": [],
        "over_cap": {},
        "did_not_fit": [],
        "still_to_make": {"credits": 0, "unknown": 0},
        "waiting": {},
        "left_at_api": {},
        "withdrawn": [],
        "pending": [],
        "exports": [{"output": "film", "path": "film.mp4", "status": "written"}],
    } | {name: value for name, value in summary.to_json().items() if name == "recovered"}
    assert summary.reused == 1


def test_the_newest_word_on_a_price_holds():
    assert fold(ev.Submitted(1.0, "a#1", "t", 5)).credits == 5
    known = fold(ev.Submitted(1.0, "a#1", "t", None), ev.Stored(2.0, "a#1", "t", "r", (), 7))
    assert (known.credits, known.unpriced) == (7, 0)


def test_an_estimate_of_the_api_stands_where_the_end_tells_no_price():
    kept = fold(ev.Submitted(1.0, "a#1", "t", 25), ev.Stored(2.0, "a#1", "t", "r", (), None))
    assert (kept.credits, kept.unpriced) == (25, 0)


def test_attempts_are_counted_side_by_side():
    """A task that failed at a price, and its retry."""
    attempts = fold(
        ev.Submitted(1.0, "a#1", "t1", 5),
        failed("a#1", Verdict.RETRY, charged=2),
        ev.Submitted(2.0, "a#1", "t2", 5),
        ev.Stored(3.0, "a#1", "t2", "r", (), 5),
    )
    assert (attempts.submitted, attempts.credits) == (2, 7)


def test_a_failure_of_unknown_price_counts_its_estimate_and_so_does_the_retry():
    attempts = fold(ev.Submitted(1.0, "a#1", "t1", 5), failed("a#1", Verdict.RETRY), ev.Submitted(2.0, "a#1", "t2", 5))
    assert attempts.credits == 10


def test_a_refund_is_taken_off():
    assert fold(ev.Submitted(1.0, "a#1", "t1", 5), failed("a#1", Verdict.REJECT, charged=0)).credits == 0


def test_what_another_run_submitted_is_not_counted_again():
    taken_up = fold(ev.Granted(1.0, "a#1", "resumed"), ev.Stored(2.0, "a#1", "t", "r", (), 5))
    assert (taken_up.submitted, taken_up.credits) == (0, 0)
    assert fold(ev.Granted(1.0, "a#1", "resumed"), failed("a#1", Verdict.REJECT, charged=5)).credits == 0


def test_a_trouble_is_a_takes_own_and_stays_until_a_further_attempt_at_it():
    events = (expanded("a"), failed("a#1", Verdict.FAIL, task="t", charged=1))
    trouble = fold(*events).troubles["a#1"]
    assert (trouble.address, trouble.code, trouble.verdict, trouble.hint, trouble.task, trouble.charged) == (
        "a", "CODE", "fail", "what to do", "t", 1,
    )  # fmt: skip
    assert fold(*events, settled("a", NodeState.FAILED)).troubles
    assert fold(*events, ev.Granted(3.0, "a#2", "new")).troubles
    assert not fold(*events, ev.Granted(3.0, "a#1", "new")).troubles
    assert not fold(*events, ev.Found(3.0, "a#1", "r")).troubles


def test_troubles_that_no_attempt_made():
    def word(decision: str, reason: str | None = None, detail: str | None = None) -> tuple[str, str, str]:
        (trouble,) = fold(ev.Decided(1.0, "a", decision, reason, detail=detail)).troubles.values()
        return trouble.verdict, trouble.code, trouble.message

    assert word("failed", "no-such-key", "a.yaml:3: text") == ("fail", "no-such-key", "a.yaml:3: text")
    assert word("failed") == ("fail", "failed", "cannot be decided")
    assert word("rejected", None, "by task t") == ("reject", "rejected", "by task t")
    assert word("uncertain") == ("doubt", "uncertain", "an earlier request is unsettled")
    assert not fold(ev.Decided(1.0, "a", "hit", "new")).troubles


def test_what_is_over_or_waits_until_it_does_not():
    assert fold(ev.OverCap(1.0, "a#1", "run-cap", 3, 8, 9.0)).over == {"a#1": Unfit("run-cap", 8, 3, 9.0)}
    decided = ev.Decided(1.0, "a", "run", "new", (ev.UnitSpec(1, "run", "m", 8),))
    assert fold(decided, ev.Queued(1.0, "a#1", "daily", 9.0)).waiting == {"a#1": Waiting("m", 9.0)}
    assert fold(decided, failed("a#1", Verdict.PAUSE_MODEL)).waiting == {"a#1": Waiting("m")}
    for later in (ev.Granted(2.0, "a#1", "new"), ev.Found(2.0, "a#1", "r"), failed("a#1", Verdict.DOUBT)):
        done = fold(ev.OverCap(1.0, "a#1", "run-cap", 3), ev.Queued(1.0, "a#1", "daily", None), later)
        assert (done.over, done.waiting) == ({}, {})


def test_a_model_that_is_merely_full_is_no_used_up_day():
    assert fold(ev.Queued(1.0, "a#1", "concurrency", None)).waiting == {}


def test_interrupted_what_is_left_and_what_was_not_reached():
    summary = fold(
        expanded("a", "b"),
        ev.Interrupted(1.0),
        ev.Interrupted(1.5, 2),
        ev.Left(2.0, "a#1", "t"),
    )
    assert (summary.interrupted, summary.left, summary.pending) == (2, {"a#1": "t"}, {"a", "b"})
    assert summary.counts() == {"pending": 2}


def test_it_is_json():
    summary = fold(expanded("b", "a"), failed("a#1", Verdict.STOP), ev.Left(1.0, "b#1", None))
    assert json.loads(json.dumps(summary.to_json()))["pending"] == ["a", "b"]


def test_every_event_has_a_type_of_its_own_and_is_json():
    assert len({kind.type for kind in ev.EVENTS}) == len(ev.EVENTS)
    line = ev.to_json(settled("a", NodeState.SUCCEEDED, 1))
    assert next(iter(line)) == "type"
    assert json.loads(json.dumps(line)) == {
        "type": "settled", "at": 2.0, "address": "a", "state": "succeeded", "take": 1,
    }  # fmt: skip
