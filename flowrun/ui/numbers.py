"""How credits, dollars, times and counts are worded. Owns that wording alone."""

from __future__ import annotations

from datetime import UTC, datetime

from flowrun.plan.model import Cost

DOLLARS_PER_CREDIT = 0.01  # the API's price list: one credit is one cent
_MINUTE, _HOUR = 60, 3600


def number(value: int) -> str:
    return f"{value:,}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 node``, ``3 nodes``."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def are(count: int) -> str:
    return "is" if count == 1 else "are"


def span(low: int, high: int) -> str:
    """``25`` or ``25–80``."""
    return number(low) if low == high else f"{number(low)}–{number(high)}"


def dollars(low: int, high: int | None = None) -> str:
    """What so many credits cost: ``$0.25`` or ``$0.25–$0.80``."""
    high = low if high is None else high
    first = f"${low * DOLLARS_PER_CREDIT:,.2f}"
    return first if low == high else f"{first}–${high * DOLLARS_PER_CREDIT:,.2f}"


def credits(low: int, high: int | None = None) -> str:
    """``25 credits``, ``25–80 credits``."""
    high = low if high is None else high
    return f"{span(low, high)} {'credit' if low == high == 1 else 'credits'}"


def priced(low: int, high: int | None = None) -> str:
    """``25 credits ($0.25)``."""
    return f"{credits(low, high)} ({dollars(low, high)})"


def cost(known: Cost) -> str:
    """A cost in a line of a plan; "" where nothing is to pay. What has no known price is "unknown", never 0."""
    if not known.high and not known.unknown:
        return ""
    if not known.high:
        return "unknown price"
    words = f"up to {credits(known.high)}" if not known.low else credits(known.low, known.high)
    return words + (" + unknown" if known.unknown else "")


def spent(known: int | None) -> str:
    """What one generation cost."""
    return "price unknown" if known is None else credits(known)


def duration(seconds: float) -> str:
    """``42 s``, ``4 min``, ``1 h 20 min``: as exact as a person wants it."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / _MINUTE)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{number(hours)} h {rest} min" if rest else f"{number(hours)} h"


def elapsed(seconds: float) -> str:
    """Time since the start of a run in four columns: `` 12s``, ``4m05``, `` 17m``, ``2h05``."""
    whole = max(0, int(seconds))
    minutes, hours = whole // _MINUTE, whole // _HOUR
    if whole < 100:
        text = f"{whole}s"
    elif minutes < 10:
        text = f"{minutes}m{whole % _MINUTE:02}"
    elif minutes < 100:
        text = f"{minutes}m"
    else:
        text = f"{hours}h{minutes % 60:02}" if hours < 10 else f"{hours}h"
    return text.rjust(4)


def moment(at: float) -> str:
    """``2026-11-22 03:12`` UTC, of epoch seconds."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
