"""Past runs, one run, what is open, exported files and recipes as Markdown. Owns these pages; their columns and
words are those of the texts (`runs_text`, `recipe_text`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowrun.diagnostics.escaping import code, markdown
from flowrun.ledger.protocol import IntentRow, TaskRow
from flowrun.store.protocol import Result, RunRow, StepRow
from flowrun.ui.markdown import Part, cells_table, fenced, listing, page, table
from flowrun.ui.numbers import credits, plural
from flowrun.ui.paint import palette
from flowrun.ui.recipe_text import recipe_text
from flowrun.ui.runs_text import (
    doubt_words,
    former_words,
    meanings,
    open_ways,
    open_words,
    run_facts,
    runs_cells,
    tasks_cells,
)
from flowrun.ui.typed import ways_on

_WIDE = 10**6  # columns: nothing is cut


def runs_markdown(rows: Sequence[RunRow]) -> str:
    """A table, a row a run, in the order given."""
    if not rows:
        return "No runs yet."
    parts: list[Part] = [cells_table(runs_cells(rows, _WIDE), (0, 2), what="run")]
    parts += [markdown("; ".join(found))] if (found := meanings(rows)) else []
    return page(parts, more="`flowrun runs --limit N` shows fewer.")


def run_markdown(row: RunRow, steps: Sequence[StepRow]) -> str:
    """One run with its steps."""
    facts = listing(f"- {markdown(fact)}" for fact in run_facts(row, palette(False)))
    heads = ("state", "node", "credits", "reason", "detail")
    below = table(heads, map(_step_cells, steps), right=(2,), what="step")
    return page([f"### Run {code(row.id)}", facts, below], more=f"{code(f'flowrun show {row.id}')} shows all.")


def _step_cells(step: StepRow) -> tuple[str, ...]:
    spent = "" if step.credits is None else credits(step.credits)
    return step.state, code(step.address), spent, markdown(step.reason), markdown(step.detail or "")


def status_markdown(
    tasks: Sequence[TaskRow],
    uncertain: Sequence[IntentRow],
    account: str | None = None,
    flags: Sequence[str] = (),
) -> str:
    """Open tasks as a table, unanswered requests with the ways on. `account` and `flags`: as for `status_text`."""
    if not tasks and not uncertain:
        return "Nothing is in flight, and nothing is uncertain."
    parts: list[Part] = [] if account is None else [markdown(former_words(account))]
    if not tasks:
        parts += ["Nothing is in flight."]
    else:
        parts += [markdown(open_words(tasks)), cells_table(tasks_cells(tasks, _WIDE), (0, 1, 4), what="task")]
        parts += [fenced(ways_on(open_ways(flags), ""), "command")]
    if uncertain:
        title = f"#### Uncertain: {plural(len(uncertain), 'submission needs', 'submissions need')} your decision"
        commands = [line for row in uncertain for line in ways_on(doubt_words(row, flags)[1], "")]
        parts += [title, listing(map(doubt_item, uncertain), "submission"), fenced(commands, "command")]
    return page(parts, more="`flowrun status` shows all.")


def doubt_item(row: IntentRow) -> str:
    """An unanswered request, as an item of a list."""
    return f"- {code(row.origin.address)} of {code(row.origin.manifest)}: {markdown(doubt_words(row)[0])}"


def outputs_markdown(rows: Sequence[tuple[str, str, str]]) -> str:
    """(output, file, what is to know of it), a row each."""
    if not rows:
        return "Nothing has been exported yet."
    cells = [(code(output), code(file), markdown(remark)) for output, file, remark in rows]
    return page([table(("output", "file", ""), cells, what="file")], more="`flowrun outputs` lists all.")


def recipe_markdown(title: str, result: Result) -> str:
    """One result with its recipe."""
    return page(_recipe(title, result), more="`flowrun show` shows all.")


def _recipe(title: str, result: Result) -> Iterator[Part]:
    yield f"### {code(title)}"
    yield fenced(recipe_text("", result).split("\n")[1:])
