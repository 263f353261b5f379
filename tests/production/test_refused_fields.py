"""What the API says of a field, told at the line of the manifest that gave the field its value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowrun.diagnostics.model import DiagnosticError
from flowrun.engine import events as ev
from flowrun.production.exits import Exit
from flowrun.store.location import FOLDER
from flowrun.ui.annotations import Places, summary_annotations
from flowrun.ui.summary_text import Ending
from tests.support.stage import Stage

MANIFEST = """flowrun: 1
name: still
env: [CLIENT]
vars:
  style: 35mm film
assets:
  fox: fox.png
defaults:
  text_to_image: {model: gen4_image, ratio: "1280:720"}
nodes:
  plain:
    uses: text_to_image
    with:
      promptText: "a fox, {{ vars.style }}, {{ env.CLIENT }}"
      referenceImages:
        - {uri: "{{ assets.fox }}", tag: fox}
"""
ROWS = """flowrun: 1
name: rows
nodes:
  each:
    foreach: {file: rows.csv, key: id}
    uses: text_to_image
    with:
      model: gen4_image
      promptText: "{{ each.value.prompt }}"
      ratio: "1280:720"
"""
CANARY = "Canary-Client-77"


def refusing(body: object, match: str = "") -> str:
    matched = f", match: {{{match}}}" if match else ""
    return f"faults: [{{on: text_to_image{matched}, do: {{status: 400, body: {json.dumps(json.dumps(body))}}}}}]\n"


def issues(*path: object, message: str = "not so") -> dict[str, object]:
    return {"error": "Validation of body failed", "issues": [{"code": "x", "path": list(path), "message": message}]}


def the_stage(folder: Path, body: object) -> Stage:
    from PIL import Image

    stage = Stage(folder, MANIFEST, scenario=refusing(body), environ={"CLIENT": CANARY})
    Image.new("RGB", (1280, 720)).save(folder / "fox.png")
    return stage


@pytest.mark.parametrize(
    ("body", "field", "line", "column"),
    [
        ({"error": "Invalid parameter 'promptText'"}, "promptText", 14, 19),
        (issues("promptText"), "promptText", 14, 19),
        (issues("ratio"), "ratio", 9, 45),  # of a default
        (issues("model"), "model", 9, 26),
        (issues("referenceImages", 0, "uri"), "referenceImages[0].uri", 16, 21),
        (issues("referenceImages", 0, "tag"), "referenceImages[0].tag", 16, 42),
        (issues("referenceImages", 0), "referenceImages[0]", 16, 11),
        (issues("referenceImages", 0, "weight"), "referenceImages[0].weight", 16, 11),  # the nearest thing around it
        (issues("seed"), "seed", 11, 3),  # nobody wrote it: the node
        (issues(), "", 11, 3),
    ],
)
def test_each_field_is_told_where_its_value_is_written(
    tmp_path: Path, body: object, field: str, line: int, column: int
) -> None:
    stage = the_stage(tmp_path, body)
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.FAILED, 0)
    [trouble] = done.summary.to_json()["troubles"]
    [problem] = trouble["problems"]
    assert (problem["field"], problem["line"], problem["column"]) == (field, line, column)
    assert problem["file"] == str(stage.path)
    assert f"{stage.path}:{line}:{column}: " in trouble["message"]
    places = Places({}, lambda name: Path(name).name)
    told = summary_annotations(done.summary, places, Ending("flow.yaml", 1, 0.0))
    assert told[0].startswith(f"::error file=flow.yaml,line={line},col={column},")


def test_a_cell_is_told_at_its_row(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ROWS, scenario=refusing(issues("promptText"), "prompt: owl"))
    (tmp_path / "rows.csv").write_text("id,prompt\na,a fox\nb,an owl\n")
    done = stage.apply()
    [trouble] = done.summary.troubles.values()
    [problem] = trouble.problems
    assert trouble.address == "each[b]"
    assert (Path(str(problem.file)).name, problem.line, problem.column) == ("rows.csv", 3, 3)
    assert stage.submissions == 1


def test_what_is_made_upstream_is_known_where_the_request_is_looked_at_again(tmp_path: Path) -> None:
    text = (
        MANIFEST
        + """
  shot:
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "{{ nodes.plain.output }}", ratio: "1280:720", duration: 5}
"""
    )
    stage = the_stage(tmp_path, {})
    stage.write(text)
    stage.scenario = refusing(issues("promptImage")).replace("text_to_image", "image_to_video")
    done = stage.apply()
    [trouble] = done.summary.troubles.values()
    assert [(each.field, each.line) for each in trouble.problems] == [("promptImage", 20)]


def test_several_fields_are_told_each(tmp_path: Path) -> None:
    paths = (["promptText"], ["ratio"])
    both = {"error": "no", "issues": [{"code": "x", "path": path, "message": "not so"} for path in paths]}
    done = the_stage(tmp_path, both).apply()
    [trouble] = done.summary.troubles.values()
    assert [each.field for each in trouble.problems] == ["promptText", "ratio"]


def test_a_refusal_of_the_moderation_points_at_the_prompt(tmp_path: Path) -> None:
    stage = the_stage(tmp_path, {})
    stage.scenario = "faults: [{on: text_to_image, do: {fail: SAFETY.INPUT.TEXT}}]\n"
    [trouble] = stage.apply().summary.troubles.values()
    assert [(each.field, each.line) for each in trouble.problems] == [("promptText", 14)]
    stage.scenario = "faults: [{on: text_to_image, do: {fail: ASSET.INVALID}}]\n"
    stage.edit("a fox,", "an owl,")
    [trouble] = stage.apply().summary.troubles.values()
    assert [(each.field, each.line) for each in trouble.problems] == [("referenceImages[0].uri", 16)]


def test_a_secret_that_the_api_repeats_is_told_and_kept_nowhere(tmp_path: Path) -> None:
    stage = the_stage(tmp_path, issues("promptText", message=f"not for {CANARY}"))
    done = stage.apply()
    [trouble] = done.summary.troubles.values()
    assert trouble.problems[0].message == "not for ********"
    assert CANARY not in json.dumps([ev.to_json(event) for event in stage.events])
    for path in (tmp_path / FOLDER).rglob("*"):
        if path.is_file() and "api" not in path.relative_to(tmp_path / FOLDER).parts:  # the sandbox's own state
            assert CANARY.encode() not in path.read_bytes(), path


# -- what is remembered, and what is not


def test_a_400_is_failed_and_asked_again_by_the_next_apply(tmp_path: Path) -> None:
    stage = the_stage(tmp_path, issues("promptText"))
    assert [stage.apply().exit for _ in range(3)] == [Exit.FAILED] * 3
    assert stage.sandbox["requests"]["text_to_image"] == 3
    stage.scenario = ""
    assert stage.apply().exit is Exit.DONE


@pytest.mark.parametrize("code", ["SAFETY.INPUT.TEXT", "SAFETY.OUTPUT.IMAGE", "ASSET.INVALID", "BRAND.NEW"])
def test_a_rejection_is_remembered_until_somebody_says_otherwise(tmp_path: Path, code: str) -> None:
    stage = the_stage(tmp_path, {})
    stage.scenario = f"faults: [{{on: text_to_image, match: {{nth: 1}}, do: {{fail: {code}}}}}]\n"
    assert stage.apply().exit is Exit.FAILED
    assert stage.plan().submissions == 0
    assert [stage.apply().exit for _ in range(2)] == [Exit.FAILED] * 2
    assert stage.submissions == 1
    assert stage.plan(retry_rejected=True).submissions == 1
    assert stage.apply(retry_rejected=True).exit is Exit.DONE
    assert stage.submissions == 2
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 2


def test_a_refusal_of_the_input_counts_for_every_take_and_another_one_does_not(tmp_path: Path) -> None:
    for number, (code, more) in enumerate((("SAFETY.INPUT.TEXT", 0), ("SAFETY.OUTPUT.IMAGE", 1))):
        stage = the_stage(tmp_path / str(number), {})
        stage.scenario = f"faults: [{{on: text_to_image, match: {{nth: 1}}, do: {{fail: {code}}}}}]\n"
        stage.apply()
        stage.edit("  plain:\n", "  plain:\n    takes: 2\n")
        stage.apply()
        assert stage.submissions == 1 + more


# -- the longest prompt


FOX = "\N{FOX FACE}"  # one character, two UTF-16 units
LONG = """flowrun: 1
name: long
nodes:
  still:
    uses: text_to_image
    with:
      model: gen4_image
      promptText: PROMPT
      ratio: "1280:720"
"""


def test_a_prompt_of_a_thousand_utf16_units_passes_and_one_more_is_refused_at_its_place(tmp_path: Path) -> None:
    fits = LONG.replace("PROMPT", FOX * 500)
    stage = Stage(tmp_path, fits)
    assert stage.apply().exit is Exit.DONE
    assert stage.sandbox["submissions"][0]["prompt"] == FOX * 500
    stage.write(LONG.replace("PROMPT", FOX * 500 + "x"))
    with pytest.raises(DiagnosticError) as refused:
        stage.apply()
    [problem] = refused.value.diagnostics
    assert problem.span is not None
    assert (problem.span.line, problem.span.column) == (8, 19)
    assert "1001" in problem.message
    assert stage.sandbox["requests"]["text_to_image"] == 1
