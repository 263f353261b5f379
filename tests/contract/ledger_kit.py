"""The contract every ledger keeps, as tests over a `Bench`: claims, intents, tasks.

A ledger passes by a subclass of `LedgerKit` with a fixture `bench`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowrun.ids import IntentId, TaskId
from flowrun.ledger.protocol import (
    Adopted,
    BusyActionError,
    Claim,
    Forgotten,
    Granted,
    Intent,
    IntentOutcome,
    Join,
    Limits,
    Mine,
    OpenTask,
    Resend,
    StaleClaimError,
    Succeeded,
)

from .ledger_bench import (
    ANNE,
    BOB,
    FAILURE,
    MODEL,
    NO_LIMITS,
    ORIGIN,
    OTHER_RUN,
    RUN,
    START,
    a_doc,
)
from .ledger_day_kit import DayKit
from .ledger_journal_kit import JournalKit
from .ledger_limits_kit import LimitKit, OwnerKit, ReadingKit


class ClaimKit:
    def test_a_free_action_is_mine_and_the_other_joins(self, bench):
        answer = bench.ledger.claim(a_doc(), ORIGIN, RUN, ANNE)
        assert answer == Mine(Claim(a_doc().key, ANNE, RUN, answer.claim.fence), (), (), True)
        assert bench.other.claim(a_doc(), ORIGIN, OTHER_RUN, BOB) == Join(ANNE)

    def test_a_joiner_is_told_the_tasks_to_follow(self, bench):
        task = bench.submitted()
        assert bench.other.claim(a_doc(), ORIGIN, OTHER_RUN, BOB) == Join(
            ANNE, (OpenTask(task, a_doc().key, START, store=ORIGIN.store),)
        )

    def test_claiming_again_gives_the_same_claim_that_is_not_fresh(self, bench):
        first = bench.ledger.claim(a_doc(), ORIGIN, RUN, ANNE)
        assert bench.ledger.claim(a_doc(), ORIGIN, RUN, ANNE) == replace(first, fresh=False)

    def test_fences_only_grow_whatever_was_let_go(self, bench):
        fences = []
        for name in ("a", "b", "a", "a"):
            claim = bench.claimed(name)
            fences.append(claim.fence)
            bench.ledger.release(claim)
        assert fences == sorted(set(fences))

    def test_release_frees_the_claim_with_its_reservation(self, bench):
        claim = bench.reserved()
        bench.ledger.release(claim)
        assert (bench.ledger.in_flight(), bench.ledger.committed(RUN)) == ({}, 0)
        assert isinstance(bench.other.claim(a_doc(), ORIGIN, RUN, BOB), Mine)

    def test_releasing_a_stale_claim_leaves_the_new_one(self, bench):
        stale = bench.claimed()
        bench.ledger.release(stale)
        bench.claimed(owner=BOB)
        bench.ledger.release(stale)
        assert bench.ledger.claim(a_doc(), ORIGIN, RUN, ANNE) == Join(BOB)

    def test_a_claim_takes_up_open_tasks_first(self, bench):
        task = bench.submitted()
        bench.ledger.ended(task, "SUCCEEDED")
        bench.reap_all()
        answer = bench.other.claim(a_doc(), ORIGIN, RUN, BOB)
        assert answer.open_tasks == (OpenTask(task, a_doc().key, START, "SUCCEEDED", ORIGIN.store),)
        assert answer.fresh

    def test_a_claim_shows_what_is_uncertain(self, bench):
        intent = bench.intended()
        bench.ledger.lost(intent, {"after": 2})
        bench.ledger.release(intent.claim)
        (row,) = bench.other.claim(a_doc(), ORIGIN, RUN, BOB).uncertain
        assert (row.intent, row.outcome, row.evidence) == (
            intent.intent,
            IntentOutcome.UNCERTAIN,
            {"before": 1, "after": 2},
        )
        assert (row.request_digest, row.credits, row.owner, row.run, row.origin) == ("digest", 5, ANNE, RUN, ORIGIN)
        assert (row.intended_at, row.decided_at, row.model, row.task) == (START, None, MODEL, None)

    def test_the_document_is_kept_whole_and_the_latest_counts(self, bench):
        assert bench.ledger.document(a_doc().key) is None
        bench.claimed()
        later = replace(a_doc(), timeout=90.0)
        bench.ledger.claim(later, ORIGIN, RUN, ANNE)
        assert bench.other.document(a_doc().key) == later

    def test_a_joiners_document_and_origin_change_nothing(self, bench):
        bench.submitted()
        elsewhere = replace(ORIGIN, store="/elsewhere")
        bench.other.claim(replace(a_doc(), timeout=1.0), elsewhere, RUN, BOB)
        ((row, doc),) = bench.ledger.open()
        assert (row.origin, doc) == (ORIGIN, a_doc())

    def test_the_latest_origin_goes_with_the_intent(self, bench):
        claim = bench.claimed()
        renamed = replace(ORIGIN, address="lead#1")
        bench.ledger.claim(a_doc(), renamed, RUN, ANNE)
        bench.ledger.reserve(claim, MODEL, 5, NO_LIMITS)
        bench.ledger.submitted(bench.ledger.intend(claim, "digest", {}), TaskId("t"))
        assert bench.ledger.tasks()[0].origin == renamed

    def test_a_request_on_its_way_is_joined_even_without_a_claim(self, bench):
        late = bench.intended()
        bench.reap_all()
        bench.ledger.decide(late.intent, Resend())
        second = bench.intended(owner=BOB)
        bench.ledger.submitted(late, TaskId("late"))
        bench.ledger.settle(TaskId("late"), Succeeded(), 5)
        assert bench.ledger.claim(a_doc(), ORIGIN, RUN, ANNE) == Join(BOB)
        assert isinstance(bench.ledger.claim(a_doc(), ORIGIN, RUN, BOB), Mine)
        assert bench.outcome(second) is IntentOutcome.OPEN


class IntentKit:
    def test_rule_1_a_stale_claim_neither_reserves_nor_intends(self, bench):
        claim = bench.reserved()
        bench.reap_all()
        for again in (False, True):
            with pytest.raises(StaleClaimError):
                bench.ledger.reserve(claim, MODEL, 5, NO_LIMITS)
            with pytest.raises(StaleClaimError):
                bench.ledger.intend(claim, "digest", {})
            if not again:
                bench.reserved(owner=BOB)

    def test_a_reservation_is_needed_and_used_up(self, bench):
        claim = bench.claimed()
        with pytest.raises(ValueError, match="reserve before"):
            bench.ledger.intend(claim, "digest", {})
        bench.ledger.reserve(claim, MODEL, 5, NO_LIMITS)
        bench.ledger.refused(bench.ledger.intend(claim, "digest", {}))
        with pytest.raises(ValueError, match="reserve before"):
            bench.ledger.intend(claim, "digest", {})

    def test_rule_2_nothing_beside_an_open_or_uncertain_intent_or_an_open_task(self, bench):
        intent = bench.intended()
        claim = intent.claim
        assert bench.ledger.reserve(claim, MODEL, 5, NO_LIMITS) == Granted()
        with pytest.raises(BusyActionError):
            bench.ledger.intend(claim, "digest", {})
        bench.ledger.lost(intent, {})
        with pytest.raises(BusyActionError):
            bench.ledger.intend(claim, "digest", {})
        bench.ledger.submitted(intent, TaskId("t"))
        with pytest.raises(BusyActionError):
            bench.ledger.intend(claim, "digest", {})
        bench.ledger.settle(TaskId("t"), FAILURE, 0)
        assert isinstance(bench.intended(), Intent)

    def test_intents_have_names_of_their_own_and_times(self, bench):
        first = bench.intended("a")
        bench.now += 5
        second = bench.intended("b")
        assert second.intent != first.intent
        assert (first.intended_at, second.intended_at) == (START, START + 5)

    def test_refused_frees_slot_credits_and_day_and_keeps_the_claim(self, bench):
        intent = bench.intended()
        bench.ledger.refused(intent)
        assert (bench.ledger.in_flight(), bench.ledger.committed(RUN)) == ({}, 0)
        assert bench.ledger.created_since(MODEL, 0) == 0
        assert bench.ledger.last([intent.claim.key]) == {}
        assert bench.ledger.reserve(intent.claim, MODEL, 5, NO_LIMITS) == Granted()

    def test_rule_3_reaping_makes_open_intents_uncertain_and_frees_the_rest(self, bench):
        intent = bench.intended("a")
        bench.reserved("b")
        task = bench.submitted("c")
        assert bench.reap_all() == (ANNE,)
        assert bench.outcome(intent) is IntentOutcome.UNCERTAIN
        assert [row.task for row, _ in bench.ledger.open()] == [task]
        assert bench.ledger.in_flight() == {MODEL: 2}  # the uncertain one and the task; the reservation fell
        assert bench.ledger.owners() == ()
        assert isinstance(bench.ledger.claim(a_doc("b"), ORIGIN, RUN, BOB), Mine)

    @pytest.mark.parametrize("fate", ["open", "lost", "reaped", "given-up", "refused"])
    def test_rule_4_a_late_id_is_kept_whatever_became_of_the_intent(self, bench, fate):
        intent = bench.intended()
        if fate == "lost":
            bench.ledger.lost(intent, {})
        elif fate in ("reaped", "given-up"):
            bench.reap_all()
        elif fate == "refused":
            bench.ledger.refused(intent)
        if fate == "given-up":
            bench.ledger.decide(intent.intent, Forgotten())
        bench.now += 9
        bench.other.submitted(intent, TaskId("late"))
        assert bench.outcome(intent) is None
        ((row, doc),) = bench.ledger.open()
        assert (row.task, row.intent, row.submitted_at, doc) == ("late", intent.intent, START + 9, a_doc())
        assert (bench.ledger.committed(RUN), bench.ledger.in_flight()) == (5, {MODEL: 1})

    def test_submitted_twice_is_one_task(self, bench):
        intent = bench.intended()
        for _ in range(2):
            bench.ledger.submitted(intent, TaskId("t"))
            bench.now += 9
        (row,) = bench.ledger.tasks()
        assert row.submitted_at == START
        assert bench.ledger.created_since(MODEL, START) == 0  # it keeps the time of its first acceptance

    def test_the_apis_own_estimate_replaces_ours(self, bench):
        bench.ledger.submitted(bench.intended(), TaskId("t"), 12)
        assert bench.ledger.committed(RUN) == 12
        assert bench.ledger.tasks()[0].credits == 12

    def test_rule_5_refused_speaks_of_its_own_intent_even_after_it_was_reaped(self, bench):
        late = bench.intended()
        bench.reap_all()
        bench.ledger.decide(late.intent, Resend())
        second = bench.intended(owner=BOB)
        bench.ledger.refused(late)
        assert bench.outcome(second) is IntentOutcome.OPEN

    def test_a_refusal_is_a_fact_that_settles_an_uncertain_one(self, bench):
        intent = bench.intended()
        bench.reap_all()
        bench.ledger.refused(intent)
        assert (bench.ledger.uncertain(), bench.ledger.committed(RUN)) == ((), 0)
        assert isinstance(bench.intended(owner=BOB), Intent)

    def test_a_refusal_takes_no_task_away(self, bench):
        intent = bench.intended()
        bench.ledger.lost(intent, {})
        bench.ledger.decide(intent.intent, Adopted(TaskId("t")))
        bench.ledger.refused(intent)
        assert [row.task for row, _ in bench.ledger.open()] == ["t"]
        assert bench.ledger.committed(RUN) == 5

    def test_rule_6_lost_is_uncertain_also_after_reaping_and_undoes_nothing_known(self, bench):
        intent = bench.intended()
        bench.reap_all()
        bench.ledger.lost(intent, {"after": 2})
        assert [row.evidence for row in bench.ledger.uncertain()] == [{"before": 1, "after": 2}]
        bench.ledger.submitted(intent, TaskId("t"))
        bench.ledger.lost(intent, {})
        assert bench.ledger.uncertain() == ()

    def test_evidence_is_what_it_was_when_it_was_given(self, bench):
        claim, evidence = bench.reserved(), {"counts": [1, 2]}
        intent = bench.ledger.intend(claim, "digest", evidence)
        evidence["counts"].append(3)
        bench.ledger.lost(intent, {})
        assert bench.ledger.uncertain()[0].evidence == {"counts": [1, 2]}

    def test_a_note_on_a_task_is_added_to_the_evidence_and_moves_nothing(self, bench):
        task = bench.submitted()
        before = bench.ledger.last([a_doc().key])
        more = {"deleting": ["x"]}
        bench.ledger.note(task, more)
        more["deleting"].append("y")
        assert bench.other.evidence(task) == {"before": 1, "deleting": ["x"]}
        assert bench.other.last([a_doc().key]) == before
        bench.other.note(task, {"before": 2})
        assert bench.ledger.evidence(task) == {"before": 2, "deleting": ["x"]}
        bench.ledger.settle(task, FAILURE, None)
        assert bench.ledger.evidence(task)["deleting"] == ["x"]

    def test_a_note_on_a_task_never_heard_of_is_refused(self, bench):
        with pytest.raises(KeyError):
            bench.ledger.note(TaskId("t"), {})

    @pytest.mark.parametrize("evidence", [{"x": {1}}, {"x": float("nan")}])
    def test_evidence_that_is_no_json_writes_nothing(self, bench, evidence):
        claim = bench.reserved()
        with pytest.raises((TypeError, ValueError)):
            bench.ledger.intend(claim, "digest", evidence)
        assert bench.ledger.last([claim.key]) == {}

    def test_a_word_on_what_nobody_asked_is_refused(self, bench):
        for intent in (IntentId(99), bench.intended().intent):
            with pytest.raises(KeyError):
                bench.ledger.decide(intent, Forgotten())

    @pytest.mark.parametrize("word", [Forgotten(), Resend()])
    def test_giving_up_frees_the_action_the_day_and_the_balance(self, bench, word):
        intent = bench.intended()
        bench.ledger.lost(intent, {})
        bench.ledger.release(intent.claim)
        bench.now += 1
        bench.ledger.decide(intent.intent, word)
        assert (bench.ledger.uncertain(), bench.ledger.in_flight()) == ((), {})
        assert bench.ledger.created_since(MODEL, 0) == 0
        assert bench.asks(100, limits=Limits(balance=100)) == Granted()
        assert bench.ledger.committed(RUN) == 5  # its run did send it
        with pytest.raises(KeyError):
            bench.ledger.decide(intent.intent, word)

    def test_adopting_makes_the_task_open_as_if_it_had_been_answered(self, bench):
        intent = bench.intended()
        bench.ledger.lost(intent, {})
        bench.now += 100
        bench.ledger.decide(intent.intent, Adopted(TaskId("t")))
        ((row, doc),) = bench.ledger.open()
        assert (row.task, row.submitted_at, row.credits, doc) == ("t", START, 5, a_doc())
        assert bench.ledger.created_since(MODEL, START + 99) == 1
        assert bench.claimed() == intent.claim

    def test_a_task_that_answers_another_request_is_not_adopted(self, bench):
        task = bench.submitted("a")
        intent = bench.intended("b")
        bench.ledger.lost(intent, {})
        with pytest.raises(ValueError, match="on record already"):
            bench.ledger.decide(intent.intent, Adopted(task))
        assert bench.outcome(intent) is IntentOutcome.UNCERTAIN

    def test_a_wrongly_adopted_task_and_the_late_id_are_both_kept(self, bench):
        intent = bench.intended()
        bench.ledger.lost(intent, {})
        bench.ledger.decide(intent.intent, Adopted(TaskId("wrong")))
        bench.ledger.submitted(intent, TaskId("right"))
        assert {row.task for row, _ in bench.ledger.open()} == {"wrong", "right"}
        bench.ledger.settle(TaskId("wrong"), Succeeded(), 3)
        bench.ledger.settle(TaskId("right"), Succeeded(), 4)
        assert bench.ledger.committed(RUN) == 7


class TaskKit:
    def test_ended_frees_the_slot_and_the_first_word_stands(self, bench):
        task = bench.submitted()
        bench.now += 3
        bench.ledger.ended(task, "SUCCEEDED")
        bench.other.ended(task, "CANCELLED")
        (row,) = bench.ledger.tasks()
        assert (row.status, row.ended_at, row.settled) == ("SUCCEEDED", START + 3, False)
        assert bench.ledger.in_flight() == {}
        assert isinstance(bench.claimed(), Claim)
        assert bench.ledger.last([a_doc().key])[a_doc().key].open_tasks[0].ended == "SUCCEEDED"

    def test_settle_books_the_credits_once_and_lets_go_of_the_claim(self, bench):
        task = bench.submitted()
        bench.ledger.settle(task, Succeeded(), 3)
        bench.other.settle(task, FAILURE, 9)
        (row,) = bench.ledger.tasks()
        assert (row.settled, row.charged, row.credits, row.failure, row.settled_at) == (True, 3, 5, None, START)
        assert (bench.ledger.committed(RUN), bench.ledger.open()) == (3, ())
        assert isinstance(bench.ledger.claim(a_doc(), ORIGIN, RUN, BOB), Mine)

    def test_without_a_charge_the_estimate_stands(self, bench):
        bench.settled(outcome=Succeeded())
        assert bench.ledger.committed(RUN) == 5

    @pytest.mark.parametrize(("outcome", "status"), [(Succeeded(), "SUCCEEDED"), (FAILURE, "FAILED")])
    def test_what_is_settled_holds_no_slot_even_if_nobody_saw_it_end(self, bench, outcome, status):
        bench.ledger.settle(bench.submitted(), outcome, None)
        assert bench.ledger.in_flight() == {}
        assert bench.ledger.tasks()[0].status == status

    def test_a_claim_made_before_the_result_was_there_goes_when_it_settles(self, bench):
        late = bench.intended()
        bench.reap_all()
        bench.ledger.decide(late.intent, Resend())
        second = bench.reserved(owner=BOB)
        bench.ledger.submitted(late, TaskId("late"))
        bench.ledger.settle(TaskId("late"), Succeeded(), 5)
        with pytest.raises(StaleClaimError):
            bench.ledger.intend(second, "digest", {})

    def test_a_task_or_intent_never_heard_of_is_a_key_error(self, bench):
        ghost = replace(bench.intended(), intent=IntentId(99))
        for call in (
            lambda: bench.ledger.ended(TaskId("?"), "FAILED"),
            lambda: bench.ledger.settle(TaskId("?"), Succeeded(), None),
            lambda: bench.ledger.submitted(ghost, TaskId("t")),
            lambda: bench.ledger.refused(ghost),
            lambda: bench.ledger.lost(ghost, {}),
        ):
            with pytest.raises(KeyError):
                call()

    def test_open_is_oldest_first_and_by_store(self, bench):
        bench.submitted("b")
        adopted = bench.intended("a")
        bench.ledger.lost(adopted, {})
        bench.now += 1
        bench.submitted("c")
        bench.ledger.decide(adopted.intent, Adopted(TaskId("task-a-1")))
        assert [row.task for row, _ in bench.other.open()] == ["task-b-1", "task-a-1", "task-c-1"]
        assert [row.task for row, _ in bench.ledger.open(ORIGIN.store)] == ["task-b-1", "task-a-1", "task-c-1"]
        assert bench.ledger.open("/elsewhere") == ()

    def test_tasks_of_all_runs_or_of_one(self, bench):
        bench.submitted("a")
        bench.settled("b", Succeeded(), run=OTHER_RUN)
        assert [row.task for row in bench.ledger.tasks()] == ["task-a-1", "task-b-1"]
        (row,) = bench.other.tasks(OTHER_RUN)
        assert (row.key, row.recipe, row.operation, row.model) == ("key-b-1", "recipe-b", "image_to_video", MODEL)
        assert (row.run, row.origin, row.submitted_at) == (OTHER_RUN, ORIGIN, START)


class RequestsKit:
    def test_what_was_asked_for_in_a_period_with_its_tasks(self, bench):
        made = bench.settled("a", Succeeded(), 4)
        bench.now += 10
        lost = bench.intended("b")
        bench.ledger.lost(lost, {})
        bench.now += 10
        given_up = bench.intended("c", None)
        bench.ledger.lost(given_up, {})
        bench.ledger.decide(given_up.intent, Forgotten())
        refused = bench.intended("d")
        bench.ledger.refused(refused)
        bench.reserved("e")
        rows = bench.other.requests(START, START + 100)
        assert [(row.outcome.value, row.credits) for row, _ in rows] == [
            ("accepted", 5), ("uncertain", 5), ("given-up", None)
        ]  # fmt: skip
        assert [[(task.task, task.charged) for task in tasks] for _, tasks in rows] == [[(made, 4)], [], []]
        assert {row.origin for row, _ in rows} == {ORIGIN}

    def test_a_period_has_its_beginning_and_not_its_end(self, bench):
        for name in ("a", "b", "c"):
            bench.submitted(name)
            bench.now += 10
        assert [row.key for row, _ in bench.ledger.requests(START, START + 20)] == ["key-a-1", "key-b-1"]
        assert [row.key for row, _ in bench.ledger.requests(START + 10, START + 21)] == ["key-b-1", "key-c-1"]
        assert bench.ledger.requests(START + 21, START + 100) == ()

    def test_a_request_with_two_tasks_has_both(self, bench):
        intent = bench.intended()
        bench.ledger.lost(intent, {})
        bench.ledger.decide(intent.intent, Adopted(TaskId("wrong")))
        bench.ledger.submitted(intent, TaskId("late"))
        ((row, tasks),) = bench.other.requests(START, START + 1)
        assert row.intent == intent.intent
        assert {task.task for task in tasks} == {"wrong", "late"}

    def test_tasks_of_one_action_stay_with_their_own_requests(self, bench):
        bench.settled("a")
        bench.now += 5
        claim = bench.reserved("a")
        bench.ledger.submitted(bench.ledger.intend(claim, "digest", {}), TaskId("second"))
        rows = bench.ledger.requests(START, START + 10)
        assert [[task.task for task in tasks] for _, tasks in rows] == [["task-a-1"], ["second"]]


class LedgerKit(RequestsKit, ClaimKit, IntentKit, TaskKit, ReadingKit, LimitKit, DayKit, OwnerKit, JournalKit):
    """All of it."""
