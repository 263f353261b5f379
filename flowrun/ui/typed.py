"""What a person types next. Owns the spelling of commands and of addresses on a shell's command line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from flowrun.ui.paint import safe

_MOST = 3


def quoted(word: str) -> str:
    """One word for a POSIX shell: ``'shot[intro]'`` with quotes, ``hero`` without."""
    return shlex.quote(safe(word))


def typed(verb: str, *words: str) -> str:
    """A command that is of no manifest."""
    return " ".join(["flowrun", verb, *map(quoted, words)])


@dataclass(frozen=True, slots=True)
class Typed:
    """Commands about one manifest. `flags`: what the command at hand was given and the next one needs too (a profile).
    `again`: words of the apply that does just the same once more, where that takes others: a selection, a saved plan."""

    file: str
    flags: tuple[str, ...] = ()
    again: tuple[str, ...] = ()

    def apply(self, *words: str) -> str:
        if self.again and not words:
            return " ".join(["flowrun", "apply", *map(quoted, self.again)])
        return self._command("apply", words)

    def once_more(self, *words: str) -> str:
        """The same apply with other words, its selection too; a saved plan takes no others, so then the manifest itself."""
        if self.again and self.again[0] == self.file:
            return " ".join(["flowrun", "apply", *map(quoted, (*self.again, *words))])
        return self._command("apply", words)

    def plan(self, *words: str) -> str:
        return self._command("plan", words)

    def outputs(self) -> str:
        return self._command("outputs", ())

    def forget(self, node: str) -> str:
        return self._command("forget", (node,))

    def adopt(self, node: str) -> str:
        return f"{self._command('adopt', (node,))} --task ID"

    def resend(self, node: str) -> str:
        return self.apply("--resend", node)

    def select(self, node: str) -> str:
        """The node with everything above it."""
        return self.apply("--select", f"+{node}")

    def cancel(self, run: str) -> str:
        """What a run has at the API. Of the flags those matter that say who is asked."""
        words = [run]
        for at, flag in enumerate(self.flags):
            if flag == "--sandbox":
                words.append(flag)
            elif flag == "--scenario":
                words += self.flags[at : at + 2]
        return typed("cancel", *words)

    def _command(self, verb: str, words: tuple[str, ...]) -> str:
        return " ".join(["flowrun", verb, *map(quoted, (self.file, *self.flags, *words))])


def ways_on(ways: Sequence[tuple[str, str]], indent: str) -> list[str]:
    """(what it means, command) as lines. The command comes last and whole, whatever the width: it is copied."""
    room = max((len(meaning) for meaning, _ in ways), default=0)
    return [f"{indent}{meaning.ljust(room)}  {command}" for meaning, command in ways]


def listed(names: Sequence[str], most: int = _MOST) -> str:
    """``shot[a], shot[b] … 38 more``; all of them where they are few."""
    shown = [safe(name) for name in names]
    if len(shown) <= most:
        return ", ".join(shown)
    return f"{', '.join(shown[: most - 1])} … {len(shown) - most + 1:,} more"
