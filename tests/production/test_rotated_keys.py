"""A key is rotated, or `provider.account` set anew, while something is unsettled: it is taken up under the new account, and
nothing is paid twice. Whole productions in virtual time, against organizations of which one knows nothing of another's tasks."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flowrun.diagnostics.model import DiagnosticError
from flowrun.engine import events as ev
from flowrun.ledger.location import account_of, ledger_path
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.plan.model import Decision
from flowrun.production import owner
from flowrun.production.costs import By, Costs, costs
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.in_flight import InFlight, in_flight
from flowrun.production.ledgers import Ledgers
from flowrun.production.options import Options, Surroundings
from flowrun.production.owner import new_owner
from flowrun.production.queries import past_runs
from flowrun.production.settling import adopt_task
from flowrun.secret import Secret
from tests.faults.test_crash_points import killed
from tests.production.saved_plans import carry_out, save
from tests.support.organizations import LiveStage, Organizations
from tests.support.virtual_time import Still, VirtualClock, run_virtual

OLD, NEW, THIRD, FOREIGN = (f"key_{digits * 64}" for digits in ("0a", "0b", "0c", "0d"))
KEYS = {OLD: "studio", NEW: "studio", THIRD: "studio", FOREIGN: "elsewhere"}
THREE = """
    flowrun: 1
    name: three
    nodes:
      still:
        foreach: [fox, owl, hare]
        uses: text_to_image
        with: {model: gen4_image, promptText: "a {{ each.key }}", ratio: "1280:720"}
