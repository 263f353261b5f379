"""The docs say what is: their commands run, their manifests are valid, their links lead somewhere, their reference is current."""

from __future__ import annotations

import importlib
import os
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml

from flowrun.cli.main import cli, run
from flowrun.engine.driver import HEARTBEAT, UPLOADS_AT_ONCE
from flowrun.engine.ports import REAP_AFTER
from flowrun.graph.expand import MOST_TAKES
from flowrun.ledger.rules import UNCERTAIN_SLOT
from flowrun.manifest import models
from flowrun.manifest.fanout import MAX_ITEMS, MAX_KEY
from flowrun.operations.catalogue import Catalogue
from flowrun.production import inprocess
from flowrun.runway.pace import Timeouts
from flowrun.sandbox.scenario import Scenario
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import SqliteState
from tests.docs.blocks import PAGES, ROOT, Block, all_blocks, anchors, blocks, links, prose
from tests.docs.session import Session
from tests.faults.freezing import FREEZES
from tests.faults.points import POINTS

QUICK: dict[str, Any] = {"media": "tiny", "durations": {"default": 0.02}, "poll": 0.01}
SESSIONS = [page for page in PAGES if any("$ flowrun" in block.text for block in blocks(page, "console"))]
YAML = all_blocks("yaml")
FROZEN_AT = {each.point for each in FREEZES}
GUIDES = [page for page in PAGES if "reference" not in page.parts]


def names(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else value.name if isinstance(value, Block) else ""


def quick_sandbox(
    state: SqliteState, scenario: Scenario | None = None, catalogue: Catalogue | None = None, **more: Any
) -> Sandbox:
    """One whose media are small and quickly made."""
    return Sandbox(state, scenario=(scenario or Scenario()).model_copy(update=QUICK), catalogue=catalogue, **more)


@pytest.fixture(autouse=True)
def _a_terminal_without_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("RUNWAYML", "FLOWRUN"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLOWRUN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(inprocess, "Sandbox", quick_sandbox)


# -- what runs


@pytest.mark.parametrize("page", SESSIONS, ids=names)
def test_the_commands_of_a_page_run_and_end_as_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session.begin(tmp_path, capsys)
    for block in blocks(page, "console", "yaml", "toml"):
        session.take(block, monkeypatch)


def test_every_guide_with_commands_is_known_to_run() -> None:
    assert {page.name for page in SESSIONS} >= {"quickstart.md", "command-line.md", "troubleshooting.md"}


def test_the_python_of_the_guide_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(
        ROOT / "examples" / "hello-image", tmp_path / "hello", ignore=shutil.ignore_patterns("out", ".flowrun")
    )
    monkeypatch.chdir(tmp_path / "hello")
    page = ROOT / "docs" / "guides" / "python.md"
    scope: dict[str, Any] = {}
    for block in blocks(page, "python"):
        exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), scope)
    assert "1 requests are certain, 5 credits at most" in capsys.readouterr().out


# -- what is valid


@pytest.mark.parametrize("block", [each for each in YAML if "fragment" not in each.info], ids=names)
def test_a_whole_manifest_is_valid(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert block.text.startswith("flowrun: 1"), f"{block.name}: mark it as a fragment, or make it whole"
    example = ROOT / "examples" / "fox-trailer"
    shutil.copytree(example / "refs", tmp_path / "refs")
    shutil.copy(example / "shots.csv", tmp_path)
    (tmp_path / "snippet.yaml").write_text(block.text)
    monkeypatch.chdir(tmp_path)
    assert run(["validate", "--strict", "snippet.yaml"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("block", [each for each in YAML if "fragment" in each.info], ids=names)
def test_a_fragment_is_yaml(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), dict)


# -- what is there


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", GUIDES, ids=names)
def test_only_commands_and_options_that_exist_are_named(page: Path) -> None:
    ctx = click.Context(cli)
    commands = {name: cli.get_command(ctx, name) for name in cli.list_commands(ctx)}
    options = {opt for each in commands.values() if each for param in each.params for opt in param.opts}
    text = re.sub(r"`python -m [^`]+`", "", page.read_text(encoding="utf-8"))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= options | {"--version", "--help"}
    assert set(re.findall(r"[`$] ?flowrun ([a-z]+)", text)) <= set(commands)


def test_the_guide_names_every_key_of_a_manifest() -> None:
    text = prose(ROOT / "docs" / "guides" / "manifest.md")
    shapes = (
        models.Document,
        models.Node,
        models.Variable,
        models.Asset,
        models.Output,
        models.LongForeach,
        models.Limits,
    )
    keys = {field.alias or name for shape in shapes for name, field in shape.model_fields.items()}
    spoken = set(re.findall(r"`(\w+)", text)) | set(re.findall(r"^#+ (\w+)", text, re.MULTILINE))
    assert keys - spoken == set()


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("concepts/failures.md", f"within {Timeouts().create:g} seconds"),
        ("concepts/failures.md", f"given back after {UNCERTAIN_SLOT / 60:g} minutes"),
        ("concepts/failures.md", f"at each of {len(POINTS)} named points, and frozen at {len(FROZEN_AT)} of them"),
        ("concepts/limits.md", f"every {HEARTBEAT:g} seconds that it lives"),
        ("concepts/limits.md", f"else after {REAP_AFTER:g} seconds"),
        ("concepts/scheduling.md", f"{ {4: 'four'}[UPLOADS_AT_ONCE] } at a time"),
        ("concepts/templates.md", f"at most {MAX_ITEMS:,} instances, a node at most {MOST_TAKES} takes"),
        ("guides/manifest.md", f"1 to {MOST_TAKES}; a number"),
        ("guides/manifest.md", f"1 to {MAX_KEY} characters"),
    ],
)
def test_numbers_in_the_text_are_those_of_the_code(page: str, words: str) -> None:
    assert words in " ".join(prose(ROOT / "docs" / page).split())


# -- what is generated


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("make_docs")


def test_the_reference_is_current(tool: ModuleType) -> None:
    assert list(tool.stale()) == [], "run python tools/make_docs.py"


def test_a_stale_page_is_named_and_written_anew(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool.main([], tmp_path) == 0
    assert tool.main(["--check"], tmp_path) == 0
    (tmp_path / "models.md").write_text("old")
    capsys.readouterr()
    assert tool.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().out == "stale: docs/reference/models.md; run python tools/make_docs.py\n"
    assert (tmp_path / "models.md").read_text() == "old"
    assert tool.main([], tmp_path) == 0
    assert tool.stale(tmp_path) == {}


def test_a_member_without_words_stops_the_tool(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(tool.words.DECISIONS, "hit")
    with pytest.raises(tool.WordsError, match="decisions: names and words differ in hit"):
        tool.decisions_page()


def test_the_diagram_has_every_move(tool: ModuleType) -> None:
    arrows = set(re.findall(r"(\S+) --> (\S+): (.+)", tool.diagram()))
    moves = {
        (state.value, target.value, move.value)
        for state, table in tool.TRANSITIONS.items()
        for move, target in table.items()
    }
    assert {(start, end, move) for start, end, joined in arrows for move in joined.split(", ")} == moves
