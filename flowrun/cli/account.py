"""Commands about the account: `org`, `status`, and `adopt` and `forget` for what nobody knows the end of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flowrun.cli.flags import FILE, NODE, options_of, output_of, provided, shown, valued
from flowrun.cli.output import Form, Output


@click.command()
@provided
@shown
def org(**flags: Any) -> None:
    """Tier limits, generations of the day and the balance."""
    output = output_of(flags)
    from flowrun.production.options import Surroundings
    from flowrun.production.queries import organization
    from flowrun.ui.runs_markdown import org_markdown
    from flowrun.ui.runs_text import org_text

    found, provider = organization(options_of(flags), Surroundings())
    if output.json:
        models = {
            name: {"concurrent": limits.concurrent, "daily": limits.daily, "used_today": found.used_today.get(name, 0)}
            for name, limits in found.models.items()
        }
        output.document({"provider": provider, "balance": found.balance, "models": models})
    elif output.form is Form.MARKDOWN:
        output.page(org_markdown(found.models, found.used_today, found.balance, provider=provider))
    else:
        limits, used, balance = found.models, found.used_today, found.balance
        colour, width = output.data_colour, output.width
        output.data(org_text(limits, used, balance, provider=provider, colour=colour, width=width))


@click.command()
@provided
@shown
def status(**flags: Any) -> None:
    """What is in flight at the API, and which submissions nobody knows the end of."""
    output = output_of(flags)
    from dataclasses import asdict

    from flowrun.production.options import Surroundings
    from flowrun.production.queries import in_flight
    from flowrun.ui.runs_markdown import status_markdown
    from flowrun.ui.runs_text import status_text

    tasks, uncertain = in_flight(options_of(flags), Surroundings())
    if output.json:
        output.document({"open": [asdict(row) for row in tasks], "uncertain": [asdict(row) for row in uncertain]})
    elif output.form is Form.MARKDOWN:
        output.page(status_markdown(tasks, uncertain))
    else:
        output.data(status_text(tasks, uncertain, colour=output.data_colour, width=output.width))


@click.command()
@FILE
@NODE
@valued
@provided
@shown
def forget(file: Path, node: str, **flags: Any) -> None:
    """Settle an uncertain submission of NODE: nothing came of it. The next apply sends it anew."""
    output = output_of(flags)
    from flowrun.production.options import Surroundings
    from flowrun.production.production import Production
    from flowrun.production.queries import forget_uncertain

    count = forget_uncertain(Production(file, options_of(flags), Surroundings(), demand=False), node)
    if output.json:
        output.document({"exit": 0, "forgotten": count})
    _settled(
        f"{count} uncertain submission{'s' if count != 1 else ''} of {node} forgotten; apply sends it anew", output
    )


@click.command()
@FILE
@NODE
@click.option("--task", required=True, metavar="ID", help="The task that answers it, as the API names it.")
@valued
@provided
@shown
def adopt(file: Path, node: str, task: str, **flags: Any) -> None:
    """Settle an uncertain submission of NODE: this task is its answer. The next apply collects it."""
    output = output_of(flags)
    from flowrun.production.options import Surroundings
    from flowrun.production.production import Production
    from flowrun.production.queries import adopt_task

    address = adopt_task(Production(file, options_of(flags), Surroundings(), demand=False), node, task)
    if output.json:
        output.document({"exit": 0, "adopted": address, "task": task})
    _settled(f"task {task} is the answer of {address}; apply collects it", output)


def _settled(text: str, output: Output) -> None:
    from flowrun.diagnostics.escaping import markdown

    if output.form is Form.MARKDOWN:
        output.page(markdown(text))
    output.chat(text)
