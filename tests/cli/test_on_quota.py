"""A day that is used up is waited for where a person is there to see it, and ends an apply elsewhere, unless `--on-quota` says
otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowrun.production import kept
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from tests.cli.console import Console

FLOW = """
flowrun: 1
nodes:
  fox: {uses: text_to_image, with: {model: gen4_image, promptText: a fox, ratio: "1280:720"}}
  owl: {uses: text_to_image, with: {model: gen4_image, promptText: an owl, ratio: "1280:720"}}
"""
ONE_A_DAY = "media: tiny\ndurations: {default: 0.05}\npoll: 0.01\nlimits: {default: {daily: 1}}\n"
APPLY = ("apply", "flow.yaml", "--scenario", "scenario.yaml")


@pytest.fixture
def project(console: Console) -> Console:
    console.file("flow.yaml", FLOW)
    console.file("scenario.yaml", ONE_A_DAY)
    return console


@pytest.mark.parametrize(
    ("flags", "stdin", "stderr", "waits"),
    [
        ((), True, True, True),
        ((), False, True, False),
        ((), True, False, False),
        ((), False, False, False),
        (("--on-quota", "wait"), False, False, True),
        (("--on-quota", "wait"), True, True, True),
        (("--on-quota", "stop"), True, True, False),
        (("--on-quota", "stop"), False, False, False),
    ],
)
def test_a_used_up_day_is_waited_for_on_a_terminal_or_where_that_is_said(
    project: Console,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[str, ...],
    stdin: bool,
    stderr: bool,
    waits: bool,
) -> None:
    asked: list[bool] = []

    def opened(path: Path, options: Options, around: Surroundings) -> Production:
        asked.append(options.wait_for_quota)
        raise FlowrunError(Exit.WRONG, "enough is known")

    monkeypatch.setattr(kept, "open_production", opened)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: stdin)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: stderr)
    assert project(*APPLY, *flags).code == 2
    assert asked == [waits]


@pytest.mark.parametrize("flags", [(), ("--on-quota", "stop")])
def test_without_a_terminal_a_used_up_day_ends_the_apply_and_the_way_to_wait_is_told(
    project: Console, flags: tuple[str, ...]
) -> None:
    said = project(*APPLY, *flags)
    assert said.code == 3, said.err
    assert "--on-quota wait" in said.err
