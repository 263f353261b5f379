"""The contract of two ledgers when a store's account changes, as tests over two benches: what it has unsettled moves from `bench`
to `present`, once, whatever crashes. A pair of storages passes by a subclass of `HandingKit` with both fixtures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowrun.ids import OwnerId, TaskId
from flowrun.ledger.evidence import TAKEN_UP
from flowrun.ledger.handing import LedgerInUseError
from flowrun.ledger.looking import joined
from flowrun.ledger.protocol import Adopted, Forgotten, Join, LimitName, Limits, Mine, Succeeded, Wait
from flowrun.ledger.tables import where

from .ledger_bench import BOB, DAY, FAILURE, MODEL, ORIGIN, OTHER_RUN, RUN, START, Bench, a_doc

STORE = ORIGIN.store
CAROL = OwnerId("carol")


class PowerCutError(Exception):
    """Between the two commits."""


def nobody(owner: OwnerId) -> bool:
    return False


def move(source: Bench, target: Bench, *, reap: bool = True):
    if reap:
        source.reap_all()
    return source.ledger.hand_over(STORE, "new", target.ledger.receive, nobody)


def cut(source: Bench, target: Bench) -> None:
    """A move that the power cuts between the two commits."""
    source.reap_all()

    def receive(handed):
        target.ledger.receive(handed)
        raise PowerCutError

    with pytest.raises(PowerCutError):
        source.ledger.hand_over(STORE, "new", receive, nobody)


def intents(bench: Bench):
    return bench.ledger.tables.intents.find(where())


class HandingKit:
    def test_an_open_task_moves_with_its_request_and_document(self, bench, present):
        task = bench.submitted("a", 7)
        bench.ledger.ended(task, "SUCCEEDED")
        present.submitted("own")
        before, doc = bench.ledger.open()[0]
        assert move(bench, present)
        assert bench.ledger.open() == ()
        assert bench.ledger.in_flight() == {}
        after, moved = next(each for each in present.ledger.open() if each[0].task == task)
        assert moved == doc
        assert after == replace(before, intent=after.intent)
        assert after.intent != before.intent, "numbers belong to a ledger, and that one was taken here"
        assert present.ledger.evidence(task) == {"before": 1, TAKEN_UP: True}
        row = present.ledger.tables.intents.get(after.intent)
        assert (row.task, row.intended_at, row.decided_at, row.owner, row.run) == (task, START, START, "anne", RUN)

    def test_it_is_settled_where_it_went(self, bench, present):
        task = bench.submitted()
        move(bench, present)
        answer = present.ledger.claim(a_doc(), ORIGIN, OTHER_RUN, BOB)
        assert isinstance(answer, Mine)
        assert [each.task for each in answer.open_tasks] == [task]
        present.ledger.settle(task, Succeeded(), 9)
        assert present.ledger.open() == ()
        (asked,) = present.ledger.requests(0, START + DAY)
        assert (asked[0].charged, [row.task for row in asked[1]]) == (9, [task])
        assert bench.ledger.requests(0, START + DAY) == ()
        assert (bench.ledger.committed(RUN), present.ledger.committed(RUN)) == (0, 9)

    def test_a_request_without_answer_moves_and_stays_uncertain(self, bench, present):
        intent = bench.intended()
        bench.ledger.lost(intent, {"key": "former"})
        move(bench, present)
        (row,) = present.ledger.uncertain()
        assert (row.evidence, row.intended_at, row.credits) == (
            {"before": 1, "key": "former", TAKEN_UP: True},
            START,
            5,
        )
        assert bench.ledger.uncertain() == bench.ledger.unanswered() == ()
        present.ledger.decide(row.intent, Adopted(TaskId("found")))
        assert [task.task for task, _ in present.ledger.open()] == ["found"]

    def test_a_dead_owners_request_moves_as_uncertain(self, bench, present):
        bench.intended()
        move(bench, present)
        assert len(present.ledger.uncertain()) == 1

    def test_settled_things_stay(self, bench, present):
        bench.settled("a")
        forgotten = bench.intended("b")
        bench.ledger.lost(forgotten, {})
        bench.ledger.decide(forgotten.intent, Forgotten())
        assert not move(bench, present)
        assert present.ledger.tasks() == ()
        assert bench.ledger.last([a_doc().key])[a_doc().key].failure is not None

    def test_another_stores_things_stay(self, bench, present):
        claim = bench.ledger.claim(a_doc("b"), replace(ORIGIN, store="/q/.flowrun"), RUN, CAROL).claim
        bench.ledger.reserve(claim, MODEL, 5, Limits())
        bench.ledger.submitted(bench.ledger.intend(claim, "digest", {}), TaskId("theirs"))
        task = bench.submitted()
        bench.ledger.retire(OwnerId("anne"))
        move(bench, present, reap=False)
        assert [row.task for row, _ in bench.ledger.open()] == ["theirs"]
        assert [row.task for row, _ in present.ledger.open()] == [task]

    # -- who is at work there

    @pytest.mark.parametrize("state", ["claimed", "reserved", "intended", "submitted"])
    def test_nothing_moves_while_a_live_owner_is_at_work_for_the_store(self, bench, present, state):
        bench.submitted("left")
        bench.reap_all()
        getattr(bench, state)("held")
        with pytest.raises(LedgerInUseError) as busy:
            move(bench, present, reap=False)
        assert busy.value.owners == ("anne",)
        assert present.ledger.open() == present.ledger.unanswered() == ()
        assert len(bench.ledger.tasks()) == (2 if state == "submitted" else 1)

    def test_nothing_moves_while_another_stores_process_follows_the_task(self, bench, present):
        bench.submitted()
        bench.reap_all()
        bench.ledger.claim(a_doc(), replace(ORIGIN, store="/q/.flowrun"), RUN, CAROL)
        with pytest.raises(LedgerInUseError):
            move(bench, present, reap=False)

    def test_who_was_heard_of_and_works_for_the_store_is_at_work(self, bench, present):
        bench.ledger.heartbeat(BOB)
        bench.ledger.heartbeat(CAROL)
        assert not bench.ledger.hand_over(STORE, "new", present.ledger.receive, nobody)
        with pytest.raises(LedgerInUseError) as busy:
            bench.ledger.hand_over(STORE, "new", present.ledger.receive, lambda owner: owner == BOB)
        assert busy.value.owners == (BOB,)

    # -- crashes, again, and back

    def test_a_crash_between_the_two_leaves_it_in_both_and_the_next_time_takes_it_away(self, bench, present):
        task, doubt = bench.submitted(), bench.intended("doubt")
        bench.ledger.lost(doubt, {})
        cut(bench, present)
        for each in (bench, present):
            assert ([row.task for row, _ in each.ledger.open()], len(each.ledger.uncertain())) == ([task], 1)
        move(bench, present)
        assert (bench.ledger.open(), bench.ledger.uncertain()) == ((), ())
        assert (len(present.ledger.open()), len(present.ledger.uncertain())) == (1, 1)
        assert len(intents(present)) == 2, "each once"

    def test_what_was_settled_after_a_crash_is_not_open_again(self, bench, present):
        task, doubt = bench.submitted(), bench.intended("doubt")
        bench.ledger.lost(doubt, {})
        cut(bench, present)
        present.ledger.settle(task, Succeeded(), 5)
        present.ledger.decide(present.ledger.uncertain()[0].intent, Forgotten())
        move(bench, present)
        for each in (bench, present):
            assert (each.ledger.open(), each.ledger.uncertain()) == ((), ())

    def test_going_back_moves_it_back(self, bench, present):
        task, doubt = bench.submitted(), bench.intended("doubt")
        bench.ledger.lost(doubt, {})
        tasks, (row,) = bench.ledger.open(), bench.ledger.uncertain()
        for _ in range(2):
            move(bench, present)
            move(present, bench)
        assert bench.ledger.open() == tasks, "under the numbers they had"
        assert bench.ledger.uncertain() == (replace(row, evidence={**row.evidence, TAKEN_UP: True}),)
        assert (present.ledger.open(), present.ledger.uncertain()) == ((), ())
        assert bench.ledger.evidence(task) == {"before": 1, TAKEN_UP: True}

    def test_an_id_that_comes_late_to_a_moved_request_is_kept_and_follows(self, bench, present):
        intent = bench.intended()
        move(bench, present)
        bench.ledger.submitted(intent, TaskId("late"))
        move(bench, present)
        assert [(row.task, row.intent) for row, _ in present.ledger.open()] == [("late", intents(present)[0].intent)]
        assert present.ledger.uncertain() == ()
        assert bench.ledger.open() == ()

    def test_a_refusal_that_comes_late_to_a_moved_request_takes_nothing_away(self, bench, present):
        intent = bench.intended()
        move(bench, present)
        bench.ledger.refused(intent)
        bench.ledger.lost(intent, {})
        assert not move(bench, present)
        assert len(present.ledger.uncertain()) == 1

    def test_a_second_task_of_one_request_moves_with_the_first(self, bench, present):
        intent = bench.intended()
        bench.ledger.lost(intent, {})
        bench.ledger.decide(intent.intent, Adopted(TaskId("adopted")))
        bench.ledger.settle(TaskId("adopted"), Succeeded(), 5)
        bench.ledger.submitted(intent, TaskId("late"))
        move(bench, present)
        (asked,) = present.ledger.requests(0, START + DAY)
        assert sorted(row.task for row in asked[1]) == ["adopted", "late"]
        assert bench.ledger.tasks() == ()

    # -- limits

    def test_slot_credits_and_day_are_counted_where_it_is(self, bench, present):
        bench.submitted("a", 7)
        bench.ledger.lost(bench.intended("b", 11), {})
        present.now += 60.0
        move(bench, present)
        assert present.ledger.in_flight() == {MODEL: 2}
        assert present.ledger.created_since(MODEL, START - 1.0) == 2
        assert bench.ledger.created_since(MODEL, START - 1.0) == 0
        full = present.asks(5, limits=Limits(daily=2))
        assert isinstance(full, Wait)
        assert full.limit is LimitName.DAILY
        assert full.until == pytest.approx(START + DAY), "its place in the day is from when it was accepted"
        assert present.asks(5, limits=Limits(balance=22, balance_at=START)).left == 4

    # -- several as one

    def test_together_they_show_each_thing_once_on_either_side_of_a_crash(self, bench, present):
        task, doubt = bench.submitted(), bench.intended("doubt")
        bench.ledger.lost(doubt, {})
        present.ledger.submitted(present.intended("a", owner=BOB), TaskId("failed"))
        present.ledger.settle(TaskId("failed"), FAILURE, 0)
        for step in (cut, move):
            step(bench, present)
            both = joined([present.ledger, bench.ledger], lambda: START)
            facts = both.last([a_doc().key, a_doc("doubt").key])
            assert [each.task for each in facts[a_doc().key].open_tasks] == [task]
            assert facts[a_doc().key].failure is not None
            assert len(facts[a_doc("doubt").key].uncertain) == 1
            assert [row.task for row, _ in both.open()] == [task]
            assert (len(both.uncertain()), both.evidence(task)) == (1, {"before": 1, TAKEN_UP: True})
            assert both.committed(RUN) == 10
            asked = [[each.task for each in tasks] for _, tasks in both.requests(0, START + DAY)]
            assert sorted(asked) == [[], ["failed"], [task]]

    def test_of_another_account_only_the_stores_own_open_things_are_seen(self, bench, present):
        bench.submitted()
        bench.settled("b")
        key, other = a_doc().key, a_doc("b").key
        seen = joined([present.ledger, bench.ledger], lambda: START, "/q/.flowrun")
        assert set(seen.last([key, other])) == {other}
        assert set(joined([present.ledger, bench.ledger], lambda: START, STORE).last([key, other])) == {key, other}
        assert set(joined([bench.ledger, present.ledger], lambda: START, "/q/.flowrun").last([key])) == {key}

    def test_together_they_cannot_be_written(self, bench, present):
        both = joined([present.ledger, bench.ledger], lambda: START)
        with pytest.raises(RuntimeError, match="only looked at"):
            both.heartbeat(BOB)

    def test_a_joiner_goes_on_after_the_move(self, bench, present):
        task = bench.submitted()
        move(bench, present)
        present.ledger.claim(a_doc(), ORIGIN, RUN, BOB)
        answer = present.other.claim(a_doc(), ORIGIN, OTHER_RUN, CAROL)
        assert isinstance(answer, Join)
        assert [each.task for each in answer.tasks] == [task]
