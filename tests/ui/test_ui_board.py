"""The live view's model and its frames: they add up, they fit, they agree with the summary, and they say what is so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flowrun.diagnostics.visible import width as columns_of
from flowrun.engine import events as ev
from flowrun.engine.failure import Verdict
from flowrun.engine.states import FINAL, NodeState
from flowrun.ui.board import Board
from flowrun.ui.board_rows import ACTIVE
from flowrun.ui.frame import frame
from flowrun.ui.outlook import PACE, Outlook, remaining
from flowrun.ui.paint import palette
from tests.support.runs import RUNS, Made, made
from tests.ui.board_values import (
    IMAGE,
    TASK,
    VIDEO,
    board_of,
    decided,
    everything,
    expanded,
    failed,
    finished,
    item,
    limits,
    running,
    sent,
    started,
)
from tests.ui.ui_values import AT, KEY, golden

PLAIN = palette(False)
OUTCOMES = [state.value for state in (*sorted(FINAL), NodeState.BLOCKED)]
SIZES = [(80, 24), (160, 45), (100, 16), (40, 10), (20, 6), (9, 3), (1, 1), (300, 100)]


@pytest.fixture(params=sorted(RUNS))
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return made(request.param, tmp_path)


def steps(events: tuple[ev.Event, ...]) -> Iterator[tuple[ev.Event, Board]]:
    board = Board()
    for event in events:
        board.take_in(event)
        yield event, board


def shown(board: Board, after: float = 90.0, width: int = 120, height: int = 60, left: float | None = None) -> str:
    return "\n".join(frame(board, AT + after, width, height, PLAIN, left))


# -- whole runs


def test_the_counts_add_up_after_every_event(run: Made) -> None:
    for _, board in steps(run.events):
        assert sum(board.counts.values()) == len(board.nodes)
        assert min(board.counts.values(), default=0) >= 0
        assert board.done == sum(board.counts[state] for state in OUTCOMES)


def test_no_more_slots_are_in_use_than_there_are(run: Made) -> None:
    for _, board in steps(run.events):
        for model in board.models.values():
            assert min(model.in_use, model.queued, model.later, model.over, model.others) >= 0
            assert model.limit is None or model.in_use + model.others <= model.limit


def test_what_was_spent_shrinks_only_by_what_the_api_says(run: Made) -> None:
    spent = 0
    for event, board in steps(run.events):
        if not isinstance(event, ev.AttemptFailed | ev.Stored):
            assert board.summary.credits >= spent
        spent = board.summary.credits


def test_the_last_frame_agrees_with_the_summary(run: Made) -> None:
    board, summary = board_of(run.events), run.applied.summary
    ended = {state: count for state in OUTCOMES if (count := board.counts[state])}
    assert ended == {state: count for state, count in summary.counts().items() if state != "pending"}
    assert sum(ended.values()) + len(summary.pending) == len(board.nodes)
    assert board.summary == summary
    assert not any(model.in_use for model in board.models.values())
    assert all(unit.phase not in ACTIVE for unit in board.units.values())


@pytest.mark.parametrize("size", SIZES)
def test_no_frame_is_wider_or_higher_than_the_terminal(size: tuple[int, int], tmp_path: Path) -> None:
    for name in ("fan-out", "retried", "interrupted", "withdrawn", "cap", "two-takes"):
        for event, board in steps(made(name, tmp_path / name).events):
            fits(frame(board, event.at, *size, PLAIN, 12.0), size)


def fits(lines: list[str], size: tuple[int, int]) -> None:
    width, height = size
    assert len(lines) <= max(1, height - 1)
    assert all(columns_of(line) <= max(1, width - 1) and "\n" not in line for line in lines)


def test_a_take_keeps_its_row_while_it_is_active(run: Made) -> None:
    before: dict[str, int] = {}
    for _, board in steps(run.events):
        now = {name: at for at, name in enumerate(board.lanes) if board.units[name].is_active}
        assert all(now[name] == at for name, at in before.items() if name in now)
        assert len(set(board.lanes)) == len(board.lanes)
        assert {unit.name for unit in board.units.values() if unit.is_active and unit.how != "shared"} == set(now)
        before = now


def test_a_take_that_is_tried_again_has_its_own_row_again() -> None:
    events = [started(), expanded(item("a"), item("b")), decided("a"), decided("b"), *sent("a#1"), *sent("b#1")]
    events += [*finished("a#1", 20.0), failed("b#1", Verdict.RETRY, 21.0, attempts=1), ev.Woke(AT + 22, "b#1")]
    assert board_of([*events, *sent("b#1", 23.0)]).lanes == ["a#1", "b#1"]


def test_slots_that_others_hold_are_seen(tmp_path: Path) -> None:
    others = [board.models[IMAGE].others for _, board in steps(made("two-at-once", tmp_path).events) if board.models]
    assert max(others) == 2
    assert others[-1] == 0


# -- frames


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 45), (60, 16), (40, 10)])
def test_frames_look_so(width: int, height: int) -> None:
    lines = frame(board_of(everything()), AT + 90.0, width, height, PLAIN, 200.0)
    fits(lines, (width, height))
    golden(f"frame-{width}x{height}", "\n".join(lines))


@pytest.mark.parametrize("size", SIZES)
def test_every_size_shows_something_that_fits(size: tuple[int, int]) -> None:
    events = everything()
    for event, board in steps(tuple(events)):
        fits(frame(board, event.at, *size, PLAIN), size)
    many = board_of([*events, *(ev.Interrupted(AT + 90.0, times) for times in (1, 2))])
    fits(frame(many, AT + 90.0, *size, PLAIN, 0.5), size)


def test_the_same_board_and_moment_make_the_same_frame() -> None:
    one, other = (frame(board_of(everything()), AT + 90.0, 80, 24, PLAIN, 5.0) for _ in range(2))
    assert one == other


def test_colour_changes_nothing_but_colour() -> None:
    import re

    board = board_of(everything())
    painted = "\n".join(frame(board, AT + 90.0, 100, 40, palette(True), 5.0))
    assert re.sub("\x1b\\[[0-9;]*m", "", painted) == shown(board, 90.0, 100, 40, 5.0)
    assert "\x1b[" in painted


def test_a_quiet_beginning() -> None:
    assert shown(Board()).splitlines()[0].startswith("flowrun")
    board = board_of([started(None, "sandbox"), expanded(item("a"))])
    assert shown(board, 3.0).splitlines() == [
        "fox-trailer (draft) on the sandbox  3s",
        "[........................]  0 of 1 node; 0 credits",
        "1 waiting",
        "",
        "a         waiting",
    ]


def test_money_that_is_not_known_is_never_nothing() -> None:
    board = board_of([started(), limits(), expanded(item("a"), item("b")), decided("a"), *sent("a#1", credits=None)])
    assert "0 credits of at most 400 and 1 generation of unknown price; balance 5,000" in shown(board)


def test_the_balance_follows_what_is_spent_and_a_new_reading() -> None:
    events = [started(), limits(), expanded(item("a"), item("b")), decided("a"), decided("b"), *sent("a#1")]
    assert board_of(events).balance == 4_975
    events += [*finished("a#1"), *sent("b#1", 31.0), limits(balance=4_975, at=AT + 32.0)]
    assert board_of(events).balance == 4_950  # what is in flight has not been taken off it yet
    events += [ev.Ended(AT + 40, "b#1", TASK, "FAILED"), failed("b#1", Verdict.FAIL, 40.0, charged=0)]
    assert board_of(events).balance == 4_975
    assert Board().balance is None


def test_elsewhere_is_told_while_it_matters_and_never_beyond_the_limit() -> None:
    names = [f"n{number}" for number in range(4)]
    events = [started(), limits(), expanded(*map(item, names)), *map(decided, names), *sent("n0#1"), *sent("n1#1")]
    events.append(ev.Queued(AT + 2, "n2#1", "concurrency", None, 3))
    assert "gen4_turbo  2 + 3 elsewhere of 5  2 queued: no free slot" in shown(board_of(events))
    events += sent("n2#1", 5.0)
    assert "gen4_turbo  3 + 2 elsewhere of 5  1 queued: no free slot" in shown(board_of(events))
    events += sent("n3#1", 6.0)
    assert "gen4_turbo  4 of 5 slots" in shown(board_of(events))


def test_a_model_without_a_limit_tells_what_is_in_use() -> None:
    board = board_of([started(), expanded(item("a")), decided("a"), *sent("a#1")])
    assert "gen4_turbo  1 in use" in shown(board)
    scarce = [limits(ev.ModelLimit(VIDEO, None, 1)), expanded(item("a", takes=3))]
    assert "3 later, 1 left today" in shown(board_of([started(), *scarce]))


def test_a_used_up_day_is_told_until_something_is_granted() -> None:
    first = [started(), limits(), expanded(item("a"), item("b")), decided("a"), decided("b")]
    paused = [*first, ev.Queued(AT, "a#1", "daily", AT + 7200)]
    assert "2 queued: the day's generations are used, next free at 05:05 UTC" in shown(board_of(paused))
    assert "used up" not in shown(board_of([*paused, *sent("a#1", 7300.0)]))
    told = [*first, *sent("a#1"), failed("a#1", Verdict.PAUSE_MODEL, 2.0, delay=60.0)]
    assert "the day's generations are used, next free within 24 h" in shown(board_of(told))
    waits = [replace(started(), waits=True), *told[1:]]
    assert "the API says the day is used up, asked again at 03:06 UTC" in shown(board_of(waits))
    assert "moonlight" in shown(board_of([*first, ev.Queued(AT, "a#1", "moonlight", None)]))


def test_more_models_than_room_are_counted_and_the_busy_ones_shown() -> None:
    known = [ev.ModelLimit(f"m{number}", 1, None) for number in range(9)]
    board = board_of(
        [started(), limits(*known), expanded(item("a", model="m7")), decided("a", model="m7"), *sent("a#1")]
    )
    text = shown(board, height=14)
    assert "m7  1 of 1 slots" in text
    assert "and 7 more models" in text


def test_every_phase_has_its_words() -> None:
    lines = [" ".join(line.split()) for line in shown(board_of(everything()), height=70).splitlines()]
    for words in (
        "still[3] running [####......] 42% 48s",
        "still[4] in the API's queue 48s",
        "shot[1]#1 running [#########.] 99% 47s",
        "shot[1]#2 sending",
        "shot[2] downloading",
        "shot[3] again in 1 s It went wrong",
        "reveal taken up",
        "多言語の字幕 another flowrun's",
        "never failed the file refs/none.png is gone",
        "shot[9] uploading gen4_turbo",
        "shot[5] over the cap no credits left under --max-credits or limits.credits",
        "twin sharing another node of this run makes it",
        "ep[s1].title waiting for cut, still and 1 more",
        "still (6) queued gen4_image: no free slot",
    ):
        assert any(line.startswith(words) for line in lines), (words, lines)


def test_a_name_and_a_message_from_outside_move_no_cursor_and_tell_no_key() -> None:
    events = [started(), expanded(item("a")), decided("a"), *sent("a#1")]
    text = shown(board_of([*events, failed("a#1", Verdict.FAIL, message=f"\x1b[2J {KEY}\nand more")]))
    assert "\x1b" not in text
    assert KEY not in text
    assert "and more" in text


def test_failures_beyond_the_room_are_counted() -> None:
    names = [f"n[{number}]" for number in range(20)]
    events = [started(), limits(ev.ModelLimit(VIDEO, 20, None)), expanded(*map(item, names))]
    for name in names:
        events += [decided(name), *sent(f"{name}#1"), failed(f"{name}#1", Verdict.FAIL)]
        events.append(ev.Settled(AT + 30, name, NodeState.FAILED))
    board = board_of(events)
    assert len(board.lanes) == 1  # each had the row of the one before
    text = shown(board, height=14)
    assert "more failed, told above" in text
    assert "20 failed" in text
    assert "n[19]" in shown(board, height=40)


@pytest.mark.parametrize(
    ("verdict", "fields", "kind"),
    [
        (Verdict.RETRY, {"attempts": 1}, "retrying"),
        (Verdict.RETRY, {"attempts": 0}, "running"),  # until it is settled, which is the next event
        (Verdict.RESEND, {}, "retrying"),
        (Verdict.PAUSE_MODEL, {}, "queued"),
        (Verdict.PAUSE_RUN, {}, "queued"),
        (Verdict.DOUBT, {}, "running"),
    ],
)
def test_what_a_failed_attempt_makes_of_its_node(verdict: Verdict, fields: dict[str, object], kind: str) -> None:
    events = [started(), expanded(item("a")), decided("a"), *sent("a#1"), failed("a#1", verdict, **fields)]
    board = board_of(events)
    assert {name for name, count in board.counts.items() if count} == {kind}


def test_a_task_that_is_only_taken_up_is_not_tried_again() -> None:
    events = [started(), expanded(item("a")), decided("a", "resume", anew=False), ev.Granted(AT, "a#1", "resumed")]
    board = board_of([*events, failed("a#1", Verdict.RETRY, attempts=5)])
    assert board.units["a#1"].outcome == "failed"


def test_a_retry_waits_longer_each_time_as_the_scheduler_does() -> None:
    events = [started(), expanded(item("a")), decided("a")]
    waits = []
    for number in range(3):
        events += [*sent("a#1"), failed("a#1", Verdict.RETRY, 10.0, delay=4.0, attempts=3)]
        waits.append(board_of(events).units["a#1"].again_at - AT - 10.0)
        events.append(ev.Woke(AT + 20.0 + number, "a#1"))
    assert waits == [4.0, 8.0, 16.0]
    assert board_of(events).counts["queued"] == 1


def test_stopping_says_what_stays_where() -> None:
    events = [started(), expanded(item("a"), item("b")), decided("a"), decided("b"), *sent("a#1"), *sent("b#1")]
    once = board_of([*events, ev.Interrupted(AT + 5)])
    assert "stopping: nothing new starts; 2 tasks stay at the API (Ctrl-C again: at once)" in shown(once, width=80)
    twice = board_of([*events, ev.Interrupted(AT + 5), ev.Left(AT + 6, "a#1", TASK), ev.Left(AT + 6, "b#1", None)])
    twice.take_in(ev.Interrupted(AT + 7, 2))
    assert "stopping: nothing new starts; 1 task stays at the API\n" in shown(twice)
    assert "a         left at the API" in shown(twice)
    assert "2 left at the API" in shown(twice)
    assert "stopping: the surroundings fail" in shown(board_of([*events, ev.Halted(AT, "disk", "full")]))
    assert "stopping: the surroundings fail" in shown(board_of([*events, failed("a#1", Verdict.STOP)]))
    assert "the credits are used up" in shown(board_of([*events, failed("a#1", Verdict.PAUSE_RUN)]))
    assert "stopping" not in shown(board_of([*events, ev.Interrupted(AT), ev.RunEnded(AT + 9, 130)]))


def test_events_of_nobody_known_are_no_news() -> None:
    strangers = [
        ev.Granted(AT, "x#1", "new"),
        ev.Settled(AT, "x", NodeState.FAILED),
        decided("x"),
        ev.Woke(AT, None, "m"),
    ]
    assert not board_of([started(), *strangers]).nodes


# -- how long it still takes


def left(*events: ev.Event, after: float) -> float:
    return remaining(board_of([started(), limits(), *events]), AT + after).seconds()


def test_what_is_left_is_the_schedule_of_what_remains() -> None:
    chain = expanded(item("a", model=IMAGE, seconds=20.0), *(item(f"b[{n}]", "a", seconds=60.0) for n in range(10)))
    assert left(chain, after=0.0) == 20.0 + 2 * 60.0  # ten films, five at once
    begun = [chain, decided("a", model=IMAGE), *sent("a#1", 1.0)]
    assert left(*begun, after=6.0) == 15.0 + 120.0
    assert left(*begun, *finished("a#1", 21.0), after=21.0) == 120.0


def test_takes_are_counted_before_they_are_decided() -> None:
    assert left(expanded(item("a", model=IMAGE, takes=4)), after=0.0) == 120.0


def test_progress_says_more_than_what_was_expected() -> None:
    begun = [expanded(item("a")), decided("a"), *sent("a#1", 0.0)]
    assert left(*begun, running("a#1", 0.5, 100.0), after=100.0) == pytest.approx(100.0)
    assert left(*begun, running("a#1", 0.1, 30.0), after=30.0) == pytest.approx(30.0)
    assert left(*begun, running("a#1", 0.99, 100.0), after=100.0) == pytest.approx(10.1, abs=0.1)


def test_what_is_overdue_makes_the_rest_be_expected_later() -> None:
    begun = [expanded(item("a"), item("b", "a")), decided("a"), *sent("a#1", 0.0)]
    assert left(*begun, after=30.0) == 30.0 + 60.0
    assert left(*begun, after=120.0) == pytest.approx(30.0 + 150.0)


def test_what_has_ended_says_how_long_its_model_takes() -> None:
    first = [expanded(item("a"), item("b", "a"), item("c", model=IMAGE)), decided("a"), *sent("a#1", 0.0)]
    assert left(*first, *finished("a#1", 30.0), after=30.0) == 30.0
    without = [expanded(item("a", seconds=0.0)), decided("a"), *sent("a#1", 0.0), *finished("a#1", 30.0)]
    assert left(*without, after=30.0) == 0.0


def test_what_nothing_will_come_of_is_not_waited_for() -> None:
    first = [
        expanded(item("below", "middle", seconds=500.0), item("middle", "a"), item("a"), item("b"), item("c")),
        *map(decided, "abc"),
    ]
    capped = [ev.OverCap(AT, "a#1", "run-cap", 0), *sent("b#1", 0.0)]
    assert left(*first, *capped, after=0.0) == 60.0  # b, c; below hangs on a
    assert left(*first, *capped, ev.Queued(AT, "c#1", "daily", None), after=0.0) == 60.0
    assert left(expanded(), after=0.0) == 0.0


def test_slots_held_elsewhere_make_it_last_longer() -> None:
    names = [f"n{number}" for number in range(6)]
    first = [expanded(*map(item, names)), *map(decided, names)]
    assert left(*first, after=0.0) == 120.0
    assert left(*first, ev.Queued(AT, "n0#1", "concurrency", None, 3), after=0.0) == 180.0


def test_an_estimate_is_made_only_when_something_moved_and_not_too_often() -> None:
    board, outlook = board_of([started(), limits(), expanded(item("a"), item("b", "a"))]), Outlook()
    assert outlook.look(board, AT) == 120.0
    assert not outlook.is_due(board, AT + 50.0)  # nothing has moved
    assert outlook.look(board, AT + 50.0) == 70.0  # and time goes on
    board.take_in(decided("a"))
    assert outlook.is_due(board, AT + PACE)
    assert not outlook.is_due(board, AT + PACE / 2)
    assert outlook.look(board, AT + 60.0) == 120.0
    assert outlook.is_due(board, AT + 181.0)  # it should have ended
    large = board_of([started(), expanded(*(item(f"n[{number}]") for number in range(1000)))])
    large_outlook = Outlook()
    large_outlook.look(large, AT)
    large.take_in(decided("n[1]"))
    assert not large_outlook.is_due(large, AT + 9.0)
    assert large_outlook.is_due(large, AT + 10.0)


def test_there_is_no_estimate_where_none_would_be_true() -> None:
    first = [started(), limits(), expanded(item("a"))]
    assert Outlook().look(board_of([*first, ev.Interrupted(AT)]), AT) is None
    assert Outlook().look(board_of([*first, decided("a"), ev.Queued(AT, "a#1", "daily", AT + 9)]), AT) is None
    assert Outlook().look(Board(), AT) is None
    assert "about 2 min left" in shown(board_of(first), left=120.0)
    assert "done any moment" in shown(board_of(first), left=0.2)


def test_the_estimate_of_a_whole_run_comes_true(tmp_path: Path) -> None:
    events = made("fan-out", tmp_path).events
    board, outlook, misses = Board(), Outlook(), []
    for event, later in itertools.pairwise(events):
        board.take_in(event)
        guess = outlook.look(board, event.at)
        if later.at > event.at and board.done >= 4 and guess is not None:
            misses.append(abs(event.at + guess - events[-1].at))
    assert misses
    assert sum(misses) / len(misses) < 15.0  # of a run of some 130 seconds, tasks of 20


def test_what_has_just_ended_keeps_its_row_for_a_moment_where_there_is_not_room_for_all() -> None:
    names = [f"n[{number}]" for number in range(10)]
    events = [started(), limits(ev.ModelLimit(VIDEO, 10, None)), expanded(*map(item, names)), *map(decided, names)]
    board = board_of([*events, *(each for name in names for each in sent(f"{name}#1")), *finished("n[1]#1", 30.0)])
    soon, later = shown(board, 31.0, height=14), shown(board, 40.0, height=14)
    assert soon.splitlines()[5].split()[:2] == ["n[1]", "made"]
    assert soon.splitlines()[-1] == "and 2 more active"
    assert later.splitlines()[5].startswith("n[2]")
    assert later.splitlines()[-1].startswith("n[9]")


def test_a_thousand_nodes_are_drawn_and_reckoned_with(tmp_path: Path) -> None:
    names = [f"n[{number}]" for number in range(1000)]
    events = [started(), limits(), expanded(item("hero", model=IMAGE), *(item(name, "hero") for name in names))]
    board = board_of([*events, decided("hero", model=IMAGE), *sent("hero#1", 0.0), *finished("hero#1", 60.0)])
    for name in names:
        board.take_in(decided(name))
    assert "n (1000)    queued" in shown(board)
    assert remaining(board, AT + 60.0).seconds() == 200 * 60.0


def test_the_recording_tool_draws_a_whole_run(tmp_path: Path) -> None:
    from benchmarks.live_view import RUNS as SIZED
    from benchmarks.live_view import events_of, frames, price
    from benchmarks.live_view import shown as drawn

    events = events_of(SIZED[3], tmp_path)
    found = list(frames(events, 80, 24, 5.0))
    assert [at for at, _ in found[:3]] == [0.0, 5.0, 10.0]
    assert "3 made" in drawn(*found[-1], 80)
    assert price(events).startswith("3 nodes: a frame")


def stopping(*more: ev.Event, cancels: bool = False) -> list[ev.Event]:
    events = [started(), expanded(*map(item, "abcd")), *map(decided, "abcd")]
    events += [event for name in "abcd" for event in [*sent(f"{name}#1"), running(f"{name}#1", 0.5)]]
    return [*events, ev.Interrupted(AT + 20, 1, cancels), *more]


def test_a_run_that_stops_names_what_stays_at_the_api_and_the_ways_on() -> None:
    left = [ev.Left(AT + 20, f"{name}#1", TASK) for name in "abc"]
    text = "\n".join(frame(board_of(stopping(*left)), AT + 21, 100, 24, PLAIN))
    assert "stopping: nothing new starts; 4 tasks stay at the API (Ctrl-C again: at once)\n" in text
    assert "at the API: a, b … 2 more\n" in text
    assert "apply again takes them up; flowrun cancel 20261122-030525-ab12cd ends them\n" in text
    low = frame(board_of(stopping(*left)), AT + 21, 100, 12, PLAIN)
    assert not any("ends them" in line for line in low), "where there is little room the nodes come first"


def test_a_run_that_cancels_counts_down() -> None:
    gone = [ev.Left(AT + 20, "a#1", TASK), ev.Withdrawn(AT + 21, "a#1", TASK, "cancelled")]
    gone += [ev.Left(AT + 20, "b#1", TASK), ev.Withdrawn(AT + 21, "b#1", TASK, "collected")]
    board = board_of(stopping(*gone, cancels=True))
    text = "\n".join(frame(board, AT + 21, 100, 24, PLAIN))
    assert "cancelling 2 tasks at the API (Ctrl-C again: at once)" in text
    assert "ends them" not in text
    assert (board.counts["cancelled at the API"], board.counts["collected"], board.counts["running"]) == (1, 1, 2)
    second = board_of([*stopping(*gone, cancels=True), ev.Interrupted(AT + 22, 2)])
    assert "2 tasks stay at the API\n" in "\n".join(frame(second, AT + 22, 100, 24, PLAIN)) + "\n"
