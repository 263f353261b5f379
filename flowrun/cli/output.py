"""Where words go: data to stdout, talk to stderr. Owns colour, quiet and JSON; the texts are ui's."""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import click


@dataclass(slots=True)
class Output:
    """What the user asked of the output. `colour`: of stderr."""

    json: bool = False
    quiet: bool = False
    no_color: bool = False

    last: ClassVar[Output | None] = None

    @property
    def colour(self) -> bool:
        return not self.no_color and "NO_COLOR" not in os.environ and sys.stderr.isatty()

    @property
    def data_colour(self) -> bool:
        return not self.no_color and "NO_COLOR" not in os.environ and sys.stdout.isatty()

    @property
    def width(self) -> int:
        return shutil.get_terminal_size((100, 24)).columns

    def data(self, text: str) -> None:
        """A line or more for whoever reads stdout."""
        click.echo(text, color=self.data_colour)

    def document(self, value: Any) -> None:
        """The one JSON document of a command."""
        click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))

    def talk(self, text: str) -> None:
        """For the person, not for the pipe. Errors and warnings are talked about even when it is quiet."""
        with suppress(BrokenPipeError):  # nobody reads it any more; the exit code still tells
            click.echo(text, err=True, color=self.colour)

    def chat(self, text: str) -> None:
        """Talk that `--quiet` leaves out."""
        if not self.quiet:
            self.talk(text)

    def remember(self) -> Output:
        """Make it known to the handler of errors."""
        Output.last = self
        return self


def can_ask() -> bool:
    """Whether a person is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()
