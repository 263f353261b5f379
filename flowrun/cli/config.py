"""`flowrun config`: the settings in force, and where each came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrun.cli import completing
from flowrun.cli.flags import options_of, output_of, provided, toned, valued

if TYPE_CHECKING:
    from flowrun.production.explaining import Explained, InputOrigin, VariableOrigin


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path), shell_complete=completing.manifests)
@click.option("--explain", is_flag=True, help="Where each value came from; with FILE, each variable and input too.")
@valued
@provided
@toned
def config(file: Path | None, explain: bool, **flags: Any) -> None:
    """Print the settings in force for the project of FILE, or of the working folder.

    They come from the user's file (~/.config/flowrun/config.toml), flowrun.toml in the project, the environment
    (FLOWRUN_<SECTION>_<KEY>) and flags, the later over the earlier.
    """
    output = output_of(flags)
    from flowrun.production.explaining import explain as explained
    from flowrun.production.options import Surroundings
    from flowrun.ui.settings_text import parts_text, settings_text

    found = explained(file, options_of(flags), Surroundings())
    if output.json:
        output.document(found.to_json())
        return
    colour, width = output.data_colour, output.width
    rows = [(each.key, each.value, str(each.origin)) for each in found.settings]
    output.chat(f"{found.name}: {found.project}, store {found.store}")
    output.data(settings_text(rows, origins=explain, colour=colour, width=width))
    if explain and file is not None:
        output.data(parts_text(_parts(found), colour=colour, width=width))


def _parts(found: Explained) -> list[tuple[str, list[tuple[str, Any, str]]]]:
    variables = [("vars", [_variable(each) for each in found.variables])] if found.variables else []
    nodes = []
    for each in found.nodes:
        several = f", {len(each.addresses)} instances" if len(each.addresses) > 1 else ""
        heading = f"{each.node} ({each.operation}/{each.model}{several})"
        nodes.append((heading, [_input(one) for one in each.inputs]))
    return [*variables, *nodes]


def _variable(each: VariableOrigin) -> tuple[str, Any, str]:
    place = each.span.file if each.span.file.startswith("--") else str(each.span)
    return each.name, each.value, place if each.is_set else f"no value; declared at {place}"


def _input(each: InputOrigin) -> tuple[str, Any, str]:
    taken = "taken away by " if each.off else ""
    return each.name, each.value, f"{taken}{each.source}, {each.span}"
