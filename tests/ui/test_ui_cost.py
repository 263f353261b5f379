"""Spending as a person reads it: the columns, their fit, what is said of what nobody knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from flowrun.diagnostics.visible import width
from flowrun.ui.cost_text import Line, Spending, Sum, cost_markdown, cost_text
from tests.ui.ui_values import KEY, golden

LINES = (
    Line(("2026-11-21", "veo3.1"), (3, 2, 1, 1, 0), Sum(240), Sum(160), 160, 0),
    Line(("2026-11-22", "gen4_image_turbo"), (2, 1, 0, 0, 1), Sum(2, unknown=1), Sum(2, unknown=1, assumed=1), 7),
    Line(("2026-11-22", "veo3.1"), (0, 0, 0, 0, 0), Sum(0), Sum(0), 1_280, 1_280),
)
ALL = Spending(
    "runway", date(2026, 10, 24), date(2026, 11, 22), ("day", "model"), LINES,
    Line((), (5, 3, 1, 1, 1), Sum(242, unknown=1), Sum(162, unknown=1, assumed=1), 1_447),
    (2, Sum(80, unknown=1)), (1, Sum(25)), 2, None,
)  # fmt: skip
ALONE = replace(
    ALL,
    by=("node",),
    lines=[replace(LINES[0], names=("fox-trailer: a.node.with.a.very.long.name.indeed",), told=None, difference=None)],
    total=Line((), (3, 2, 1, 1, 0), Sum(240), Sum(160)),
    unanswered=(0, Sum(0)),
    given_up=(0, Sum(0)),
    ledgers=1,
    not_compared="--offline asks nothing",
)


def test_beside_the_api() -> None:
    golden("cost", cost_text(ALL, width=120))
    golden("markdown_cost", cost_markdown(ALL))


@pytest.mark.parametrize("columns", [120, 100, 80])
@pytest.mark.parametrize("spending", [ALL, ALONE])
def test_it_fits(spending: Spending, columns: int) -> None:
    body = cost_text(spending, width=columns).split("\n")[1:]  # the title is a sentence
    assert max(map(width, body)) <= columns
    assert any("charged" in line for line in body)


def test_the_ledger_alone() -> None:
    golden("cost_alone", cost_text(ALONE))
    assert "API says" not in cost_text(ALONE)


def test_what_is_not_known_is_never_nothing() -> None:
    nothing = Line(("2026-11-22", "new"), (1, 1, 0, 0, 0), Sum(0, unknown=1), Sum(0, unknown=1), None)
    text = cost_text(replace(ALL, lines=[nothing], total=replace(nothing, names=())), width=140)
    row = next(line for line in text.split("\n") if line.startswith("2026-11-22"))
    assert row.split() == ["2026-11-22", "new", "1", "1", "unknown", "unknown", "unknown", "unknown", "unknown"]
    assert "Charged: unknown credits" in text
    assert " 0" not in row


def test_nothing_was_spent() -> None:
    empty = replace(
        ALL, lines=[], total=Line((), (0,) * 5, Sum(0), Sum(0)), unanswered=(0, Sum(0)), given_up=(0, Sum(0))
    )
    assert cost_text(replace(empty, ledgers=1)) == ("Nothing was spent on runway, 2026-10-24 to 2026-11-22 (UTC days).")
    sandbox = replace(empty, provider="sandbox", not_compared="because")
    assert "play money" in cost_text(sandbox)
    assert "- Not compared with the API: because." in cost_text(sandbox)


def test_tags_overlap_and_may_be_none() -> None:
    tagged = [replace(LINES[0], names=(tag,)) for tag in ("", "a")]
    text = cost_text(replace(ALL, by=("tag",), lines=tagged, total=replace(LINES[0], names=())))
    assert "(no tag)" in text
    assert "A task with several tags" in text


def test_why_they_differ_is_said_where_they_do() -> None:
    same = replace(ALL, lines=LINES[:1], total=replace(LINES[0], names=()))
    assert "The API's numbers differ" not in cost_text(same)
    assert "accepted after all" in cost_text(ALL, width=300)
    assert "accepted after all" not in cost_text(replace(ALL, unanswered=(0, Sum(0)), given_up=(0, Sum(0))), width=300)


def test_nothing_harmful_gets_through() -> None:
    evil = replace(LINES[0], names=(f"\x1b[2J{KEY}\u202e", "a\nb"))
    for text in (cost_text(replace(ALL, lines=[evil])), cost_markdown(replace(ALL, lines=[evil]))):
        assert KEY[:60] not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
