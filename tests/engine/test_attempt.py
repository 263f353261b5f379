"""One attempt: the happy path, every failure the API has, and what the ledger knows afterwards."""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from flowrun.engine import events as ev
from flowrun.engine.attempt import FoundResult, Go, Joined, OverCapError, TakenUp, admit, carry_out, execute
from flowrun.engine.failure import AttemptError, Failure, Verdict
from flowrun.engine.ports import SEND_WITHIN
from flowrun.engine.verdicts import judged
from flowrun.ids import TaskId
from flowrun.ledger.protocol import LimitName, Limits, Over, Wait
from flowrun.runway.errors import (
    AnswerLostError,
    GoneError,
    KeyRefusedError,
    NotAcceptedError,
    RefusedError,
    SubmitFailure,
    TransientError,
    UrlExpiredError,
)
from flowrun.runway.policy import FAILURES, SUBMISSIONS, Follows, RetryKind
from flowrun.runway.values import OutputUrl, SandboxMark
from tests.engine.fakes import DISK_FULL, DONE, HTML, MODEL, RUNNING, THROTTLED, World, a_doc, picture, seen
from tests.support.virtual_time import VirtualClock, run_virtual

Story = Callable[[World], Awaitable[Any]]
HOUR = 3600.0


def told(story: Story) -> Any:
    async def main(clock: VirtualClock) -> Any:
        return await story(World(clock))

    return run_virtual(main)


async def failing(work: Awaitable[Any]) -> Failure:
    with pytest.raises(AttemptError) as caught:
        await work
    return caught.value.failure


def test_the_happy_path():
    async def story(world: World) -> None:
        anne, doc, began = world.process(), a_doc(seed=7, take=2), world.clock.now()
        carried = await execute(anne.attempt(doc))
        assert carried.made
        result = carried.result
        assert world.stored(doc) == [result.task] == ["task-1"]
        assert world.api.bodies == [{"promptText": "a fox", "seed": 7}]
        assert (result.credits, result.seed, result.take, result.forced) == (5, 7, 2, False)
        assert began < result.submitted_at < result.ended_at == result.committed_at == world.clock.now()
        assert [type(event).__name__ for event in anne.reports] == ["Submitted", "Progressed", "Ended"]
        assert world.blobs.content[result.outputs[0].digest.sha256] == picture()
        (row,) = world.ledger.tasks()
        assert (row.settled, row.charged, row.failure, row.status) == (True, 5, None, "SUCCEEDED")
        assert world.held == {}
        assert not world.ledger.open()

    told(story)


def test_what_was_made_is_found_and_forcing_makes_another():
    async def story(world: World) -> None:
        doc, anne = a_doc(), world.process()
        await execute(anne.attempt(doc))
        again = await execute(anne.attempt(doc))
        assert not again.made
        assert isinstance(admit(anne.attempt(doc)), FoundResult)
        forced = await execute(anne.attempt(doc, forced=True))
        assert (forced.made, forced.result.forced) == (True, True)
        assert world.stored(doc) == ["task-1", "task-2"]

    told(story)


def test_polls_keep_their_distance_and_an_hour_in_the_queue_is_no_timeout():
    async def story(world: World) -> None:
        world.api.script = (*[THROTTLED] * 600, RUNNING, DONE)
        anne = world.process()
        await execute(anne.attempt(a_doc(timeout=60.0)))
        times = world.api.asked_at[TaskId("task-1")]
        assert times[-1] - times[0] > HOUR
        assert all(later - earlier >= 5.0 for earlier, later in pairwise(times))
        assert [event.status for event in anne.reports if isinstance(event, ev.Progressed)] == ["THROTTLED", "RUNNING"]

    told(story)


def test_a_sandbox_may_allow_more_frequent_polls():
    async def story(world: World) -> None:
        world.api.sandbox = SandboxMark(poll=0.1)
        began = world.clock.now()
        await execute(world.process().attempt(a_doc()))
        assert world.clock.now() - began < 3.0

    told(story)


