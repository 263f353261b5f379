"""Where words go: data to stdout, talk to stderr. Owns colour, quiet and the form of data; the texts are ui's."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import click

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"  # docs.github.com, "Workflow commands": a file of the step that is running


class Form(StrEnum):
    """What data on stdout is for: a person, a program, a comment or report, GitHub's runner."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"

    @classmethod
    def asked(cls, words: Sequence[str]) -> Form:
        """As a command line asks for it that is not parsed yet, perhaps cannot be."""
        given = "json" if "--json" in words else "text"
        for word, after in zip(words, [*words, ""][1:], strict=True):
            if word == "--format" or word.startswith("--format="):
                given = after if word == "--format" else word.removeprefix("--format=")
        return cls(given) if given in set(cls) else cls.TEXT


@dataclass(slots=True)
class Output:
    """What the user asked of the output. `colour`: of stderr."""

    form: Form = Form.TEXT
    quiet: bool = False
    no_color: bool = False

    last: ClassVar[Output | None] = None
    words: ClassVar[tuple[str, ...]] = ()  # of the command line, the program's name first

    @property
    def json(self) -> bool:
        return self.form is Form.JSON

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
        click.echo(self._harmless(text), color=self.data_colour)

    def document(self, value: Any) -> None:
        """The one JSON document of a command."""
        click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))

    def commands(self, lines: Sequence[str]) -> None:
        """For GitHub's runner, which reads the log: a command a line."""
        if lines:
            click.echo("\n".join(lines))

    def page(self, text: str) -> None:
        """Markdown: on stdout where that was asked for; for GitHub at the end of the step's summary, if the runner has one."""
        if self.form is Form.MARKDOWN:
            click.echo(text)
        elif self.form is Form.GITHUB and (summary := os.environ.get(STEP_SUMMARY)):
            try:
                with Path(summary).open("a", encoding="utf-8") as stream:
                    stream.write(f"{text}\n\n")
            except OSError as error:  # what was to be done is done; its exit code tells that, not this
                self.talk(f"warning: {STEP_SUMMARY} cannot be written ({error.strerror or error})")

    def _harmless(self, text: str) -> str:
        """Where GitHub's runner reads the log, no prompt or path in it is a command to it."""
        if self.form is not Form.GITHUB and os.environ.get("GITHUB_ACTIONS") != "true":
            return text
        from flowrun.diagnostics.escaping import defused

        return defused(text)

    def talk(self, text: str) -> None:
        """For the person, not for the pipe. Errors and warnings are talked about even when it is quiet."""
        with suppress(OSError):  # a closed pipe or terminal: nobody reads it any more; the exit code still tells
            click.echo(self._harmless(text), err=True, color=self.colour)

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
