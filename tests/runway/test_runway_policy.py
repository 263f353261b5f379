"""The tables of failures, row by row, and the numbers."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.runway import pace
from flowrun.runway.errors import Afterwards, Lost, SubmitFailure
from flowrun.runway.policy import (
    AFTERWARDS,
    FAILURES,
    LOST,
    SUBMISSIONS,
    UNKNOWN_CODE,
    Charged,
    Follows,
    RetryKind,
    rule_for,
)

from .conftest import CALM

CODES = [
    # code, prefix, retry, attempts, rejected, input refused, charged
    ("SAFETY.INPUT.TEXT", "SAFETY.INPUT", "never", 0, True, True, "yes"),
    ("SAFETY.INPUT.IMAGE", "SAFETY.INPUT", "never", 0, True, True, "yes"),
    ("SAFETY.INPUT", "SAFETY.INPUT", "never", 0, True, True, "yes"),
    ("safety.input.video", "SAFETY.INPUT", "never", 0, True, True, "yes"),
    ("SAFETY.OUTPUT.VIDEO", "SAFETY.OUTPUT", "never", 0, True, False, "unknown"),
    ("SAFETY.NEW", "SAFETY", "never", 0, True, False, "unknown"),
    ("INPUT_PREPROCESSING.SAFETY.TEXT", "INPUT_PREPROCESSING.SAFETY", "never", 0, True, True, "unknown"),
    ("INPUT_PREPROCESSING.SAFETY.THIRD_PARTY", "INPUT_PREPROCESSING.SAFETY", "never", 0, True, True, "unknown"),
    ("INPUT_PREPROCESSING.INTERNAL", "INPUT_PREPROCESSING.INTERNAL", "retry", 2, False, False, "no"),
    ("INPUT_PREPROCESSING.OTHER", "", "never", 0, True, False, "unknown"),
    ("INTERNAL.BAD_OUTPUT.CODE01", "INTERNAL.BAD_OUTPUT", "once", 1, True, False, "no"),
    ("INTERNAL.BAD_OUTPUT.01", "INTERNAL.BAD_OUTPUT", "once", 1, True, False, "no"),
    ("ASSET.INVALID", "ASSET.INVALID", "never", 0, True, False, "no"),
    ("THIRD_PARTY.UNAVAILABLE", "THIRD_PARTY.UNAVAILABLE", "later", 3, False, False, "no"),
    ("THIRD_PARTY.INPUT_VALIDATION", "THIRD_PARTY.INPUT_VALIDATION", "never", 0, True, False, "unknown"),
    ("THIRD_PARTY", "", "never", 0, True, False, "unknown"),
    ("INTERNAL", "INTERNAL", "retry", 2, False, False, "no"),
    ("INTERNAL.SOMETHING", "INTERNAL", "retry", 2, False, False, "no"),
    (None, "INTERNAL", "retry", 2, False, False, "no"),
    ("  ", "INTERNAL", "retry", 2, False, False, "no"),
    ("INTERNALLY", "", "never", 0, True, False, "unknown"),
    ("SAFETY_INPUT", "", "never", 0, True, False, "unknown"),
    ("BRAND.NEW", "", "never", 0, True, False, "unknown"),
    ("...", "", "never", 0, True, False, "unknown"),
]


@pytest.mark.parametrize(("code", "prefix", "retry", "attempts", "rejected", "input_refused", "charged"), CODES)
def test_codes(code, prefix, retry, attempts, rejected, input_refused, charged) -> None:
    rule = rule_for(code)
    found = (rule.prefix, rule.retry.kind, rule.retry.attempts, rule.rejected, rule.input_refused, rule.charged)
    assert found == (prefix, retry, attempts, rejected, input_refused, charged)


def test_every_rule_is_among_the_rows() -> None:
    assert set(FAILURES) | {UNKNOWN_CODE.prefix} == {row[1] for row in CODES}


@CALM
@given(st.text(alphabet="ABINPUTSFEYRL._", max_size=30))
def test_what_is_retried_is_refunded(code) -> None:
    rule = rule_for(code)
    assert rule.retry.kind is RetryKind.NEVER or rule.charged is Charged.NO
    assert (rule.retry.attempts > 0) == (rule.retry.delay > 0) == (rule.retry.kind is not RetryKind.NEVER)
    assert rule.rejected or not rule.input_refused


@pytest.mark.parametrize(
    ("code", "told", "booked"),
    [
        ("SAFETY.INPUT.TEXT", None, None),
        ("SAFETY.INPUT.TEXT", 0, 0),
        ("SAFETY.OUTPUT", None, None),
        ("ASSET.INVALID", None, 0),
        ("ASSET.INVALID", 25, 25),
        (None, None, 0),
        ("BRAND.NEW", None, None),
    ],
)
def test_what_is_booked(code, told, booked) -> None:
    assert rule_for(code).credits(told) == booked


@pytest.mark.parametrize(
    "rule", [*FAILURES.values(), UNKNOWN_CODE, *SUBMISSIONS.values()], ids=lambda rule: rule.words[:30]
)
def test_words_say_what_it_cost_and_what_to_do(rule) -> None:
    assert any(word in rule.what for word in ("charged", "credits", "refunded"))
    assert rule.words == f"{rule.what} {rule.change}"
    assert rule.what.endswith(".")
    assert rule.change.endswith(".")


def test_every_kind_of_refusal_has_a_rule() -> None:
    assert {kind: rule.follows for kind, rule in SUBMISSIONS.items()} == {
        SubmitFailure.REFUSED_INPUT: Follows.FINAL,
        SubmitFailure.TOO_LARGE: Follows.FINAL,
        SubmitFailure.ENDPOINT_GONE: Follows.FINAL,
        SubmitFailure.KEY_REFUSED: Follows.STOP_RUN,
        SubmitFailure.NO_CREDITS: Follows.PAUSE_RUN,
        SubmitFailure.QUOTA: Follows.PAUSE_MODEL,
        SubmitFailure.OVERLOADED: Follows.RESEND,
        SubmitFailure.INPUT_UNFETCHED: Follows.RESEND,
        SubmitFailure.NAME_UNKNOWN: Follows.RESEND,
        SubmitFailure.UNREACHABLE: Follows.RESEND,
        SubmitFailure.TLS_FAILED: Follows.RESEND,
        SubmitFailure.CONNECT_TIMEOUT: Follows.RESEND,
        SubmitFailure.NO_FREE_CONNECTION: Follows.RESEND,
        SubmitFailure.PROXY_REFUSED: Follows.RESEND,
    }


def test_what_is_sent_again_unasked_is_certain_to_have_cost_nothing() -> None:
    assert {rule.charged for rule in SUBMISSIONS.values()} == {Charged.NO}
    assert {(rule.follows, rule.charged) for rule in LOST.values()} == {(Follows.UNCERTAIN, Charged.UNKNOWN)}
    assert not {rule.follows for rule in AFTERWARDS.values()} & {Follows.RESEND, Follows.RETRY, Follows.UNCERTAIN}
    assert set(LOST) == set(Lost)
    assert set(AFTERWARDS) == set(Afterwards)


# numbers

seeds = st.integers(0, 10**6)
attempts = st.integers(-1, 10**6)


@CALM
@given(seeds)
def test_polls_are_five_seconds_apart_at_least(seed) -> None:
    assert 5.0 <= pace.poll_delay(Random(seed)) <= 7.5


@CALM
@given(seeds, st.floats(0.001, 60))
def test_a_sandbox_names_its_own_interval(seed, allowed) -> None:
    assert allowed <= pace.poll_delay(Random(seed), allowed) <= allowed * 1.25


BACKOFFS = [
    (pace.poll_backoff, 6.0, 120.0),
    (pace.overload_backoff, 2.0, 120.0),
    (pace.quota_pause, 60.0, 900.0),
    (lambda attempt, rng: pace.later(20.0, attempt, rng), 20.0, 160.0),
]


@pytest.mark.parametrize(("backoff", "first", "longest"), BACKOFFS)
@CALM
@given(seeds, attempts)
def test_backoffs_stay_in_bounds(backoff, first, longest, seed, attempt) -> None:
    assert first <= backoff(attempt, Random(seed)) <= longest * 1.5


@pytest.mark.parametrize(("backoff", "first", "longest"), BACKOFFS)
def test_backoffs_double(backoff, first, longest) -> None:
    class Least(Random):
        def uniform(self, a, b):
            return a

    assert [backoff(n, Least()) for n in (1, 2, 3)] == [first, first * 2, first * 4]
    assert backoff(99, Least()) == longest


@pytest.mark.parametrize("backoff", [row[0] for row in BACKOFFS[:3]])
def test_nobody_is_asked_sooner_than_it_wants(backoff) -> None:
    assert backoff(1, Random(1), 2000.0) == 2000.0
    assert backoff(1, Random(1), 1e9) == 86400.0
    assert backoff(1, Random(1), 0.0) == backoff(1, Random(1))