def test_a_timeout_leaves_the_task_to_the_next_apply():
    async def story(world: World) -> None:
        world.api.script = (*[RUNNING] * 40, DONE)
        failure = await failing(execute(world.process().attempt(a_doc(timeout=60.0))))
        assert (failure.verdict, failure.code, failure.task) == (Verdict.FAIL, "timeout", "task-1")
        assert [row.task for row, _ in world.ledger.open()] == ["task-1"]
        assert world.held == {MODEL: 1}
        world.ledger.retire(world.process().owner)
        carried = await execute(world.process("bob").attempt(a_doc()))
        assert carried.made
        assert len(world.api.bodies) == 1

    told(story)


def test_a_bad_network_is_outlasted_with_growing_patience():
    async def story(world: World) -> None:
        world.api.script = (*[TransientError("no route")] * 30, TransientError("busy", retry_after=900.0), DONE)
        await execute(world.process().attempt(a_doc()))
        waits = [later - earlier for earlier, later in pairwise(world.api.asked_at[TaskId("task-1")])]
        assert 6.0 <= waits[0] <= 10.0
        assert all(wait <= 181.0 for wait in waits[:-1])
        assert waits[-1] >= 900.0
        assert sum(waits) > 30 * 60.0

    told(story)


def test_a_task_that_is_gone_is_settled_as_lost():
    async def story(world: World) -> None:
        world.api.script = (GoneError("404"),)
        failure = await failing(execute(world.process().attempt(a_doc())))
        assert (failure.verdict, failure.code) == (Verdict.FAIL, "TASK_GONE")
        (row,) = world.ledger.tasks()
        assert (row.settled, row.charged, row.failure.code, row.status) == (True, None, "TASK_GONE", "GONE")

    told(story)


def test_a_task_that_was_cancelled_at_the_api():
    async def story(world: World) -> None:
        world.api.script = (seen("CANCELLED", charged=0),)
        failure = await failing(execute(world.process().attempt(a_doc())))
        assert (failure.verdict, failure.code, failure.charged) == (Verdict.FAIL, "CANCELLED", 0)
        assert world.ledger.tasks()[0].settled

    told(story)


def test_a_refused_key_while_polling_stops_the_run_and_keeps_the_task():
    async def story(world: World) -> None:
        world.api.script = (KeyRefusedError("401"),)
        failure = await failing(execute(world.process().attempt(a_doc())))
        assert (failure.verdict, failure.code) == (Verdict.STOP, "key-refused")
        assert len(world.ledger.open()) == 1

    told(story)


# -- failures of tasks, by the table


@pytest.mark.parametrize("code", [*FAILURES, "SAFETY.INPUT.TEXT.DEEPER", "SOMETHING.NEW", None])
@pytest.mark.parametrize("charged", [None, 0, 3])
def test_a_failed_task_means_what_the_table_says(code, charged):
    async def story(world: World) -> None:
        task = seen("FAILED", failure_code=code, charged=charged)
        world.api.script = (task,)
        failure = await failing(execute(world.process().attempt(a_doc())))
        expected, failed, credits = judged(task, a_doc())
        (row,) = world.ledger.tasks()
        assert (row.settled, row.status, row.failure, row.charged) == (True, "FAILED", failed, credits)
        assert (failure.verdict, failure.code, failure.charged) == (expected.verdict, expected.code, credits)
        assert world.held == {}
        assert world.ledger.committed("run-anne") == (5 if credits is None else credits)
        if charged is not None:
            assert credits == charged

    told(story)


def test_a_price_that_the_api_tells_of_a_refunded_failure_is_shown():
    failure, _, credits = judged(seen("FAILED", failure_code="INTERNAL", charged=5), a_doc())
    assert (credits, "the API counts 5 credits" in failure.message) == (5, True)
    failure, _, _ = judged(seen("FAILED", failure_code="INTERNAL", charged=0), a_doc())
    assert "counts" not in failure.message


def test_the_verdicts_of_failed_tasks_follow_the_tables_columns():
    for code, rule in FAILURES.items():
        failure, failed, _ = judged(seen("FAILED", failure_code=code), a_doc())
        retried = rule.retry.kind is not RetryKind.NEVER
        assert (failure.verdict is Verdict.RETRY) == retried, code
        assert (failure.attempts, failure.delay) == (rule.retry.attempts, rule.retry.delay), code
        assert failure.verdict is not Verdict.REJECT or rule.rejected, code
        assert (failed.rejected, failed.input_refused) == (rule.rejected, rule.input_refused), code
        assert not retried or failure.charged == 0, f"{code} is retried though it may have been charged"


