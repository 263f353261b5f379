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
)
