"""The examples as a reader meets them: what they cost, what they make, what their READMEs say."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.media.probe import probe
from flowrun.plan.model import Decision
from flowrun.production.exits import Exit
from flowrun.production.loading import load
from tests.examples.stage import EXAMPLES, Stage, copied
from tests.support.media_checks import distance, first_frame_distance, frames, frames_differ

FOX, HELLO = ("fox-trailer", "fox-trailer.yaml"), ("hello-image", "hello.yaml")
SPOT = ("product-spot", "product-spot.yaml")
MANIFESTS = [HELLO, FOX, SPOT]


# -- what the plan says


def test_every_example_is_known_here() -> None:
    found = {(path.parent.name, path.name) for path in EXAMPLES.glob("*/*.yaml") if path.parent.name != "scenarios"}
    assert found == set(MANIFESTS)


@pytest.mark.parametrize(("example", "manifest"), MANIFESTS)
@pytest.mark.parametrize("profile", [None, "draft"])
def test_nothing_is_to_be_said_against_an_example(
    tmp_path: Path, example: str, manifest: str, profile: str | None
) -> None:
    if (example, profile) != ("hello-image", "draft"):
        assert Stage.of(example, manifest, tmp_path).problems(profile=profile) == ()


@pytest.mark.parametrize(
    ("stage", "profile", "sure", "low", "credits", "by_model"),
    [
        (HELLO, None, 1, 5, 5, {"gen4_image": 5}),
        (FOX, None, 3, 10, 120, {
            "gen4_image": 2 * 8,
            "gen4_turbo": (4 + 3 + 3 + 2) * 5,
            "veo3.1_fast": 4 * 10,
            "eleven_multilingual_v2": 1,
            "eleven_text_to_sound_v2": 3,
        }),
        (FOX, "draft", 3, 7, 49, {
            "gen4_image": 5,
            "gen4_turbo": (2 + 2 + 2 + 2) * 5,
            "eleven_multilingual_v2": 1,
            "eleven_text_to_sound_v2": 3,
        }),
    ],
)  # fmt: skip
def test_requests_and_credits_are_as_planned(
    tmp_path: Path, stage: tuple[str, str], profile: str | None, sure: int, low: int, credits: int, by_model: dict
) -> None:
    done = Stage.of(*stage, tmp_path).apply(profile=profile)
    plan = done.plan
    assert (plan.submissions, plan.cost.low, plan.cost.high, plan.cost.unknown) == (sure, low, credits, 0)
    assert {model: cost.high for model, cost in plan.by_model.items()} == by_model
    assert done.applied.exit is Exit.DONE
    assert done.applied.summary.credits == credits
    assert done.applied.summary.submitted == len(done.promised)
    assert done.sent == done.promised


def test_the_readmes_tell_what_the_plans_say(tmp_path: Path) -> None:
    for number, (example, manifest, profile) in enumerate([(*HELLO, None), (*FOX, None), (*FOX, "draft")]):
        stage = Stage.of(example, manifest, tmp_path / str(number))
        plan = stage.plan(profile=profile)
        requests = sum(plan.counts.get(each, 0) for each in (Decision.RUN, Decision.UNDECIDED))
        row = next(row for row in cost_table(example) if ("draft" in row[0]) is bool(profile) and "Runway" in row[0])
        assert [cell.removeprefix("up to ") for cell in row[1:]] == [
            str(requests),
            str(plan.cost.high),
            f"${plan.cost.high / 100:.2f}",
        ]


def cost_table(example: str) -> list[list[str]]:
    text = (EXAMPLES / example / "README.md").read_text(encoding="utf-8").partition("## What it costs")[2]
    lines = text.partition("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


@pytest.mark.parametrize(("example", "manifest"), MANIFESTS)
def test_a_readme_shows_its_command_and_links_to_what_is_there(example: str, manifest: str) -> None:
    folder = EXAMPLES / example
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"$ flowrun apply {manifest} --sandbox\n" in text
    assert all((folder / link).exists() for link in re.findall(r"\]\(([^)]+)\)", text))
    assert all((folder / path).exists() for path in re.findall(r"--scenario ([\w./-]+)", text))


# -- what is made


def test_hello_image_through_the_python_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNWAYML_BASE_URL", raising=False)
    copied("hello-image", tmp_path / "hello-image")
    production = load(tmp_path / "hello-image" / "hello.yaml", sandbox=True, max_credits=5)
    assert production.plan().submissions == 1
    assert production.plan().cost.high == 5
    applied = production.apply()
    assert (applied.exit, applied.summary.submitted) == (Exit.DONE, 1)
    facts = probe(tmp_path / "hello-image" / "out" / "sandbox" / "hello-image" / "fox.png")
    assert (facts.media_type, facts.width, facts.height) == ("image/png", 1280, 720)
    assert load(tmp_path / "hello-image" / "hello.yaml", sandbox=True).plan().is_done


@pytest.mark.long
def test_fox_trailer_in_full_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNWAYML_BASE_URL", raising=False)
    folder = copied("fox-trailer", tmp_path / "fox-trailer")
    production = load(folder / "fox-trailer.yaml", vars={"seed": 11, "hero": "a white fox"}, sandbox=True)
    applied = production.apply()
    assert (applied.exit, applied.summary.submitted) == (Exit.DONE, 9)
    out = folder / "out" / "sandbox" / "fox-trailer"
    assert facts_below(out) == {
        "still.png": ("image/png", 1920, 1080, None),
        "shots/waking.mp4": ("video/mp4", 1280, 720, 4.0),
        "shots/running.mp4": ("video/mp4", 1280, 720, 3.0),
        "shots/listening.mp4": ("video/mp4", 1280, 720, 3.0),
        "shots/leaping.mp4": ("video/mp4", 1280, 720, 2.0),
        "reveal.mp4": ("video/mp4", 1280, 720, 4.0),
        "narration.mp3": ("audio/mpeg", None, None, pytest.approx(2.8, abs=1.5)),
        "effect.mp3": ("audio/mpeg", None, None, pytest.approx(3.0, abs=0.1)),
    }
    check_films(out, stills_of(folder))


def facts_below(folder: Path) -> dict[str, tuple]:
    found = {path.relative_to(folder).as_posix(): probe(path) for path in folder.rglob("*") if path.is_file()}
    return {name: shape(facts) for name, facts in found.items()}


def shape(facts: MediaFacts) -> tuple:
    return facts.media_type, facts.width, facts.height, facts.duration


def stills_of(folder: Path) -> dict[str, Path]:
    """The two stills in the store: the exported one, and the one that only the closing shot shows."""
    blobs = [each for each in (folder / ".flowrun" / "sandbox" / "blobs").rglob("*") if each.is_file()]
    large = [each for each in blobs if (facts := probe(each)).kind is MediaKind.IMAGE and facts.width == 1920]
    hero = (folder / "out" / "sandbox" / "fox-trailer" / "still.png").read_bytes()
    return {"hero" if each.read_bytes() == hero else "finale": each for each in large}


def check_films(out: Path, stills: dict[str, Path]) -> None:
    """Each moves and begins from the hero; the closing shot ends in the finale."""
    films = [*(out / "shots").iterdir(), out / "reveal.mp4"]
    assert len(films) == 5
    for film in films:
        assert frames_differ(film)
        assert first_frame_distance(film, stills["hero"].read_bytes()) < 6
    last = frames(out / "reveal.mp4")[-1]
    finale = ImageOps.fit(Image.open(io.BytesIO(stills["finale"].read_bytes())).convert("RGB"), last.size)
    hero = ImageOps.fit(Image.open(io.BytesIO(stills["hero"].read_bytes())).convert("RGB"), last.size)
    assert distance(last, finale) < distance(last, hero) / 2