# -- requests that were not accepted


@pytest.mark.parametrize("kind", list(SubmitFailure))
def test_a_refused_request_frees_everything_and_may_be_sent_again(kind):
    async def story(world: World) -> None:
        anne = world.process()
        world.api.submissions.append(NotAcceptedError("no", kind, retry_after=30.0))
        failure = await failing(execute(anne.attempt(a_doc())))
        expected = {
            Follows.FINAL: Verdict.FAIL,
            Follows.RESEND: Verdict.RESEND,
            Follows.PAUSE_MODEL: Verdict.PAUSE_MODEL,
            Follows.PAUSE_RUN: Verdict.PAUSE_RUN,
            Follows.STOP_RUN: Verdict.STOP,
        }[SUBMISSIONS[kind].follows]
        nothing_by_url = kind is SubmitFailure.INPUT_UNFETCHED  # so that there is no other way to send it
        assert failure.verdict is (Verdict.FAIL if nothing_by_url else expected)
        assert failure.charged == 0
        assert failure.delay >= 30.0
        assert world.held == {}
        assert world.ledger.committed("run-anne") == 0
        assert not world.ledger.last(["key-a"])
        assert (await execute(world.process("bob").attempt(a_doc()))).made

    told(story)


def test_a_lost_answer_is_doubt_and_never_sent_again():
    async def story(world: World) -> None:
        anne, bob = world.process(), world.process("bob")
        world.api.submissions.append(AnswerLostError("read timeout"))
        first = await failing(execute(anne.attempt(a_doc())))
        assert (first.verdict, first.code, first.charged) == (Verdict.DOUBT, "answer-lost", None)
        assert "up to 5 credits" in first.message
        (intent,) = world.ledger.uncertain()
        assert intent.evidence["error"] == "read timeout"
        for process in (anne, bob):
            again = await failing(execute(process.attempt(a_doc())))
            assert again.verdict is Verdict.DOUBT
            assert "2023-11-14 22:13:20 UTC" in again.message
        assert not world.api.bodies
        assert not world.claims

    told(story)


def test_an_unforeseen_error_while_sending_is_doubt_too():
    async def story(world: World) -> None:
        world.api.submissions.append(ZeroDivisionError("a bug somewhere"))
        with pytest.raises(ZeroDivisionError):
            await execute(world.process().attempt(a_doc()))
        (intent,) = world.ledger.uncertain()
        assert intent.evidence["error"] == "ZeroDivisionError"

    told(story)


@pytest.mark.parametrize(("asleep", "sent"), [(SEND_WITHIN - 1.0, True), (SEND_WITHIN + 1.0, False)])
def test_whoever_slept_between_intent_and_request_does_not_send(asleep, sent):
    async def story(world: World) -> None:
        anne = world.process()
        anne.fails["intend"] = (lambda: world.clock.pass_time(asleep), True)
        if sent:
            assert (await execute(anne.attempt(a_doc()))).made
            return
        failure = await failing(execute(anne.attempt(a_doc())))
        assert (failure.verdict, failure.code, failure.charged) == (Verdict.RESEND, "claim-lost", 0)
        assert not world.api.bodies
        assert not world.ledger.last(["key-a"])
        assert world.held == {}

    told(story)


def test_who_was_taken_for_dead_before_the_intent_does_not_send():
    async def story(world: World) -> None:
        anne = world.process()
        admission = admit(anne.attempt(a_doc()))
        world.ledger.reap(0.0, lambda owner: True)
        failure = await failing(carry_out(anne.attempt(a_doc()), admission))
        assert (failure.verdict, failure.code) == (Verdict.RESEND, "claim-lost")
        assert not world.api.bodies

    told(story)


