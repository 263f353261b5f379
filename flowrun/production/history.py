"""A run in the project's history: written when it begins, and again with all that it came to when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flowrun.engine.summary import Summary
from flowrun.graph.address import parse
from flowrun.ids import RunId
from flowrun.manifest import Flow
from flowrun.plan.whole import Plan
from flowrun.production.binding import Bound
from flowrun.production.exits import Exit
from flowrun.store.protocol import RunRow, StepRow


def write_begin(bound: Bound, run: RunId, flow: Flow, manifest: str) -> RunRow:
    """`manifest`: its path below the project. Raises OSError."""
    row = RunRow(run, bound.choice.name, flow.name, flow.profile, manifest, bound.around.clock.now())
    bound.store.runs.begin(row)
    return row


def write_end(
    bound: Bound, row: RunRow, code: Exit, summary: Summary, plan: Plan, journal: Sequence[dict[str, Any]]
) -> None:
    """`journal`: every event of the run, as JSON. Raises OSError."""
    runs = bound.store.runs
    for address, state in summary.states.items():
        runs.step(row.id, _step_row(address, state.value, summary, plan))
    runs.journal(row.id, journal)
    done = replace(row, ended_at=bound.around.clock.now(), exit=code.value, submitted=summary.submitted)
    runs.end(replace(done, credits=summary.credits, summary=summary.to_json()))


def _step_row(address: str, state: str, summary: Summary, plan: Plan) -> StepRow:
    step = plan.steps[parse(address)]
    trouble = next((each for each in summary.troubles.values() if each.address == address), None)
    why = step.why.reason.value if step.why else ""
    doc = step.takes[0].doc if step.takes else None
    return StepRow(
        address,
        state,
        step.decision.value,
        why,
        key=doc.key if doc else None,
        detail=trouble.message if trouble else None,
    )
