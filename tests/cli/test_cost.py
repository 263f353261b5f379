"""`flowrun cost` and `flowrun org` as they are typed."""

from __future__ import annotations

import pytest

from tests.cli.console import TINY, Console

FLOW = """flowrun: 1
name: small
nodes:
  hero:
    uses: text_to_image
    tags: [stills]
    with: {model: gen4_image, promptText: "a fox", ratio: "1280:720"}
  shot:
    foreach: 2
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "{{ nodes.hero.output }}", ratio: "1280:720", duration: 5,
           promptText: "shot {{ each.key }}"}
"""


@pytest.fixture
def made(console: Console) -> Console:
    console.file("flow.yaml", FLOW)
    console.file("scenario.yaml", TINY + "faults: [{on: image_to_video, match: {nth: 2}, do: {lost: after}}]\n")
    assert console("apply", "flow.yaml", "--scenario", "scenario.yaml", "-q").code == 6
    return console


def test_by_day_and_model_beside_the_sandbox(made: Console) -> None:
    document = made("cost", "--sandbox", "--json").document
    assert document["by"] == ["day", "model"]
    found = {
        row["model"]: (row["sent"], row["charged"]["credits"], row["api"], row["difference"])
        for row in document["rows"]
    }
    assert found == {"gen4_image": (1, 5, 5, 0), "gen4_turbo": (1, 25, 50, 25)}  # the lost one was accepted after all
    assert document["uncertain"] == {"requests": 1, "credits": 25, "unknown": 0}
    assert document["total"]["charged"] == {"credits": 30, "unknown": 0, "assumed": 0, "dollars": 0.3}
    text = made("cost", "--sandbox").out
    assert "API says" in text
    assert "1 request was never answered: at most 25 credits" in text


def test_by_what_and_of_which_manifest(made: Console) -> None:
    rows = made("cost", "flow.yaml", "--sandbox", "--by", "node", "--json").document["rows"]
    assert [(row["node"], row["sent"]) for row in rows] == [("hero", 1), ("shot", 1)]
    twice = made("cost", "--sandbox", "--by", "tag,model", "--by", "node", "--json").document
    assert twice["by"] == ["tag", "model", "node"]
    assert [row["tag"] for row in twice["rows"]] == ["", "stills"]
    assert not twice["compared"]
    assert made("cost", "nothing.yaml", "--sandbox").code == 2


def test_forms_and_periods(made: Console) -> None:
    page = made("cost", "--sandbox", "--format", "markdown").out
    assert "| day | model | sent |" in page
    assert made("cost", "--sandbox", "--since", "2026-11-22", "--until", "2026-11-01").code == 2
    assert made("cost", "--sandbox", "--since", "yesterday").code == 2
    assert made("cost", "--sandbox", "--until", "2020-01-01").out.startswith("Nothing was spent")
    wrong = made("cost", "--sandbox", "--by", "week")
    assert wrong.code == 2
    assert "'week' is none of node, tag, model, day" in wrong.err


def test_github_gets_a_summary(made: Console) -> None:
    summary = made.root / "summary.md"
    said = made("cost", "--sandbox", "--format", "github", GITHUB_STEP_SUMMARY=str(summary))
    assert said.code == 0
    assert "gen4_turbo" in said.out
    assert "| day | model | sent |" in summary.read_text()


def test_an_api_that_cannot_be_reached_is_a_warning(console: Console) -> None:
    environ = {"RUNWAYML_API_SECRET": "key_" + "0" * 128, "RUNWAYML_BASE_URL": "http://127.0.0.1:9"}
    said = console("cost", **environ)
    assert said.code == 0
    assert "warning: the API's numbers are missing: it could not be asked" in said.err
    assert "could not be asked" not in console("cost", "--offline", "--sandbox").err


def test_org_tells_what_the_catalogue_says_of_each_model(console: Console) -> None:
    document = console("org", "--sandbox", "--json").document
    assert document["dollars"] == 1000
    assert document["monthly"] == 200_000
    models = document["models"]
    assert models["gen4_aleph"]["retired"] == {"since": "2026-07-30", "successor": "aleph2"}
    assert models["gen4_turbo"] == {
        "concurrent": 5, "daily": 1000, "left": 1000, "used_today": 0, "in_catalogue": True, "retired": None
    }  # fmt: skip
    text = console("org", "--sandbox").out
    assert "retired, use aleph2" in text
    assert "At most 200,000 credits" in text


def test_org_shows_models_of_the_catalogue_first(console: Console) -> None:
    console.file("flowrun.toml", "[catalogue]\noverlays = []\n")
    described = console("org", "--sandbox", "--json").document["models"]
    assert all(model["in_catalogue"] for model in described.values())