def test_the_apis_own_estimate_is_reported_and_reserved():
    async def story(world: World) -> None:
        world.api.estimate = 3
        anne = world.process()
        anne.fails["task"] = (KeyRefusedError("401"), False)
        await failing(execute(anne.attempt(a_doc())))
        (row,) = world.ledger.tasks()
        assert anne.reports == [ev.Submitted(row.submitted_at, "hero#1", "task-1", 3)]
        assert world.ledger.committed("run-anne") == 3

    told(story)


# -- limits


def test_what_does_not_fit_a_cap_is_said_and_nothing_is_held():
    async def story(world: World) -> None:
        world.limits = Limits(run_cap=4)
        with pytest.raises(OverCapError) as caught:
            await execute(world.process().attempt(a_doc()))
        assert caught.value.over == Over(LimitName.RUN_CAP, 4)
        assert not world.claims

    told(story)


def test_two_actions_and_one_slot_take_turns():
    async def story(world: World) -> None:
        world.limits = Limits(concurrency=1)
        anne = world.process()
        first = admit(anne.attempt(a_doc("a")))
        assert isinstance(first, Go)
        assert admit(anne.attempt(a_doc("b"))) == Wait(LimitName.CONCURRENCY, None)
        one, two = await asyncio.gather(execute(anne.attempt(a_doc("a"))), execute(anne.attempt(a_doc("b"))))
        assert one.result.ended_at <= two.result.submitted_at
        assert world.held == {}

    told(story)


def test_the_days_quota_is_waited_for():
    async def story(world: World) -> None:
        world.limits = Limits(daily=1)
        began, anne = world.clock.now(), world.process()
        await execute(anne.attempt(a_doc("a")))
        await execute(anne.attempt(a_doc("b")))
        assert world.clock.now() - began > 24 * HOUR

    told(story)


# -- bringing it home


def test_an_expired_url_is_renewed_without_haste():
    async def story(world: World) -> None:
        fresh = seen("SUCCEEDED", outputs=(OutputUrl("https://out.example/2"),), charged=5)
        world.api.script = (DONE, fresh)
        world.api.files["https://out.example/1"] = deque([UrlExpiredError("403")])
        carried = await execute(world.process().attempt(a_doc()))
        assert carried.made
        assert world.api.downloads == {"https://out.example/1": 1, "https://out.example/2": 1}
        first, second = world.api.asked_at[TaskId("task-1")]
        assert second - first >= 5.0

    told(story)


@pytest.mark.parametrize(
    "bad", [TransientError("reset by peer"), picture()[:100], HTML, b""], ids=["reset", "truncated", "html", "empty"]
)
def test_a_bad_download_is_tried_again_and_never_kept(bad):
    async def story(world: World) -> None:
        world.api.files["https://out.example/1"] = deque([bad, bad, picture()])
        carried = await execute(world.process().attempt(a_doc()))
        assert world.api.downloads["https://out.example/1"] == 3
        assert list(world.blobs.content.values()) == [picture()]
        assert carried.result.outputs[0].facts.media_type == "image/png"

    told(story)


@pytest.mark.parametrize(
    ("bad", "doc"),
    [
        (HTML, a_doc()),
        (picture()[:100], a_doc()),
        (TransientError("reset"), a_doc()),
        (RefusedError("400"), a_doc()),
        (UrlExpiredError("403"), a_doc()),
        (picture(), a_doc(produces="video")),
    ],
    ids=["html", "truncated", "reset", "refused", "expired", "wrong kind"],
)
def test_what_cannot_be_had_fails_its_node_alone_and_stays_collectable(bad, doc):
    async def story(world: World) -> None:
        world.api.files["https://out.example/1"] = deque([bad])
        failure = await failing(execute(world.process().attempt(doc)))
        assert (failure.verdict, failure.code, failure.task) == (Verdict.FAIL, "not-collected", "task-1")
        assert world.blobs.content == {}
        assert world.stored(doc) == []
        assert [row.status for row, _ in world.ledger.open()] == ["SUCCEEDED"]
        assert world.held == {}
        world.ledger.retire(world.process().owner)
        world.api.files["https://out.example/1"] = deque([picture()])
        carried = await execute(world.process("bob").attempt(a_doc()))
        assert (carried.made, len(world.api.bodies)) == (True, 1)

    told(story)


