"""What the report tells of polls and of time."""

from __future__ import annotations

import pytest

from tests.sandbox.visitor import BEGIN, Visitor


def test_the_smallest_interval_is_kept_whatever_comes_after() -> None:
    visitor = Visitor()
    slow, quick, once = visitor.create(), visitor.create(), visitor.create()
    for task, waits in ((slow, (0, 5, 2, 7)), (quick, (0, 1, 0.25, 3)), (once, (0,))):
        for wait in waits:
            visitor.wait(wait)
            visitor.task(task)
    report = visitor.sandbox.report()
    tasks = report["tasks"]
    assert [tasks[each]["smallest_poll_interval"] for each in (slow, quick, once)] == [2.0, 0.25, None]
    assert [tasks[each]["polls"] for each in (slow, quick, once)] == [4, 4, 1]
    assert report["smallest_poll_interval"] == 0.25


def test_a_poll_counts_whatever_its_answer_and_by_the_clients_time() -> None:
    visitor = Visitor("media: tiny\nfaults: [{on: tasks, match: {nth: 2}, do: {jump: 3600}}]")
    task = visitor.create()
    for path in (task, task, "17f20503-6c24-4c16-946b-35dbbce2af2f"):
        visitor.wait(1)
        visitor.send("GET", f"/v1/tasks/{path}")
    visitor.wait(0.5)
    refused = visitor.send("GET", f"/v1/tasks/{task}", {"X-Flowrun-Scenario": '{"status": 503}'})
    assert refused.status == 503
    row = visitor.sandbox.report()["tasks"][task]
    assert (row["polls"], row["smallest_poll_interval"]) == (3, 1.0)


def test_without_polls_there_is_no_interval() -> None:
    visitor = Visitor()
    visitor.create()
    assert visitor.sandbox.report()["smallest_poll_interval"] is None


@pytest.mark.parametrize(("later", "status"), [(None, "PENDING"), (-100.0, "PENDING"), (100.0, "SUCCEEDED")])
def test_it_is_of_the_moment_asked_for_but_never_of_an_earlier_one(later: float | None, status: str) -> None:
    visitor = Visitor()
    task = visitor.create()
    report = visitor.sandbox.report(None if later is None else BEGIN + later)
    assert report["tasks"][task]["status"] == status


def test_the_moment_is_by_the_sandboxs_own_clock() -> None:
    visitor = Visitor("media: tiny\nfaults: [{on: organization, do: {jump: 1000}}]")
    visitor.send("GET", "/v1/organization")
    task = visitor.create()
    assert visitor.sandbox.report(visitor.now)["tasks"][task]["status"] == "PENDING"
    assert visitor.sandbox.report(visitor.now + 10)["tasks"][task]["status"] == "SUCCEEDED"
