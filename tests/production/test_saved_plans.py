"""A saved plan is carried out exactly, finished after an interrupt, and refused as soon as anything moved."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from flowrun.diagnostics.model import DiagnosticError
from flowrun.engine.states import NodeState
from flowrun.plan.model import Decision
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options
from flowrun.production.saved import LARGEST, OptionsDocument, SavedPlan, is_saved_plan, read_saved_plan
from flowrun.production.saving import FREE
from tests.production.saved_plans import CHAIN, SAVED, carry_out, interrupt_at_submitted, refused, save
from tests.support.stage import Stage

ROW = """
    flowrun: 1
    name: row
    nodes:
      shot:
        foreach: {file: rows.csv, key: id}
        uses: text_to_image
        with: {model: gen4_image, promptText: "{{ each.value.prompt }}", ratio: "1280:720"}
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, CHAIN)


def _document(stage: Stage) -> dict[str, object]:
    found: dict[str, object] = json.loads((stage.root / SAVED).read_text())
    return found


# -- what is kept


def test_the_file_is_known_by_its_first_key_and_holds_every_step(stage: Stage) -> None:
    save(stage, max_credits=60, vars=("animal=wolf",))
    document = _document(stage)
    assert next(iter(document)) == "flowrun_saved_plan"
    saved = SavedPlan.model_validate(document)
    assert (saved.manifest, saved.folder, saved.provider, saved.cap) == ("flow.yaml", ".", "sandbox", 60)
    hero, shot = saved.steps
    assert (hero.address, hero.decision, hero.submissions.most, hero.credits.high) == ("hero", Decision.RUN, 1, 5)
    assert len(hero.takes[0].key) == len(hero.takes[0].request) == 64
    assert (shot.decision, shot.submissions.least, shot.submissions.most) == (Decision.UNDECIDED, 0, 1)
    assert {each.kind for each in saved.read} == {"manifest", "scenario"}
    assert saved.options.vars == ("animal=wolf",)
    assert stage.submissions == 0


def test_every_option_is_saved_or_given_anew() -> None:
    assert {each.name for each in fields(Options)} - FREE == set(OptionsDocument.model_fields)


def test_a_plan_is_carried_out_and_then_has_nothing_left_to_do(stage: Stage) -> None:
    save(stage)
    assert carry_out(stage).exit is Exit.DONE
    assert stage.submissions == 2
    again = carry_out(stage)
    assert again.exit is Exit.DONE
    assert again.summary.submitted == 0
    assert stage.submissions == 2


def test_saved_options_are_the_ones_that_count(stage: Stage) -> None:
    save(stage, vars=("animal=wolf",), select=("hero",))
    done = carry_out(stage)
    assert done.summary.states["hero"] is NodeState.SUCCEEDED
    assert stage.submissions == 1
    assert stage.sandbox["submissions"][0]["prompt"] == "a wolf"


def test_it_works_from_another_folder_and_after_project_and_plan_moved(stage: Stage, tmp_path: Path) -> None:
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    save(stage, "plans/p.json")
    shutil.copytree(tmp_path, moved)
    there = Stage(moved, CHAIN, now=stage.now)
    (moved / "elsewhere").mkdir()
    assert carry_out(there, "../plans/p.json", cwd=moved / "elsewhere").exit is Exit.DONE
    assert there.submissions == 2
    assert stage.submissions == 0


