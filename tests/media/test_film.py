import io
from dataclasses import replace

import av
import pytest
from PIL import Image

from flowrun.media.errors import NotMediaError
from flowrun.media.film import FilmSpec, make_film
from flowrun.media.frames import first_frame
from flowrun.media.picture import PictureSpec, draw_picture
from flowrun.media.picture import fitted as fitted_image
from flowrun.media.probe import probe, probe_bytes
from tests.media import foreign
from tests.support import media_checks
from tests.support.media_checks import distance, first_frame_distance, frames, frames_differ

STILL = draw_picture(PictureSpec(400, 300, "a fox", "text_to_image", "gen4_image", 7))
END = draw_picture(PictureSpec(300, 300, "the end", "text_to_image", "gen4_image", 99))
SPEC = FilmSpec(320, 180, 2, "the camera follows", "image_to_video", "gen4_turbo", 3, first=STILL)


@pytest.mark.parametrize(
    ("size", "seconds"), [((320, 180), 2), ((180, 320), 1.3), ((1104, 832), 0.5), ((66, 34), 1), ((2, 2), 0.01)]
)
def test_a_film_is_what_was_asked_for(size, seconds, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(make_film(replace(SPEC, width=size[0], height=size[1], duration=seconds)))
    facts = media_checks.decode_check(path)
    assert facts == probe(path)
    assert (facts.media_type, facts.width, facts.height, facts.codecs) == ("video/mp4", *size, ("h264",))
    assert facts.duration == pytest.approx(seconds, abs=1 / 24)
    assert facts.duration == pytest.approx(len(frames(path)) / 24, abs=0.001)


def test_sound_lasts_as_long_as_the_picture():
    facts = probe_bytes(make_film(replace(SPEC, audio=True)))
    assert facts.codecs == ("h264", "aac")
    assert facts.duration == 2.0


def test_the_index_is_in_front_so_that_it_plays_while_it_loads():
    for spec in (SPEC, replace(SPEC, audio=True), replace(SPEC, duration=10, tiny=True)):
        data = make_film(spec)
        assert data.index(b"moov") < data.index(b"mdat")


def test_it_begins_with_its_image_cropped_from_the_centre_and_moves():
    data = make_film(SPEC)
    assert first_frame_distance(data, STILL) < 4
    assert first_frame_distance(data, END) > 15
    assert frames_differ(data)


def test_a_film_of_a_plain_image_still_moves():
    grey = io.BytesIO()
    Image.new("RGB", (320, 180), (120, 120, 120)).save(grey, "PNG")
    film = make_film(replace(SPEC, first=grey.getvalue(), prompt="", operation="", model="", seed=None))
    assert frames_differ(film)
    above_the_bar = [frame.crop((0, 20, 320, 170)) for frame in frames(film)]
    assert distance(above_the_bar[0], above_the_bar[24]) > 0.3  # the light alone


def test_the_camera_comes_nearer():
    board = Image.new("L", (32, 18))
    board.putdata([255 * ((each + each // 32) % 2) for each in range(32 * 18)])
    first = io.BytesIO()
    board.resize((320, 180), Image.Resampling.NEAREST).save(first, "PNG")
    shown = [frame.crop((0, 60, 320, 170)) for frame in frames(make_film(replace(SPEC, first=first.getvalue())))]
    assert distance(shown[0], shown[-1]) > 40


def test_frames_that_do_not_differ_are_noticed():
    assert not frames_differ(foreign.film("mp4", "libx264", 1))


def test_it_ends_near_its_last_image():
    shown = frames(make_film(replace(SPEC, last=END)))
    goal = fitted_image(END, 320, 180)
    body = (0, 60, 320, 170)
    assert distance(shown[-1].crop(body), goal.crop(body)) < 10
    assert distance(shown[0].crop(body), goal.crop(body)) > 25
    assert distance(shown[len(shown) // 2].crop(body), goal.crop(body)) > 25


def test_the_caption_is_shown_after_the_first_frame():
    shown = frames(make_film(SPEC))
    strip = (0, 0, 320, 14)
    assert distance(shown[0].crop(strip), shown[-1].crop(strip)) > 20


@pytest.mark.parametrize("tiny", [False, True])
def test_equal_specs_give_equal_bytes_and_others_do_not(tiny):
    spec = replace(SPEC, duration=1, tiny=tiny, width=128, height=72)
    others = [
        replace(spec, variation=1),
        replace(spec, prompt="another"),
        replace(spec, seed=None),
        replace(spec, model="veo3"),
        replace(spec, operation="x"),
        replace(spec, first=END),
        replace(spec, first=None),
        replace(spec, last=END),
        replace(spec, audio=True),
        replace(spec, duration=2),
    ]
    made = {make_film(each) for each in [spec, *others]}
    assert len(made) == 1 + len(others)
    assert make_film(replace(spec)) == make_film(spec)


def test_tiny_films_are_small_and_keep_their_duration():
    for first in (None, STILL):
        facts = probe_bytes(make_film(replace(SPEC, width=1280, height=720, duration=10, tiny=True, first=first)))
        assert (facts.width, facts.height, facts.duration) == (64, 36, 10.0)


@pytest.mark.parametrize(
    "wrong", [{"width": 321}, {"height": 0}, {"duration": 0}, {"duration": float("nan")}, {"fps": 0}]
)
def test_films_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="a film of"):
        replace(SPEC, **wrong)


def test_a_first_image_that_is_none_is_an_error():
    with pytest.raises(NotMediaError):
        make_film(replace(SPEC, first=b"junk"))


def test_the_colours_are_tagged_and_kept():
    with av.open(io.BytesIO(make_film(SPEC))) as container:
        assert container.streams.video[0].codec_context.colorspace == 1


def test_a_first_frame_comes_from_films_and_images_as_shown(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(make_film(SPEC))
    png = first_frame(path)
    assert probe_bytes(png).media_type == "image/png"
    assert first_frame(path.read_bytes()) == png
    assert probe_bytes(first_frame(STILL)).width == 400
    side = Image.open(io.BytesIO(first_frame(foreign.on_its_side(foreign.film("mp4", "libx264")))))
    assert side.size == (48, 64)


def test_a_turned_film_is_shown_upright():
    plain = Image.open(io.BytesIO(first_frame(foreign.film("mp4", "libx264"))))
    turned = foreign.on_its_side(foreign.film("mp4", "libx264"))
    with av.open(io.BytesIO(turned)) as container:
        rotation = next(container.decode(video=0)).rotation
    assert rotation in (90, -90)
    assert distance(Image.open(io.BytesIO(first_frame(turned))), plain.rotate(rotation, expand=True)) < 1


@pytest.mark.parametrize("data", [b"", b"<html>", foreign.sound("mp3", "libmp3lame"), foreign.sound("mp4", "aac")])
def test_no_frame_comes_from_what_has_no_picture(data):
    with pytest.raises(NotMediaError, match="no picture"):
        first_frame(data)
