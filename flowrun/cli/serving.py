"""`flowrun sandbox`: the Runway API's emulator over HTTP. Owns its words and signals; the serving is the sandbox's."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrun.cli.flags import output_of, shown
from flowrun.cli.output import Output
from flowrun.cli.signals import hand_signals

if TYPE_CHECKING:
    from flowrun.production.serving import Served


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="Listen here; 0 is any free one. [8642]")
@click.option("--host", metavar="ADDRESS", help="Listen at this address, which other machines may reach. [127.0.0.1]")
@click.option("--realistic", is_flag=True, help="Tasks take as long as at Runway, and polls are wanted 5 s apart.")
@click.option("--tier", type=click.IntRange(1, 5), help="The account's usage tier. [3]")
@click.option("--credits", type=click.IntRange(min=0), metavar="N", help="The account's credits. [100000]")
@click.option("--scenario", type=click.Path(path_type=Path), metavar="FILE", help="Script how it behaves.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep tasks and files here, and go on from what is there. [a folder removed at the end]",
)
@click.option("--description-only", is_flag=True, help="The API as described, without models and changes since.")
@shown
def sandbox(**flags: Any) -> None:
    """Serve the Runway API's emulator over HTTP, for the official SDKs and for any other client. Free; any key will do.

    Prints its address once it answers, and goes on until Ctrl-C.
    """
    output = output_of(flags)
    from flowrun.production.options import Surroundings
    from flowrun.production.serving import ServerOptions, open_server

    known = set(ServerOptions.__dataclass_fields__)
    given = {name: value for name, value in flags.items() if name in known and value is not None}
    with open_server(ServerOptions(**given), Surroundings()) as served:
        code = asyncio.run(_serve(served, output, given.get("state")))
    output.chat("sandbox: ended")
    raise SystemExit(code)


async def _serve(served: Served, output: Output, kept: Path | None) -> int:
    """Until a signal ends it; the exit code that it stands for."""
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        served.server.stop()

    hand_signals(end)
    await served.server.serve(lambda: _tell(served, output, kept))
    return codes[0] if codes else 0


def _tell(served: Served, output: Output, kept: Path | None) -> None:
    account, url = served.sandbox, served.server.listener.url
    if output.json:
        facts = {"url": url, "pid": os.getpid(), "tier": account.tier, "credits": account.credits, "poll": account.poll}
        output.data(json.dumps(facts))
    else:
        output.data(url)
    if not served.is_loopback:
        output.talk(f"warning: other machines may reach {served.server.listener.host}, and any key is accepted there")
    output.chat(f"sandbox: tier {account.tier}, {account.credits:,} credits; nothing is sent to Runway or charged")
    output.chat(f"  export RUNWAYML_BASE_URL={url} RUNWAYML_API_SECRET=key_sandbox")
    output.chat(
        f"  state in {kept}" if kept else "  state in a temporary folder, removed at the end (--state DIR keeps it)"
    )
    output.chat("  Ctrl-C ends it")