def test_a_plan_outside_of_the_project_finds_it_by_its_whole_path(stage: Stage, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-plans" / "p.json"
    save(stage, str(outside))
    assert Path(json.loads(outside.read_text())["manifest"]) == stage.path
    assert carry_out(stage, str(outside), cwd=outside.parent).exit is Exit.DONE


def test_a_manifest_that_is_gone_is_said_so(stage: Stage) -> None:
    save(stage)
    stage.path.unlink()
    with pytest.raises(FlowrunError, match=r"flow\.yaml, which is not there"):
        carry_out(stage)


# -- finishing


def test_an_interrupted_one_is_finished_by_the_same_plan(stage: Stage) -> None:
    save(stage)
    stage.on_event = interrupt_at_submitted
    assert carry_out(stage).exit is Exit.INTERRUPTED
    stage.on_event = None
    assert stage.submissions == 1
    assert carry_out(stage).exit is Exit.DONE
    assert stage.submissions == 2


def test_a_forced_take_is_made_once_however_often_the_plan_is_applied(stage: Stage) -> None:
    stage.apply()
    save(stage, force=("hero",))
    assert carry_out(stage).exit is Exit.DONE
    assert stage.submissions == 4
    assert carry_out(stage).exit is Exit.DONE
    assert stage.submissions == 4


def test_a_forced_take_in_flight_when_the_plan_was_made_is_not_forced_again(stage: Stage) -> None:
    stage.apply()
    stage.on_event = interrupt_at_submitted
    stage.apply(force=("hero",))
    stage.on_event = None
    save(stage, force=("hero",))
    carry_out(stage)
    made = stage.submissions
    assert carry_out(stage).exit is Exit.DONE
    assert stage.submissions == made


@pytest.mark.parametrize("node", ["hero", "shot"])
def test_a_node_without_cache_is_made_once_by_one_plan(stage: Stage, node: str) -> None:
    stage.edit(f"{node}:\n", f"{node}:\n    cache: false\n")
    save(stage)
    carry_out(stage)
    made = stage.submissions
    assert carry_out(stage).exit is Exit.DONE
    assert stage.submissions == made == 2


def test_what_was_rejected_is_sent_again_once_by_one_plan(stage: Stage) -> None:
    stage.scenario = "faults: [{on: text_to_image, do: {fail: SAFETY.INPUT.TEXT}}]\n"
    stage.apply()
    save(stage, retry_rejected=True)
    assert carry_out(stage).exit is Exit.FAILED
    assert stage.submissions == 2
    assert carry_out(stage).exit is Exit.FAILED
    assert stage.submissions == 2


def test_a_plan_whose_node_was_rejected_ends_as_before_and_sends_nothing(stage: Stage) -> None:
    save(stage)
    stage.scenario = "faults: [{on: text_to_image, do: {fail: SAFETY.INPUT.TEXT}}]\n"
    assert carry_out(stage).exit is Exit.FAILED
    assert carry_out(stage).exit is Exit.FAILED
    assert stage.submissions == 1


def test_an_undecided_node_may_turn_out_to_be_a_hit(stage: Stage) -> None:
    stage.apply()
    stage.scenario = "identical: true\n"
    save(stage, force=("hero",))
    assert carry_out(stage).exit is Exit.DONE
    assert stage.submissions == 3


# -- refusing


def test_an_edit_names_the_node_and_the_file(stage: Stage) -> None:
    save(stage)
    stage.edit("a {{ vars.animal }}", "one {{ vars.animal }}")
    refused(stage, r"the manifest flow\.yaml was changed", r"hero: its request is another than planned \(was run")


def test_an_edit_of_an_undecided_node_is_seen(stage: Stage) -> None:
    save(stage)
    stage.edit("duration: 5", "duration: 5\n      seed: 9")
    refused(stage, "shot: its inputs were edited")


def test_a_variable_that_only_an_undecided_node_names_is_seen(stage: Stage) -> None:
    save(stage)
    stage.edit("mood: calm", "mood: wild")
    told = refused(stage, "shot: its inputs were edited")
    assert "hero" not in told


def test_a_comment_moves_nothing(stage: Stage) -> None:
    save(stage)
    stage.edit("flowrun: 1", "# a remark\n    flowrun: 1".replace("    ", ""))
    assert carry_out(stage).exit is Exit.DONE


def test_a_node_that_came_or_went_is_named(stage: Stage) -> None:
    save(stage)
    stage.edit("  shot:\n", "  take:\n")
    stage.edit("nodes.shot", "nodes.take")
    refused(
        stage, "shot: was planned, and is not in the manifest", "take: is new: undecided, 0-25 credits", "output 'film'"
    )


def test_a_row_of_a_data_file_is_seen(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ROW)
    (tmp_path / "rows.csv").write_text("id,prompt\na,one\nb,two\n")
    save(stage)
    (tmp_path / "rows.csv").write_text("id,prompt\na,one\nb,three\nc,four\n")
    told = refused(
        stage, r"the data file rows\.csv was changed", r"shot\[b\]: its request", r"shot\[c\]: is new: run, 5 credits"
    )
    assert "shot[a]" not in told


def test_a_result_that_vanished_is_seen(stage: Stage) -> None:
    stage.apply()
    save(stage)
    shutil.rmtree(stage.root / ".flowrun" / "sandbox" / "results")
    (stage.root / ".flowrun" / "sandbox" / "index.sqlite3").unlink()
    refused(stage, r"hero: .*was hit.*is run|hero: take 1 was hit, is run")


def test_another_result_that_flows_on_is_seen(stage: Stage) -> None:
    stage.apply()
    save(stage)
    stage.apply(force=("hero",))
    refused(stage, "hero: take 1 would use result")


def test_results_that_appeared_for_what_was_planned_are_no_move(stage: Stage) -> None:
    save(stage)
    stage.apply()
    assert carry_out(stage).exit is Exit.DONE
    assert stage.submissions == 2


def test_limits_and_retries_and_outputs_are_part_of_it(stage: Stage) -> None:
    save(stage)
    stage.edit("flowrun: 1\n", "flowrun: 1\nlimits: {credits: 7, concurrency: {gen4_turbo: 1}}\n")
    stage.edit("hero:\n", "hero:\n    retry: 5\n")
    stage.edit("outputs: {", 'outputs: {still: "{{ nodes.hero.output }}", ')
    refused(
        stage,
        "hero: 'retry' was the default, is 5",
        "limits.credits was none, is 7",
        "limits.concurrency was none, is gen4_turbo: 1",
        "the output 'still' is new",
    )


def test_more_takes_are_more_requests(stage: Stage) -> None:
    save(stage)
    stage.edit("hero:\n", "hero:\n    takes: 2\n")
    stage.edit("shot:\n", "shot:\n    takes: 2\n")
    refused(stage, "hero: had 1 takes, has 2", "shot: its inputs were edited")


def test_a_price_that_changed_is_seen(stage: Stage) -> None:
    save(stage)
    document = _document(stage)
    for step in document["steps"]:  # type: ignore[attr-defined]
        step["credits"] = {**step["credits"], "low": 0, "high": step["credits"]["high"] - 1}
    (stage.root / SAVED).write_text(json.dumps(document))
    refused(stage, "hero: costs 5 credits, and 0-4 credits was planned", "shot: costs 0-25 credits, and 0-24")


def test_another_provider_is_refused_before_anything_else(stage: Stage) -> None:
    stage.sandbox_flag = False
    save(stage)
    key = {"RUNWAYML_API_SECRET": "key_" + "ab" * 64, "FLOWRUN_STATE_DIR": str(stage.root / "state")}
    refused(stage, "it was made for sandbox, and this is runway", environ=key)


def test_another_account_is_refused(stage: Stage) -> None:
    save(stage)
    document = _document(stage)
    (stage.root / SAVED).write_text(json.dumps({**document, "account": "0123456789abcdef"}))
    refused(stage, "made for the account 0123456789abcdef")


def test_options_that_would_make_another_plan_are_refused_with_it(stage: Stage) -> None:
    save(stage, max_credits=60)
    with pytest.raises(FlowrunError, match="holds its options itself: --var, --force") as caught:
        carry_out(stage, vars=("animal=cat",), force=("hero",))
    assert caught.value.exit is Exit.WRONG
    with pytest.raises(FlowrunError, match="--max-credits 61 is more than"):
        carry_out(stage, max_credits=61)
    assert carry_out(stage, max_credits=5).exit is Exit.STOPPED
    assert stage.submissions == 1


# -- saving


def test_a_signed_address_is_not_written_down(stage: Stage) -> None:
    with pytest.raises(FlowrunError, match="--var animal has a key or a signed address"):
        save(stage, vars=("animal=https://a.example/x?token=abcdef",))
    assert not (stage.root / SAVED).exists()


def test_only_a_saved_plan_is_replaced_by_one(stage: Stage) -> None:
    save(stage)
    save(stage)
    with pytest.raises(FlowrunError, match="is there already and is no saved plan"):
        save(stage, "flow.yaml")
    with pytest.raises(FlowrunError, match="is a folder"):
        save(stage, ".")


# -- knowing and reading


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ('{"flowrun_saved_plan": 1}', True),
        ('\ufeff \n{\n "flowrun_saved_plan" : 2', True),
        ('{"flowrun_plan": 1}', True),
        ("{flowrun: 1, nodes: {}}", False),
        ('{"flowrun": 1, "name": "flowrun_saved_plan"}', False),
        ("flowrun: 1\ndescription: '{\"flowrun_saved_plan\": 1}'\n", False),
        ("", False),
    ],
)
def test_a_plan_is_told_from_a_manifest(tmp_path: Path, text: str, known: bool) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    assert is_saved_plan(path) is known
    assert not is_saved_plan(tmp_path)