@pytest.mark.parametrize("renewed", [False, True])
def test_a_success_without_output_is_said_and_stays_open(renewed):
    async def story(world: World) -> None:
        nothing = seen("SUCCEEDED", charged=5)
        world.api.script = (DONE, nothing) if renewed else (nothing,)
        world.api.files["https://out.example/1"] = deque([UrlExpiredError("403")])
        failure = await failing(execute(world.process().attempt(a_doc())))
        assert (failure.verdict, failure.code) == (Verdict.FAIL, "no-output")
        assert len(world.ledger.open()) == 1

    told(story)


def test_several_outputs_are_one_result():
    async def story(world: World) -> None:
        world.api.script = (seen("SUCCEEDED", outputs=(OutputUrl("https://o/1"), OutputUrl("https://o/2"))),)
        carried = await execute(world.process().attempt(a_doc()))
        assert len(carried.result.outputs) == 2
        assert carried.result.credits == 5  # not told: the estimate

    told(story)


# -- full disks


def test_a_full_store_leaves_the_task_to_the_next_apply():
    async def story(world: World) -> None:
        anne = world.process()
        world.blobs.full = True
        failure = await failing(execute(anne.attempt(a_doc())))
        assert (failure.verdict, failure.code, failure.task) == (Verdict.STOP, "disk-full", "task-1")
        assert "Task task-1 stays at the API and on record" in failure.message
        assert [row.task for row, _ in world.ledger.open()] == ["task-1"]
        world.blobs.full = False
        world.ledger.retire(anne.owner)
        assert (await execute(world.process("bob").attempt(a_doc()))).made
        assert len(world.api.bodies) == 1

    told(story)


@pytest.mark.parametrize("method", ["intend", "refused", "lost", "submitted", "ended", "settle", "commit"])
@pytest.mark.parametrize("error", [DISK_FULL, OSError(errno.EACCES, "Permission denied")], ids=["full", "refused"])
def test_a_disk_that_fails_at_any_step_is_a_failure_that_people_can_read(method, error):
    async def story(world: World) -> None:
        anne = world.process()
        anne.fails[method] = (error, False)
        if method == "refused":
            world.api.submissions.append(NotAcceptedError("no", SubmitFailure.OVERLOADED))
        if method == "lost":
            world.api.submissions.append(AnswerLostError("reset"))
        failure = await failing(execute(anne.attempt(a_doc())))
        expected = Verdict.DOUBT if method == "lost" else Verdict.STOP
        assert failure.verdict is expected
        world.bury(anne)
        sent = len(world.api.bodies)
        bob = world.process("bob").attempt(a_doc())
        if method in ("refused", "lost", "submitted"):  # nobody can tell from the ledger whether it was accepted
            assert (await failing(execute(bob))).verdict is Verdict.DOUBT
            assert len(world.api.bodies) == sent
        else:
            await execute(bob)
            assert len(world.api.bodies) == 1

    told(story)


def test_a_task_id_that_cannot_be_recorded_is_in_the_message():
    async def story(world: World) -> None:
        anne = world.process()
        anne.fails["submitted"] = (DISK_FULL, False)
        failure = await failing(execute(anne.attempt(a_doc())))
        assert (failure.code, failure.task) == ("not-recorded", "task-1")
        assert "task-1" in failure.message
        assert "adopt FILE NODE --task task-1" in failure.hint

    told(story)


# -- admissions


def test_what_admission_says_of_each_state():
    async def story(world: World) -> None:
        anne, bob = world.process(), world.process("bob")
        go = admit(anne.attempt(a_doc()))
        assert isinstance(go, Go)
        assert admit(bob.attempt(a_doc())) == Joined(anne.owner, None)
        world.api.script = (RUNNING, KeyRefusedError("401"))
        await failing(carry_out(anne.attempt(a_doc()), go))
        joined = admit(bob.attempt(a_doc()))
        assert isinstance(joined, Joined)
        assert joined.task.task == "task-1"
        taken = admit(anne.attempt(a_doc()))
        assert isinstance(taken, TakenUp)
        assert taken.task.task == "task-1"

    told(story)
