"""What the API tells of an organization is read as it comes: fields that are new, null, missing or fractional harm nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowrun.operations.catalogue import catalogue
from flowrun.production.account import Standing, standings
from flowrun.runway.values import ModelLimits, Organization, UsageRow
from flowrun.runway.wire import MisshapenError, OrganizationDetail, UsageReport, parse


def read(**body: Any) -> Organization:
    whole = {"tier": {"models": {}}, "creditBalance": 0, **body}
    return parse(OrganizationDetail, json.dumps(whole).encode()).value()


@pytest.mark.parametrize("usage", [None, {}, {"models": None}, {"models": {}}, {"models": {"new": None}}])
def test_usage_may_be_missing_in_every_way(usage: Any) -> None:
    assert set(read(usage=usage).used_today.values()) <= {0}
    assert read().used_today == {}


@pytest.mark.parametrize("limit", [None, "five", True, {}])
def test_a_limit_that_is_none_is_no_limit(limit: Any) -> None:
    tier = {
        "models": {"m": {"maxConcurrentGenerations": limit, "maxDailyGenerations": limit}},
        "maxMonthlyCreditSpend": limit,
    }
    found = read(tier=tier)
    assert (found.models, found.monthly) == ({"m": ModelLimits(None, None)}, None)


def test_numbers_may_have_fractions_and_fields_may_be_new() -> None:
    tier = {
        "name": "gold",
        "maxMonthlyCreditSpend": 500.0,
        "models": {"m": {"maxConcurrentGenerations": 5.0, "maxDailyGenerations": 200.0, "maxHourly": 3}},
    }
    found = read(tier=tier, creditBalance=99.9, usage={"models": {"m": {"dailyGenerations": 7.0}}}, project="p")
    assert found == Organization({"m": ModelLimits(5, 200)}, {"m": 7}, 99, 500)


def test_left_of_a_day() -> None:
    assert [ModelLimits(1, 5).left(used) for used in (0, 5, 9)] == [5, 0, 0]
    assert ModelLimits(1, None).left(3) is None


def test_amounts_of_usage_may_be_negative_and_never_nothing_by_mistake() -> None:
    day = {"date": "2026-11-20", "usedCredits": [{"model": "a", "amount": -2.5, "unit": "credit"}], "more": 1}
    text = json.dumps({"results": [day], "models": ["a"]}).encode()
    assert parse(UsageReport, text).value() == (UsageRow("2026-11-20", "a", -2),)
    for amount in (None, "some", {}):
        bad = text.replace(b"-2.5", json.dumps(amount).encode())
        with pytest.raises(MisshapenError, match="amount"):
            parse(UsageReport, bad)


def test_the_catalogues_models_come_first() -> None:
    told = Organization({"zz_new": ModelLimits(), "gen4_turbo": ModelLimits(), "veo3": ModelLimits()}, {"aa_new": 1})
    found = standings(told, catalogue())
    assert list(found) == ["gen4_turbo", "veo3", "aa_new", "zz_new"]
    assert (found["gen4_turbo"], found["zz_new"]) == (Standing(), None)
    assert found["veo3"] is not None
    assert found["veo3"].retired is not None