def test_a_big_file_is_not_read_to_know_it(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as stream:
        stream.write(b'{"flowrun_saved_plan": 1')
        stream.truncate(LARGEST + 1)  # a hole: no bytes on the disk
    assert is_saved_plan(path)
    with pytest.raises(DiagnosticError, match="has at most"):
        read_saved_plan(path)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda text: text[: len(text) // 2], "saved-plan-damaged", "damaged"),
        (lambda text: text.replace('"flow": "chain"', '"flow": 7'), "saved-plan-damaged", "damaged: flow: "),
        (lambda text: text.replace('"flow": "chain",', ""), "saved-plan-damaged", "flow"),
        (lambda text: text.replace('saved_plan": 1', 'saved_plan": 2'), "saved-plan-version", "version 2"),
        (lambda text: text.replace('saved_plan": 1', 'saved_plan": true'), "saved-plan-version", "version True"),
        (lambda text: '{"flowrun_saved_plan": ' + "[" * 100_000, "saved-plan-damaged", "nested"),
        (lambda text: '{"flowrun_plan": 1}', "not-saved-plan", "'plan --json' prints"),
    ],
)
def test_a_damaged_or_foreign_file_is_a_diagnostic(stage: Stage, change: object, code: str, words: str) -> None:
    save(stage)
    path = stage.root / SAVED
    path.write_text(change(path.read_text()))  # type: ignore[operator]
    with pytest.raises(DiagnosticError) as caught:
        carry_out(stage)
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert words in found.message
    assert found.hint
    assert found.span is not None
    assert found.span.line >= 1


