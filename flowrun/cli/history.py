"""Commands that look back: `outputs`, `runs`, `show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrun.cli import completing
from flowrun.cli.flags import FILE, options_of, output_of, provided, shown, valued
from flowrun.cli.output import Form

if TYPE_CHECKING:
    from flowrun.production.queries import ExportedRow, ShownResult, ShownRun


@click.command()
@FILE
@valued
@provided
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the exports were put.")
@shown
def outputs(file: Path, **flags: Any) -> None:
    """Print the exported files of a manifest as paths."""
    output = output_of(flags)
    from dataclasses import asdict

    from flowrun.production.options import Surroundings
    from flowrun.production.production import Production
    from flowrun.production.queries import exported
    from flowrun.ui.runs_markdown import outputs_markdown

    rows = exported(Production(file, options_of(flags), Surroundings(), demand=False))
    if output.json:
        output.document([{**asdict(row), "path": str(row.path)} for row in rows])
        return
    if output.form is Form.MARKDOWN:
        output.page(outputs_markdown([(row.output, str(row.path), _remark(row)) for row in rows]))
        return
    for row in rows:
        if row.exists and row.current:
            output.data(str(row.path))
        else:
            output.talk(f"{row.path} {_remark(row)}")
    if not rows:
        output.chat(f"{file} has exported nothing yet; flowrun apply {file} does")


def _remark(row: ExportedRow) -> str:
    if not row.current:
        return "is not exported any more (apply --prune removes it)"
    return "" if row.exists else "is gone"


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path), shell_complete=completing.manifests)
@provided
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@shown
def runs(file: Path | None, limit: int, **flags: Any) -> None:
    """List past runs, newest first."""
    output = output_of(flags)
    from dataclasses import asdict

    from flowrun.production.options import Surroundings
    from flowrun.production.queries import past_runs
    from flowrun.ui.runs_markdown import runs_markdown
    from flowrun.ui.runs_text import runs_text

    rows = past_runs(file, limit, options_of(flags), Surroundings())
    if output.json:
        output.document([asdict(row) for row in rows])
    elif output.form is Form.MARKDOWN:
        output.page(runs_markdown(rows))
    else:
        output.data(runs_text(rows, colour=output.data_colour, width=output.width))


@click.command()
@click.argument("what", type=click.Path(path_type=Path), shell_complete=completing.manifests)
@click.argument("node", required=False, shell_complete=completing.nodes)
@valued
@provided
@shown
def show(what: Path, node: str | None, **flags: Any) -> None:
    """Show one run (by id), one media file (by its digest), or with FILE NODE the last result of a node, with its recipe."""
    output = output_of(flags)
    from flowrun.production.options import Surroundings
    from flowrun.production.queries import ShownRun, show_anything
    from flowrun.ui.recipe_text import recipe_text
    from flowrun.ui.runs_text import run_text

    found = show_anything(what, node, options_of(flags), Surroundings())
    if output.json:
        output.document(found.to_json())
    elif output.form is Form.MARKDOWN:
        output.page(_show_page(found))
    elif isinstance(found, ShownRun):
        output.data(run_text(found.run, found.steps, colour=output.data_colour, width=output.width))
    else:
        output.data(recipe_text(found.title, found.result, colour=output.data_colour))


def _show_page(found: ShownRun | ShownResult) -> str:
    from flowrun.production.queries import ShownRun
    from flowrun.ui.runs_markdown import recipe_markdown, run_markdown

    if isinstance(found, ShownRun):
        return run_markdown(found.run, found.steps)
    return recipe_markdown(found.title, found.result)
