"""A reader's terminal: the commands of a page, one after the other, in a copy of the examples.

Known are `flowrun`, `cd`, `cp -r`, `sed -i.bak` and `echo $?`; what sets up an environment is left out. Lines below a command
are looked for in what it printed, with `…` for anything.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from flowrun.cli.main import run
from tests.docs.blocks import ROOT, Block

_LITTER = shutil.ignore_patterns("out", ".flowrun", "*.bak")


@dataclass(frozen=True)
class Command:
    """`shown`: the lines below it."""

    text: str
    shown: tuple[str, ...]


def commands(block: Block) -> list[Command]:
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line.removeprefix("$ "), ()))
        elif line.strip():
            assert found, f"{block.name}: output before any command"
            found[-1] = Command(found[-1].text, (*found[-1].shown, line))
    return found


def with_codes(found: list[Command]) -> Iterator[tuple[Command, int]]:
    """Each command with the exit code that `echo $?` shows after it, else 0."""
    for command, after in pairwise([*found, Command("", ())]):
        if command.text != "echo $?":
            yield command, int(after.shown[0]) if after.text == "echo $?" else 0


@dataclass
class Session:
    """`root` has a `checkout` with the examples, where the session begins, and a `home`."""

    root: Path
    capsys: pytest.CaptureFixture[str]
    here: Path

    @classmethod
    def begin(cls, root: Path, capsys: pytest.CaptureFixture[str]) -> Session:
        shutil.copytree(ROOT / "examples", root / "checkout" / "examples", ignore=_LITTER)
        (root / "checkout" / ".git").mkdir()
        (root / "home").mkdir()
        return cls(root, capsys, root / "checkout")

    def path(self, text: str) -> Path:
        """`~` is the session's home, and `examples` are the checkout's, from wherever."""
        if text.startswith("examples/"):
            return self.root / "checkout" / text
        return self.root / "home" / text.removeprefix("~/") if text.startswith("~/") else self.here / text

    def take(self, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
        """Type what is in a block; a YAML or TOML block that begins with a file's name is that file."""
        if block.language in ("yaml", "toml"):
            name = re.match(r"# (\S+\.(?:yaml|toml))\n", block.text)
            if name:
                self.path(name[1]).write_text(block.text)
            return
        for command, code in with_codes(commands(block)):
            for part in command.text.split(" && "):
                monkeypatch.chdir(self.here)
                self._do(part, code, command, block)

    def _do(self, text: str, code: int, command: Command, block: Block) -> None:
        words = shlex.split(text)
        match words:
            case ["flowrun", *arguments]:
                self._flowrun(arguments, code, command, block)
            case ["cd", where]:
                self.here = self.path(where)
            case ["cp", "-r", source, target]:
                shutil.copytree(self.path(source), self.path(target))
            case ["sed", "-i.bak", script, name]:
                self._replace(script, self.path(name))
            case _:
                assert "venv" in text, f"{block.name}: '{text}' is not known to the test"

    def _replace(self, script: str, path: Path) -> None:
        _, old, new, _ = script.split("/")
        before = path.read_text()
        assert old in before, f"'{old}' is not in {path.name}"
        path.write_text(before.replace(old, new))

    def _flowrun(self, arguments: list[str], code: int, command: Command, block: Block) -> None:
        self.capsys.readouterr()
        ended = run(arguments)
        said = "".join(self.capsys.readouterr())
        assert ended == code, f"{block.name}: {command.text} ended with {ended}, not {code}\n{said}"
        lines = [_squeezed(line) for line in said.splitlines()]
        for shown in command.shown:
            pattern = ".*".join(map(re.escape, _squeezed(shown).split("…")))
            assert any(re.search(pattern, line) for line in lines), f"{block.name}: nothing like '{shown}' in\n{said}"


def _squeezed(line: str) -> str:
    return " ".join(line.split())
