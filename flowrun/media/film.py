"""Made films: an image that slowly moves, a caption, a light that wanders, a bar that tells the time; H.264 in MP4.

Owns the sandbox's videos. The first frame is the prompt image as it is, cropped from its centre to the ratio; the last
frames dissolve into the last image where one is given. Equal specs give equal bytes on one machine: the encoder runs in
one thread, and nothing reads a clock.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image, ImageDraw

from flowrun.media import lettering, waves
from flowrun.media.chance import Chance
from flowrun.media.encode import FILM_RATE, add_aac, feed
from flowrun.media.picture import PictureSpec, compose, fitted, footer, text_size, tiny_size
from flowrun.media.planes import BLACK, WHITE, Planes
from flowrun.media.scene import paint

FPS = 24
TINY_FPS = 2
_ZOOM = 0.1  # how much nearer the camera gets
_FADE_FRAMES = 10  # until the caption stands, so that the first frame is the image alone
_DISSOLVE = 0.4  # of the film, towards the last image
_BT709 = 1  # ITU-T H.273: primaries, transfer and matrix have the same number
_LIMITED = 1  # FFmpeg's AVCOL_RANGE_MPEG


@dataclass(frozen=True, slots=True)
class FilmSpec:
    """What a film shows. Even pixels, seconds; `first` and `last` are encoded images, `audio` adds a quiet chord.

    `variation` counts the takes of one recipe from 0. `tiny`: 64 pixels wide, 2 frames a second, silent, of the same
    duration, for simulations of thousands.
    """

    width: int
    height: int
    duration: float
    prompt: str = ""
    operation: str = ""
    model: str = ""
    seed: int | None = None
    variation: int = 0
    first: bytes | None = None
    last: bytes | None = None
    audio: bool = False
    fps: int = FPS
    tiny: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for sizes 4:2:0 video cannot have, and for no time."""
        if self.width < 2 or self.height < 2 or self.width % 2 or self.height % 2:
            raise ValueError(f"a film of {self.width} x {self.height} pixels; both must be even")
        if not self.duration > 0 or self.fps < 1:
            raise ValueError(f"a film of {self.duration} s at {self.fps} frames a second")

    @property
    def rate(self) -> int:
        return TINY_FPS if self.tiny else self.fps

    @property
    def frames(self) -> int:
        return max(1, round(self.duration * self.rate))

    @property
    def size(self) -> tuple[int, int]:
        return tiny_size(self.width, self.height) if self.tiny else (self.width, self.height)


