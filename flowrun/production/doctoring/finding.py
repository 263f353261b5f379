"""What one look came to. Owns its shape, and that a look which fails is itself a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from flowrun.production.exits import FlowrunError
from flowrun.secret import mask


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, and there is something to know or to mend
    PROBLEM = "problem"  # an apply would fail


@dataclass(frozen=True, slots=True)
class Finding:
    """`name`: of the check; `found`: what was found; `advice`: what to do about it, None where nothing need be done."""

    name: str
    status: Status
    found: str
    advice: str | None = None


def ok(name: str, found: str) -> Finding:
    return Finding(name, Status.OK, mask(found))


def warning(name: str, found: str, advice: str) -> Finding:
    return Finding(name, Status.WARNING, mask(found), mask(advice))


def problem(name: str, found: str, advice: str) -> Finding:
    return Finding(name, Status.PROBLEM, mask(found), mask(advice))


def guarded(name: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What `look` finds. A doctor who falls ill at a patient's bed says so and goes on to the next."""
    try:
        return list(look())
    except FlowrunError as error:
        return [problem(name, error.message, error.hint or "mend that")]
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return [problem(name, f"{error.strerror or error}{where}", "mend its permissions or its disk")]
    except Exception as error:
        return [
            problem(name, f"{type(error).__name__}: {error}", "this is unforeseen: please report it with this output")
        ]
