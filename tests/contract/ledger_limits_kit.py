"""The contract every ledger keeps, as tests over a `Bench`: questions, limits with exact numbers, owners."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowrun.ids import ActionKey, OwnerId, RecipeKey, TaskId
from flowrun.ledger.protocol import (
    Granted,
    IntentOutcome,
    LimitName,
    Limits,
    Over,
    StaleClaimError,
    Succeeded,
    Wait,
)

from .ledger_bench import (
    ANNE,
    BOB,
    DAY,
    FAILURE,
    HALF_HOUR,
    MODEL,
    NO_LIMITS,
    ORIGIN,
    OTHER_RUN,
    REFUSED_INPUT,
    RUN,
    START,
    a_doc,
)


class ReadingKit:
    def test_last_says_what_is_open_and_what_failed_last(self, bench):
        task = bench.settled("a")
        bench.settled("b", Succeeded())
        intent = bench.intended("c")
        facts = bench.other.last(ActionKey(f"key-{name}-1") for name in "abcd")
        assert set(facts) == {"key-a-1", "key-c-1"}
        assert (facts["key-a-1"].failure, facts["key-a-1"].failed_task) == (FAILURE, task)
        assert [row.intent for row in facts["key-c-1"].open_intents] == [intent.intent]

    def test_only_the_last_settled_task_counts_as_failed(self, bench):
        bench.settled("a")
        bench.ledger.submitted(bench.intended("a"), TaskId("again"))
        assert bench.ledger.last([a_doc().key])[a_doc().key].failure == FAILURE
        bench.now += 1
        bench.ledger.settle(TaskId("again"), Succeeded(), None)
        assert bench.ledger.last([a_doc().key]) == {}

    def test_that_anybody_wrote_is_seen_at_once_and_asking_changes_nothing(self, bench):
        before = bench.ledger.changes()
        bench.ledger.in_flight()
        bench.other.in_flight()
        assert bench.ledger.changes() == before
        bench.other.heartbeat(BOB)
        assert bench.ledger.changes() != before
        before = bench.ledger.changes()
        bench.ledger.heartbeat(ANNE)
        assert bench.ledger.changes() != before

    def test_last_is_batched(self, bench):
        for n in (1, 600, 1200):
            bench.submitted("many", take=n)
        keys = [a_doc("many", n).key for n in range(10_000)]
        assert list(bench.ledger.last(keys)) == [keys[1], keys[600], keys[1200]]
        assert bench.ledger.last([]) == {}

    def test_rejections_hang_on_the_recipe_whatever_the_take(self, bench):
        bench.settled("a", REFUSED_INPUT, take=2)
        bench.settled("b", FAILURE)
        recipes = [RecipeKey(f"recipe-{name}") for name in "abc"]
        assert bench.other.rejections(recipes) == {"recipe-a": ("task-a-2", REFUSED_INPUT)}

    def test_a_later_success_of_the_recipe_lifts_its_rejection(self, bench):
        bench.settled("a", Succeeded())
        bench.now += 1
        bench.settled("a", REFUSED_INPUT, take=2)
        assert RecipeKey("recipe-a") in bench.ledger.rejections([RecipeKey("recipe-a")])
        bench.now += 1
        bench.settled("a", FAILURE, take=3)
        assert RecipeKey("recipe-a") in bench.ledger.rejections([RecipeKey("recipe-a")])
        bench.now += 1
        bench.settled("a", Succeeded(), take=4)
        assert bench.ledger.rejections([RecipeKey("recipe-a")]) == {}

    def test_uncertain_ones_of_all_in_order(self, bench):
        intents = [bench.intended(name) for name in "ba"]
        for intent in reversed(intents):
            bench.ledger.lost(intent, {})
        assert [row.intent for row in bench.other.uncertain()] == [each.intent for each in intents]

    def test_in_flight_counts_by_model(self, bench):
        bench.reserved("a", model="veo3.1")
        bench.intended("b")
        bench.ledger.lost(bench.intended("c"), {})
        bench.submitted("d")
        bench.ledger.ended(bench.submitted("e"), "FAILED")
        bench.claimed("f")
        assert bench.other.in_flight() == {MODEL: 3, "veo3.1": 1}


class LimitKit:
    def test_every_kind_of_held_slot_counts(self, bench):
        limits = Limits(concurrency=4)
        bench.reserved("a", limits=limits)
        bench.intended("b", limits=limits)
        bench.ledger.lost(bench.intended("c", limits=limits), {})
        task = bench.submitted("d", limits=limits)
        assert bench.asks(limits=limits) == Wait(LimitName.CONCURRENCY, START + HALF_HOUR)
        assert bench.asks(limits=limits, model="veo3.1") == Granted()
        bench.ledger.ended(task, "SUCCEEDED")
        assert bench.asks(limits=limits) == Granted()

    def test_a_slot_outlives_its_owner(self, bench):
        limits = Limits(concurrency=1)
        task = bench.submitted(limits=limits)
        bench.reap_all()
        assert bench.asks(limits=limits) == Wait(LimitName.CONCURRENCY)
        bench.ledger.ended(task, "SUCCEEDED")
        assert bench.asks(limits=limits) == Granted()

    @pytest.mark.parametrize("start", [START, 0.1, 1e9 / 3])
    def test_an_uncertain_one_holds_its_slot_for_half_an_hour(self, bench, start):
        bench.now = start
        limits = Limits(concurrency=1)
        intent = bench.intended(limits=limits)
        bench.now += 60
        bench.ledger.lost(intent, {})
        answer = bench.asks(limits=limits)
        assert (answer.limit, answer.until) == (LimitName.CONCURRENCY, pytest.approx(start + HALF_HOUR))
        bench.now = start + HALF_HOUR - 1
        assert bench.asks(limits=limits) == answer
        bench.now = answer.until
        assert bench.asks(limits=limits) == Granted()
        assert bench.ledger.in_flight() == {}
        assert bench.ledger.committed(RUN) == 5

    def test_a_limit_of_zero_waits_and_no_limit_grants(self, bench):
        assert bench.asks(limits=Limits(concurrency=0)) == Wait(LimitName.CONCURRENCY)
        assert bench.asks(limits=Limits(daily=0)) == Wait(LimitName.DAILY)
        assert bench.asks(limits=NO_LIMITS) == Granted()

    def test_reserving_again_what_one_holds_is_granted(self, bench):
        limits = Limits(concurrency=1, daily=1, balance=5, run_cap=5)
        claim = bench.reserved(limits=limits)
        assert bench.ledger.reserve(claim, MODEL, 5, limits) == Granted()
        assert bench.ledger.in_flight() == {MODEL: 1}

    def test_reserving_otherwise_is_judged_without_what_one_holds(self, bench):
        claim = bench.reserved(credits=5)
        cap = Limits(concurrency=1, run_cap=9)
        assert bench.ledger.reserve(claim, MODEL, 10, cap) == Over(LimitName.RUN_CAP, 9)
        assert bench.ledger.committed(RUN) == 5  # the former stays
        assert bench.ledger.reserve(claim, MODEL, 9, cap) == Granted()
        assert bench.ledger.committed(RUN) == 9

    @pytest.mark.parametrize("start", [START, 0.1, 1e9 / 3])
    def test_the_rolling_day_frees_a_place_when_the_oldest_ages_out(self, bench, start):
        bench.now = start
        limits = Limits(daily=3, used_elsewhere=1)
        bench.settled("a", Succeeded())
        bench.now += 100
        bench.settled("b", Succeeded())
        answer = bench.asks(limits=limits)
        assert (answer.limit, answer.until) == (LimitName.DAILY, pytest.approx(start + DAY))
        assert bench.asks(limits=limits, model="veo3.1") == Granted()
        bench.now = start + DAY - 1
        assert bench.asks(limits=limits) == answer
        bench.now = answer.until
        assert bench.asks(limits=limits) == Granted()
        assert bench.ledger.created_since(MODEL, bench.now - DAY) == 1

    def test_the_day_counts_from_the_answer_not_from_the_request(self, bench):
        intent = bench.intended()
        bench.now += 50
        bench.ledger.submitted(intent, TaskId("t"))
        assert bench.asks(limits=Limits(daily=1)) == Wait(LimitName.DAILY, START + 50 + DAY)

    def test_open_uncertain_and_reserved_ones_count_in_the_day_refused_ones_do_not(self, bench):
        bench.ledger.refused(bench.intended("x"))
        bench.reserved("a")
        bench.intended("b")
        bench.ledger.lost(bench.intended("c"), {})
        assert bench.asks(limits=Limits(daily=3)) == Wait(LimitName.DAILY)
        assert bench.asks(limits=Limits(daily=4)) == Granted()
        assert bench.ledger.created_since(MODEL, START - DAY) == 2
        bench.now += 2 * DAY  # an undecided one keeps its place
        assert bench.ledger.created_since(MODEL, bench.now - DAY) == 2

    def test_the_run_cap_is_met_exactly_and_never_overshot(self, bench):
        bench.settled("a", credits=7, charge=4)
        bench.submitted("b", credits=5)
        bench.reserved("c", credits=1)
        bench.submitted("d", credits=90, run=OTHER_RUN)
        assert (bench.ledger.committed(RUN), bench.ledger.committed(OTHER_RUN)) == (10, 90)
        assert bench.asks(6, limits=Limits(run_cap=15)) == Over(LimitName.RUN_CAP, 5)
        assert bench.asks(5, limits=Limits(run_cap=15)) == Granted()
        assert bench.asks(1, limits=Limits(run_cap=3)) == Over(LimitName.RUN_CAP, 0)

    def test_a_refund_gives_the_credits_back_to_the_cap(self, bench):
        bench.settled("a", credits=10, charge=0)
        assert bench.ledger.committed(RUN) == 0
        assert bench.asks(10, limits=Limits(run_cap=10)) == Granted()

    def test_an_unknown_price_under_a_cap_needs_leave(self, bench):
        assert bench.asks(None, limits=Limits(run_cap=15)) == Over(LimitName.UNKNOWN_PRICE, 15)
        assert bench.asks(None, limits=Limits(run_cap=15, allow_unknown_price=True)) == Granted()
        assert bench.asks(None, limits=NO_LIMITS) == Granted()
        assert bench.asks(None, limits=Limits(balance=0)) == Granted()
        bench.submitted("a", credits=None)
        assert bench.ledger.committed(RUN) == 0

    def test_the_balance_is_less_what_it_cannot_show_yet(self, bench):
        bench.settled("before", Succeeded(), credits=1000)
        bench.now += 1
        straddling = bench.intended("straddling", credits=1)
        bench.now += 1
        at = bench.now  # the balance is read here
        bench.now += 1
        bench.ledger.submitted(straddling, TaskId("s"))
        bench.settled("booked", Succeeded(), charge=2, credits=50)
        bench.settled("refunded", charge=0, credits=50)
        bench.ledger.refused(bench.intended("refused", credits=500))
        bench.reserved("r", credits=4, run=OTHER_RUN)
        bench.intended("i", credits=8)
        bench.ledger.lost(bench.intended("u", credits=16), {})
        bench.submitted("t", credits=32)
        assert bench.asks(38, limits=Limits(balance=100, balance_at=at)) == Over(LimitName.BALANCE, 37)
        assert bench.asks(37, limits=Limits(balance=100, balance_at=at)) == Granted()
        assert bench.asks(1, limits=Limits(balance=10, balance_at=at)) == Over(LimitName.BALANCE, 0)
        later = Limits(balance=100, balance_at=bench.now + 1)
        assert bench.asks(73, limits=later) == Over(LimitName.BALANCE, 72)  # only r, i and u are still to come

    def test_what_is_accepted_at_the_moment_of_reading_is_taken_off(self, bench):
        bench.submitted("a", credits=60)
        assert bench.asks(50, limits=Limits(balance=100, balance_at=START)) == Over(LimitName.BALANCE, 40)

    def test_what_can_never_fit_is_said_first(self, bench):
        full = Limits(concurrency=0, daily=0, balance=3, run_cap=4)
        assert bench.asks(4, limits=full) == Over(LimitName.BALANCE, 3)
        assert bench.asks(3, limits=full) == Wait(LimitName.DAILY)
        assert bench.asks(3, limits=replace(full, daily=1)) == Wait(LimitName.CONCURRENCY)

    def test_of_several_caps_the_one_that_leaves_least_is_told(self, bench):
        def told(**caps: int) -> LimitName:
            return bench.asks(9, limits=Limits(**caps)).cap

        assert told(run_cap=4, day_cap=3, balance=5) is LimitName.DAY_CAP
        assert told(run_cap=4, day_cap=6, balance=3) is LimitName.BALANCE
        assert told(run_cap=4, day_cap=4, balance=4) is LimitName.RUN_CAP
        bench.submitted("a", credits=3, run=OTHER_RUN)
        assert told(run_cap=4, day_cap=6, balance=30) is LimitName.DAY_CAP
        unknown = Limits(run_cap=9, day_cap=6)
        assert bench.asks(None, limits=unknown) == Over(LimitName.UNKNOWN_PRICE, 3)


class OwnerKit:
    def test_those_who_claim_or_are_heard_of(self, bench):
        bench.claimed(owner=ANNE)
        bench.now += 5
        bench.ledger.heartbeat(BOB)
        assert [(row.owner, row.heartbeat) for row in bench.other.owners()] == [(ANNE, START), (BOB, START + 5)]
        bench.now += 5
        bench.ledger.heartbeat(ANNE)
        assert [row.heartbeat for row in bench.other.owners()] == [START + 10, START + 5]

    def test_only_the_silent_are_reaped(self, bench):
        bench.claimed("a", owner=ANNE)
        bench.now += 10
        bench.claimed("b", owner=BOB)
        assert bench.ledger.reap(10, lambda _: False) == ()
        bench.now += 0.5
        assert bench.ledger.reap(10, lambda _: False) == (ANNE,)
        assert [row.owner for row in bench.ledger.owners()] == [BOB]

    def test_the_gone_are_reaped_however_recent(self, bench):
        bench.claimed("a", owner=ANNE)
        bench.claimed("b", owner=BOB)
        assert bench.ledger.reap(1e9, lambda owner: owner == BOB) == (BOB,)
        assert bench.claimed("b", owner=ANNE)

    def test_who_was_heard_of_meanwhile_is_not_reaped(self, bench):
        bench.claimed("a", owner=ANNE)
        bench.now += 100

        def gone(owner: OwnerId) -> bool:
            bench.other.heartbeat(owner)
            return False

        assert bench.ledger.reap(10, gone) == ()

    def test_a_heartbeat_after_reaping_revives_no_claim(self, bench):
        claim = bench.reserved()
        bench.reap_all()
        bench.ledger.heartbeat(ANNE)
        with pytest.raises(StaleClaimError):
            bench.ledger.intend(claim, "digest", {})
        assert bench.ledger.claim(a_doc(), ORIGIN, RUN, ANNE).claim.fence > claim.fence

    def test_retiring_is_reaping_oneself(self, bench):
        intent = bench.intended("a")
        bench.reserved("b")
        bench.claimed("c", owner=BOB)
        bench.ledger.retire(ANNE)
        assert [row.owner for row in bench.ledger.owners()] == [BOB]
        assert bench.outcome(intent) is IntentOutcome.UNCERTAIN
        assert bench.ledger.in_flight() == {MODEL: 1}
        bench.ledger.retire(OwnerId("nobody"))
