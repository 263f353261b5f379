"""What a request asks of its output, in every way that models have of saying it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image

from flowrun.media.frames import first_frame
from flowrun.media.probe import probe_bytes
from flowrun.operations.catalogue import Catalogue
from flowrun.sandbox.messages import Response
from flowrun.sandbox.recipe import facts_of, takes
from flowrun.sandbox.render import Render
from flowrun.sandbox.scenario import read_scenario
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import MemoryState
from tests.sandbox.asking import film_uri, sound_uri
from tests.sandbox.visitor import Visitor, data_uri, png

NORMAL = "media: normal"
TALL = {"model": "grok_imagine_1_5_lite", "promptImage": data_uri(png(60, 80))}


def places(response: Response) -> list[list[str | int]]:
    assert response.status == 400, response.body
    return [each["path"] for each in response.json()["issues"]]


def recipe_size(operation: str, body: dict[str, Any]) -> tuple[int | None, int | None]:
    """As asked for; making it would take long."""
    visitor = Visitor(NORMAL)
    task = visitor.create(operation, body)
    with visitor.sandbox.state.transaction() as books:
        found = books.task(task)
    assert found is not None
    facts = facts_of(found.recipe)
    return facts.width, facts.height


@pytest.mark.parametrize(
    ("operation", "body", "size"),
    [
        ("text_to_video", {"model": "grok_imagine_1_5", "promptText": "x", "ratio": "16:9"}, (1280, 720)),
        (
            "text_to_video",
            {"model": "grok_imagine_1_5", "promptText": "x", "ratio": "9:16", "resolution": "480p"},
            (480, 854),
        ),
        ("text_to_video", {"model": "hailuo3", "promptText": "x", "ratio": "21:9", "resolution": "2K"}, (3360, 1440)),
        ("text_to_video", {"model": "hailuo3", "promptText": "x", "ratio": "adaptive"}, (1280, 720)),
        ("text_to_video", {"model": "wan3", "promptText": "x", "ratio": "auto_480p"}, (854, 480)),
        ("image_to_video", {**TALL, "ratio": "auto_1080p"}, (1080, 1440)),
        ("image_to_video", TALL, (480, 640)),
        ("image_to_video", {"model": "kling2.5_turbo_pro", "promptText": "x", "promptImage": data_uri(png(80, 80))}, (720, 720)),
        ("image_to_video", {"model": "gen3a_turbo", "promptText": "x", "promptImage": data_uri(png())}, (768, 1280)),
        ("text_to_video", {"model": "seedance2_5", "promptText": "x", "ratio": "854:480"}, (854, 480)),
        ("text_to_video", {"model": "gen4.5", "promptText": "x", "ratio": "1280:720", "duration": 2}, (1280, 720)),
        ("text_to_image", {"model": "muse_image", "promptText": "x", "ratio": "auto"}, (1280, 720)),
        ("text_to_image", {"model": "seedream5_flash", "promptText": "x", "ratio": "auto_1k"}, (1820, 1024)),
        ("text_to_image", {"model": "nano_banana_2.1", "promptText": "x", "ratio": "11712:1408"}, (11712, 1408)),
        ("text_to_image", {"model": "seedream5_lite", "promptText": "x", "ratio": "333:777"}, (333, 777)),
        ("video_to_video", {"model": "aleph2", "videoUri": film_uri(), "targetAspectRatio": "1:1"}, (720, 720)),
    ],
)  # fmt: skip
def test_sizes(operation: str, body: dict[str, Any], size: tuple[int, int]) -> None:
    assert recipe_size(operation, body) == size


@pytest.mark.parametrize("ratio", ["0:5", "00:10", "wide", "1:99999", "20000:10", "9000:9000", "1:"])
def test_sizes_that_cannot_be(ratio: str) -> None:
    body = {"model": "seedream5_lite", "promptText": "x", "ratio": ratio}
    assert places(Visitor().post("/v1/text_to_image", body)) == [["ratio"]]


@pytest.mark.parametrize(
    ("operation", "body", "seconds"),
    [
        ("text_to_video", {"model": "seedance2", "promptText": "x", "duration": "auto"}, 5),
        ("text_to_video", {"model": "seedance2", "promptText": "x", "duration": 7}, 7),
        ("text_to_video", {"model": "kling2.5_turbo_pro", "promptText": "x"}, 10),
        ("video_to_video", {"model": "seedance2", "promptVideo": film_uri(), "duration": "auto"}, 3.5),
        ("sound_effect", {"model": "seed_audio", "promptText": "boom"}, 2),
        ("sound_effect", {"model": "mirelo_sfx_2_0", "promptText": "boom", "duration": 1.5}, 1.5),
    ],
)
def test_lengths(operation: str, body: dict[str, Any], seconds: float) -> None:
    assert probe_bytes(Visitor().made(operation, body)).duration == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize("duration", [0, -3, 61, 10**9])
def test_lengths_that_cannot_be(duration: int) -> None:
    body = {"model": "kling_4", "promptText": "x", "duration": duration}
    assert places(Visitor().post("/v1/text_to_video", body)) == [["duration"]]


@pytest.mark.parametrize(
    ("operation", "body", "media_type"),
    [
        ("text_to_image", {"model": "muse_image", "promptText": "x", "ratio": "auto", "outputFormat": "webp"}, "image/webp"),
        (
            "text_to_image",
            {"model": "bria_fibo_1_5", "promptText": "x", "ratio": "768:960", "outputFormat": "jpeg"},
            "image/jpeg",
        ),
        ("text_to_image", {"model": "recraft_v4_1_vector", "promptText": "x"}, "image/png"),
        ("sound_effect", {"model": "mirelo_sfx_2_0", "promptText": "x", "duration": 1, "format": "wav"}, "audio/wav"),
        ("sound_effect", {"model": "mirelo_sfx_2_0", "promptText": "x", "duration": 1, "format": "flac"}, "audio/flac"),
        ("sound_effect", {"model": "seed_audio", "promptText": "x", "outputFormat": "ogg_opus"}, "audio/ogg"),
        ("text_to_video", {"model": "seedance2_5", "promptText": "x", "outputFormat": "mov", "duration": 2}, "video/quicktime"),
        (
            "text_to_video",
            {"model": "gen4.5", "promptText": "x", "ratio": "1280:720", "duration": 2, "outputFormat": "prores"},
            "video/mp4",
        ),
    ],
)  # fmt: skip
def test_formats(operation: str, body: dict[str, Any], media_type: str) -> None:
    visitor = Visitor()
    url = visitor.url(visitor.create(operation, body))
    answer = visitor.send("GET", url, {})
    assert isinstance(answer.body, bytes)
    assert probe_bytes(answer.body).media_type == answer.headers["Content-Type"] == media_type
    assert Visitor().made(operation, body) == answer.body


def test_opus_at_its_own_rate() -> None:
    body = {"model": "seed_audio", "promptText": "x", "outputFormat": "ogg_opus"}
    assert probe_bytes(Visitor(NORMAL).made("sound_effect", body)).codecs == ("opus",)


def test_several_outputs_are_takes_that_repeats_go_on_from() -> None:
    body = {"model": "muse_image", "promptText": "x", "ratio": "auto", "outputCount": 3}
    visitor = Visitor()
    links = [link for _ in "12" for link in visitor.urls(visitor.create("text_to_image", body))]
    made = [visitor.send("GET", link, {}).body for link in links]
    assert len(set(made)) == 6
    assert [link.partition("?")[0].rpartition("/")[2] for link in links[:3]] == [
        "text_to_image.png",
        "text_to_image-2.png",
        "text_to_image-3.png",
    ]
    beyond = links[0].replace("text_to_image.png", "text_to_image-4.png")
    assert visitor.send("GET", beyond, {}).status == 404
    again = Visitor("{media: tiny, identical: true}")
    equal = [again.send("GET", again.urls(again.create("text_to_image", body))[1], {}).body for _ in "12"]
    assert equal[0] == equal[1] == made[1]


@pytest.mark.parametrize("count", [0, 11, -1])
def test_too_many_outputs(count: int) -> None:
    body = {"model": "muse_image", "promptText": "x", "ratio": "auto", "outputCount": count}
    assert places(Visitor().post("/v1/text_to_image", body)) == [["outputCount"]]


# media where the schema says nothing of it


def test_untyped_places_take_media_and_check_it() -> None:
    visitor = Visitor()
    body = {"model": "hailuo3", "promptText": "x"}
    uploaded = visitor.upload(png())
    made = [
        visitor.made("image_to_video", {**body, "promptImage": image})
        for image in (
            data_uri(png()),
            [{"uri": data_uri(png(colour="blue"))}],
            [{"uri": uploaded, "position": "last"}],
            [{"uri": "https://a.example/b.png"}],
            [{"uri": visitor.url(visitor.create())}],
        )
    ]
    assert len(set(made)) == len(made)
    for wrong in ("runway://uploads/none", "data:image/png;base64,AAAA", "http://a.example/b.png"):
        answer = visitor.post("/v1/image_to_video", {**body, "promptImage": [{"uri": wrong}]})
        assert [place[0] for place in places(answer)] == ["promptImage"]
    assert places(visitor.post("/v1/image_to_video", {**body, "promptImage": "runway://uploads/none"}))


def test_untyped_places_tell_the_kind_by_their_names() -> None:
    visitor = Visitor()
    film = {"model": "kling_4", "promptText": "x", "referenceVideos": [{"uri": "https://a.example/b"}]}
    assert visitor.create("text_to_video", film)
    sound = {"model": "seed_audio", "promptText": "x", "referenceAudios": [sound_uri(), "https://a.example/c"]}
    assert probe_bytes(visitor.made("sound_effect", sound))


def test_a_first_frame_begins_the_film_wherever_it_is_told() -> None:
    red, blue = png(64, 64), png(64, 64, "blue")
    pictures = []
    for image in (red, blue):
        body = {"model": "hailuo3", "promptText": "x", "promptImage": data_uri(image), "ratio": "1:1"}
        pictures.append(Image.open(io.BytesIO(first_frame(Visitor().made("image_to_video", body)))).convert("RGB"))
    first, second = (picture.getpixel((8, 32)) for picture in pictures)
    assert first[0] > first[2]
    assert second[2] > second[0]


# an operation of one's own


def own_catalogue() -> Catalogue:
    schema = {"properties": {"promptText": {"type": "string"}}, "required": ["promptText"]}
    overlay = {"operations": {"image_upscale": {"produces": "image", "path": "/v1/upscale", "models": {"big": schema}}}}
    return Catalogue.load([overlay])


def test_an_operation_that_an_overlay_adds_is_served() -> None:
    served, state = own_catalogue(), MemoryState()
    text = "{media: tiny, faults: [{on: image_upscale, match: {nth: 2}, do: {fail: INTERNAL}}]}"
    visitor = Visitor(catalogue=served)
    visitor.sandbox = Sandbox(state, scenario=read_scenario(text, "s", served.operations), catalogue=served)
    visitor.process.sandbox = visitor.sandbox
    ids = [visitor.create("upscale", {"model": "big", "promptText": "x"}) for _ in "12"]
    assert probe_bytes(bytes(visitor.send("GET", visitor.url(ids[0]), {}).body)).width == 64  # type: ignore[arg-type]
    assert visitor.status(ids[1]) == "FAILED"
    assert visitor.send("GET", "/v1/organization").json()["tier"]["models"]["big"]
    assert visitor.sandbox.report()["requests"]["image_upscale"] == 2
    state.close()


def test_recipes_of_an_older_state_can_be_made() -> None:
    visitor = Visitor()
    task = visitor.create()
    with visitor.sandbox.state.transaction() as books:
        found = books.task(task)
    assert found is not None
    older = {name: each for name, each in json.loads(found.recipe).items() if name not in ("count", "type")}
    recipe = json.dumps({**older, "format": 1})
    assert takes(recipe) == [recipe]
    assert probe_bytes(Render(recipe, visitor.sandbox.state.blobs)()).media_type == "image/png"
