"""What the commands say about saved plans and about plans without network. Owns those words; plans are kept by the production."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.cli.output import Output

if TYPE_CHECKING:
    from flowrun.production.options import Options
    from flowrun.production.production import Production
    from flowrun.production.proposing import Proposal

CHANGES = 10  # exit code of `plan --detailed-exitcode` where there is something to do


def tell_offline(proposal: Proposal, options: Options, output: Output) -> None:
    """That balance and limits are not known, and why."""
    if options.offline and proposal.balance is None and proposal.plan.needs_provider:
        output.chat("offline: the API was not asked, so balance, limits and the day's generations are not known")


def tell_saved(save: Path | None, output: Output) -> None:
    if save is not None:
        output.chat(f"Saved as {save}. To carry out exactly this: flowrun apply {save}")


def end_detailed(proposal: Proposal, output: Output) -> None:
    """The end of `plan --detailed-exitcode`. Raises SystemExit where there is something to do."""
    if proposal.plan.is_done and proposal.exports:
        files = "1 exported file" if proposal.exports == 1 else f"{proposal.exports} exported files"
        output.chat(f"An apply would write {files}.")
    if proposal.changes:
        raise SystemExit(CHANGES)


def tell_done(production: Production, output: Output) -> None:
    """That a saved plan has nothing left to do, before that is shown to be so."""
    kept = production.kept
    if kept is not None and kept.is_done:
        output.chat(f"{kept.named} is carried out already: everything that it would make is here.")
