import io
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flowrun.media.errors import NotMediaError
from flowrun.media.lettering import cleaned, fitted
from flowrun.media.picture import PictureSpec, Reference, draw_picture, footer
from flowrun.media.picture import fitted as fitted_image
from flowrun.media.probe import probe_bytes
from tests.media import foreign
from tests.support.media_checks import distance

SPEC = PictureSpec(320, 180, "a red fox, 🦊 at dawn", "text_to_image", "gen4_image", 7)


def seen(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("size", [(320, 180), (180, 320), (1, 1), (1920, 1080)])
def test_a_picture_is_what_was_asked_for(kind, size):
    facts = probe_bytes(draw_picture(replace(SPEC, width=size[0], height=size[1], format=kind)))
    assert (facts.media_type, facts.width, facts.height) == (f"image/{kind}", *size)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("tiny", [False, True])
def test_equal_specs_give_equal_bytes_and_others_do_not(kind, tiny):
    spec = replace(SPEC, format=kind, tiny=tiny)
    others = [
        replace(spec, variation=1),
        replace(spec, prompt="another"),
        replace(spec, seed=8),
        replace(spec, seed=None),
        replace(spec, model="gen4_image_turbo"),
        replace(spec, operation="edit"),
        replace(spec, references=(Reference(foreign.image("png"), "a"),)),
        replace(spec, references=(Reference(foreign.image("png"), "b"),)),
        replace(spec, references=(Reference(foreign.image("jpeg"), "a"),)),
    ]
    made = {draw_picture(each) for each in [spec, *others]}
    assert len(made) == 1 + len(others)
    assert draw_picture(replace(spec)) == draw_picture(spec)


def test_variations_are_told_apart_at_a_glance():
    takes = [seen(draw_picture(replace(SPEC, variation=each))) for each in range(6)]
    for number, one in enumerate(takes):
        assert all(distance(one, other) > 8 for other in takes[:number])


def test_a_variation_has_a_hue_of_its_own():
    hues = [seen(draw_picture(replace(SPEC, variation=each))).resize((1, 1)) for each in range(3)]
    angles = [each.convert("HSV").getpixel((0, 0))[0] for each in hues]
    assert all(20 < (two - one) % 256 < 40 for one, two in pairwise(angles))  # of 256: about a ninth of a turn


def test_the_prompt_is_shown():
    plain = replace(SPEC, prompt="", operation="", model="", seed=None)
    assert distance(seen(draw_picture(replace(plain))), seen(draw_picture(replace(plain, operation="x")))) > 1
    card = seen(draw_picture(SPEC)).crop((6, 120, 200, 174))
    assert card.convert("L").getextrema()[1] > 240  # white letters


def test_references_are_embedded_from_the_right_and_bad_ones_do_not_hurt():
    red, blue = (io.BytesIO() for _ in range(2))
    Image.new("RGB", (50, 90), (250, 0, 0)).save(red, "PNG")
    Image.new("RGBA", (50, 90), (0, 0, 250, 255)).save(blue, "PNG")
    given_three = (Reference(red.getvalue(), "r"), Reference(blue.getvalue()), Reference(b"no image", "broken"))
    picture = seen(draw_picture(replace(SPEC, references=given_three)))
    side, margin = 36, 6
    middles = [(320 - (number + 1) * (side + margin) + side // 2, margin + side // 3) for number in range(3)]
    assert [picture.getpixel(each) for each in middles] == [(250, 0, 0), (0, 0, 250), (90, 92, 100)]


def test_transparency_is_flattened_onto_white():
    clear = io.BytesIO()
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(clear, "PNG")
    assert fitted_image(clear.getvalue(), 4, 4).getpixel((1, 1)) == (255, 255, 255)


def test_only_images_are_fitted():
    for data in (b"", foreign.sound("mp3", "libmp3lame"), b"\x89PNG\r\n\x1a\nbroken"):
        with pytest.raises(NotMediaError):
            fitted_image(data, 4, 4)


@given(st.text(max_size=300), st.integers(1, 400), st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_any_text_on_any_size_is_drawn(prompt, width, height):
    facts = probe_bytes(draw_picture(PictureSpec(width, height, prompt)))
    assert (facts.width, facts.height) == (width, height)


@pytest.mark.parametrize(
    "text", ["\ud800\udfff", "\0\x1b[31m", "ש\u202eלום", "a\u0300" * 500, "漢字" * 900, "👩‍👩‍👧‍👦"]
)
def test_texts_that_have_broken_others_are_drawn(text):
    assert probe_bytes(draw_picture(replace(SPEC, prompt=text))).width == 320


def test_text_is_cleaned_wrapped_and_cut():
    assert cleaned(" a\tb\n\nc\0d\ud800 ") == "a b c d\ufffd"
    block = fitted("one two three four five six seven " * 9, 120, 12, 3)
    assert len(block.lines) == 3
    assert block.lines[-1].endswith("…")
    assert block.width <= 120
    assert block.height == 3 * block.line_height
    assert fitted("", 100, 12, 3).lines == ()
    long = fitted("x" * 100, 50, 12, 99)
    assert "".join(long.lines) == "x" * 100
    assert long.width <= 50


def test_the_footer_names_what_made_it():
    assert footer("a", "b", 7, 0) == "a  ·  b  ·  seed 7"
    assert footer("", "b", None, 2) == "b  ·  #3"


def test_tiny_pictures_are_small_and_cheap():
    spec = replace(SPEC, width=1280, height=720, tiny=True)
    facts = probe_bytes(draw_picture(spec))
    assert (facts.width, facts.height) == (64, 36)
    before = time.process_time()
    made = {draw_picture(replace(spec, variation=each)) for each in range(40)}
    assert len(made) == 40
    assert (time.process_time() - before) / 40 < 0.02


def test_a_size_that_is_none_is_refused():
    with pytest.raises(ValueError, match="0 x 5"):
        PictureSpec(0, 5)
