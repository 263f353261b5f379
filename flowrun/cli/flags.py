"""Flags that several commands share. Owns their spelling and help; what they mean is the production's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flowrun.cli import completing
from flowrun.cli.output import Form, Output

if TYPE_CHECKING:
    from flowrun.production.options import Options
    from flowrun.production.production import Production

Command = TypeVar("Command", bound=Callable[..., Any])
FILE = click.argument("file", type=click.Path(path_type=Path), shell_complete=completing.manifests)
NODE = click.argument("node", shell_complete=completing.nodes)


def _all(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    def apply(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return apply


toned = _all(  # `shown` for a command that has a --format of its own
    click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
    click.option("--quiet", "-q", is_flag=True, help="Errors and results only."),
    click.option("--no-color", is_flag=True, help="No colour, whatever the terminal can."),
)

shown = _all(
    click.option("--format", "as_form", type=click.Choice([form.value for form in Form]),
                 help="Form of stdout: text, json (as --json), markdown, or github: annotations, and a step summary. [text]"),
    toned,
)  # fmt: skip

valued = _all(
    click.option("--var", "vars", multiple=True, metavar="K=V", help="Set a variable; repeatable."),
    click.option("--vars-file", "vars_files", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
                 help="Variables from a YAML or JSON file; repeatable, later ones win."),
    click.option("--profile", metavar="NAME", shell_complete=completing.profiles,
                 help="Lay a profile of the manifest over vars and defaults."),
)  # fmt: skip

provided = _all(
    click.option("--sandbox", is_flag=True, help="Use the local sandbox: free, real media, nothing sent to Runway."),
    click.option("--scenario", type=click.Path(path_type=Path), metavar="FILE", help="Script the sandbox; implies it."),
)

selected = _all(
    click.option("--select", "-s", multiple=True, metavar="NODES", shell_complete=completing.selections,
                 help="Generate these only: shot, shot[intro], +cut, hero+, tag:x, model:y; ',' unites, '&' intersects."),
    click.option("--exclude", multiple=True, metavar="NODES", shell_complete=completing.selections,
                 help="All but these; as --select."),
)  # fmt: skip

planned = _all(
    valued,
    provided,
    selected,
    click.option("--force", multiple=True, metavar="NODE", shell_complete=completing.nodes,
                 help="Make one more result of this node and pick it."),
    click.option("--resend", multiple=True, metavar="NODE", shell_complete=completing.nodes,
                 help="Send an uncertain submission again, at the risk of paying twice."),
    click.option("--retry-rejected", is_flag=True, help="Send again what was refused for good."),
    click.option("--refresh", is_flag=True, help="Fetch https inputs again."),
    click.option("--allow-outside", is_flag=True, help="Allow local inputs from outside of the project."),
    click.option("--max-credits", type=click.IntRange(min=0), metavar="N", help="The most this apply may commit."),
    click.option("--allow-unknown-models", is_flag=True, help="Let models pass that no catalogue has, unchecked."),
    click.option("--allow-unknown-price", is_flag=True, help="Run nodes of unknown price under a cap."),
    click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Export below this folder."),
    click.option("--offline", is_flag=True, help="Ask nothing over the network."),
)  # fmt: skip


def output_of(flags: dict[str, Any]) -> Output:
    """Take the flags of `shown` out of all flags. Raises UsageError where two of them disagree."""
    form, as_json = flags.pop("as_form", None), flags.pop("as_json", False)
    if as_json and form not in (None, Form.JSON):
        raise click.UsageError(f"--json and --format {form} both say what stdout is; give one of them.")
    asked = Form.JSON if as_json else Form(form or Form.TEXT)
    return Output(asked, flags.pop("quiet", False), flags.pop("no_color", False)).remember()


def options_of(flags: dict[str, Any]) -> Options:
    from flowrun.production.options import Options

    known = set(Options.__dataclass_fields__)
    return Options(**{name: value for name, value in flags.items() if name in known})


def repeated(production: Production) -> tuple[str, ...]:
    """What is typed after `flowrun apply` to do the same once more: the saved plan; or the manifest, no more of it than now."""
    if production.kept is not None:
        return (str(production.kept.named),)
    options = production.options
    narrowed = [("--select", each) for each in options.select] + [("--exclude", each) for each in options.exclude]
    return (str(production.path), *carried(options), *(word for pair in narrowed for word in pair))


def carried(options: Options) -> tuple[str, ...]:
    """The flags that the next command about the same production needs too, as they would be typed."""
    found: list[str] = []
    for name, values in (("--var", options.vars), ("--vars-file", options.vars_files)):
        for value in values:
            found += [name, str(value)]
    if options.profile is not None:
        found += ["--profile", options.profile]
    if options.scenario is not None:
        found += ["--scenario", str(options.scenario)]
    return (*found, "--sandbox") if options.sandbox and options.scenario is None else tuple(found)
