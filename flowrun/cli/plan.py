"""`flowrun plan`: what would run and why. Spends nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrun.cli.flags import FILE, carried, options_of, output_of, planned, shown
from flowrun.cli.output import Form, Output

if TYPE_CHECKING:
    from flowrun.production.options import Options
    from flowrun.production.proposing import Proposal
    from flowrun.ui.plan_facts import PlanFacts


@click.command()
@FILE
@planned
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("--verbose", "-v", is_flag=True, help="List unchanged nodes too.")
@click.option("--save", type=click.Path(path_type=Path), metavar="P", help="Keep the plan; apply P runs exactly that.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 10 where an apply would have something to do.")
@shown
def plan(file: Path, strict: bool, verbose: bool, save: Path | None, detailed_exitcode: bool, **flags: Any) -> None:
    """Show what an apply would run and why, what it costs and about how long it takes. Spends nothing, needs no key."""
    output = output_of(flags)
    from flowrun.cli.failing import tell_diagnostics
    from flowrun.cli.pages import tell_plan
    from flowrun.cli.saved import end_detailed, tell_offline, tell_saved
    from flowrun.production.options import Surroundings
    from flowrun.production.production import Production

    options = options_of(flags)
    production = Production(file, options, Surroundings())
    proposal = production.propose(save=save, strict=strict)
    problems = proposal.plan.problems
    if problems or (strict and proposal.plan.warnings):
        raise SystemExit(tell_diagnostics([*problems, *proposal.plan.warnings], output) or 2)
    if proposal.banner:
        output.chat(proposal.banner)
    tell_offline(proposal, options, output)
    warn(proposal, output)
    if output.json:
        output.document(proposal.document())
    elif output.form is not Form.TEXT:
        tell_plan(production, proposal, file, output, verbose=verbose)
    else:
        output.data(plan_words(proposal, file, options, output, verbose=verbose, colour=output.data_colour))
    tell_saved(save, output)
    if detailed_exitcode:
        end_detailed(proposal, output)


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
    from flowrun.ui.plan_text import plan_text

    shade = output.colour if colour is None else colour
    flags, facts = carried(options), facts_of(proposal)
    return plan_text(facts, file=str(file), colour=shade, width=output.width, verbose=verbose, flags=flags)


def facts_of(proposal: Proposal) -> PlanFacts:
    """What pages and texts show of it; its banner has been told by then."""
    from flowrun.ui.plan_facts import PlanFacts

    return PlanFacts(
        plan=proposal.plan,
        balance=proposal.balance,
        daily_left=proposal.daily_left,
        seconds=proposal.seconds,
        cap=proposal.cap,
        provider=proposal.provider,
        banner=None,
        left=proposal.left,
        foreseen=proposal.foreseen,
        written=proposal.caps.written,
        daily_next=proposal.daily_next,
        at=proposal.at,
    )
