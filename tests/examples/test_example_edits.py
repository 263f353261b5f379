"""Working on fox-trailer: which edits send which requests. What was made and is still wanted is never made again."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from flowrun.production.exits import Exit
from tests.examples.stage import TINY, Stage

pytestmark = pytest.mark.usefixtures("unmeasured")  # whole productions; each part of them has tests of its own

FLOW, MANIFEST = "fox-trailer", "fox-trailer.yaml"
SHOTS = ["shot[leaping]#1", "shot[listening]#1", "shot[running]#1", "shot[waking]#1"]
BELOW_HERO = ["finale#1", "hero#1", "reveal#1", *SHOTS]
ALL = sorted([*BELOW_HERO, "line#1", "whoosh#1"])
IDENTICAL = f"{TINY}identical: true\n"


@pytest.fixture
def made(tmp_path: Path) -> Stage:
    """fox-trailer, applied once."""
    stage = Stage.of(FLOW, MANIFEST, tmp_path)
    first = stage.apply()
    assert (first.applied.exit, first.sent, first.promised) == (Exit.DONE, ALL, ALL)
    return stage


def test_second_apply_sends_nothing_and_touches_no_export(made: Stage) -> None:
    before = made.exports(FLOW)
    again = made.apply()
    assert (again.applied.exit, again.sent, again.plan.cost.high) == (Exit.DONE, [], 0)
    assert again.plan.is_done
    assert {status for _, _, status in again.applied.summary.exports} == {"unchanged"}
    assert made.exports(FLOW) == before


# -- edits that change no recipe


def rename_nodes(stage: Stage) -> Stage:
    stage.edit(MANIFEST, "nodes.hero.", "nodes.portrait.")
    stage.edit(MANIFEST, "\n  hero:\n", "\n  portrait:\n")
    stage.edit(MANIFEST, "nodes.shot.", "nodes.film.")
    stage.edit(MANIFEST, "\n  shot:\n", "\n  film:\n")
    return stage


def rename_rows(stage: Stage) -> Stage:
    stage.edit("shots.csv", "leaping,", "jumping,")
    return stage


def sort_keys(stage: Stage) -> Stage:
    """Every mapping by its keys from z to a, which also loses comments, quotes and layout."""
    path = stage.folder / MANIFEST
    path.write_text(yaml.safe_dump(reversed_keys(yaml.safe_load(path.read_text())), sort_keys=False))
    return stage


def reversed_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in sorted(value, reverse=True)}
    return [reversed_keys(each) for each in value] if isinstance(value, list) else value


def comment(stage: Stage) -> Stage:
    stage.edit(MANIFEST, "\nnodes:\n", "\n\n# all of the trailer\nnodes:   # from here on\n")
    return stage


def touch(stage: Stage) -> Stage:
    for path in stage.folder.rglob("*"):
        if ".flowrun" not in path.parts and path.is_file():
            os.utime(path, (1_500_000_000, 1_500_000_000))
    return stage


def move_project(stage: Stage) -> Stage:
    moved = stage.folder.with_name("moved to another place")
    stage.folder.rename(moved)
    return Stage(moved, stage.manifest, stage.now, stage.rng)


def sort_rows(stage: Stage) -> Stage:
    path = stage.folder / "shots.csv"
    heading, *rows = path.read_text().splitlines()
    path.write_text("\n".join([heading, *reversed(rows)]) + "\n")
    return stage


def rename_files(stage: Stage) -> Stage:
    (stage.folder / "refs" / "scarf.png").rename(stage.folder / "refs" / "green scarf.png")
    stage.edit(MANIFEST, "refs/scarf.png", "refs/green scarf.png")
    (stage.folder / "shots.csv").rename(stage.folder / "list.csv")
    stage.edit(MANIFEST, "file: shots.csv", "file: list.csv")
    return stage


def write_numbers_otherwise(stage: Stage) -> Stage:
    stage.edit("shots.csv", "waking,4,", "waking,4.0,")
    stage.edit(MANIFEST, "duration: 3\n", "duration: 3.0\n")
    return stage


def move_inputs_to_the_defaults(stage: Stage) -> Stage:
    stage.edit(MANIFEST, '{ratio: "1280:720"}\n', '{ratio: "1280:720", promptText: unused}\n')
    stage.edit(MANIFEST, "      model: gen4_turbo\n", "")
    stage.edit(
        MANIFEST, "  image_to_video/gen4_turbo:", "  image_to_video: {model: gen4_turbo}\n  image_to_video/gen4_turbo:"
    )
    return stage


def limit_and_retry(stage: Stage) -> Stage:
    stage.edit(MANIFEST, "  credits: 150", "  credits: 0\n  concurrency: {gen4_turbo: 1}")
    stage.edit(MANIFEST, "    tags: [shots]\n", "    tags: [films, fast]\n    retry: 3\n    timeout: 5m\n")
    return stage


@pytest.mark.parametrize(
    "edit",
    [
        rename_nodes,
        rename_rows,
        sort_keys,
        comment,
        touch,
        move_project,
        sort_rows,
        rename_files,
        write_numbers_otherwise,
        move_inputs_to_the_defaults,
        limit_and_retry,
    ],
)
def test_what_changes_no_recipe_sends_nothing(made: Stage, edit: Callable[[Stage], Stage]) -> None:
    before = sorted(made.exports(FLOW).values())
    stage = edit(made)
    done = stage.apply()
    assert (done.applied.exit, done.sent, done.promised) == (Exit.DONE, [], [])
    assert set(stage.exports(FLOW).values()) == set(before)


def test_all_harmless_edits_at_once(made: Stage) -> None:
    stage = made
    for edit in (
        rename_nodes,
        sort_rows,
        write_numbers_otherwise,
        rename_files,
        comment,
        sort_keys,
        move_project,
        touch,
    ):
        stage = edit(stage)
    assert stage.apply().sent == []


def test_another_process_with_other_luck_and_a_later_day_sends_nothing(made: Stage) -> None:
    later = made.now + 400 * 24 * 3600
    assert Stage(made.folder, MANIFEST, later, random.Random(99)).apply().sent == []


# -- edits that change recipes


def test_one_prompt_in_the_shot_list_is_one_request(made: Stage) -> None:
    before = made.exports(FLOW)
    made.edit("shots.csv", "slow push in", "slow pull out")
    done = made.apply()
    assert done.sent == done.promised == ["shot[waking]#1"]
    assert done.plan.submissions == 1
    after = made.exports(FLOW)
    assert {path for path in after if after[path] != before[path]} == {"shots/waking.mp4"}


def test_taking_the_edit_back_sends_nothing_and_exports_the_former_film(made: Stage) -> None:
    before = made.exports(FLOW)
    made.edit("shots.csv", "slow push in", "slow pull out")
    made.apply()
    made.edit("shots.csv", "slow pull out", "slow push in")
    assert made.apply().sent == []
    assert made.exports(FLOW) == before


def test_a_further_row_is_one_request(made: Stage) -> None:
    made.edit("shots.csv", "waking,4", 'sniffing,2,2,"the fox sniffs at a fir cone"\nwaking,4')
    assert made.apply().sent == ["shot[sniffing]#1"]


def test_a_row_less_sends_nothing_and_keeps_the_file_for_pruning(made: Stage) -> None:
    rows = (made.folder / "shots.csv").read_text().splitlines(keepends=True)
    (made.folder / "shots.csv").write_text("".join(row for row in rows if not row.startswith("running")))
    done = made.apply()
    assert done.sent == []
    gone = "out/sandbox/fox-trailer/shots/running.mp4"
    assert [Path(path).name for _, path, status in done.applied.summary.exports if status == "orphan"] == [
        Path(gone).name
    ]
    assert (made.folder / gone).exists()
    made.apply(prune=True)
    assert not (made.folder / gone).exists()


def test_the_heros_prompt_makes_the_hero_and_what_depends_on_it(made: Stage) -> None:
    before = made.exports(FLOW)
    made.edit(MANIFEST, "amber eyes", "green eyes")
    done = made.apply()
    assert done.sent == done.promised == sorted(BELOW_HERO)
    after = made.exports(FLOW)
    same = {path for path in after if after[path] == before[path]}
    assert same == {"narration.mp3", "effect.mp3"}


def test_another_scarf_is_a_changed_file(made: Stage) -> None:
    from PIL import Image

    Image.new("RGB", (640, 640), "darkred").save(made.folder / "refs" / "scarf.png")
    done = made.apply()
    assert done.sent == sorted(BELOW_HERO)
    reasons = {str(step.address): step.why and step.why.reason.value for step in done.plan.steps.values()}
    assert reasons["hero"] == "file-changed"


def test_the_narrators_line_is_one_request(made: Stage) -> None:
    assert made.apply(vars=("line=The den is warm again.",)).sent == ["line#1"]


# -- force


def test_forcing_what_comes_out_the_same_sends_one_request(tmp_path: Path) -> None:
    stage = Stage.of(FLOW, MANIFEST, tmp_path)
    assert stage.apply(IDENTICAL).sent == ALL
    before = stage.exports(FLOW)
    done = stage.apply(IDENTICAL, force=("hero",))
    assert done.sent == ["hero#1"]
    assert done.promised == sorted(BELOW_HERO)  # the plan could not know
    assert stage.exports(FLOW) == before


def test_a_forced_hero_makes_what_depends_on_it_and_flows_on_without_the_index(made: Stage) -> None:
    before = made.exports(FLOW)
    done = made.apply(force=("hero",))
    assert done.sent == done.promised == sorted(BELOW_HERO)
    forced = made.exports(FLOW)
    changed = {path for path in forced if forced[path] != before[path]}
    assert changed == {*before} - {"narration.mp3", "effect.mp3"}
    for left in (made.folder / ".flowrun" / "sandbox").glob("index.sqlite3*"):
        left.unlink()
    again = made.apply()
    assert (again.applied.exit, again.sent) == (Exit.DONE, [])
    assert made.exports(FLOW) == forced


def test_forcing_one_shot_makes_that_shot(made: Stage) -> None:
    before = made.exports(FLOW)
    assert made.apply(force=("shot[running]",)).sent == ["shot[running]#1"]
    after = made.exports(FLOW)
    assert {path for path in after if after[path] != before[path]} == {"shots/running.mp4"}
    assert made.apply().sent == []
    assert made.exports(FLOW) == after


def test_what_was_forced_flows_on_whatever_it_is_called(made: Stage) -> None:
    made.apply(force=("hero",))
    forced = made.exports(FLOW)
    assert rename_nodes(made).apply().sent == []
    assert made.exports(FLOW) == forced


def test_what_was_forced_comes_back_with_its_prompt(made: Stage) -> None:
    made.apply(force=("hero",))
    forced = made.exports(FLOW)
    made.edit(MANIFEST, "amber eyes", "green eyes")
    made.apply()
    made.edit(MANIFEST, "green eyes", "amber eyes")
    assert made.apply().sent == []
    assert made.exports(FLOW) == forced


def test_an_interrupted_force_is_collected_and_flows_on_unasked(made: Stage) -> None:
    before = made.exports(FLOW)
    assert made.apply(force=("hero",), stop_at="hero#1").applied.exit is Exit.INTERRUPTED
    rest = made.apply()
    assert (rest.applied.exit, rest.sent) == (Exit.DONE, ["finale#1", "reveal#1", *SHOTS])
    assert made.exports(FLOW)["still.png"] != before["still.png"]
    assert made.apply().sent == []


# -- damage


def test_a_lost_export_comes_back_from_the_store(made: Stage) -> None:
    before = made.exports(FLOW)
    (made.folder / "out" / "sandbox" / FLOW / "still.png").unlink()
    assert made.apply().sent == []
    assert made.exports(FLOW) == before


@pytest.mark.parametrize("damage", ["result-missing", "result-damaged"])
def test_a_film_that_the_store_lost_is_one_request(made: Stage, damage: str) -> None:
    wanted = made.exports(FLOW)["shots/waking.mp4"]
    blob = next(each for each in (made.folder / ".flowrun" / "sandbox" / "blobs").rglob(wanted))
    if damage == "result-damaged":
        blob.chmod(0o644)
        blob.write_bytes(blob.read_bytes()[:-1])
    else:
        blob.unlink()
    done = made.apply()
    assert done.sent == done.promised == ["shot[waking]#1"]
    (why,) = (step.why for step in done.plan.steps.values() if step.why)
    assert why.reason.value == damage
    assert made.apply().sent == []


def test_a_still_that_the_store_lost_costs_no_film_where_it_comes_out_the_same(tmp_path: Path) -> None:
    stage = Stage.of(FLOW, MANIFEST, tmp_path)
    stage.apply(IDENTICAL)
    still = stage.exports(FLOW)["still.png"]
    next((stage.folder / ".flowrun" / "sandbox" / "blobs").rglob(still)).unlink()
    assert stage.apply(IDENTICAL).sent == ["hero#1"]


# -- profiles


def test_a_draft_after_the_film_shares_the_sound(made: Stage) -> None:
    before = made.exports(FLOW)
    draft = made.apply(profile="draft")
    assert (draft.applied.exit, draft.sent) == (Exit.DONE, ["hero#1", *SHOTS])
    assert made.exports(FLOW) == before
    assert made.apply().sent == made.apply(profile="draft").sent == []


# -- stops


def test_a_cap_stops_what_does_not_fit_and_the_next_apply_makes_the_rest(tmp_path: Path) -> None:
    stage = Stage.of(FLOW, MANIFEST, tmp_path)
    first = stage.apply(max_credits=60)
    assert first.applied.exit is Exit.STOPPED
    assert first.applied.summary.credits <= 60
    second = stage.apply()
    assert second.applied.exit is Exit.DONE
    assert sorted(first.sent + second.sent) == ALL
    assert set(first.applied.summary.over) == set(second.sent)


def test_a_selected_shot_is_blocked_until_its_hero_is_selected_too(tmp_path: Path) -> None:
    stage = Stage.of(FLOW, MANIFEST, tmp_path)
    assert stage.apply(select=("shot[waking]",)).sent == []
    assert stage.apply(select=("+shot[waking]",)).sent == ["hero#1", "shot[waking]#1"]


def test_without_its_closing_shot_nothing_is_sent_and_the_file_stays_until_pruned(made: Stage) -> None:
    off = made.apply(vars=("reveal=false",))
    assert (off.applied.exit, off.sent) == (Exit.DONE, [])
    assert {(output, status) for output, _, status in off.applied.summary.exports} >= {
        ("reveal", "orphan"),
        ("reveal", "skipped"),
    }
    assert "reveal.mp4" in made.exports(FLOW)
    made.apply(vars=("reveal=false",), prune=True)
    assert "reveal.mp4" not in made.exports(FLOW)
    assert made.apply().sent == []
    assert "reveal.mp4" in made.exports(FLOW)
