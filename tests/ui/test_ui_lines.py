"""Progress as lines: which events are worth one, what they say, and that many nodes are still few lines."""

from __future__ import annotations

import re

import pytest

from flowrun.diagnostics.visible import width
from flowrun.engine import events as ev
from flowrun.engine.failure import Verdict
from flowrun.engine.states import NodeState
from flowrun.ui.lines import Lines
from flowrun.ui.numbers import elapsed
from tests.ui.ui_values import AT, KEY, golden

TASK = "5f0c9f3e-3a53-4a2f-8b36-0d6f3b1c2d4e"


def told(*events: ev.Event, colour: bool = False, quiet: bool = False) -> list[str]:
    lines: list[str] = []
    hearer = Lines(lines.append, colour, quiet)
    for event in events:
        hearer.take_in(event)
    return lines


def word(line: str) -> str:
    return line.split("] ", maxsplit=1)[1].split(maxsplit=1)[0]


def decided(address: str, takes: int = 1, **fields: object) -> ev.Decided:
    units = tuple(ev.UnitSpec(take, "run", "gen4_turbo", 25) for take in range(1, takes + 1))
    return ev.Decided(AT, address, "run", "new", units, **fields)


def failed(at: float, unit: str, verdict: Verdict, **fields: object) -> ev.AttemptFailed:
    return ev.AttemptFailed(AT + at, unit, verdict.value, "SOME.CODE", "It went wrong.", **fields)


def a_run() -> list[ev.Event]:
    return [
        ev.RunStarted(AT, "20261122-030525-ab12cd", "fox", "draft", "runway", 400),
        ev.Expanded(AT, ()),
        decided("hero"),
        decided("shot[a]", takes=2),
        ev.Decided(AT, "no", "rejected", "previously-failed", detail="SAFETY: refused"),
        ev.Prepared(AT + 1, "hero#1"),
        ev.Granted(AT + 1, "hero#1", "new"),
        ev.Submitted(AT + 2, "hero#1", TASK, 25),
        ev.Queued(AT + 2, "shot[a]#1", "concurrency", None),
        ev.Queued(AT + 3, "shot[a]#1", "concurrency", None),
        ev.Queued(AT + 3, "shot[a]#2", "daily", AT + 7200),
        ev.Granted(AT + 4, "shot[a]#1", "resumed"),
        ev.Progressed(AT + 5, "hero#1", TASK, "THROTTLED", None),
        ev.Progressed(AT + 6, "hero#1", TASK, "RUNNING", 0.3),
        ev.Progressed(AT + 7, "hero#1", TASK, "RUNNING", 0.6),
        ev.Ended(AT + 40, "hero#1", TASK, "SUCCEEDED"),
        ev.Stored(AT + 44, "hero#1", TASK, "r", (), 25),
        ev.Settled(AT + 44, "hero", NodeState.SUCCEEDED, 1),
        failed(60, "shot[a]#1", Verdict.RETRY, delay=30.0, attempts=1, charged=0),
        failed(100, "shot[a]#1", Verdict.RETRY, delay=30.0, attempts=1, charged=25, hint="Change it."),
        failed(101, "shot[a]#2", Verdict.DOUBT),
        ev.OverCap(AT + 102, "late#1", "run-cap", 10),
        ev.OverCap(AT + 102, "later#1", "run-cap", 10),
        ev.Recovered(AT + 102, "gone", TASK, "collected", "r"),
        ev.Recovered(AT + 102, "lost", TASK, "failed", "the API no longer knows it"),
        ev.Settled(AT + 103, "old", NodeState.REUSED, 1),
        ev.Settled(AT + 103, "older", NodeState.REUSED, 1),
        ev.Settled(AT + 103, "cut", NodeState.BLOCKED),
        ev.Interrupted(AT + 104),
        ev.Left(AT + 105, "b#1", TASK),
        ev.Left(AT + 105, "c#1", None),
        ev.Interrupted(AT + 106, 2),
        ev.Exported(AT + 107, "still", "/p/out/fox/still.png", "written"),
        ev.Exported(AT + 107, "still", "/p/out/fox/mine.png", "kept"),
        ev.Exported(AT + 107, "still", "/p/out/fox/same.png", "unchanged"),
        ev.RunEnded(AT + 4000, 130),
    ]


def test_a_whole_run() -> None:
    golden("lines", "\n".join(told(*a_run())))


def test_colour_adds_nothing_but_colour() -> None:
    coloured = told(*a_run(), colour=True)
    assert any("\x1b[1;31mfailed\x1b[0m" in line for line in coloured)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == told(*a_run())


def test_narrow_lines_go_on_below_themselves() -> None:
    lines: list[str] = []
    hearer = Lines(lines.append, False, False, 60)
    for event in a_run():
        hearer.take_in(event)
    golden("lines_narrow", "\n".join(lines))
    assert all(width(line) <= 60 for line in lines)
    said = [" ".join(" ".join(each).split()) for each in (lines, told(*a_run()))]
    assert said[0] == said[1]
    hearer.take_in(ev.Exported(AT, "still", path := f"/p/{'long' * 20}.png", "written"))
    assert lines[-1].endswith(f"exported   {path}")


