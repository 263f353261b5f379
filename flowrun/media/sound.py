"""Made sound: speech that has the rhythm of its text and the pitch of its voice, and effects. MP3, WAV, FLAC or Ogg Opus.

Owns the sandbox's audio. It says nothing that could be understood; equal specs give equal bytes, others give others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from flowrun.media import waves
from flowrun.media.chance import Chance
from flowrun.media.encode import as_flac, as_mp3, as_ogg_opus, as_wav

SoundFormat = Literal["mp3", "wav", "flac", "ogg"]
RATE = 44_100  # Hz
OPUS_RATE = 48_000  # Hz; that codec has no 44,100
TINY_RATE = 8_000
_LONG = 180.0  # seconds; beyond, the lower rate will do: an hour is made in seconds instead of a minute
_CHARACTERS_A_SECOND = 14.0
_SYLLABLE = 3  # letters
_PAUSES = {",": 0.2, ";": 0.3, ":": 0.3, ".": 0.45, "!": 0.45, "?": 0.45, "…": 0.5, "\n": 0.4}  # seconds


class SoundKind(StrEnum):
    SPEECH = "speech"
    EFFECT = "effect"


@dataclass(frozen=True, slots=True)
class SoundSpec:
    """What a sound is made from. `duration` in seconds; `voice` is any name, which gives the pitch.

    `variation` counts the takes of one recipe from 0. `tiny`: the same duration at 8 kHz, for simulations of thousands;
    so is what lasts more than three minutes.
    """

    kind: SoundKind
    duration: float
    text: str = ""
    voice: str = ""
    variation: int = 0
    format: SoundFormat = "mp3"
    operation: str = ""
    model: str = ""
    seed: int | None = None
    tiny: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for no time."""
        if not self.duration > 0:
            raise ValueError(f"a sound of {self.duration} s")


def make_sound(spec: SoundSpec) -> bytes:
    """The encoded sound, exact to a sample before encoding."""
    chance = Chance.of(*(getattr(spec, name) for name in spec.__slots__))
    rate = TINY_RATE if spec.tiny or spec.duration > _LONG else OPUS_RATE if spec.format == "ogg" else RATE
    samples = max(1, round(spec.duration * rate))
    pieces = _speech(spec, chance, rate) if spec.kind is SoundKind.SPEECH else _effect(chance, rate)
    pcm = waves.exactly(pieces, samples)
    if spec.format == "wav":
        return as_wav(pcm, rate)
    encode = {"mp3": as_mp3, "flac": as_flac, "ogg": as_ogg_opus}[spec.format]
    return encode(pcm, rate, f"flowrun sandbox {chance.hex()}")


def duration_of_speech(text: str) -> float:
    """Seconds a voice would need, to a hundredth: about 14 characters a second and the pauses; never under 0.8."""
    spoken = len(" ".join(text.split())) / _CHARACTERS_A_SECOND
    pauses = sum(_PAUSES.get(each, 0.0) for each in text.strip()[:-1]) * 0.5
    return round(max(0.8, 0.4 + spoken + pauses), 2)


def _speech(spec: SoundSpec, chance: Chance, rate: int) -> Iterator[bytes]:
    """Syllable after syllable, the text again and again; `exactly` ends it. Stretched a little to fill the time."""
    text = spec.text if any(each.isalnum() for each in spec.text) else "babababa bababa, babababababa."
    pace = max(0.7, min(spec.duration / duration_of_speech(text), 1.4))
    voice = Chance.of("voice", spec.voice)
    hertz = voice.between("pitch", 95, 230)
    yield waves.silence(round(rate * chance.between("breath", 0.05, 0.12)))
    while True:
        for number, (part, pause) in enumerate(_syllables(text)):
            yield from _syllable(chance.within(f"{number} {part}"), hertz, pace, rate)
            yield waves.silence(round(rate * pause * pace))
        yield waves.silence(round(rate * 0.5))


def _syllables(text: str) -> Iterator[tuple[str, float]]:
    """Pieces of words, each with the pause behind it in seconds."""
    for word in text.split():
        parts = [word[each : each + _SYLLABLE] for each in range(0, len(word), _SYLLABLE)]
        for part in parts[:-1]:
            yield part, 0.01
        yield parts[-1], _PAUSES.get(word[-1], 0.05)


def _syllable(chance: Chance, hertz: float, pace: float, rate: int) -> Iterator[bytes]:
    """A breath of noise, then a vowel whose pitch falls a little, period by period."""
    hissing = round(rate * chance.pick("consonant", [0.0, 0.02, 0.045]))
    yield waves.hiss(chance, 256, chance.integer("dark", 1, 6)).at(0.3) * (hissing // 256)
    left = round(rate * chance.between("length", 0.11, 0.19) * pace)
    vowel, start, total = chance.integer("vowel", 0, 4), hertz * chance.between("tone", 0.9, 1.15), left
    while left > 0:
        along = 1 - left / total
        period = round(rate / (start * (1 - 0.12 * along)) / 4) * 4  # steps of four keep the tables few
        yield waves.voiced(vowel, period, rate).at(waves.swell(along))
        left -= period


def _effect(chance: Chance, rate: int) -> Iterator[bytes]:
    """Bursts of noise and sweeps of a tone, for ever; `exactly` ends it."""
    number = 0
    while True:
        part = chance.within(f"event {number}")
        yield from _burst(part, rate) if part.unit("kind") < 0.5 else _sweep(part, rate)
        yield waves.silence(round(rate * part.between("rest", 0.02, 0.25)))
        number += 1


def _burst(chance: Chance, rate: int) -> Iterator[bytes]:
    tile = 1024
    table = waves.hiss(chance, tile, chance.integer("dark", 1, 24))
    count = max(1, round(rate * chance.between("length", 0.15, 0.8) / tile))
    for each in range(count):
        yield table.at(waves.swell((each + 0.5) / count))


def _sweep(chance: Chance, rate: int) -> Iterator[bytes]:
    """A tone gliding between two pitches: periods of changing length, each whole."""
    low, high = chance.between("from", 120, 900), chance.between("to", 120, 900)
    seconds, vowel, time = chance.between("length", 0.3, 1.0), chance.integer("vowel", 0, 4), 0.0
    while time < seconds:
        along = time / seconds
        period = round(rate / (low * (high / low) ** along) / 2) * 2 or 2
        yield waves.voiced(vowel, period, rate).at(0.8 * waves.swell(along))
        time += period / rate
