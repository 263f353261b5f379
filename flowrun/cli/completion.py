"""`flowrun completion`: the script that lets a shell complete flowrun's commands, options and values. Click does the asking."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from flowrun.cli.completing import shells

PROGRAM, VARIABLE = "flowrun", "_FLOWRUN_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
_KINDS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_ADDING, _NO_SPACE = "COMPREPLY+=($value)", 'COMPREPLY+=("$value"); [[ $value == */ ]] && compopt -o nospace'


@click.command()
@click.argument("shell", metavar="bash|zsh|fish", shell_complete=shells)
def completion(shell: str) -> None:
    """Print the script that completes flowrun in a shell.

    \b
    bash:  echo 'source <(flowrun completion bash)' >> ~/.bashrc
    zsh:   echo 'source <(flowrun completion zsh)' >> ~/.zshrc       (after compinit)
    fish:  flowrun completion fish > ~/.config/fish/completions/flowrun.fish
    """
    if shell not in _KINDS:
        raise click.UsageError(f"There is no completion for '{shell}'. Name one of {', '.join(SHELLS)}.")
    click.echo(script(shell))


def script(shell: str) -> str:
    """Click's own, but that a folder is not followed by a space, and that a value with a blank stays one."""
    from flowrun.cli.main import cli

    made = _KINDS[shell](cli, {}, PROGRAM, VARIABLE)
    return str(made.source_template % made.source_vars()).replace(_ADDING, _NO_SPACE)