"""
STUDIO = 'provider.account = "studio"\n'
NEVER_ANSWERED = "faults: [{on: text_to_image, match: {nth: 2}, do: {lost: after}}]\n"
GONE_FOR_ALL = 61.0  # seconds after which a process that does not beat counts as dead


def account(key: str) -> str:
    return account_of(Secret(key))


@pytest.fixture
def studio() -> Organizations:
    return Organizations(KEYS)


def live(root: Path, there: Organizations, patch: pytest.MonkeyPatch, key: str = OLD) -> LiveStage:
    stage = there.stage(root / "project", THREE, patch)
    stage.use(key)
    return stage


def interrupt_after(stage: LiveStage, requests: int, **flags: Any) -> None:
    """An apply that is interrupted when so many requests were accepted, and leaves their tasks in flight."""

    def on_event(interrupt: Any, event: ev.Event) -> None:
        if isinstance(event, ev.Submitted) and sum(isinstance(each, ev.Submitted) for each in stage.events) >= requests:
            interrupt(130)

    stage.on_event = on_event
    stage.events.clear()
    assert stage.apply(**flags).exit is Exit.INTERRUPTED
    stage.on_event = None


def decisions(stage: LiveStage) -> list[Decision]:
    return [step.decision for step in stage.plan().steps.values()]


def around(stage: LiveStage, clock: VirtualClock) -> Surroundings:
    return stage.production(clock).around


def at_rest(stage: LiveStage) -> Surroundings:
    """For what runs a loop of its own."""
    return Surroundings(environ=stage.environ, cwd=stage.root, clock=Still(stage.now))


def status(stage: LiveStage) -> tuple[InFlight, ...]:
    async def main(clock: VirtualClock) -> tuple[InFlight, ...]:
        return in_flight(Options(), around(stage, clock))

    return run_virtual(main, start=stage.now)


def ledger(stage: LiveStage, key: str) -> SqliteLedger:
    return SqliteLedger(ledger_path(stage.state, account(key)), lambda: stage.now)


def left_in(stage: LiveStage, key: str) -> tuple[int, int]:
    """Open tasks, and requests without an answer."""
    with closing(ledger(stage, key)) as found:
        return len(found.open()), len(found.unanswered())


# -- rotated in the middle


def test_tasks_in_flight_are_taken_up_with_the_new_key(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    interrupt_after(stage, 2)
    sent = studio.submissions()
    assert sent >= 2
    stage.use(NEW)
    done = stage.apply()
    assert (done.exit, studio.submissions()) == (Exit.DONE, 3)
    assert done.summary.submitted == 3 - sent
    assert left_in(stage, OLD) == left_in(stage, NEW) == (0, 0)
    again = stage.apply()
    assert (again.exit, again.summary.submitted) == (Exit.DONE, 0)


def test_killed_with_tasks_in_flight_and_then_another_key(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    with monkeypatch.context() as killed:
        killed.setattr(SqliteLedger, "retire", lambda *_: None)
        interrupt_after(stage, 3)
    stage.use(NEW)
    with pytest.raises(FlowrunError) as stopped:  # for all that can be known it is still at work
        stage.apply()
    assert stopped.value.exit is Exit.WRONG
    assert f"another flowrun is at work in this project under the account '{account(OLD)}'" in stopped.value.message
    assert "nothing was submitted" in stopped.value.message
    assert "wait until it has ended" in (stopped.value.hint or "")
    assert left_in(stage, OLD) == (3, 0)
    stage.now += GONE_FOR_ALL
    done = stage.apply()
    assert (done.exit, done.summary.submitted, studio.submissions()) == (Exit.DONE, 0, 3)


def test_the_plan_and_the_status_show_what_lies_under_the_former_key_and_write_nothing(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.scenario = NEVER_ANSWERED
    stage = live(tmp_path, studio, monkeypatch)
    assert stage.apply().exit is Exit.UNKNOWN
    stage.edit("[fox, owl, hare]", "[fox, owl, hare, elk]")
    interrupt_after(stage, 1)
    stage.use(NEW)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "-shm" not in path.name}
    found = decisions(stage)
    assert sorted(found) == sorted([Decision.HIT, Decision.HIT, Decision.RESUME, Decision.UNCERTAIN])
    own, former = status(stage)
    assert own == InFlight(account(NEW), (), ())
    assert (former.account, len(former.tasks), len(former.uncertain)) == (account(OLD), 1, 1)
    assert sum(row.credits for row in runs_of(stage)) > 0
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "-shm" not in path.name}
    assert after == before
    done = stage.apply()
    assert (done.exit, done.summary.submitted) == (Exit.UNKNOWN, 0)
    (own,) = status(stage)
    assert (own.account, len(own.tasks), len(own.uncertain)) == (account(NEW), 0, 1)


def runs_of(stage: LiveStage) -> Any:
    async def main(clock: VirtualClock) -> Any:
        return past_runs(None, 20, Options(), around(stage, clock))

    return run_virtual(main, start=stage.now)


def test_a_crash_between_the_two_ledgers_pays_nothing_twice(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    interrupt_after(stage, 3)
    stage.use(NEW)
    received = SqliteLedger.receive

    def cut(self: SqliteLedger, handed: Any) -> None:
        received(self, handed)
        raise OSError("the power went")

    with monkeypatch.context() as crash:
        crash.setattr(SqliteLedger, "receive", cut)
        with pytest.raises(OSError, match="power"):
            stage.apply()
    assert left_in(stage, OLD) == left_in(stage, NEW) == (3, 0)
    assert [(each.account, len(each.tasks)) for each in status(stage)] == [(account(NEW), 3)], "each is shown once"
    assert decisions(stage) == [Decision.RESUME] * 3
    stage.use(OLD)  # and whoever goes back at once finds each once, too
    assert [len(each.tasks) for each in status(stage)] == [3]
    stage.use(NEW)
    done = stage.apply()
    assert (done.exit, done.summary.submitted, studio.submissions()) == (Exit.DONE, 0, 3)
    assert left_in(stage, OLD) == left_in(stage, NEW) == (0, 0)


def test_two_stores_of_one_account_each_take_up_their_own(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = live(tmp_path, studio, monkeypatch)
    second = studio.stage(tmp_path / "second", THREE.replace("a {{", "the {{"), monkeypatch)
    second.use(OLD)
    interrupt_after(first, 3)
    second.now = first.now
    interrupt_after(second, 2)  # no more slots are free
    first.use(NEW)
    first.now = second.now
    assert first.apply().exit is Exit.DONE
    assert left_in(first, OLD) == (2, 0), "those of the second"
    second.now = first.now
    done = second.apply()
    assert (done.exit, done.summary.submitted, studio.submissions()) == (Exit.DONE, 1, 6)


@pytest.mark.parametrize("last", range(1, 18))
def test_killed_at_each_step_of_taking_up(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    """Before and after each transaction of either ledger, from the first on."""
    stage = live(tmp_path, studio, monkeypatch)
    interrupt_after(stage, 3)
    stage.use(NEW)
    monkeypatch.setattr(owner, "_lives", lambda pid: False)
    assert killed(stage, monkeypatch, last), "it ended before"
    assert decisions(stage) == [Decision.RESUME] * 3
    assert sum(len(each.tasks) for each in status(stage)) == 3
    done = stage.apply()
    assert (done.exit, done.summary.submitted, studio.submissions()) == (Exit.DONE, 0, 3)
    assert left_in(stage, OLD) == left_in(stage, NEW) == (0, 0)


# -- who is at work


def test_nobody_is_kept_waiting_by_a_process_at_another_project(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    interrupt_after(stage, 3)
    with closing(ledger(stage, OLD)) as found:
        found.heartbeat(new_owner(random.Random(1), "/another/.flowrun"))
    stage.use(NEW)
    assert stage.apply().exit is Exit.DONE


def test_two_that_begin_under_two_keys_do_not_both_go_on(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one waits for an answer to its question for longer than anybody believes that it lives; the other begins."""
    stage = live(tmp_path, studio, monkeypatch)

    def slowly(proposal: Any) -> bool:
        other = live(tmp_path, studio, monkeypatch, NEW)
        other.now = stage.now + 2 * GONE_FOR_ALL
        other.on_event = lambda interrupt, event: interrupt(130) if isinstance(event, ev.Submitted) else None
        with monkeypatch.context() as killed:
            killed.setattr(SqliteLedger, "retire", lambda *_: None)
            assert in_thread(other.apply).exit is Exit.INTERRUPTED
        return True

    with pytest.raises(FlowrunError, match=f"at work in this project under the account '{account(NEW)}'"):
        stage.apply(confirm=slowly)
    assert studio.submissions() <= 3
    assert left_in(stage, OLD) == (0, 0)


