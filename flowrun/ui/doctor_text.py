"""What the doctor found, as a person reads it. Owns the layout; the words are the findings' own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from flowrun.ui.numbers import are, plural
from flowrun.ui.paint import palette, safe
from flowrun.ui.tables import Cell, hanging, padded

NARROWEST = 40
_KINDS = {"ok": "good", "warning": "warn", "problem": "bad"}


class Finding(Protocol):
    """As the production's. `status`: ok | warning | problem."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def found(self) -> str: ...
    @property
    def advice(self) -> str | None: ...


def doctor_text(findings: Sequence[Finding], *, colour: bool, width: int) -> str:
    """A line or more a finding, then the sum; without a line break at its end."""
    paint, columns = palette(colour), max(NARROWEST, width)
    names = max((len(each.name) for each in findings), default=0)
    lines: list[str] = []
    for each in findings:
        status = str(each.status)
        head = f"{status:<7}  {each.name:<{names}}  "
        first, *rest = hanging(head, safe(each.found), columns)
        painted = padded(Cell(status, _KINDS.get(status, "")), 7, paint)
        lines += [painted + first[7:], *rest]
        if each.advice:
            lines += hanging(" " * len(head) + "hint: ", safe(each.advice), columns)
    return "\n".join([*lines, _sum(findings)])


def _sum(findings: Sequence[Finding]) -> str:
    problems, warnings = (sum(str(each.status) == kind for each in findings) for kind in ("problem", "warning"))
    if problems:
        also = f", and {plural(warnings, 'warning')}" if warnings else ""
        return f"{plural(problems, 'problem')}{also}: an apply would not work as it is."
    if warnings:
        return f"No problem; there {are(warnings)} {plural(warnings, 'warning')}."
    return "All is well."