def test_bytes_that_are_no_text_are_a_diagnostic(stage: Stage) -> None:
    (stage.root / SAVED).write_bytes(b'{"flowrun_saved_plan": 1, "flow": "\xff"}')
    with pytest.raises(DiagnosticError, match="no UTF-8"):
        carry_out(stage)


def test_a_saved_plan_in_a_manifests_place_is_named(stage: Stage) -> None:
    save(stage)
    stage.file = SAVED
    with pytest.raises(FlowrunError, match="is a saved plan, not a manifest"):
        stage.plan()


def test_a_lost_answer_is_sent_again_once_by_one_plan(stage: Stage) -> None:
    stage.scenario = "faults: [{on: text_to_image, do: {lost: before}}]\n"
    assert stage.apply().exit is Exit.UNKNOWN
    save(stage, resend=("hero",))
    assert carry_out(stage).exit is Exit.UNKNOWN
    asked = stage.sandbox["lost"]
    assert carry_out(stage).exit is Exit.UNKNOWN
    assert stage.sandbox["lost"] == asked


def test_vars_files_are_part_of_it(stage: Stage) -> None:
    (stage.root / "values.yaml").write_text("animal: owl\n")
    save(stage, vars_files=(Path("values.yaml"),))
    (stage.root / "values.yaml").write_text("animal: eel\n")
    refused(stage, r"the vars file values\.yaml was changed", "hero: its request")
