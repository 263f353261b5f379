"""Codes of planning: mistakes that only a node's upstream brings to light."""

from __future__ import annotations

from flowrun.diagnostics.codes.model import Code

CODES = (
    Code(
        "no-key",
        "Every generation is known by a key, the digest of its whole request as canonical JSON. A number that JSON cannot hold "
        "exactly (not finite, or an integer beyond 2^53) and text that is not Unicode have no canonical form, so there would "
        "be no telling one request from another. The node is not run.",
    ),
    Code(
        "counters-decide",
        "A request was never answered, and `provider.uncertain` lets the organization's counters settle it. A plan asks nobody; "
        "an apply asks them first, and where they say twice that nothing was accepted, it plans with that and sends again.",
        warns=True,
    ),
)
