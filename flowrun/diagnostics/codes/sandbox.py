"""Codes of the sandbox's own files."""

from __future__ import annotations

from flowrun.diagnostics.codes.model import Code

CODES = (
    Code(
        "scenario-invalid",
        "A scenario scripts how the sandbox behaves. Its file has a part that cannot be understood, and rather than rehearse "
        "something else than was asked for, nothing is started.",
    ),
)
