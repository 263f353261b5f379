"""The command line's entry: the group, and the way from every error to words and an exit code. No logic lives here.

Modules of commands import nothing heavy at their top, so that ``flowrun --help`` starts fast.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from flowrun.cli.failing import exit_code
from flowrun.cli.output import Form, Output

_COMMANDS = {  # name -> module that holds it, as a function of the same name
    "apply": "apply",
    "plan": "plan",
    "validate": "reading",
    "graph": "reading",
    "schema": "reading",
    "outputs": "history",
    "runs": "history",
    "show": "history",
    "status": "account",
    "collect": "stopping",
    "cancel": "stopping",
    "org": "account",
    "cost": "cost",
    "adopt": "account",
    "forget": "account",
    "doctor": "doctor",
    "completion": "completion",
    "sandbox": "serving",
    "config": "config",
}


class _Group(click.Group):
    """Loads a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        found: click.Command = getattr(importlib.import_module(f"flowrun.cli.{_COMMANDS[cmd_name]}"), cmd_name)
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            from flowrun.diagnostics.suggest import suggest

            near = suggest(args[0], _COMMANDS)
            hint = f" Did you mean '{near}'?" if near else " See flowrun --help."
            raise click.UsageError(f"There is no command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="flowrun", prog_name="flowrun")
def cli() -> None:
    """Repeatable productions for the Runway API: plan what a manifest would generate, run it, reuse what is there.

    Start with `flowrun plan FILE`: it spends nothing and needs no key.
    """


def run(arguments: list[str] | None = None) -> int:
    """Run one command line; its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    Output.words = ("flowrun", *words)
    Output(Form.asked(words), quiet="--quiet" in words or "-q" in words).remember()  # until the flags are parsed
    try:
        _check_text(words)
        cli.main(arguments, prog_name="flowrun", standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException as error:
        return exit_code(error)
    return 0


def _check_text(words: list[str]) -> None:
    """Records are UTF-8, and name what a command line names. Raises FlowrunError for a word that is no text in it."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            from flowrun.production.exits import Exit, FlowrunError

            shown = os.fsencode(word).decode("ascii", "backslashreplace")
            hint = "rename that file; or is the locale not UTF-8? then export LC_ALL=C.UTF-8"
            raise FlowrunError(Exit.WRONG, f"'{shown}' on the command line is not UTF-8; nothing ran", hint) from None


def _open_streams() -> None:
    """A program may be started with a stream closed. Then it is nobody's, and no file that is opened later becomes it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def entry() -> None:
    """The console script."""
    _open_streams()
    sys.exit(run())
