"""Tasks in time: slots, order, and answers that do not depend on who asked when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrun.operations.catalogue import described
from flowrun.sandbox.lifecycle import peak, progress_of, reschedule, slot_time, status_of, timestamp
from flowrun.sandbox.records import Task
from tests.sandbox.visitor import BEGIN, FILM, PICTURE, Visitor

SLOW = "{media: tiny, durations: {default: 8}}"


def test_a_task_goes_its_way_as_described() -> None:
    visitor = Visitor(SLOW, catalogue=described())
    task_id = visitor.create()
    assert visitor.task(task_id) == {"id": task_id, "createdAt": "2026-09-21T14:13:20.000Z", "status": "PENDING"}
    visitor.wait(0.8)
    assert visitor.task(task_id)["status"] == "RUNNING"
    assert visitor.task(task_id)["progress"] == 0
    visitor.wait(3.6)
    assert visitor.task(task_id)["progress"] == 0.5
    visitor.wait(3.5)
    assert visitor.status(task_id) == "RUNNING"
    visitor.wait(0.125)
    done = visitor.task(task_id)
    assert done["status"] == "SUCCEEDED"
    assert done.keys() == {"id", "createdAt", "status", "output"}
    assert done["createdAt"] == "2026-09-21T14:13:20.000Z"


def test_todays_answers_tell_what_a_task_costs() -> None:
    visitor = Visitor("{media: tiny, durations: {default: 8}, limits: {gen4_image: {concurrent: 1}}}", credits=10_000)
    answer = visitor.post("/v1/text_to_image", PICTURE).json()
    assert answer == {"id": answer["id"], "estimatedCost": {"credits": 5}}
    throttled = visitor.create()
    assert visitor.task(throttled)["estimatedCost"] == {"credits": 5}
    assert visitor.task(answer["id"]).keys() == {"id", "createdAt", "status", "estimatedCost"}
    visitor.wait(2)
    assert visitor.task(answer["id"]).keys() == {"id", "createdAt", "status", "progress", "estimatedCost"}
    visitor.wait(6)
    assert visitor.task(answer["id"]).keys() == {"id", "createdAt", "status", "output", "cost"}
    assert visitor.task(answer["id"])["cost"] == {"credits": 5}
    failed = visitor.create(promptText="[moderated]")
    refunded = visitor.post("/v1/text_to_image", PICTURE, X_Flowrun_Scenario='{"fail": "INTERNAL"}').json()["id"]
    visitor.wait(60)
    assert visitor.task(failed)["cost"] == {"credits": 5}
    assert visitor.task(refunded)["cost"] == {"credits": 0}


def test_a_price_that_is_not_known_is_told_as_none() -> None:
    visitor = Visitor()
    body = {"model": "kling_4", "promptText": "a fox"}
    assert visitor.post("/v1/text_to_video", body).json()["estimatedCost"] == {"credits": 0}


def test_beyond_the_limit_tasks_are_throttled_and_released_in_order() -> None:
    visitor = Visitor(SLOW, tier=1)
    ids = [visitor.create("text_to_video", FILM) for _ in range(3)]
    assert [visitor.status(each) for each in ids] == ["PENDING", "THROTTLED", "THROTTLED"]
    visitor.wait(7.875)
    assert [visitor.status(each) for each in ids] == ["RUNNING", "THROTTLED", "THROTTLED"]
    visitor.wait(0.125)
    assert [visitor.status(each) for each in ids] == ["SUCCEEDED", "RUNNING", "THROTTLED"]
    visitor.wait(8)
    assert [visitor.status(each) for each in ids] == ["SUCCEEDED", "SUCCEEDED", "RUNNING"]
    visitor.wait(3600)
    assert [visitor.status(each) for each in ids] == ["SUCCEEDED"] * 3


def test_limits_are_by_model_and_by_what_it_makes() -> None:
    visitor = Visitor(SLOW, tier=1)
    films = [visitor.create("text_to_video", FILM), visitor.create("text_to_video", FILM, model="veo3.1_fast")]
    pictures = [visitor.create() for _ in range(3)]
    assert [visitor.status(each) for each in films] == ["PENDING", "PENDING"]
    assert [visitor.status(each) for each in pictures] == ["PENDING", "PENDING", "THROTTLED"]


def test_the_end_of_the_day_tells_what_happened_at_noon() -> None:
    seen = []
    for polls in (0, 40):
        visitor = Visitor(SLOW, tier=1)
        ids = [visitor.create("text_to_video", FILM) for _ in range(4)]
        for _ in range(polls):
            visitor.wait(1)
            visitor.status(ids[0])
        report = visitor.sandbox.report()
        seen.append([(report["tasks"][each]["starts"], report["tasks"][each]["ends"]) for each in ids])
    assert seen[0] == seen[1]


def test_cancelling_lets_the_others_move_up() -> None:
    visitor = Visitor(SLOW, tier=1)
    first, second, third = (visitor.create("text_to_video", FILM) for _ in range(3))
    visitor.wait(2)
    assert visitor.send("DELETE", f"/v1/tasks/{second}").status == 204
    assert visitor.send("DELETE", f"/v1/tasks/{first}").status == 204
    assert visitor.status(third) == "RUNNING"
    visitor.wait(7.75)
    assert visitor.status(third) == "RUNNING"
    visitor.wait(0.25)
    assert visitor.status(third) == "SUCCEEDED"
    states = visitor.sandbox.report()["tasks"]
    assert [states[each]["status"] for each in (first, second, third)] == ["CANCELLED", "CANCELLED", "SUCCEEDED"]
    assert states[second]["starts"] == states[second]["ends"] == BEGIN + 2


def test_deleting_is_final_and_says_so_twice_differently() -> None:
    visitor = Visitor()
    task_id = visitor.create()
    url = visitor.url(task_id)
    first = visitor.send("DELETE", f"/v1/tasks/{task_id}")
    assert (first.status, first.body) == (204, b"")
    assert "Content-Type" not in first.headers
    assert visitor.send("DELETE", f"/v1/tasks/{task_id}").status == 404
    assert visitor.send("GET", f"/v1/tasks/{task_id}").status == 404
    assert visitor.send("GET", url).status == 404


def test_a_sloppy_cancel_changes_nothing() -> None:
    visitor = Visitor()
    task_id = visitor.create()
    assert visitor.send("DELETE", f"/v1/tasks/{task_id}/cancel").status == 404
    assert visitor.send("POST", f"/v1/tasks/{task_id}").status == 405
    assert visitor.status(task_id) == "PENDING"


def test_a_higher_tier_lets_those_that_wait_begin() -> None:
    visitor = Visitor("{media: tiny, tier: 1, durations: {default: 8}, faults: [{on: organization, do: {tier: 2}}]}")
    ids = [visitor.create("text_to_video", FILM) for _ in range(4)]
    visitor.wait(1)
    answer = visitor.send("GET", "/v1/organization").json()
    assert answer["tier"]["models"]["veo3.1"]["maxConcurrentGenerations"] == 3
    assert [visitor.status(each) for each in ids] == ["RUNNING", "RUNNING", "RUNNING", "THROTTLED"]


@pytest.mark.parametrize(
    ("scenario", "realistic", "seconds"),
    [
        ("{durations: {gen4_image: 3, text_to_image: 4, default: 5}}", True, 3),
        ("{durations: {text_to_image: 4, default: 5}}", True, 4),
        ("{durations: {default: 5}}", True, 5),
        ("{durations: {veo3: 5}}", False, 0.3),
    ],
)
def test_how_long_tasks_take(scenario: str, realistic: bool, seconds: float) -> None:
    visitor = Visitor(scenario, realistic=realistic)
    task_id = visitor.create()
    assert visitor.sandbox.report()["tasks"][task_id]["ends"] == pytest.approx(BEGIN + seconds)


def _drawn(*prompts: str) -> list[float]:
    """Seconds that a task of each takes, in a sandbox of its own."""
    visitor = Visitor("{durations: {default: [20, 60]}, limits: {default: {concurrent: null}}}")
    ids = [visitor.create(promptText=each) for each in prompts]
    tasks = visitor.sandbox.report()["tasks"]
    return [round(tasks[each]["ends"] - tasks[each]["starts"], 3) for each in ids]


def test_a_range_draws_for_each_task_whatever_came_before() -> None:
    many = _drawn(*(f"fox {number}" for number in range(60)))
    assert 20 <= min(many) < 25 < 55 < max(many) <= 60
    assert _drawn("owl", "fox 3", "elk", "fox 2")[1::2] == [many[3], many[2]]
    again = _drawn("fox 3", "fox 3")
    assert again[0] == many[3] != again[1], "a repeat is another task"


def test_realistic_tasks_take_as_long_as_live_ones() -> None:
    visitor = Visitor("{}", realistic=True)
    task_id = visitor.create("text_to_video", FILM)
    state = visitor.sandbox.report()["tasks"][task_id]
    assert 20 <= state["ends"] - state["starts"] <= 180
    assert visitor.send("GET", "/v1/organization").headers["X-Flowrun-Sandbox"] == "poll=5"


def test_a_task_that_takes_no_time_has_ended() -> None:
    visitor = Visitor("{media: tiny, durations: {default: 0}}")
    assert visitor.status(visitor.create()) == "SUCCEEDED"


def task(starts: float, ends: float) -> Task:
    return Task(1, "id", "o", "m", "", 0, starts, ends, 0.0, ends - starts, "SUCCEEDED", None, None, 1, False, "{}")


def test_progress_stays_within_its_bounds() -> None:
    assert [progress_of(task(2, 6), now) for now in (0, 2, 3, 6, 9)] == [0, 0, 0.25, 1, 1]
    assert progress_of(task(2, 2), 2) == 0
    assert status_of(task(2, 2), 2) == "SUCCEEDED"
    assert timestamp(0.25) == "1970-01-01T00:00:00.250Z"


def test_the_most_at_once() -> None:
    assert peak([]) == 0
    assert peak([(0, 1), (1, 2), (2, 2)]) == 1
    assert peak([(0, 5), (1, 3), (2, 4), (3, 6)]) == 3


Course = list[tuple[int, int, int | None]]
courses = st.lists(  # seconds since the one before, seconds it takes, seconds until it is cancelled, if it is
    st.tuples(st.integers(0, 5), st.integers(1, 9), st.one_of(st.none(), st.integers(1, 20))), max_size=14
)


def oracle(course: Course, limit: int) -> list[tuple[int, int]]:
    """Second by second: cancel, end, then give free slots in order. Gives (start, end) of each, as known at the end."""
    created, at = [], 0
    for gap, _, _ in course:
        at += gap
        created.append(at)
    begins: list[int | None] = [None] * len(course)
    ends: list[int | None] = [None] * len(course)
    for now in range(at + sum(duration for _, duration, _ in course) + 30):
        for each, (_, duration, cancel) in enumerate(course):
            if begins[each] is not None and ends[each] is None and begins[each] + duration <= now:
                ends[each] = now
            if cancel is not None and created[each] + cancel == now and ends[each] is None and created[each] <= now:
                begins[each] = now if begins[each] is None else begins[each]
                ends[each] = now
        for each in range(len(course)):
            busy = sum(begin is not None and end is None for begin, end in zip(begins, ends, strict=True))
            waiting = created[each] <= now and begins[each] is None
            if waiting and busy < limit:
                begins[each] = now
    return [(begin, end) for begin, end in zip(begins, ends, strict=True) if begin is not None and end is not None]


def scheduled(course: Course, limit: int) -> list[tuple[float, float]]:
    """The same by the scheduling that the sandbox uses: at each creation, and at each cancelling."""
    events, at = [], 0
    for each, (gap, _, cancel) in enumerate(course):
        at += gap
        events.append((at, 1, each))
        if cancel is not None:
            events.append((at + cancel, 0, each))
    tasks: dict[int, tuple[float, float]] = {}
    for now, created, each in sorted(events):  # cancellings first
        if created:
            starts = slot_time([end for _, end in tasks.values()], limit, now)
            tasks[each] = (starts, starts + course[each][1])
            continue
        starts, ends = tasks[each]
        tasks[each] = (min(starts, now), min(ends, now))
        waiting = [replace(task(begin, end), ordinal=number) for number, (begin, end) in tasks.items() if begin > now]
        held = [end for begin, end in tasks.values() if begin <= now < end]
        tasks |= {number: (begin, end) for number, begin, end in reschedule(waiting, held, limit, now)}
    return [tasks[each] for each in sorted(tasks)]


@settings(deadline=None)
@given(courses, st.integers(1, 4))
def test_scheduling_ahead_is_the_same_as_going_second_by_second(course: Course, limit: int) -> None:
    ahead = scheduled(course, limit)
    assert ahead == oracle(course, limit)
    assert peak(ahead) <= limit


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), min_size=1, max_size=12), st.integers(1, 2))
def test_a_whole_sandbox_keeps_its_limits(course: list[tuple[int, int]], tier: int) -> None:
    """Through the door: durations by scenario are one for all, so one model's tasks differ by how they are spaced."""
    visitor = Visitor("{media: tiny, durations: {default: 3}}", tier=tier)
    cancelled = []
    for gap, after in course:
        visitor.wait(gap)
        task_id = visitor.create("text_to_video", FILM)
        if after < 3:
            cancelled.append(task_id)
        for each in cancelled[: len(cancelled) // 2]:
            visitor.send("DELETE", f"/v1/tasks/{each}")
    visitor.wait(1000)
    visitor.send("GET", "/v1/organization")
    report = visitor.sandbox.report()
    assert report["peak_running"]["veo3.1"] <= {1: 1, 2: 3}[tier]
    assert {each["status"] for each in report["tasks"].values()} <= {"SUCCEEDED", "CANCELLED"}
    kept = [each["starts"] for each in report["tasks"].values() if each["status"] == "SUCCEEDED"]
    assert kept == sorted(kept)


def test_the_prompt_of_a_picture_is_in_the_report() -> None:
    visitor = Visitor()
    task_id = visitor.create()
    assert visitor.sandbox.report()["submissions"] == [
        {
            "id": task_id,
            "operation": "text_to_image",
            "model": "gen4_image",
            "time": BEGIN,
            "prompt": PICTURE["promptText"],
        }
    ]
