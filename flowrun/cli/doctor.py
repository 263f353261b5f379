"""`flowrun doctor`."""

from __future__ import annotations

import sys
from typing import Any

import click

from flowrun.cli.flags import options_of, output_of, provided, shown


@click.command()
@provided
@click.option("--offline", is_flag=True, help="Ask nothing of the network.")
@shown
def doctor(offline: bool, **flags: Any) -> None:
    """Look at what surrounds a production: key, network, clock, disks, codecs, store, ledger.

    Spends and changes nothing. Exit 7 where something would keep an apply from working.
    """
    output = output_of(flags)
    from dataclasses import asdict

    from flowrun.production.doctoring.examining import examine
    from flowrun.production.doctoring.machine import Terminal
    from flowrun.production.options import Surroundings
    from flowrun.ui.doctor_text import doctor_text

    seen = Terminal(sys.stdout.isatty(), output.data_colour, output.width, sys.stdout.encoding or "ascii")
    health = examine(options_of(flags), Surroundings(), seen, offline=offline)
    if output.json:
        output.document({"exit": int(health.exit), "findings": [asdict(each) for each in health.findings]})
    else:
        output.data(doctor_text(health.findings, colour=output.data_colour, width=output.width))
    raise SystemExit(int(health.exit))
