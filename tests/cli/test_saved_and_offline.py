"""Plans that are kept and carried out, exit codes for scripts, and commands without network, as a person types them."""

from __future__ import annotations

import json
import shutil

import jsonschema_rs
import pytest

from flowrun.production.saved import saved_plan_schema
from tests.cli.console import Console

FLOW = """flowrun: 1
name: small
vars: {animal: fox}
nodes:
  hero:
    uses: text_to_image
    with: {model: gen4_image, promptText: "a {{ vars.animal }}", ratio: "1280:720"}
outputs: {still: "{{ nodes.hero.output }}"}
"""
KEY = "key_" + "ab" * 64


@pytest.fixture
def project(console: Console) -> Console:
    console.file("flow.yaml", FLOW)
    return console


def _save(project: Console, *flags: str) -> None:
    said = project("plan", "flow.yaml", "--scenario", "scenario.yaml", "--save", "p.json", *flags)
    assert said.code == 0, said.err
    assert "Saved as p.json. To carry out exactly this: flowrun apply p.json" in said.err


def test_a_saved_plan_is_what_its_schema_says(project: Console) -> None:
    _save(project, "--var", "animal=wolf", "--max-credits", "9")
    document = json.loads((project.root / "p.json").read_text())
    jsonschema_rs.validator_for(saved_plan_schema()).validate(document)


def test_a_saved_plan_is_carried_out_once(project: Console) -> None:
    _save(project)
    applied = project("apply", "p.json", "--json")
    assert applied.code == 0, applied.err
    assert applied.document["submitted"] == 1
    again = project("apply", "p.json")
    assert again.code == 0
    assert "p.json is carried out already" in again.err
    assert "Nothing was paid" in again.err


def test_a_plan_that_moved_is_refused_node_by_node_at_its_place(project: Console) -> None:
    _save(project, "--var", "animal=wolf")
    project.file("flow.yaml", FLOW.replace('"a {{', '"one {{'))
    said = project("apply", "p.json")
    assert said.code == 2
    assert "error[plan-moved]: the saved plan does not hold any more; nothing was submitted" in said.err
    assert "the manifest flow.yaml was changed after the plan was made" in said.err
    assert "hero: its request is another than planned (was run (new), is run (new))" in said.err
    assert "flow.yaml:5:3" in said.err
    assert "flowrun plan flow.yaml --var animal=wolf --scenario scenario.yaml --save p.json" in said.err
    (found,) = project("apply", "p.json", "--json").document["diagnostics"]
    assert found["code"] == "plan-moved"
    assert found["notes"][1]["span"]["line"] == 5
    assert (
        project("plan", "flow.yaml", "--var", "animal=wolf", "--scenario", "scenario.yaml", "--save", "p.json").code
        == 0
    )
    assert project("apply", "p.json").code == 0


def test_flags_that_the_plan_holds_are_refused(project: Console) -> None:
    _save(project)
    said = project("apply", "p.json", "--var", "animal=cat", "--profile", "draft", "--select", "hero")
    assert said.code == 2
    assert "holds its options itself: --var, --profile, --select" in said.err
    assert (
        project("apply", "p.json", "--yes", "--fail-fast", "--on-quota", "stop", "--overwrite", "--prune", "-q").code
        == 0
    )


def test_a_damaged_plan_and_the_json_of_one(project: Console) -> None:
    _save(project)
    whole = (project.root / "p.json").read_text()
    project.file("p.json", whole[:200])
    said = project("apply", "p.json")
    assert said.code == 2
    assert "error[saved-plan-damaged]" in said.err
    project.file("q.json", project("plan", "flow.yaml", "--sandbox", "--json").out)
    assert "error[not-saved-plan]" in project("apply", "q.json").err


def test_a_plan_with_mistakes_or_warnings_that_count_is_not_kept(project: Console) -> None:
    warned = FLOW.replace("    with:", "    takes: 2\n    with:").replace(
        'ratio: "1280:720"', 'ratio: "1280:720", seed: 3'
    )
    project.file("flow.yaml", warned)
    said = project("plan", "flow.yaml", "--sandbox", "--strict", "--save", "p.json")
    assert said.code == 2
    assert not (project.root / "p.json").exists()


def test_a_manifest_in_flow_style_is_a_manifest(project: Console) -> None:
    node = '{uses: text_to_image, with: {model: gen4_image, promptText: fox, ratio: "1280:720"}}'
    project.file("flow.yaml", f'{{"flowrun": 1, name: small, nodes: {{hero: {node}}}}}')
    assert project("apply", "flow.yaml", "--scenario", "scenario.yaml").code == 0


def test_the_detailed_exit_code(project: Console) -> None:
    plan = ("plan", "flow.yaml", "--scenario", "scenario.yaml", "--detailed-exitcode")
    assert project(*plan).code == 10
    project("apply", "flow.yaml", "--scenario", "scenario.yaml")
    assert project(*plan).code == 0
    shutil.rmtree(project.root / "out")
    said = project(*plan)
    assert said.code == 10
    assert "An apply would write 1 exported file." in said.err
    assert project("plan", "flow.yaml", "--scenario", "scenario.yaml").code == 0
    project.file("flow.yaml", "flowrun: 1\nname: x\nnodes: {a: {uses: nothing}}\n")
    assert project(*plan).code == 2


def test_offline_says_what_was_not_asked(project: Console) -> None:
    surroundings = {"RUNWAYML_API_SECRET": KEY}
    said = project("plan", "flow.yaml", "--offline", **surroundings)
    assert said.code == 0
    assert "offline: the API was not asked" in said.err
    refused = project("apply", "flow.yaml", "--offline", "--yes", **surroundings)
    assert refused.code == 7
    assert "--offline: this would have to ask runway (for hero); nothing was submitted" in refused.err
    assert project("plan", "flow.yaml", "--offline", "--refresh").code == 2
    assert project("apply", "flow.yaml", "--offline", "--refresh").code == 2
    assert project("apply", "flow.yaml", "--offline", "--scenario", "scenario.yaml").code == 0


def test_a_saved_plan_without_a_terminal_needs_a_word_or_a_cap(
    project: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever asks for money asks the same of a saved plan; its own cap counts."""
    from flowrun.production.proposing import Proposal

    monkeypatch.setattr(Proposal, "spends", property(lambda self: True))
    _save(project)
    assert project("apply", "p.json").code == 3
    assert project("apply", "p.json", "--max-credits", "9").code == 0
    project.file("flow.yaml", FLOW.replace("fox", "cat"))
    _save(project, "--max-credits", "9")
    assert project("apply", "p.json", "--max-credits", "10").code == 2
    assert project("apply", "p.json").code == 0
