"""The spot: several takes of everything that is hard to get right, at three prices. What is sent, charged and exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowrun.engine import events as ev
from flowrun.graph.address import parse
from flowrun.manifest import read
from flowrun.plan.model import Decision
from flowrun.production.exits import Exit
from tests.examples.stage import EXAMPLES, Done, Stage
from tests.examples.test_examples import cost_table

pytestmark = pytest.mark.usefixtures("unmeasured")  # whole productions; each part of them has tests of its own

SPOT, MANIFEST = "product-spot", "product-spot.yaml"
ROWS = ["night", "pour", "trail"]
FRAMES = [f"frame[{row}]#1" for row in ROWS]
SHOTS = [f"shot[{row}]#{take}" for row in ROWS for take in (1, 2)]
SOUND = ["music#1", "pop#1", "voice#1"]
EFFECTS = 10 + 2  # seconds of music, and the least that a sound is charged for
PROFILES = [
    (None, 14, 2 * 5 + 3 * 5 + 6 * 5 * 5),
    ("draft", 13, 2 + 3 * 2 + 6 * 2 * 5),
    ("final", 14, 2 * 8 + 3 * 8 + 6 * 4 * 10),
]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage.of(SPOT, MANIFEST, tmp_path)


@pytest.fixture
def made(stage: Stage) -> Stage:
    """The spot, applied once."""
    first = stage.apply()
    assert first.applied.exit is Exit.DONE
    assert first.sent == sorted(["packshot#1", "packshot#2", *FRAMES, *SHOTS, *SOUND])
    return stage


def balance(stage: Stage, profile: str | None) -> int | None:
    """Credits that the account has, as a plan with something to send asks for them."""
    return stage._in_time(lambda clock: stage.production(clock, profile=profile).propose_async()).balance


def stored(done: Done) -> dict[str, str]:
    """The digest of what was made, by unit."""
    return {each.unit: each.files[0] for each in done.events if isinstance(each, ev.Stored)}


def change_takes(stage: Stage, row: str, takes: int) -> None:
    path = stage.folder / "shots.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps([each | {"takes": takes} if each["id"] == row else each for each in rows]))


# -- what it costs


@pytest.mark.parametrize(("profile", "requests", "credits"), PROFILES)
def test_requests_and_credits_are_as_planned_and_as_charged(
    stage: Stage, profile: str | None, requests: int, credits: int
) -> None:
    assert stage.problems(profile=profile) == ()
    before = balance(stage, profile)
    done = stage.apply(profile=profile)
    total = credits + EFFECTS + 1
    assert (done.plan.most_submissions, done.plan.cost.high, done.plan.cost.unknown) == (requests, total, 0)
    summary = done.applied.summary
    assert (done.applied.exit, summary.submitted, len(done.sent), summary.credits) == (
        Exit.DONE,
        *[requests] * 2,
        total,
    )
    after = balance(stage, "draft" if profile is None else None)
    assert before is not None
    assert after == before - total
    again = stage.apply(profile=profile)
    assert (again.applied.exit, again.sent, again.plan.is_done) == (Exit.DONE, [], True)


@pytest.mark.parametrize(("profile", "requests", "credits"), PROFILES)
def test_the_readme_tells_what_the_plan_says(profile: str | None, requests: int, credits: int) -> None:
    total = credits + EFFECTS + 1
    rows = [row for row in cost_table(SPOT) if "Runway" in row[0]]
    (row,) = (
        [row for row in rows if (f"--profile {profile}" if profile else "--profile") in row[0]] if profile else rows[:1]
    )
    assert row[1:] == [str(requests), f"up to {total}", f"up to ${total / 100:.2f}"]


def test_the_ceiling_holds_for_every_profile() -> None:
    manifest = read(EXAMPLES / SPOT / MANIFEST)
    assert manifest.limits.credits is not None
    assert max(credits for _, _, credits in PROFILES) + EFFECTS + 1 <= manifest.limits.credits
    assert f"more than {manifest.limits.credits}." in (EXAMPLES / SPOT / "README.md").read_text(encoding="utf-8")


# -- profiles


def test_the_profiles_lie_side_by_side(made: Stage) -> None:
    before = made.exports(SPOT)
    draft, final = made.apply(profile="draft"), made.apply(profile="final")
    assert draft.sent == sorted(["packshot#1", *FRAMES, *SHOTS])  # the sound is the same
    assert final.sent == sorted(["packshot#1", "packshot#2", *FRAMES, *SHOTS])
    assert made.apply().sent == made.apply(profile="draft").sent == made.apply(profile="final").sent == []
    assert made.exports(SPOT) == before
    for other in ("product-spot.draft", "product-spot.final"):
        assert made.exports(other).keys() == before.keys()
        assert {path for path, digest in made.exports(other).items() if before[path] == digest} == {
            "sound/voice.mp3",
            "sound/music.mp3",
            "sound/pop.mp3",
        }


def test_the_exports_are_named_as_the_readme_says(made: Stage) -> None:
    text = (EXAMPLES / SPOT / "README.md").read_text(encoding="utf-8")
    names = made.exports(SPOT).keys()
    assert names == {
        "stills/packshot.png",
        *(f"stills/{row}.png" for row in ROWS),
        *(f"shots/{row}.mp4" for row in ROWS),
        *(f"sound/{name}.mp3" for name in ("music", "pop", "voice")),
    }
    for name in ("stills/packshot.png", "stills/pour.png", "shots/pour.mp4", "sound/voice.mp3"):
        assert f"`{name}`" in text


# -- takes


def test_a_further_take_of_one_shot_is_one_request(made: Stage) -> None:
    before = made.exports(SPOT)
    change_takes(made, "pour", 3)
    done = made.apply()
    assert (done.sent, done.plan.most_submissions) == (["shot[pour]#3"], 1)
    assert made.exports(SPOT) == before  # the pick stays
    change_takes(made, "pour", 1)
    assert made.apply().sent == []
    change_takes(made, "pour", 3)
    assert made.apply().sent == []


def test_the_first_take_is_picked_and_flows_on(stage: Stage) -> None:
    done = stage.apply()
    files, exports = stored(done), stage.exports(SPOT)
    assert files["packshot#1"] != files["packshot#2"]
    assert files["packshot#1"].endswith(exports["stills/packshot.png"])
    assert all(files[f"shot[{row}]#1"].endswith(exports[f"shots/{row}.mp4"]) for row in ROWS)
    after = stage.plan()
    assert (after.steps[parse("packshot")].pick, after.steps[parse("shot[pour]")].pick) == (1, 1)


def test_another_pick_of_the_packshot_flows_on_into_every_shot(made: Stage) -> None:
    before = made.exports(SPOT)
    done = made.apply(force=("packshot#2",))
    assert done.sent == sorted(["packshot#2", *FRAMES, *SHOTS])
    after = made.exports(SPOT)
    assert stored(done)["packshot#2"].endswith(after["stills/packshot.png"])
    same = {path for path in after if after[path] == before[path]}
    assert same == {"sound/voice.mp3", "sound/music.mp3", "sound/pop.mp3"}
    again = made.plan()
    assert again.is_done
    assert again.steps[parse("packshot")].pick == 2


def test_a_shot_forced_is_one_request_and_changes_one_file(made: Stage) -> None:
    before = made.exports(SPOT)
    assert made.apply(force=("shot[trail]#2",)).sent == ["shot[trail]#2"]
    after = made.exports(SPOT)
    assert {path for path in after if after[path] != before[path]} == {"shots/trail.mp4"}


# -- the parts


def test_the_tags_select_the_parts(stage: Stage) -> None:
    assert stage.apply(select=("tag:sound",)).sent == SOUND
    assert stage.apply(select=("tag:stills",)).sent == sorted(["packshot#1", "packshot#2", *FRAMES])
    plan = stage.plan(select=("tag:shots",))
    assert {str(step.address) for step in plan.steps.values() if step.decision is Decision.RUN} == {
        f"shot[{row}]" for row in ROWS
    }


def test_a_changed_move_is_two_films_and_a_changed_scene_a_frame_more(made: Stage) -> None:
    made.edit("shots.json", "slow push in", "slow pull out")
    assert made.apply().sent == ["shot[pour]#1", "shot[pour]#2"]
    made.edit("shots.json", "lit by a lantern", "lit by the moon")
    assert made.apply().sent == ["frame[night]#1", "shot[night]#1", "shot[night]#2"]
    assert made.apply(vars=("claim=Yours all day.",)).sent == ["voice#1"]
