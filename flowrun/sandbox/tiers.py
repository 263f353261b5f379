"""What an account of each tier may do at once and in a day. Owns the table; counting is the service's.

Source: the usage tiers page of the API's documentation, late 2026. It lists columns for video, image and audio; which column
is which is read from their order.
"""

from __future__ import annotations

from dataclasses import dataclass

from flowrun.media.facts import MediaKind

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Limits:
    """For one model: tasks running at once, tasks accepted within any 24 hours. None: as many as one likes."""

    concurrent: int | None
    daily: int | None


@dataclass(frozen=True, slots=True)
class Tier:
    """`monthly`: the most credits that can be bought in a month (1 credit = $0.01)."""

    video: Limits
    others: Limits
    monthly: int

    def limits(self, kind: MediaKind) -> Limits:
        """The limits of a model that makes `kind`."""
        return self.video if kind is MediaKind.VIDEO else self.others


TIERS = {
    1: Tier(Limits(1, 50), Limits(2, 200), 10_000),
    2: Tier(Limits(3, 500), Limits(3, 1_000), 50_000),
    3: Tier(Limits(5, 1_000), Limits(5, 2_000), 200_000),
    4: Tier(Limits(10, 5_000), Limits(10, 10_000), 2_000_000),
    5: Tier(Limits(20, 25_000), Limits(20, 30_000), 10_000_000),
}