def make_film(spec: FilmSpec, container: Literal["mp4", "mov"] = "mp4") -> bytes:
    """The MP4 or QuickTime film, its index in front so that it plays while it loads.

    Raises NotMediaError if `first` or `last` is no image.
    """
    chance = _identity(spec)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options={"moov_size": str(_index_room(spec))}) as out:
        out.metadata["comment"] = f"flowrun sandbox {chance.hex()}"
        stream = _video_stream(out, spec)
        sound = add_aac(out) if spec.audio and not spec.tiny else None
        for number, planes in enumerate(_drawn(spec, chance)):
            frame = planes.frame()
            frame.pts, frame.time_base = number, Fraction(1, spec.rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound:
            samples = round(FILM_RATE * spec.frames / spec.rate)
            feed(out, sound, waves.chord(chance.within("chord"), samples, FILM_RATE), FILM_RATE)
    return buffer.getvalue()


def _identity(spec: FilmSpec) -> Chance:
    return Chance.of(*(getattr(spec, name) for name in spec.__slots__))


def _index_room(spec: FilmSpec) -> int:
    """Bytes kept free in front for the index: a bound of its tables; what stays unused is an empty box."""
    packets = round(spec.duration * FILM_RATE / 1024) if spec.audio else 0
    return 4096 + 40 * spec.frames + 24 * packets


def _video_stream(out: OutputContainer, spec: FilmSpec) -> VideoStream:
    options = {"preset": "ultrafast", "crf": "24", "g": str(spec.rate * 5)}
    stream = out.add_stream("libx264", rate=spec.rate, options=options)
    context = stream.codec_context
    context.thread_count = 1  # more threads are other bytes
    stream.width, stream.height = spec.size
    stream.pix_fmt = "yuv420p"
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED
    return stream


def _drawn(spec: FilmSpec, chance: Chance) -> Iterator[Planes]:
    """The film's frames, each drawn when it is asked for."""
    first = Planes.of(_opening(spec))
    last = Planes.of(fitted(spec.last, *spec.size)) if spec.last else None
    lean = chance.between("lean x", -1, 1), chance.between("lean y", -0.6, 0.6)
    light, caption = _Light.of(spec, chance), None if spec.tiny else _Caption.of(spec)
    for number in range(spec.frames):
        along = number / max(1, spec.frames - 1)
        frame = _camera(first, last, along, lean)
        light.shine(frame, along, min(1.0, number / _FADE_FRAMES) if not spec.tiny else 1.0)
        if caption and number:
            caption.lay(frame, min(number, _FADE_FRAMES), along)
        yield frame


def _opening(spec: FilmSpec) -> Image.Image:
    if spec.first is not None:
        return fitted(spec.first, *spec.size)
    if spec.tiny:
        return compose(
            PictureSpec(*spec.size, spec.prompt, spec.operation, spec.model, spec.seed, spec.variation, tiny=True)
        )
    return paint(*spec.size, Chance.of(spec.prompt, spec.operation, spec.model, spec.seed), spec.variation)


def _camera(first: Planes, last: Planes | None, along: float, lean: tuple[float, float]) -> Planes:
    """Nearer and to a side from the first image; out of the last image's nearness towards the whole of it."""
    share = _smooth((along - 1 + _DISSOLVE) / _DISSOLVE) if last else 0.0
    if last and share >= 1:
        return last.zoomed(1, 0, 0)
    frame = first.zoomed(1 + _ZOOM * along, *lean)
    return frame.mixed(last.zoomed(1 + _ZOOM * (1 - along), *lean), share) if last and share > 0 else frame


def _smooth(share: float) -> float:
    inside = max(0.0, min(share, 1.0))
    return inside * inside * (3 - 2 * inside)


@dataclass(frozen=True, slots=True)
class _Light:
    """A soft spot that wanders along a Lissajous figure: what moves even where the image is plain."""

    masks: tuple[Image.Image, ...]
    width: int
    height: int
    turns: tuple[int, int]
    phase: float

    @classmethod
    def of(cls, spec: FilmSpec, chance: Chance) -> _Light:
        width, height = spec.size
        side = max(8, min(width, height) // 5 // 4 * 4)
        fade = Image.radial_gradient("L").resize((side, side))
        masks = tuple(fade.point(_fall_off(level / _FADE_FRAMES)) for level in range(_FADE_FRAMES + 1))
        turns = chance.pick("turns", [(1, 2), (2, 1), (2, 3), (3, 2)])
        return cls(masks, width, height, turns, chance.unit("phase"))

    def shine(self, frame: Planes, along: float, strength: float) -> None:
        mask = self.masks[round(strength * _FADE_FRAMES)]
        angle = math.tau * (along + self.phase)
        x = round((self.width - mask.width) * (0.5 + 0.4 * math.sin(self.turns[0] * angle)) / 2) * 2
        y = round((self.height - mask.height) * (0.4 + 0.3 * math.sin(self.turns[1] * angle)) / 2) * 2
        frame.cover(WHITE, mask, (x, y))


def _fall_off(strength: float) -> list[int]:
    """From the gradient's distance (0 in the middle) to a mask that is clear from the inscribed circle on."""
    return [round(strength * 170 * max(0.0, 1 - each / 175) ** 2) for each in range(256)]


@dataclass(frozen=True, slots=True)
class _Caption:
    """Prompt and footer in white on a shade along the top, where it covers no still's own text; below, the bar of time.

    `masks` fade it in.
    """

    luma: Image.Image
    masks: tuple[Image.Image, ...]
    bar: int

    @classmethod
    def of(cls, spec: FilmSpec) -> _Caption:
        width, height = spec.size
        size, margin = text_size(width, height), max(2, min(width, height) // 28)
        prompt = lettering.fitted(spec.prompt, round(width * 0.8), size, 2)
        made_by = footer(spec.operation, spec.model, spec.seed, spec.variation)
        foot = lettering.fitted(made_by, width - 2 * margin, max(8, round(size * 0.62)), 1)
        bar = max(2, height // 180 * 2)
        high = min(height, (prompt.height + foot.height + 3 * margin) // 2 * 2)
        luma, mask = Image.new("L", (width, high), BLACK), _shade(width, high)
        for canvas, fill in ((luma, WHITE), (mask, 255)):
            draw = ImageDraw.Draw(canvas)
            prompt.draw(draw, (margin, margin), fill)
            foot.draw(draw, (margin, margin + prompt.height), fill)
        masks = tuple(_weakened(mask, level / _FADE_FRAMES) for level in range(_FADE_FRAMES + 1))
        return cls(luma, masks, bar)

    def lay(self, frame: Planes, level: int, along: float) -> None:
        frame.cover(self.luma, self.masks[level], (0, 0))
        done = max(2, round(frame.luma.width * along / 2) * 2)
        frame.cover(WHITE, Image.new("L", (done, self.bar), 230), (0, frame.luma.height - self.bar))


def _shade(width: int, height: int) -> Image.Image:
    """Dark at the top, clear at the bottom."""
    return Image.linear_gradient("L").resize((width, height)).point([min(150, 255 - each) for each in range(256)])


def _weakened(mask: Image.Image, strength: float) -> Image.Image:
    return mask.point([round(each * strength) for each in range(256)])
