"""The guide to the sandbox: its Python runs against a server, its scenario is one, its tables are whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from flowrun.cli.account import status
from flowrun.cli.serving import sandbox as command
from flowrun.media.facts import MediaKind
from flowrun.production.serving import LOOPBACK, PORT
from flowrun.sandbox import failures, http, uploads
from flowrun.sandbox.output import LONGEST, MOST
from flowrun.sandbox.scenario import PLACES, Deed, Scenario, read_scenario
from flowrun.sandbox.service import CREDITS, TIER
from tests.docs.blocks import ROOT, blocks, prose
from tests.support.http_sandbox import threaded

PAGE = ROOT / "docs" / "guides" / "sandbox.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_its_python_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with threaded() as served:
        monkeypatch.setenv("RUNWAYML_BASE_URL", served.url)
        monkeypatch.setenv("RUNWAYML_API_SECRET", "key_sandbox")
        scope: dict[str, Any] = {}
        for block in blocks(PAGE, "python"):
            exec(compile("\n" * (block.line - 1) + block.text, str(PAGE), "exec"), scope)
        assert capsys.readouterr().out.startswith(served.url + "/outputs/")
        assert set(served.report()) == set(re.findall(r"`(\w+)`", rows("key"))) & set(served.report())


def test_its_scenario_is_one() -> None:
    (block,) = blocks(PAGE, "yaml")
    assert len(read_scenario(block.text, "guide.yaml").faults) == 4


def test_its_tables_are_whole() -> None:
    deeds = set(Deed.model_fields) - {"message", "body", "headers", "times"}
    assert set(re.findall(r"`(\w+)[`:]", rows("`do`"))) >= deeds
    places = set(re.findall(r"`(\w+)`", prose(PAGE).partition("`on` is")[2].partition("A deed")[0]))
    assert places == set(PLACES)
    assert set(re.findall(r"`(\w+)`", rows("field"))) >= set(Scenario.model_fields) - {"faults"}
    assert options(command) - set(re.findall(r"--[a-z-]+", rows("option"))) <= options(status)


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"http://{LOOPBACK}:{PORT}" in TEXT
    assert f"Usual: {TIER} and {CREDITS:,}" in TEXT
    assert f"at most {http.JSON_BYTES // 1_000_000} MB, an upload {uploads.MAX_BYTES // 1_000_000} MB" in TEXT
    assert f"`{failures.TRIGGER}`" in TEXT
    assert f"`{failures.MODERATED}`" in TEXT
    assert f"{LONGEST[MediaKind.VIDEO]:g} seconds, a sound {LONGEST[MediaKind.AUDIO]:g}" in TEXT
    assert f"at most {MOST} outputs" in " ".join(TEXT.split())
    assert f"GET {http.STATE_PAGE}" in TEXT
    assert Path(ROOT / "examples" / "scenarios").is_dir()


def options(of: click.Command) -> set[str]:
    return {option for param in of.params for option in param.opts if option.startswith("--")}


def rows(heading: str) -> str:
    """The lines of the table whose first column has that heading."""
    (found,) = re.findall(rf"^\| {re.escape(heading)} \|.*\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return str(found)
