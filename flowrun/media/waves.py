"""Sound from small tables: one period of a voice, a quarter second of a chord, a stretch of noise, each tiled.

Owns the synthesis. Only the tables are computed sample by sample; all the rest is copying bytes, which makes ten seconds
of sound in a few hundredths. Samples are 16-bit, mono; the results are little-endian bytes of exactly the asked number.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from flowrun.media.chance import Chance
from flowrun.media.encode import little_endian

_LEVELS = 16  # steps of loudness; a step a period is not heard
_VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))  # Hz, formants
_PEAK = 11_000  # of 32,767
_CHORDS = ((0, 4, 7), (0, 3, 7), (0, 5, 9), (0, 7, 11))  # semitones


@dataclass(frozen=True, slots=True)
class Table:
    """One tile of sound at every loudness: `levels[0]` is silence, the last is full."""

    levels: tuple[bytes, ...]

    @classmethod
    def of(cls, samples: list[float]) -> Table:
        peak = max((abs(each) for each in samples), default=0.0) or 1.0
        return cls(tuple(_scaled(samples, _PEAK * level / (_LEVELS - 1) / peak) for level in range(_LEVELS)))

    def at(self, loudness: float) -> bytes:
        return self.levels[round(max(0.0, min(loudness, 1.0)) * (_LEVELS - 1))]


def _scaled(samples: list[float], factor: float) -> bytes:
    return little_endian(array("h", [int(each * factor) for each in samples]))


@lru_cache(maxsize=256)
def voiced(vowel: int, period: int, rate: int) -> Table:
    """One glottal period: three formants that ring and die away. `period` in samples."""
    formants = _VOWELS[vowel % len(_VOWELS)]
    strengths, dying = (1.0, 0.6, 0.3), (70.0, 90.0, 130.0)
    samples = []
    for number in range(period):
        time = number / rate
        parts = (
            strength * math.exp(-math.pi * width * time) * math.sin(math.tau * hertz * time)
            for hertz, strength, width in zip(formants, strengths, dying, strict=True)
        )
        closing = min(1.0, (period - number) / (0.15 * period))
        samples.append(closing * sum(parts))
    return Table.of(samples)


def hiss(chance: Chance, samples: int, smoothing: int) -> Table:
    """Noise, the darker the more neighbours (`smoothing`) are averaged."""
    raw = chance.noise("hiss", samples + smoothing)
    total, out = float(sum(raw[:smoothing])), []
    for number in range(samples):
        out.append(total - 127.5 * smoothing)
        total += raw[number + smoothing] - raw[number]
    return Table.of(out)


def silence(samples: int) -> bytes:
    return bytes(2 * max(0, samples))


def exactly(pieces: Iterator[bytes], samples: int) -> bytes:
    """Join until `samples` are there; cut or fill with silence to be exact."""
    parts, have = [], 0
    for piece in pieces:
        parts.append(piece)
        have += len(piece)
        if have >= 2 * samples:
            break
    return b"".join(parts)[: 2 * samples].ljust(2 * samples, b"\0")


def swell(along: float) -> float:
    """Loudness over a syllable or burst: quickly up, slowly down."""
    return min(1.0, along / 0.18) * (1 - along) ** 0.7 if 0 <= along < 1 else 0.0


def chord(chance: Chance, samples: int, rate: int) -> bytes:
    """A quiet chord that breathes, for films with sound. Its tones have whole periods in a quarter second: no clicks."""
    tile = rate // 4
    root = chance.between("root", 110, 196)
    tones = [round(root * 2 ** (step / 12) / 4) * 4 for step in chance.pick("chord", _CHORDS)]
    table = Table.of([sum(math.sin(math.tau * hertz * each / rate) for hertz in tones) for each in range(tile)])
    return exactly(_breathing(table, samples, tile, chance.between("breath", 2.0, 4.0) * rate), samples)


def _breathing(table: Table, samples: int, tile: int, period: float) -> Iterator[bytes]:
    """The tile in sixteenths, each a little louder or softer than the one before."""
    step = tile // 16
    for start in range(0, samples, step):
        edge = min(1.0, 8 * start / samples, 8 * (samples - start) / samples)
        loudness = edge * (0.45 + 0.25 * math.sin(math.tau * start / period))
        offset = start % tile
        yield table.at(loudness)[2 * offset : 2 * (offset + step)]
