"""Commands that only read manifests and schemas: `validate`, `graph`, `schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flowrun.cli import completing
from flowrun.cli.flags import FILE, options_of, output_of, shown, toned, valued
from flowrun.cli.output import Form

_FORMATS = ("mermaid", "dot", "json", "svg")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), shell_complete=completing.manifests)
@valued
@click.option("--allow-outside", is_flag=True, help="Allow local inputs from outside of the project.")
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@shown
def validate(files: tuple[Path, ...], strict: bool, **flags: Any) -> None:
    """Every mistake in these manifests, offline. Exit 2 where there is one."""
    output = output_of(flags)
    from flowrun.cli.failing import tell_diagnostics
    from flowrun.cli.pages import valid_page
    from flowrun.diagnostics.model import Diagnostic, DiagnosticError, in_order
    from flowrun.production.options import Surroundings
    from flowrun.production.production import Production

    found: list[Diagnostic] = []
    for file in files:
        try:
            found += Production(file, options_of(flags), Surroundings(), demand=False).validate()
        except DiagnosticError as error:
            found += error.diagnostics
    if not found and output.json:
        output.document({"exit": 0, "diagnostics": []})
    code = tell_diagnostics(in_order(found), output) if found else 0
    if found and strict:
        code = 2
    if code == 0:
        output.chat(f"{', '.join(map(str, files))}: valid")
    if not found and output.form is Form.MARKDOWN:
        output.page(valid_page(files))
    raise SystemExit(code)


@click.command()
@FILE
@valued
@click.option("--format", "form", type=click.Choice(_FORMATS), default="mermaid", show_default=True)
@click.option("--allow-outside", is_flag=True, help="Allow local inputs from outside of the project.")
@toned
def graph(file: Path, form: str, **flags: Any) -> None:
    """Print the graph of a manifest's nodes."""
    output = output_of(flags)
    from flowrun.production.options import Surroundings
    from flowrun.production.production import Production
    from flowrun.ui.drawing import draw, graph_document

    found = Production(file, options_of(flags), Surroundings(), demand=False).graph()
    if form == "json" or output.json:
        output.document(graph_document(found))
    else:
        output.data(draw(found, form))


@click.command()
@click.argument("name", required=False, shell_complete=completing.schemas)
@shown
def schema(name: str | None, **flags: Any) -> None:
    """Print a JSON Schema (or the API's structure) by name; without a name, list them."""
    output = output_of(flags)
    import json

    from flowrun.diagnostics.suggest import suggest
    from flowrun.operations.data import schema_file

    names = sorted(path.stem for path in schema_file("models.json").parent.glob("*.json"))
    if name is None:
        lead = "- " if output.form is Form.MARKDOWN else ""
        output.document(names) if output.json else output.data("\n".join(lead + each for each in names))
        return
    found = next((each for each in names if each == name or each.rpartition("-")[0] == name), None)
    if found is None:
        near = suggest(name, names)
        raise click.UsageError(
            f"There is no schema '{name}'. " + (f"Did you mean '{near}'?" if near else ", ".join(names))
        )
    if found == "flow-1":
        output.document(_flow_schema())
    else:
        output.document(json.loads(schema_file(f"{found}.json").read_text(encoding="utf-8")))


def _flow_schema() -> Any:
    """Of manifests, with the models of the project around the working folder."""
    from flowrun.production.cataloguing import flow_schema_here
    from flowrun.production.options import Surroundings

    return flow_schema_here(Surroundings())
