"""Every operation with every model takes its least and its fullest request, and gives media that can be used."""

from __future__ import annotations

import pytest

from flowrun.media.facts import MediaKind
from flowrun.media.film import FilmSpec, make_film
from flowrun.media.probe import probe_bytes
from flowrun.media.sound import SoundKind, SoundSpec, make_sound
from flowrun.operations.catalogue import catalogue, described
from tests.sandbox.asking import film_uri, request
from tests.sandbox.visitor import PICTURE, Visitor, data_uri, png, sound

BOTH = {"today": catalogue, "described": described}
PAIRS = [
    (name, operation, model)
    for name, read in BOTH.items()
    for operation, each in read().operations.items()
    for model in each.models
]


@pytest.mark.parametrize("full", [False, True], ids=["least", "full"])
@pytest.mark.parametrize(("name", "operation", "model"), PAIRS)
def test_taken_and_made(name: str, operation: str, model: str, full: bool) -> None:
    served = BOTH[name]()
    body = request(served, operation, model, full=full)
    visitor = Visitor(catalogue=served)
    task = visitor.create(operation, body)
    links = visitor.urls(task)
    assert len(links) == body.get("outputCount", body.get("numVariants", 1))
    made = [visitor.send("GET", link, {}) for link in links]
    assert len({each.body for each in made}) == len(made)
    for each in made:
        assert isinstance(each.body, bytes)
        facts = probe_bytes(each.body)
        assert facts.kind is served.operations[operation].produces
        assert each.headers["Content-Type"] == facts.media_type
        if isinstance(body.get("duration"), int | float):
            assert facts.duration == pytest.approx(body["duration"], abs=0.15)
    priced = served.operations[operation].models[model].price is not None
    assert (visitor.sandbox.report()["charges"]["spent"] > 0) is priced


@pytest.mark.parametrize(
    ("operation", "model", "seconds"),
    [
        ("video_to_video", "gen4_aleph", 3.5),
        ("character_performance", "act_two", 3.5),
        ("voice_dubbing", "eleven_voice_dubbing", 5.0),
        ("speech_to_speech", "eleven_multilingual_sts_v2", 3.5),
    ],
)
def test_made_over_media_is_as_long_as_the_media(operation: str, model: str, seconds: float) -> None:
    facts = probe_bytes(Visitor().made(operation, request(described(), operation, model, full=True)))
    assert facts.duration == pytest.approx(seconds, abs=0.15)


def test_normal_media_has_the_size_asked_for() -> None:
    visitor = Visitor("media: normal")
    picture = probe_bytes(visitor.made(ratio="720:720"))
    assert (picture.kind, picture.width, picture.height) == (MediaKind.IMAGE, 720, 720)
    film = probe_bytes(
        visitor.made(
            "image_to_video",
            {"model": "gen4_turbo", "promptImage": data_uri(png()), "ratio": "832:1104", "duration": 2},
        )
    )
    assert (film.width, film.height, film.media_type) == (832, 1104, "video/mp4")


def test_last_frames_videos_and_hosts_are_taken() -> None:
    visitor = Visitor()
    frames = [{"uri": data_uri(png()), "position": "first"}, {"uri": data_uri(png(colour="blue")), "position": "last"}]
    both = visitor.made(
        "image_to_video", {"model": "veo3.1", "promptImage": frames, "ratio": "1280:720", "duration": 4}
    )
    one = visitor.made(
        "image_to_video", {"model": "veo3.1", "promptImage": frames[:1], "ratio": "1280:720", "duration": 4}
    )
    assert both != one
    acted = {
        "model": "act_two",
        "character": {"type": "video", "uri": film_uri()},
        "reference": {"type": "video", "uri": film_uri()},
    }
    assert probe_bytes(visitor.made("character_performance", acted)).kind is MediaKind.VIDEO
    foreign = {"model": "eleven_voice_isolation", "audioUri": "https://example.com/a.mp3"}
    assert probe_bytes(visitor.made("voice_isolation", foreign)).duration == pytest.approx(5, abs=0.15)


def test_a_foreign_address_is_drawn_not_fetched() -> None:
    visitor = Visitor("media: normal")
    shown = [
        visitor.made(ratio="720:720", referenceImages=[{"uri": f"https://{host}/a.png", "tag": "it_is"}])
        for host in ("example.com", "example.org")
    ]
    assert shown[0] != shown[1]


def test_any_difference_of_requests_is_one_of_bytes() -> None:
    visitor = Visitor()
    voice = {
        "model": "eleven_multilingual_v2",
        "promptText": "Hi.",
        "voice": {"type": "runway-preset", "presetId": "Maya"},
    }
    other = {**voice, "voice": {"type": "runway-preset", "presetId": "Arjun"}}
    made = [
        visitor.made(),
        visitor.made(seed=1),
        visitor.made(contentModeration={"publicFigureThreshold": "low"}),
        visitor.made(contentModeration={"publicFigureThreshold": "auto"}),
        visitor.made(ratio="720:720"),
        visitor.made(model="gen4_image_turbo", referenceImages=[{"uri": data_uri(png()), "tag": "aaa"}]),
        visitor.made(model="gen4_image_turbo", referenceImages=[{"uri": data_uri(png()), "tag": "bbb"}]),
        visitor.made("text_to_speech", voice),
        visitor.made("text_to_speech", other),
        visitor.made("sound_effect", {"model": "eleven_text_to_sound_v2", "promptText": "boom", "duration": 0.5}),
        visitor.made(
            "sound_effect", {"model": "eleven_text_to_sound_v2", "promptText": "boom", "duration": 0.5, "loop": True}
        ),
        visitor.made("sound_effect", {"model": "eleven_text_to_sound_v2", "promptText": "boom"}),
        visitor.made(body={**PICTURE, "promptText": "a cat"}),
    ]
    assert len(set(made)) == len(made)


def test_media_that_is_not_seen_in_the_output_still_makes_another_one() -> None:
    visitor = Visitor("{media: tiny, identical: true}")
    dubbing = {"model": "eleven_voice_dubbing", "targetLang": "de"}
    acting = {"model": "act_two", "character": {"type": "image", "uri": data_uri(png())}}
    uris = [data_uri(sound(5.0), "audio/mpeg"), data_uri(make_sound(SoundSpec(SoundKind.SPEECH, 5.0)), "audio/mpeg")]
    assert visitor.made("voice_dubbing", dubbing, audioUri=uris[0]) != visitor.made(
        "voice_dubbing", dubbing, audioUri=uris[1]
    )
    films = [data_uri(make_film(FilmSpec(64, 36, 3.5, prompt, tiny=True)), "video/mp4") for prompt in ("a", "b")]
    references = [{"type": "video", "uri": film} for film in films]
    one, two = (visitor.made("character_performance", acting, reference=each) for each in references)
    assert one != two
