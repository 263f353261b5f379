"""What is named to go on with does no more than what was begun: the same selection, the same saved plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.console import TINY, Console

TWO = """
flowrun: 1
name: two
nodes:
  fox: {uses: text_to_image, with: {model: gen4_image, promptText: a fox, ratio: "1280:720"}}
  cat: {uses: text_to_image, with: {model: gen4_image, promptText: a cat, ratio: "1280:720"}}
"""
FAILS = TINY + "faults: [{on: text_to_image, do: {status: 400}}]\n"


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Console:
    console = Console(tmp_path, capsys)
    console.file("two.yaml", TWO)
    console.file("scenario.yaml", FAILS)
    return console


def test_the_selection_stays(project: Console) -> None:
    said = project("apply", "two.yaml", "--scenario", "scenario.yaml", "--select", "fox")
    assert said.code == 1
    assert "flowrun apply two.yaml --scenario scenario.yaml --select fox\n" in said.err


def test_a_saved_plan_is_finished_by_itself(project: Console) -> None:
    saved = project("plan", "two.yaml", "--scenario", "scenario.yaml", "--select", "fox", "--save", "fox plan.json")
    assert saved.code == 0
    said = project("apply", "fox plan.json", "--format", "markdown")
    assert said.code == 1
    assert "flowrun apply 'fox plan.json'\n" in said.err
    assert "flowrun apply 'fox plan.json'" in said.out
