import io
import wave
from array import array
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrun.media import encode, waves
from flowrun.media.chance import Chance
from flowrun.media.probe import probe_bytes
from flowrun.media.sound import SoundKind, SoundSpec, duration_of_speech, make_sound
from flowrun.media.waves import chord

SPEC = SoundSpec(SoundKind.SPEECH, 1.5, "Made for you, and for you alone. Really?", "Maya")


def samples(wav: bytes) -> array:
    with wave.open(io.BytesIO(wav)) as opened:
        assert (opened.getnchannels(), opened.getsampwidth()) == (1, 2)
        return array("h", opened.readframes(opened.getnframes()))


@pytest.mark.parametrize("kind", list(SoundKind))
@pytest.mark.parametrize(("form", "media_type"), [("mp3", "audio/mpeg"), ("wav", "audio/wav")])
@pytest.mark.parametrize("seconds", [0.5, 2.345, 7])
@pytest.mark.parametrize("tiny", [False, True])
def test_a_sound_is_what_was_asked_for(kind, form, media_type, seconds, tiny):
    facts = probe_bytes(make_sound(replace(SPEC, kind=kind, duration=seconds, format=form, tiny=tiny)))
    assert facts.media_type == media_type
    assert facts.duration == pytest.approx(seconds, abs=0.002)


@pytest.mark.parametrize("kind", list(SoundKind))
@pytest.mark.parametrize("form", ["mp3", "wav"])
def test_equal_specs_give_equal_bytes_and_others_do_not(kind, form):
    spec = replace(SPEC, kind=kind, format=form)
    others = [
        replace(spec, variation=1),
        replace(spec, text="Something else entirely"),
        replace(spec, duration=1.6),
        replace(spec, tiny=True),
    ]
    made = {make_sound(each) for each in [spec, *others]}
    assert len(made) == 1 + len(others)
    assert make_sound(replace(spec)) == make_sound(spec)


def test_a_voice_keeps_its_pitch_whatever_it_says(monkeypatch):
    heard: list[int] = []
    real = waves.voiced
    monkeypatch.setattr(waves, "voiced", lambda vowel, period, rate: heard.append(period) or real(vowel, period, rate))

    def pitch(voice: str, text: str) -> float:
        heard.clear()
        make_sound(replace(SPEC, voice=voice, text=text, format="wav"))
        return 44_100 * len(heard) / sum(heard)

    voices = [
        (pitch(name, "Made for you."), pitch(name, "Another line altogether."))
        for name in ("Maya", "Leo", "Ella", "Bo")
    ]
    assert all(one == pytest.approx(two, rel=0.12) for one, two in voices)
    lowest, highest = min(one for one, _ in voices), max(one for one, _ in voices)
    assert highest > lowest * 1.2


@pytest.mark.parametrize("kind", list(SoundKind))
def test_a_sound_can_be_heard_and_does_not_clip(kind):
    heard = samples(make_sound(replace(SPEC, kind=kind, format="wav", duration=4)))
    assert 4_000 < max(heard) < 32_000
    loud = sum(abs(each) > 300 for each in heard)
    assert len(heard) * 0.1 < loud < len(heard)


def test_takes_of_wav_speech_sound_different():
    one, two = (samples(make_sound(replace(SPEC, format="wav", variation=each))) for each in range(2))
    assert sum(abs(a - b) > 300 for a, b in zip(one, two, strict=True)) > len(one) * 0.1


@given(st.text(max_size=60), st.floats(0.05, 3))
@settings(max_examples=25, deadline=None)
def test_any_text_is_spoken(text, seconds):
    data = make_sound(SoundSpec(SoundKind.SPEECH, seconds, text, format="wav", tiny=True))
    assert len(samples(data)) == max(1, round(seconds * 8000))


def test_long_sounds_are_made_at_a_lower_rate():
    made = make_sound(replace(SPEC, duration=181, format="wav"))
    assert len(samples(made)) == 181 * 8000


def test_speech_takes_the_time_of_its_text():
    assert duration_of_speech("") == 0.8
    assert duration_of_speech("a" * 140) == pytest.approx(10.4)
    assert duration_of_speech("a, b. c") > duration_of_speech("a b c") + 0.2
    assert duration_of_speech("word " * 40) > duration_of_speech("word " * 20) * 1.8


def test_a_sound_of_no_time_is_refused():
    with pytest.raises(ValueError, match="a sound of 0"):
        SoundSpec(SoundKind.EFFECT, 0)


def test_the_chord_of_films_starts_and_ends_in_silence():
    pcm = array("h", chord(Chance.of("x"), 48_000, 48_000))
    assert len(pcm) == 48_000
    assert max(pcm) > 2_000
    assert max(map(abs, pcm[:500])) < 800
    assert max(map(abs, pcm[-500:])) < 2_500


def test_bytes_are_little_endian_on_every_machine(monkeypatch):
    assert encode.little_endian(array("h", [1, -2])) == b"\1\0\xfe\xff"
    monkeypatch.setattr(encode.sys, "byteorder", "big")
    assert encode.little_endian(array("h", [1, -2])) == b"\0\1\xff\xfe"


def test_chance_is_steady_and_independent_of_the_order_asked():
    chance = Chance.of("prompt", 7, None)
    assert chance.unit("a") == Chance.of("prompt", 7, None).unit("a") == pytest.approx(0.5, abs=0.5)
    assert chance.unit("a") != chance.unit("b")
    assert chance.within("x").unit("a") != chance.unit("a")
    assert {chance.integer(str(each), 2, 4) for each in range(60)} == {2, 3, 4}
    assert all(-1 <= chance.between(str(each), -1, 1) < 1 for each in range(60))
    assert Chance.of("\ud800").hex() != Chance.of("").hex()
    assert len(chance.noise("n", 99)) == 99
