"""What did not fit is told with what would: numbers, names, times, and the command that makes it fit."""

from __future__ import annotations

from typing import Any

import pytest

from flowrun.engine import events as ev
from flowrun.engine.summary import Summary
from flowrun.ui.ending import Ending
from flowrun.ui.shortfalls import cap_parts, next_free, quota_parts, soon, used_up

AT = 1_795_316_725.0  # 2026-11-22 03:05:25 UTC
HOUR = 3600.0


def spec(credits: int | None, model: str = "gen4_turbo") -> ev.UnitSpec:
    return ev.UnitSpec(1, "run", model, credits)


def summary_of(*events: ev.Event, **costs: int | None) -> Summary:
    """Nodes by name with their estimates, and what happened to them."""
    found = Summary()
    for name, credits in costs.items():
        found.take_in(ev.Decided(AT, name, "run", "new", (spec(credits),)))
    for event in events:
        found.take_in(event)
    return found


def over(
    cap: str, *names: str, left: int = 10, credits: int | None = 25, until: float | None = None
) -> list[ev.OverCap]:
    return [ev.OverCap(AT, f"{name}#1", cap, left, credits, until) for name in names]


def told(summary: Summary, **ending: Any) -> tuple[str, list[str]]:
    """The one part, and its commands."""
    ((text, ways),) = cap_parts(summary, Ending("s.yaml", 3, 1.0, **ending))
    return text, [command for _, command in ways]


def test_a_cap_of_the_run_says_what_makes_all_of_it_fit() -> None:
    events = over("run-cap", "a", "b")
    text, ways = told(summary_of(*events, ev.CapsTold(AT, (ev.CapLeft("run-cap", 60, 10),)), a=25, b=25, c=7), cap=60)
    assert text == "Did not fit the cap of 60 credits: a, b; 2 nodes, 50 credits together; 10 credits are left."
    assert ways == ["flowrun apply s.yaml --max-credits 57", "flowrun apply s.yaml --max-credits 60"]


def test_what_is_below_counts_and_what_was_made_does_not() -> None:
    expanded = ev.Expanded(AT, tuple(ev.Item(name, (), 1.0, 0, credits=9) for name in ("a", "below", "done")))
    made = [ev.Decided(AT, "done", "run", "new", (spec(9),)), ev.Stored(AT, "done#1", "t", "r", (), 9)]
    decided = ev.Decided(AT, "a", "run", "new", (spec(25),))
    assert summary_of(expanded, decided, *made, *over("run-cap", "a")).still_to_make() == (34, 0)


def test_a_cap_in_the_manifest_is_raised_there() -> None:
    summary = summary_of(*over("run-cap", "a"), a=25)
    assert told(summary, cap=20, written=20) == (
        (
            "Did not fit the cap of 20 credits: a; 1 node, 25 credits; 10 credits are left. "
            "All of it in one apply takes 25 credits: raise limits.credits in s.yaml, and apply again."
        ),
        [],
    )
    assert told(summary, cap=20, written=25)[1] == ["flowrun apply s.yaml --max-credits 25"]
    again = ("s.yaml", "--select", "a")
    assert told(summary, cap=20, again=again)[1] == ["flowrun apply s.yaml --select a --max-credits 25"]
    assert told(summary, cap=20, again=("saved.json",))[1] == ["flowrun apply s.yaml --max-credits 25"]


def test_what_would_still_fit_is_named_and_what_other_caps_leave() -> None:
    caps = (ev.CapLeft("run-cap", 60, 30), ev.CapLeft("day-cap", 99, 28), ev.CapLeft("balance", 500, 400))
    text, _ = told(summary_of(*over("run-cap", "a", "b"), ev.CapsTold(AT, caps), a=25, b=25), cap=60)
    assert "; 30 credits are left, enough for a." in text
    assert text.endswith(" But the project's day (limits.credits_per_day) has 28 left.")


def test_the_days_cap_says_when_it_fits_again() -> None:
    caps = (ev.CapLeft("day-cap", 500, 10, AT + HOUR),)
    events = [
        *over("day-cap", "a", until=AT + 3 * HOUR),
        *over("day-cap", "b", until=AT + 2 * HOUR),
        ev.CapsTold(AT, caps),
    ]
    text, ways = told(summary_of(*events, a=25, b=25))
    assert text == (
        "Did not fit the project's 500 credits in 24 hours (limits.credits_per_day): a, b; 2 nodes, 50 credits together; "
        "10 credits are left. The first of them fits again at 05:05 UTC, in 2 h. "
        "With limits.credits_per_day = 540 all of it would fit now."
    )
    assert ways == ["flowrun apply s.yaml"]


def test_the_balance_says_how_much_to_buy() -> None:
    text, _ = told(summary_of(*over("balance", "a", "b", left=3), a=25, b=25))
    assert text == (
        "Did not fit the balance: a, b; 2 nodes, 50 credits together; 3 credits are left. "
        "Buy 47 credits or more for all of it, and apply again."
    )


def test_unknown_prices_are_allowed_with_the_same_selection() -> None:
    summary = summary_of(*over("unknown-price", "a", credits=None), a=None)
    text, ways = told(summary, again=("s.yaml", "--exclude", "b"))
    assert "a; allow it" in text
    assert ways == ["flowrun apply s.yaml --exclude b --allow-unknown-price"]


def test_a_day_that_is_used_up_says_when_the_next_is_free() -> None:
    limits = ev.LimitsRead(AT, 9, (ev.ModelLimit("gen4_turbo", 1, 0, 50), ev.ModelLimit("veo3.1", 1, 0, 5)))
    queued = [ev.Queued(AT, f"{name}#1", "daily", AT + 11_520.0) for name in ("a", "b", "c")]
    other = ev.Decided(AT, "x", "run", "new", (spec(9, "veo3.1"),))
    summary = summary_of(limits, *queued, other, ev.Queued(AT, "x#1", "daily", None), a=25, b=25, c=25)
    first, second = quota_parts(summary, Ending("s.yaml", 3, 1.0))
    assert first == (
        "gen4_turbo: the day's 50 generations are used; the next is free at 06:17 UTC, in 3 h 12 min; 3 nodes wait: a, b, c.",
        [],
    )
    assert second[0] == (
        "veo3.1: the day's 5 generations are used; the next is free within 24 hours at the latest; 1 node waits: x."
    )
    assert [command for _, command in second[1]] == ["flowrun apply s.yaml", "flowrun apply s.yaml --on-quota wait"]
    waiting = summary.to_json()["waiting"]
    assert waiting["a#1"] == {"limit": "daily", "model": "gen4_turbo", "until": AT + 11_520.0}


@pytest.mark.parametrize(
    ("after", "words"),
    [(-5.0, "now"), (0.0, "now"), (59.0, "03:06 UTC, in 59 s"), (90_000.0, "2026-11-23 04:05 UTC, in 25 h")],
)
def test_times_are_told_with_how_long_that_is(after: float, words: str) -> None:
    assert soon(AT + after, AT) == words


def test_words_for_days() -> None:
    assert (used_up(None), used_up(1000)) == ("the day's generations are used", "the day's 1,000 generations are used")
    assert used_up(0) == "it has no generations a day"
    assert next_free(None, AT).endswith("within 24 hours at the latest")
