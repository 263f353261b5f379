"""What is known of a diagnostic code. Owns the type alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A kebab-case name, and one paragraph: what it means, why it is a mistake, what to do. `warns`: it may be a warning, which
    `lint.ignore` can silence."""

    name: str
    explanation: str
    warns: bool = False
