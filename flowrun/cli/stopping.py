"""`flowrun collect` and `flowrun cancel`: what is at the API, taken home or called off. Owns the question before cancelling; the
rounds are the production's, their words ui's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from flowrun.cli import completing
from flowrun.cli.flags import carried, options_of, output_of, provided, shown
from flowrun.cli.output import Form, Output, can_ask
from flowrun.cli.signals import asked, hand_signals

if TYPE_CHECKING:
    from flowrun.engine.visited import Visited
    from flowrun.production.cancelling import Stakes
    from flowrun.production.options import Options
    from flowrun.production.rounds import Rounded


@click.command()
@provided
@shown
def collect(**flags: Any) -> None:
    """Download whatever has finished at the API, whatever became of its manifest. Starts nothing, waits for nothing.

    Every open task is looked at once: what has succeeded comes into the store, what has failed is settled, what runs is left.
    """
    output, options = output_of(flags), options_of(flags)
    from flowrun.production.collecting import collect as collect_all
    from flowrun.production.options import Surroundings

    rounded = collect_all(options, Surroundings(), tell=_teller(output), interruptible=hand_signals)
    _tell("collect", rounded, options, output)


@click.command()
@click.argument("run", required=False, shell_complete=completing.runs)
@provided
@click.option("--yes", "-y", is_flag=True, help="Cancel without asking.")
@shown
def cancel(run: str | None, yes: bool, **flags: Any) -> None:
    """Cancel at the API what this project has in flight: everything, or what RUN submitted (its id, or how that begins).

    A task that has finished meanwhile is collected, never deleted. Whether credits come back is not documented.
    """
    output, options = output_of(flags), options_of(flags)
    from flowrun.production.cancelling import cancel as cancel_all
    from flowrun.production.options import Surroundings

    def agrees(stakes: Stakes) -> bool:
        return yes or _agrees(stakes, output)

    rounded = cancel_all(run, options, Surroundings(), confirm=agrees, tell=_teller(output), interruptible=hand_signals)
    _tell("cancel", rounded, options, output)


def _agrees(stakes: Stakes, output: Output) -> bool:
    """One question, on a terminal, where real credits were spent."""
    if not stakes.spends:
        return True
    from flowrun.ui.visits_text import stakes_text

    if can_ask():
        output.talk(stakes_text(stakes.tasks, colour=output.colour, width=output.width))
        return asked("Cancel these tasks?")
    output.talk("there is no terminal to ask on: tasks that cost real credits need --yes")
    return False


def _teller(output: Output) -> Any:
    """A line for each task as it ends, for whoever watches; without a terminal the answer alone is enough."""
    from flowrun.ui.paint import safe
    from flowrun.ui.visits_text import word_of

    def tell(each: Visited) -> None:
        if sys.stderr.isatty():
            output.chat(safe(f"{word_of(each.fate)}: {each.row.origin.address}"))

    return tell


def _tell(verb: str, rounded: Rounded, options: Options, output: Output) -> None:
    from dataclasses import asdict

    from flowrun.ui.visits_text import visits_markdown, visits_text

    flags = carried(options)
    for warning in rounded.warnings:
        output.talk(f"warning: {warning}")
    if output.json:
        codes = {"exit": int(rounded.exit), "exits": [int(code) for code in rounded.exits or (0,)]}
        tasks = [each.to_json() for each in rounded.tasks]
        uncertain = [asdict(row) for row in rounded.uncertain]
        output.document({**codes, "tasks": tasks, "uncertain": uncertain, "warnings": list(rounded.warnings)})
    elif output.form is Form.MARKDOWN:
        output.page(visits_markdown(verb, rounded.tasks, rounded.uncertain, flags))
    else:
        colour, width = output.data_colour, output.width
        output.data(
            visits_text(verb, rounded.tasks, rounded.uncertain, flags=flags, colour=colour, width=width),
        )
    raise SystemExit(int(rounded.exit))
