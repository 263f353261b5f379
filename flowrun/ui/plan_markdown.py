"""A plan as Markdown, for a comment on a pull request or a report: totals, what would run, what changed. Owns the parts' order.

Rows, sums and ways on are those of the text (`plan_rows`, `plan_totals`, `plan_stops`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowrun.diagnostics.escaping import code, inline, markdown
from flowrun.diagnostics.markdown import items
from flowrun.plan.model import Change, Decision
from flowrun.plan.whole import Plan
from flowrun.ui.changes import field_name, prose_diff, sides
from flowrun.ui.markdown import Part, Rows, fenced, folded, listing, page, table
from flowrun.ui.numbers import are, cost, plural
from flowrun.ui.paint import palette
from flowrun.ui.plan_facts import PlanFacts
from flowrun.ui.plan_rows import Row, is_unchanged, rows_of
from flowrun.ui.plan_stops import stop_lines
from flowrun.ui.plan_text import nothing_to_do
from flowrun.ui.plan_totals import known_totals, node_counts
from flowrun.ui.typed import Typed

_COLUMNS = 100
_SIGNS = {
    Decision.HIT: "✅",
    Decision.RUN: "▶️",
    Decision.UNDECIDED: "❔",
    Decision.RESUME: "⏯️",
    Decision.SKIP: "⏭️",
    Decision.HELD: "📌",
    Decision.GATED: "🚧",
    Decision.UNCERTAIN: "⚠️",
    Decision.REJECTED: "⛔",
    Decision.BLOCKED: "🧱",
    Decision.EXCLUDED: "➖",
}
_TAGS = {"same": "{}", "removed": "<del>{}</del>", "added": "<ins>{}</ins>"}


def plan_markdown(facts: PlanFacts, *, file: str, verbose: bool = False, flags: Sequence[str] = ()) -> str:
    """The whole page, without a line break at its end. Parameters as those of `plan_text`."""
    typed = Typed(file, tuple(flags))
    return page(_parts(facts, typed, verbose), more=f"{code(typed.plan('-v'))} shows all.")


def _parts(facts: PlanFacts, typed: Typed, verbose: bool) -> Iterator[Part]:
    plan = facts.plan
    yield f"### 🎬 {_title(facts)}"
    if facts.banner:
        yield f"> {markdown(facts.banner)}"
    yield markdown(nothing_to_do(plan)) if plan.is_done else "\n".join(_totals(facts))
    if plan.warnings:
        yield "#### Warnings"
        yield listing(items(plan.warnings), "warning")
    rows = rows_of((step for step in plan.steps.values() if not is_unchanged(step)), verbose=verbose)
    yield _steps(rows)
    yield from _stops(plan, typed, verbose)
    yield _changes(rows, verbose)
    yield _unchanged(plan)


def _title(facts: PlanFacts) -> str:
    profile = f", profile {code(facts.plan.profile)}" if facts.plan.profile else ""
    return f"Plan for {code(facts.plan.flow)}{profile}, on {markdown(facts.provider)}"


def _totals(facts: PlanFacts) -> Iterator[str]:
    yield f"- **Nodes**: {', '.join(words for _, words in node_counts(facts.plan))}"
    for label, text in known_totals(facts):
        yield f"- **{label}**: {markdown(text)}" if label else f"  - {markdown(text)}"
        if label == "Credits":
            yield from (f"  - {code(model)}: {cost(known)}" for model, known in facts.plan.by_model.items())


def _steps(rows: Sequence[Row]) -> Rows:
    heads = ("decision", "node", "operation/model", "credits", "reason")
    return table(heads, map(_cells, rows), right=(3,), what="step")


def _cells(row: Row) -> tuple[str, ...]:
    first = row.first
    what = f"{first.operation}/{first.model}" if first.model else first.operation
    decision = f"{_SIGNS[first.decision]} {first.decision.value}"
    return decision, code(row.name), code(what), markdown(cost(row.cost)), markdown(row.reason)


def _stops(plan: Plan, typed: Typed, verbose: bool) -> Iterator[Part]:
    lines = stop_lines(plan, typed, palette(False), _COLUMNS, verbose=verbose)
    if lines:
        yield "#### To settle first"
        yield fenced(lines[1:])


def _unchanged(plan: Plan) -> Rows:
    names = [f"- {code(step.address)}" for step in plan.steps.values() if is_unchanged(step)]
    return folded(f"{plural(len(names), 'node')} {are(len(names))} unchanged", listing(names, "unchanged node"))


# -- changes


def _changes(rows: Sequence[Row], verbose: bool) -> Rows:
    changed = ["\n".join(_changed(row, verbose)) for row in rows if row.first.why and row.first.why.changes]
    return folded(f"What changed in {plural(len(changed), 'step')}", listing(changed, "changed step"))


def _changed(row: Row, verbose: bool) -> Iterator[str]:
    yield f"- {code(row.first.address)}{', for one' if len(row.steps) > 1 else ''}"
    for change in row.first.why.changes if row.first.why else ():
        yield f"  - {code(field_name(change))}: {_change(change, verbose)}"


def _change(change: Change, verbose: bool) -> str:
    """Words that left are struck through, words that came underlined; of other values the two, side by side."""
    parts = prose_diff(change, whole=verbose)
    if parts is not None:
        return "".join(_TAGS[kind].format(inline(text)) for kind, text in parts).strip()
    return " → ".join(map(code, sides(change, whole=verbose)))
