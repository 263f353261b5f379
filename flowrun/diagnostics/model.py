"""What a mistake is, as a value. Owns its shape and order; renderers show it, passes make it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from flowrun.diagnostics.span import Span


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Note:
    """A fact that belongs to a diagnostic, with the place it speaks of, if any."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake: a kebab-case code from `codes`, one message, the smallest span that must change, the next action."""

    code: str
    message: str
    span: Span | None = None
    hint: str | None = None
    notes: tuple[Note, ...] = ()
    severity: Severity = Severity.ERROR

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by position (those without one first), each once."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=lambda d: (d.span is not None, d.span or Span("", 0, 0, 0, 0), d.code, d.message)))


class DiagnosticError(Exception):
    """A pass found errors; carries all it found, sorted, warnings too."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = in_order(diagnostics)
        super().__init__("; ".join(f"{d.span or ''} {d.message}".strip() for d in self.diagnostics if d.is_error))
