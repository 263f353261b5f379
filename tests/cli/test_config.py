"""`flowrun config`: what holds, where it came from, and what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.console import Console

KEY = "key_" + "0a" * 64
MANIFEST = """\
flowrun: 1
name: film
vars:
  hero: a fox
  client: {type: string, required: true}
  seed: {type: integer, default: 7}
defaults:
  image_to_video: {ratio: "1280:720", duration: 5}
  image_to_video/gen4_turbo: {duration: 10}
profiles:
  draft:
    vars: {seed: 8}
    defaults: {image_to_video/gen4_turbo: {seed: "{{ vars.seed }}"}}
nodes:
  still:
    uses: text_to_image
    with: {model: gen4_image, promptText: "{{ vars.hero }}", ratio: "1280:720"}
  shot:
    foreach: {a: gen4_turbo, b: gen4_turbo, c: gen3a_turbo}
    uses: image_to_video
    with:
      model: "{{ each.value }}"
      ratio: "768:1280"
      promptImage: [{uri: "{{ nodes.still.output }}", position: first}]
      promptText: walks
      duration: null
"""


@pytest.fixture
def project(console: Console) -> Console:
    text = MANIFEST.replace("c: gen3a_turbo", "c: veo3.1_fast").replace('      ratio: "768:1280"\n', "")
    console.file("film.yaml", text)
    return console


def rows(text: str) -> dict[str, str]:
    """Lines by their first word."""
    return {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines() if line.strip()}


def test_what_holds(project: Console) -> None:
    project.file("flowrun.toml", 'project.name = "Fox"\nnotify.command = ["say", "done"]\n')
    said = project("config")
    assert said.code == 0
    found = rows(said.out)
    assert found["project.name"] == "Fox"
    assert found["provider.resend_502"] == "true"
    assert found["notify.command"] == '["say", "done"]'
    assert found["cache.dir"] == "(not set)"
    assert said.err.startswith("Fox: ")
    assert "flowrun.toml" not in said.out


def test_where_it_came_from(project: Console) -> None:
    project.file("flowrun.toml", 'project.name = "Fox"\n[limits]\nconcurrency = { gen4_turbo = 1 }\n')
    project.file("config/flowrun/config.toml", "provider.resend_502 = false\n")
    said = project("config", "--explain", "--sandbox", FLOWRUN_LIMITS_QUEUE_AHEAD="2")
    found = rows(said.out)
    assert found["project.name"] == "Fox flowrun.toml:1:16"
    assert found["limits.concurrency.gen4_turbo"] == "1 flowrun.toml:3:17"
    assert found["limits.queue_ahead"] == "2 environment FLOWRUN_LIMITS_QUEUE_AHEAD"
    assert found["provider.name"] == "sandbox --sandbox"
    assert found["provider.resend_502"] == "false config/flowrun/config.toml:1:23"
    assert found["cache.dir"] == "(not set) built-in"
    scripted = project("config", "--explain", "--scenario", "scenario.yaml")
    assert rows(scripted.out)["provider.name"] == "sandbox --scenario"


def inputs(document: Any, model: str) -> dict[str, tuple[Any, str, int]]:
    (node,) = [each for each in document["nodes"] if each["node"] == "shot" and each["model"] == model]
    return {each["name"]: (each["value"], each["source"], each["origin"]["line"]) for each in node["inputs"]}


def test_what_a_manifest_takes_from_where(project: Console) -> None:
    found = project("config", "film.yaml", "--json", "--profile", "draft").document
    turbo, veo = inputs(found, "gen4_turbo"), inputs(found, "veo3.1_fast")
    assert turbo["ratio"] == ("1280:720", "defaults image_to_video", 8)
    assert turbo["seed"] == ("{{ vars.seed }}", "profile draft image_to_video/gen4_turbo", 13)
    assert turbo["promptText"] == ("walks", "with", 24)
    assert turbo["duration"] == (None, "with", 25)
    assert veo["ratio"][1] == "defaults image_to_video"
    assert "seed" not in veo
    (node,) = [each for each in found["nodes"] if each["model"] == "gen4_turbo"]
    assert node["addresses"] == ["shot[a]", "shot[b]"]
    assert {each["name"]: (each["value"], each["set"]) for each in found["variables"]} == {
        "hero": ("a fox", True),
        "client": (None, False),
        "seed": (8, True),
    }


def test_a_manifest_as_text(project: Console) -> None:
    said = project("config", "--explain", "film.yaml", "--var", "client=Acme")
    assert said.code == 0
    assert "shot (image_to_video/gen4_turbo, 2 instances)" in said.out
    assert rows(said.out)["client"] == "Acme --var"
    assert "taken away by with, film.yaml:25:17" in said.out
    assert "no value; declared at film.yaml:5:3" in project("config", "--explain", "film.yaml").out
    assert "shot" not in project("config", "film.yaml").out


def test_mistakes_are_told_with_their_places_and_exit_2(project: Console) -> None:
    project.file("flowrun.toml", "limits.queue_ahed = 1\n")
    for command in (["config"], ["validate", "film.yaml"], ["plan", "film.yaml"], ["runs"], ["status", "--sandbox"]):
        said = project(*command)
        assert said.code == 2, command
        assert "flowrun.toml:1:8" in said.err
        assert "did you mean `queue_ahead`?" in said.err
    document = project("config", "--json").document
    assert document["diagnostics"][0]["span"]["line"] == 1


def test_keys_are_never_shown(project: Console) -> None:
    said = project("config", "--json", RUNWAYML_API_SECRET=KEY, FLOWRUN_NOTIFY_COMMAND=f"curl -d {KEY} x")
    assert said.code == 0
    assert "0a0a" not in said.out + said.err
    project.file("flowrun.toml", f'project.name = "{KEY}"\n')
    refused = project("config")
    assert (refused.code, "secret-in-file" in refused.err) == (2, True)
    assert "0a0a" not in refused.out + refused.err


def test_strict_counts_no_ignored_warning(project: Console) -> None:
    project.file("empty.yaml", "flowrun: 1\nnodes: {}\n")
    assert project("validate", "empty.yaml", "--strict").code == 2
    project.file("flowrun.toml", 'lint.ignore = ["no-nodes"]\n')
    assert project("validate", "empty.yaml", "--strict").code == 0
    assert project("plan", "empty.yaml", "--strict", "--sandbox").code == 0
    assert "no-nodes" not in project("apply", "empty.yaml", "--sandbox").err


def test_the_schema_can_be_printed(project: Console) -> None:
    written = json.loads((Path(__file__).parents[2] / "schemas" / "config-1.json").read_text(encoding="utf-8"))
    assert project("schema", "config").document == written
