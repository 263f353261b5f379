"""What the API would refuse of media is said where the media is named, before anything is spent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowrun.digest import Digest
from flowrun.graph.inputs import InputError, KnownMedia
from flowrun.graph.request import WrittenMedia
from flowrun.media.facts import MediaFacts, MediaKind
from tests.graph.making import HERE, VIDEO, Inputs, Mistakes, Project
from tests.graph.test_media_inputs import film, written

WIDE = MediaFacts(MediaKind.IMAGE, "image/png", 3000, 1000)
GIF = MediaFacts(MediaKind.IMAGE, "image/gif", 1280, 720, codecs=("gif",))
ACT = (
    "nodes:\n  act:\n    uses: character_performance\n    with: {model: act_two, character: {type: image, uri: a.png}, "
)
ACT += "reference: {type: video, uri: act.mp4}}\n"


class Odd(Inputs):
    """Every file has these facts and this size, if its kind is theirs."""

    def __init__(self, facts: MediaFacts, size: int = 1000) -> None:
        super().__init__()
        self.facts, self.size = facts, size

    def file(self, path: Path) -> KnownMedia:
        known = super().file(path)
        if known.facts.kind is not self.facts.kind:
            return known
        return replace(known, facts=self.facts, digest=Digest(known.digest.sha256, self.size))


def refused(text: str, facts: MediaFacts, size: int = 1000) -> Mistakes:
    return Project(inputs=Odd(facts, size)).refused(text)


@pytest.mark.parametrize(
    ("facts", "size", "code"),
    [
        (WIDE, 1000, "aspect-window"),
        (GIF, 1000, "unsupported-format"),
        (MediaFacts(MediaKind.IMAGE, "image/png", 1280, 720), 200_000_001, "input-too-large"),
    ],
)
def test_an_image_that_the_model_would_refuse(facts: MediaFacts, size: int, code: str) -> None:
    found = refused(film("still.png"), facts, size)
    assert (found.codes, found.shown) == ([code], '"still.png"')
    assert found.only.hint


@pytest.mark.parametrize("seconds", [2.9, 30.1])
def test_a_film_of_the_wrong_length(seconds: float) -> None:
    found = refused(ACT, replace(VIDEO, duration=seconds))
    assert (found.codes, found.shown) == (["duration-window"], "act.mp4")


def test_a_film_that_goes_in_no_way() -> None:
    found = refused(ACT, VIDEO, 200_000_001)
    assert (found.codes, found.shown) == (["input-too-large"], "act.mp4")
    assert "200000000" in found.only.message
    Project(inputs=Odd(VIDEO, 200_000_000)).built(ACT)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://ann:pw@example.com/a.png", "names a user"),
        ("https://example.com/a b.png", "characters"),
        ("https://example.com/ä.png", "characters"),
        ("https://files.internal/a.png", "public host"),
        ("https://example.com:0/a.png", "public host"),
    ],
)
def test_an_address_that_would_never_be_fetched(url: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        written(url)
    assert (caught.value.code, bool(caught.value.hint)) == ("bad-media-url", True)


def test_a_long_address_is_no_mistake() -> None:
    """It is fetched here and goes as an upload."""
    assert WrittenMedia("https://example.com/" + "a" * 3000, HERE)
    assert written("https://example.com/" + "a" * 3000)


def chain(ratio: str, more: str = "", model: str = "veo3.1") -> str:
    hero = f'{{uses: text_to_image, {more}with: {{model: gen4_image, promptText: a fox, ratio: "{ratio}"}}}}'
    film = f'{{model: {model}, promptImage: "{{{{ nodes.hero.output }}}}", ratio: "1280:720", duration: 8}}'
    return f"vars: {{r: '1808:768'}}\nnodes:\n  hero: {hero}\n  film: {{uses: image_to_video, with: {film}}}\n"


@pytest.mark.parametrize("ratio", ["1808:768", "{{ vars.r }}"])
def test_a_still_that_would_come_out_too_wide_is_not_paid_for_first(ratio: str) -> None:
    found = Project().refused(chain(ratio))
    assert (found.codes, found.shown) == (["aspect-window"], "nodes.hero.output")
    Project().built(chain(ratio, model="gen4_turbo").replace("duration: 8", "duration: 5"))


@pytest.mark.parametrize(
    "text",
    [
        chain("1920:1080"),
        chain("1808:768", "when: false, "),
        chain("{{ vars.r if nodes.hers.output.width > 5 else vars.r }}").replace(
            "nodes:\n",
            'nodes:\n  hers: {uses: text_to_image, with: {model: gen4_image, promptText: x, ratio: "720:720"}}\n',
        ),
        chain("auto").replace("gen4_image,", "gpt_image_2,"),
    ],
    ids=["fits", "skipped", "not known", "not told"],
)
def test_shapes_that_fit_or_cannot_be_foreseen(text: str) -> None:
    Project().built(text)
