"""What a saved plan notices at a node whose key is not known yet: every edit of its own, and nothing of another's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.production.saved_plans import SAVED, carry_out, save
from tests.support.stage import Stage

FLOW = """
flowrun: 1
name: written
vars:
  look: grainy
  table: {type: mapping, default: {light: soft}}
  other: unused
env: [CLIENT]
assets:
  ref: ref.png
  web: "https://pictures.example.com/a.png"
nodes:
  hero:
    uses: text_to_image
    with: {model: gen4_image, promptText: "a fox", ratio: "1280:720"}
  shot:
    foreach: [{id: x, words: runs}, {id: y, words: sleeps}]
    uses: image_to_video
    when: "{{ nodes.hero.output.width > 10 }}"
    with:
      model: gen4_turbo
      promptImage: "{{ nodes.hero.output }}"
      promptText: "{{ each.value.words }}, {{ vars.look }}, {{ vars['table'].light }}, {{ flow.name }}"
      ratio: "1280:720"
  mix:
    uses: text_to_image
    cache: first
    with:
      model: gen4_image
      promptText: "@hero like @ref, {{ assets.ref.width }} wide, for {{ env.CLIENT }}"
      ratio: "1280:720"
      referenceImages:
        - {uri: "{{ nodes.hero.output }}", tag: hero}
        - {uri: "{{ assets.ref }}", tag: ref}
        - {uri: "{{ assets.web }}", tag: web}
"""
SHOTS = {"shot[x]", "shot[y]"}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    Image.new("RGB", (320, 320), "red").save(tmp_path / "ref.png")
    return Stage(tmp_path, FLOW, environ={"CLIENT": "Acme"})


def _written(stage: Stage) -> dict[str, str]:
    save(stage)
    document = json.loads((stage.root / SAVED).read_text())
    return {step["address"]: step["written"] for step in document["steps"]}


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ("look: grainy", "look: clean", SHOTS),
        ("light: soft", "light: hard", SHOTS),
        ("name: written", "name: anew", SHOTS),
        ("words: runs", "words: jumps", {"shot[x]"}),
        ("width > 10", "width > 11", SHOTS),
        ("cache: first", "cache: second", {"mix"}),
        ("cache: first", "cache: false", {"mix"}),
        ("    cache: first", "    cache: first\n    takes: 2", {"mix"}),
        ("pictures.example.com/a", "pictures.example.com/b", {"mix"}),
        ("wide, for", "broad, for", {"mix"}),
        ("{id: x, words: runs}, {id: y", "{id: w, words: waits}, {id: x, words: runs}, {id: y", set()),
        ("other: unused", "other: still unused", set()),
        ("nodes:\n", "nodes:\n  # a remark\n", set()),
    ],
)
def test_an_edit_shows_at_the_nodes_that_it_concerns(stage: Stage, old: str, new: str, moved: set[str]) -> None:
    before = _written(stage)
    stage.edit(old, new)
    after = _written(stage)
    assert {at for at in before if before[at] != after[at]} == moved


def test_the_number_of_a_row_counts_where_it_is_asked_for(stage: Stage) -> None:
    stage.edit("{{ each.value.words }}", "{{ each.value.words }} {{ each.index }}")
    before = _written(stage)
    stage.edit("[{id: x", "[{id: w, words: waits}, {id: x")
    after = _written(stage)
    assert {at for at in before if before[at] != after[at]} == SHOTS


def test_the_bytes_of_a_local_file_count(stage: Stage) -> None:
    before = _written(stage)
    Image.new("RGB", (320, 320), "blue").save(stage.root / "ref.png")
    after = _written(stage)
    assert {at for at in before if before[at] != after[at]} == {"mix"}


def test_a_name_found_by_evaluating_means_all_of_them(stage: Stage) -> None:
    stage.edit("{{ vars.look }}", "{{ vars[each.value.pick | default('look')] }}")
    before = _written(stage)
    stage.edit("other: unused", "other: used")
    after = _written(stage)
    assert {at for at in before if before[at] != after[at]} == SHOTS


def test_what_the_upstream_makes_does_not_count(stage: Stage) -> None:
    before = _written(stage)
    stage.apply(select=("hero",))
    assert _written(stage) == before
    stage.edit('        - {uri: "{{ assets.web }}", tag: web}\n', "")
    save(stage)
    assert carry_out(stage).exit == 0
