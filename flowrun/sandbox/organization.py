"""What an account is told of itself: limits, balance, usage. Owns the two endpoints' answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

from flowrun.sandbox.books import Books
from flowrun.sandbox.messages import Issue, Response, invalid, json_response
from flowrun.sandbox.tiers import DAY, Limits

LONGEST = 90  # days of one query
USUAL = 30  # days, where one end is not given


def describe(books: Books, limits: Mapping[str, Limits], monthly: int, balance: int, now: float) -> Response:
    """``GET /v1/organization``"""
    models = {
        model: {"maxConcurrentGenerations": each.concurrent, "maxDailyGenerations": each.daily}
        for model, each in limits.items()
    }
    usage = {model: {"dailyGenerations": books.created_since(model, now - DAY)} for model in limits}
    tier = {"maxMonthlyCreditSpend": monthly, "models": models}
    return json_response(200, {"tier": tier, "creditBalance": max(0, balance), "usage": {"models": usage}})


def usage(books: Books, body: Any, now: float, back: float | None) -> Response:
    """``POST /v1/organization/usage``: net credits by UTC day and model, the days with any; see `Books.charges`."""
    begin, end = _period({} if body is None else body, datetime.fromtimestamp(now, UTC).date())
    charges = books.charges((_seconds(begin), _seconds(end)), now, back)
    results = [
        {
            "date": (date(1970, 1, 1) + timedelta(days=day)).isoformat(),
            "usedCredits": [{"model": model, "amount": amount} for _, model, amount in rows],
        }
        for day, rows in groupby(charges, key=lambda row: row[0])
    ]
    models = list(dict.fromkeys(model for _, model, _ in charges))
    return json_response(200, {"results": results, "models": models})


def _period(body: Any, today: date) -> tuple[date, date]:
    """First day, and the day after the last."""
    if not isinstance(body, dict):
        raise invalid(Issue((), "Expected an object.", "invalid_type"))
    begin = min(_day(body, "startDate") or today - timedelta(days=USUAL), date.max - timedelta(days=LONGEST))
    end = _day(body, "beforeDate") or begin + timedelta(days=USUAL)
    if end > begin + timedelta(days=LONGEST):
        raise invalid(Issue(("beforeDate",), f"At most {LONGEST} days can be asked for at once."))
    return begin, end


def _day(body: dict[str, Any], name: str) -> date | None:
    if name not in body:
        return None
    try:
        text = str(body[name])
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise invalid(Issue((name,), "Expected a date as YYYY-MM-DD.", "invalid_format")) from None


def _seconds(day: date) -> float:
    return (day - date(1970, 1, 1)).total_seconds()
