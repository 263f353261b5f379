"""`flowrun plan`: what would run and why. Spends nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrun.cli.flags import FILE, carried, options_of, output_of, planned, shown
from flowrun.cli.output import Output

if TYPE_CHECKING:
    from flowrun.production.options import Options
    from flowrun.production.production import Proposal


@click.command()
@FILE
@planned
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("--verbose", "-v", is_flag=True, help="List unchanged nodes too.")
@shown
def plan(file: Path, strict: bool, verbose: bool, **flags: Any) -> None:
    """Show what an apply would run and why, what it costs and about how long it takes. Spends nothing, needs no key."""
    output = output_of(flags)
    from flowrun.cli.failing import tell_diagnostics
    from flowrun.production.options import Surroundings
    from flowrun.production.production import Production

    options = options_of(flags)
    proposal = Production(file, options, Surroundings()).propose()
    problems = proposal.plan.problems
    if problems or (strict and proposal.plan.warnings):
        raise SystemExit(tell_diagnostics([*problems, *proposal.plan.warnings], output) or 2)
    if proposal.banner:
        output.chat(proposal.banner)
    warn(proposal, output)
    if output.json:
        output.document(proposal.document())
    else:
        output.data(plan_words(proposal, file, options, output, verbose=verbose, colour=output.data_colour))


def warn(proposal: Proposal, output: Output) -> None:
    """The plan's warnings, where anybody listens."""
    from flowrun.cli.failing import source
    from flowrun.diagnostics.render import to_text

    if proposal.plan.warnings and not output.quiet:
        output.talk(to_text(proposal.plan.warnings, source, output.colour))


def plan_words(
    proposal: Proposal,
    file: Path,
    options: Options,
    output: Output,
    *,
    verbose: bool = False,
    colour: bool | None = None,
) -> str:
    """The plan as a person reads it."""
    from flowrun.ui.plan_text import PlanFacts, plan_text

    facts = PlanFacts(
        plan=proposal.plan,
        balance=proposal.balance,
        daily_left=proposal.daily_left,
        seconds=proposal.seconds,
        cap=proposal.cap,
        provider=proposal.provider,
        banner=None,
    )
    shade = output.colour if colour is None else colour
    flags = carried(options)
    return plan_text(facts, file=str(file), colour=shade, width=output.width, verbose=verbose, flags=flags)