def test_who_asks_a_person_is_at_work_though_nothing_is_claimed_yet(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)

    def meanwhile(proposal: Any) -> bool:
        other = live(tmp_path, studio, monkeypatch, NEW)
        other.now = stage.now + 5.0
        with pytest.raises(FlowrunError, match=f"at work in this project under the account '{account(OLD)}'"):
            in_thread(other.apply)
        return True

    done = stage.apply(confirm=meanwhile)
    assert (done.exit, done.summary.submitted, studio.submissions()) == (Exit.DONE, 3, 3)


def in_thread(work: Any) -> Any:
    """Virtual time runs one loop a thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_who_was_not_confirmed_is_not_at_work_any_more(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    with pytest.raises(FlowrunError, match="not confirmed"):
        stage.apply(confirm=lambda proposal: False)
    stage.use(NEW)
    assert stage.apply().exit is Exit.DONE


# -- another organization


def test_another_organization_knows_them_not_and_going_back_takes_them_up(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    interrupt_after(stage, 3)
    stage.use(FOREIGN)
    for _ in range(2):
        done = stage.apply()
        assert (done.exit, studio.submissions("elsewhere")) == (Exit.FAILED, 0)
        assert all("another one sent its request" in each.message for each in done.summary.troubles.values())
    assert (left_in(stage, FOREIGN), left_in(stage, OLD)) == ((3, 0), (0, 0))
    with closing(ledger(stage, FOREIGN)) as found:
        assert found.in_flight() == {}, "their slots are free"
    stage.use(OLD)
    done = stage.apply()
    assert (done.exit, done.summary.submitted, studio.submissions()) == (Exit.DONE, 0, 3)
    assert left_in(stage, FOREIGN) == left_in(stage, OLD) == (0, 0)


def test_what_another_organization_knows_not_can_be_forgotten(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    interrupt_after(stage, 3)
    stage.use(FOREIGN)
    assert stage.apply().exit is Exit.FAILED

    assert stage.forget("still") == 3
    done = stage.apply()
    assert (done.exit, studio.submissions("elsewhere")) == (Exit.DONE, 3)


# -- uncertain


def test_an_uncertain_request_moves_and_is_adopted_under_the_new_key(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.scenario = NEVER_ANSWERED
    stage = live(tmp_path, studio, monkeypatch)
    assert stage.apply().exit is Exit.UNKNOWN
    (lost,) = status(stage)[0].uncertain
    known = {event.task for event in stage.events if isinstance(event, ev.Submitted)}
    (task,) = {row["id"] for row in studio.sandbox("studio").report()["submissions"]} - known
    stage.use(NEW)

    assert adopt_task(stage.path, lost.origin.address, task, Options(), at_rest(stage)) == lost.origin.address
    assert (left_in(stage, OLD), left_in(stage, NEW)) == ((0, 0), (1, 0))
    done = stage.apply()
    assert (done.exit, done.summary.submitted, studio.submissions()) == (Exit.DONE, 0, 3)


def test_a_request_that_a_killed_process_sent_is_uncertain_under_the_new_key(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    with monkeypatch.context() as killed:
        killed.setattr(SqliteLedger, "submitted", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        killed.setattr(SqliteLedger, "retire", lambda *_: None)
        stage.apply()
    sent = studio.submissions()
    assert sent
    stage.use(NEW)
    stage.now += GONE_FOR_ALL
    assert Decision.UNCERTAIN in decisions(stage)
    assert len(status(stage)[1].uncertain) == sent, "shown, though nobody has reaped them"
    done = stage.apply()
    assert done.exit is Exit.UNKNOWN
    assert studio.submissions() == 3, "only what was never sent"
    assert left_in(stage, NEW) == (0, sent)


@pytest.mark.parametrize("key", [FOREIGN, NEW])
def test_counters_do_not_settle_what_was_sent_under_another_account(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """Another organization has counted nothing, which says nothing of the first."""
    studio.scenario = "faults: [{on: text_to_image, match: {nth: 1}, do: {lost: after}}]\n"
    stage = live(tmp_path, studio, monkeypatch)
    stage.edit("[fox, owl, hare]", "[fox]")
    (stage.root / "flowrun.toml").write_text('provider.uncertain = "trust-counters"\n')
    assert stage.apply().exit is Exit.UNKNOWN
    stage.use(key)
    done = stage.apply()
    assert done.exit is Exit.UNKNOWN
    assert studio.submissions() + studio.submissions("elsewhere") == 1
    assert left_in(stage, key) == (0, 1)


# -- saved plans


def test_a_plan_that_was_saved_under_another_key_says_so(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    save(stage)
    stage.use(NEW)
    with pytest.raises(DiagnosticError) as refused:
        carry_out(stage, environ=stage.environ)
    (found,) = refused.value.diagnostics
    assert found.code == "plan-moved"
    assert account(OLD) in found.notes[0].message
    assert account(NEW) in found.notes[0].message
    assert "flowrun plan" in (found.hint or "")
    assert studio.submissions() == 0


def test_a_plan_that_was_saved_while_things_lay_under_the_former_key_is_carried_out(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.scenario = NEVER_ANSWERED
    stage = live(tmp_path, studio, monkeypatch)
    assert stage.apply().exit is Exit.UNKNOWN
    stage.use(NEW)
    save(stage, resend=("still",))
    done = carry_out(stage, environ=stage.environ)
    assert (done.exit, done.summary.submitted) == (Exit.DONE, 1), "the doubt was known, under another number"
    done = carry_out(stage, environ=stage.environ)
    assert done.summary.submitted == 0


# -- counting


def test_the_day_counts_what_was_taken_up_once(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    interrupt_after(stage, 3)
    stage.use(NEW)
    seen: list[tuple[int, int, int]] = []

    def look(proposal: Any) -> bool:
        with closing(ledger(stage, NEW)) as new, closing(ledger(stage, OLD)) as old:
            counted = [each.created_since("gen4_image", 0.0) for each in (new, old)]
            seen.append((*counted, new.in_flight()["gen4_image"]))
        return True

    assert stage.apply(confirm=look).exit is Exit.DONE
    assert seen == [(3, 0, 3)]


def test_the_daily_limit_holds_over_a_change_of_keys(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    interrupt_after(stage, 3)
    stage.use(NEW)
    left: list[int | None] = []

    def look(proposal: Any) -> bool:
        left.extend(proposal.daily_left.values())
        return True

    stage.edit("[fox, owl, hare]", "[fox, owl, hare, elk]")
    done = stage.apply(confirm=look)
    assert (done.exit, done.summary.submitted) == (Exit.DONE, 1)
    (daily,) = left
    assert daily == 2000 - 3, "three of the day were used, not six"


def test_what_was_spent_is_told_once(tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    interrupt_after(stage, 3)
    sums = [told(stage)]
    stage.use(NEW)
    sums.append(told(stage))
    assert stage.apply().exit is Exit.DONE
    sums.append(told(stage))
    assert [each[0] for each in sums] == [3, 3, 3]
    assert sums[-1][1] == 3 * 5


def told(stage: LiveStage) -> tuple[int, int]:
    async def main(clock: VirtualClock) -> Costs:
        return costs(None, [By.MODEL], None, None, Options(offline=True), around(stage, clock))

    found = run_virtual(main, start=stage.now)
    return found.total.sent, found.total.charged.credits


# -- provider.account


@pytest.mark.parametrize(
    ("before", "after"),
    [("", STUDIO), (STUDIO, ""), (STUDIO, 'provider.account = "other"\n')],
    ids=["named", "no-name", "renamed"],
)
def test_a_change_of_the_accounts_name_is_a_change_of_account(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    stage = live(tmp_path, studio, monkeypatch)
    (stage.root / "flowrun.toml").write_text(before)
    interrupt_after(stage, 3)
    (stage.root / "flowrun.toml").write_text(after)
    assert decisions(stage) == [Decision.RESUME] * 3
    done = stage.apply()
    assert (done.exit, done.summary.submitted, studio.submissions()) == (Exit.DONE, 0, 3)


# -- without a key


def test_without_a_key_the_account_is_the_one_that_has_something_open(
    tmp_path: Path, studio: Organizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted((OLD, NEW, THIRD), key=account)
    first, second, last = names[1], names[2], names[0]  # the last used is neither the first nor the last by name
    stage = live(tmp_path, studio, monkeypatch, first)
    interrupt_after(stage, 3)
    with monkeypatch.context() as untouched:
        untouched.setattr("flowrun.production.production.begin_work", lambda at: None)
        for key in (second, last):
            stage.use(key)
            with pytest.raises(FlowrunError, match="not confirmed"):
                stage.apply(confirm=lambda proposal: False)
    stage.use(None)
    assert [(each.account, len(each.tasks)) for each in status(stage)] == [(account(first), 3)]
    assert decisions(stage) == [Decision.RESUME] * 3
    stage.use(first)
    assert stage.apply().exit is Exit.DONE
    stage.use(second)
    assert stage.apply().exit is Exit.DONE
    stage.use(None)
    assert [each.account for each in status(stage)] == [account(second)], "the latest"


def test_what_is_no_note_of_an_account_is_passed_over(tmp_path: Path) -> None:
    """As a note that is just being written, which is gone in a moment."""
    ledgers = Ledgers(tmp_path, tmp_path / "state", lambda: 0.0)
    assert ledgers.used() == []
    ledgers.note("studio")
    folder = tmp_path / "ledgers"
    (folder / ".tmp-gone").symlink_to(folder / "nowhere")
    (folder / "a stray file").touch()
    assert ledgers.used() == ["studio"]
