"""`collect`: one look at every open task of the account. What has succeeded for this project's store is downloaded, what has
failed is settled, what runs is left. Starts nothing, waits for nothing."""

from __future__ import annotations

from flowrun.engine.round import collecting
from flowrun.production.binding import bound
from flowrun.production.loops import run_alone
from flowrun.production.mending import telling
from flowrun.production.options import Options, Surroundings
from flowrun.production.rounds import Interruptible, Rounded, Tell, at_work, carried_out, with_the_rest
from flowrun.store.location import find_project


def collect(
    options: Options | None = None,
    around: Surroundings | None = None,
    *,
    tell: Tell = lambda each: None,
    interruptible: Interruptible = lambda interrupt: None,
) -> Rounded:
    """For the project around the working folder. `tell` hears of each task as it was looked at; `interruptible` is given a
    function that ends it at once, nothing lost. With nothing open no key is needed and nothing is asked.

    Raises FlowrunError: no key, or the API cannot be asked; RuntimeError inside a running event loop.
    """
    return run_alone(lambda: collect_async(options, around, tell=tell, interruptible=interruptible), "collect")


async def collect_async(
    options: Options | None = None,
    around: Surroundings | None = None,
    *,
    tell: Tell = lambda each: None,
    interruptible: Interruptible = lambda interrupt: None,
) -> Rounded:
    """`collect`, inside a running event loop."""
    around = around or Surroundings()
    folder = find_project(around.cwd / "manifest")
    with bound(folder, options or Options(), around, mends=True) as at, telling(at.mended), at_work(at) as opened:
        rounded = await carried_out(at, opened, collecting, tell, interruptible)
        return with_the_rest(rounded, at.ledger.uncertain(), at)
