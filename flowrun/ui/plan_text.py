"""A plan as a person reads it before agreeing: what would run and why, what it costs, what stops. Owns the order of parts.

Rows are `plan_rows`', sums `plan_totals`', the ways on `plan_stops`'. Pure: values in, text out; the caller prints.
"""

from __future__ import annotations

from collections.abc import Sequence

from flowrun.plan.model import Decision
from flowrun.plan.whole import Plan
from flowrun.ui.numbers import are, plural
from flowrun.ui.paint import Paint, palette, safe
from flowrun.ui.plan_facts import PlanFacts
from flowrun.ui.plan_rows import is_unchanged, row_lines, rows_of, unchanged_line
from flowrun.ui.plan_stops import stop_lines
from flowrun.ui.plan_totals import total_lines
from flowrun.ui.typed import Typed

__all__ = ["PlanFacts", "nothing_to_do", "plan_text"]
NARROWEST = 40  # columns; below that nothing is set narrower


def plan_text(
    facts: PlanFacts,
    *,
    file: str,
    colour: bool,
    width: int,
    verbose: bool = False,
    flags: Sequence[str] = (),
) -> str:
    """The whole text, without a line break at its end. `file`: the manifest as the person named it; `flags`: those that the next
    command needs too (``--profile draft``). `verbose`: nothing is collapsed or shortened."""
    paint, columns = palette(colour), max(NARROWEST, width)
    banner = [paint(safe(facts.banner), "warn"), ""] if facts.banner else []
    parts = banner + _body(facts, Typed(file, tuple(flags)), paint, columns, verbose)
    return "\n".join(parts)


def _body(facts: PlanFacts, typed: Typed, paint: Paint, columns: int, verbose: bool) -> list[str]:
    plan = facts.plan
    steps = [step for step in plan.steps.values() if verbose or not is_unchanged(step)]
    telling = [step for step in steps if verbose or not plan.is_done or step.decision is not Decision.SKIP]
    if not telling:
        return [nothing_to_do(plan)]
    lines = [paint(_title(facts), "bold"), ""]
    lines += row_lines(rows_of(telling, verbose=verbose), paint, columns, verbose=verbose)
    if not verbose and (unchanged := unchanged_line(plan)):
        lines.append(paint(unchanged, "quiet"))
    if plan.is_done:
        return [*lines, "", nothing_to_do(plan)]
    return [*lines, "", *total_lines(facts, paint, columns), *stop_lines(plan, typed, paint, columns, verbose=verbose)]


def _title(facts: PlanFacts) -> str:
    profile = f", profile {facts.plan.profile}" if facts.plan.profile else ""
    return safe(f"Plan for {facts.plan.flow}{profile}, on {facts.provider}:")


def nothing_to_do(plan: Plan) -> str:
    """The one line of a plan without work."""
    unchanged, skipped = plan.counts.get(Decision.HIT, 0), plan.counts.get(Decision.SKIP, 0)
    parts = [f"{plural(unchanged, 'node')} {are(unchanged)} unchanged"] if unchanged else []
    parts += [f"{plural(skipped, 'node')} {are(skipped)} skipped"] if skipped else []
    return f"Nothing to do: {', '.join(parts) or 'there are no nodes'}."