def test_quiet_leaves_what_went_wrong() -> None:
    words = {word(line) for line in told(*a_run(), quiet=True) if line.startswith("[")}
    assert words == {"rejected", "failed", "uncertain", "over-cap", "stopping", "kept"}


def test_a_thousand_nodes_do_not_flood() -> None:
    events: list[ev.Event] = [decided(f"n{number}") for number in range(1000)]
    for number in range(1000):
        unit = f"n{number}#1"
        events += [ev.Queued(AT, unit, "concurrency", None), ev.OverCap(AT, unit, "balance", None)]
        events += [ev.Progressed(AT, unit, TASK, "RUNNING", each / 100) for each in range(5)]
        events += [ev.Progressed(AT, unit, TASK, "THROTTLED", None), ev.Settled(AT, f"n{number}", NodeState.REUSED)]
    lines = told(*events, ev.RunEnded(AT, 0))
    assert [word(line) for line in lines] == ["queued", "over-cap", "throttled", "reused"]
    assert lines[-1].endswith("1,000 nodes")


@pytest.mark.parametrize(
    ("asked", "attempts", "words"),
    [
        (None, 2, ["retry", "retry", "failed"]),
        (0, 2, ["failed", "failed", "failed"]),
        (1, 0, ["retry", "failed", "failed"]),
    ],
)
def test_a_retry_is_told_as_often_as_there_is_one(asked: int | None, attempts: int, words: list[str]) -> None:
    tries = [failed(1, "a#1", Verdict.RETRY, delay=30.0, attempts=attempts) for _ in range(3)]
    assert [word(line) for line in told(decided("a", retry=asked), *tries)] == words


def test_a_resend_doubles_its_delay_up_to_six_times() -> None:
    lines = told(decided("a"), *[failed(1, "a#1", Verdict.RESEND, delay=20.0) for _ in range(7)])
    assert [re.search(r"in (.*?):", line)[1] for line in lines[:6]] == [
        "20 s", "40 s", "80 s", "3 min", "5 min", "5 min",
    ]  # fmt: skip
    assert "failed" in lines[6]


def test_a_rejection_for_good_is_called_so() -> None:
    lines = told(decided("a"), failed(1, "a#1", Verdict.RETRY, rejected=True), failed(2, "a#1", Verdict.REJECT))
    assert [word(line) for line in lines] == ["rejected", "rejected"]


def test_a_pause_is_told_once_with_what_helps() -> None:
    day = failed(1, "a#1", Verdict.PAUSE_MODEL, hint="Wait.")
    lines = told(decided("a"), day, day, *[failed(2, "a#1", Verdict.PAUSE_RUN, hint="Buy.")] * 2)
    assert [line.split(maxsplit=2)[-1] for line in lines] == [
        "paused     gen4_turbo: It went wrong.", "Wait.", "paused     everything: It went wrong.", "Buy.",
    ]  # fmt: skip


@pytest.mark.parametrize(("charged", "end"), [(None, "[SOME.CODE]"), (0, "It cost nothing."), (1, "It cost 1 credit.")])
def test_a_failure_says_what_it_cost(charged: int | None, end: str) -> None:
    assert told(failed(1, "a#1", Verdict.FAIL, charged=charged))[0].endswith(end)


def test_what_another_process_makes_is_told_and_a_twin_is_not() -> None:
    lines = told(ev.Granted(AT, "a#1", "joined"), ev.Granted(AT, "b#1", "shared"), ev.Granted(AT, "c#1", "new"))
    assert len(lines) == 1
    assert "another flowrun is making it" in lines[0]


def test_unknown_words_are_shown_as_they_are() -> None:
    lines = told(
        ev.RunStarted(AT, "r", "fox", "", "sandbox", None),
        ev.Queued(AT, "a#1", "moonlight", None),
        ev.OverCap(AT, "a#1", "patience", None),
        ev.OverCap(AT, "a#1", "unknown-price", None),
        ev.Decided(AT, "b", "failed", None),
        ev.Stored(AT, "c#1", TASK, "r", (), None),
    )
    text = "\n".join(lines)
    for words in (
        "r: fox on sandbox",
        "a: waits for moonlight",
        "a: patience",
        "has no known price",
        "see the summary",
    ):
        assert words in text
    assert text.endswith("c: price unknown")


def test_nothing_harmful_and_no_secret_gets_through() -> None:
    evil = f"\x1b[2J\r\n{KEY}\u202e"
    lines = told(ev.Decided(AT, evil, "failed", None, detail=evil), failed(1, "a#1", Verdict.FAIL, hint=evil))
    text = "\n".join(lines)
    assert KEY[:60] not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "  0s"),
        (12.9, " 12s"),
        (99, " 99s"),
        (245, "4m05"),
        (1040, " 17m"),
        (7500, "2h05"),
        (90000, " 25h"),
        (-3, "  0s"),
    ],
)
def test_elapsed_time_has_four_columns(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text
