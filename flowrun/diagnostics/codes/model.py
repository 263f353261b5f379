"""What is known of a diagnostic code. Owns the type alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A kebab-case name, and one paragraph: what it means, why it is a mistake, what to do."""

    name: str
    explanation: str
