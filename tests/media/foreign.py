"""Media as others make it: every container and codec flowrun accepts, small, made with FFmpeg's own encoders."""

from __future__ import annotations

import hashlib
import io
import math
import struct
from fractions import Fraction
from functools import cache

import av
from PIL import Image

RATE = 48_000


@cache
def sound(container: str, codec: str, seconds: float = 1.0, **options: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=RATE, layout="mono")
        out.mux(stream.encode(_tone(seconds)))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def _tone(seconds: float) -> av.AudioFrame:
    count = round(RATE * seconds)
    samples = (int(9000 * math.sin(each * each * 1e-5)) for each in range(count))
    frame = av.AudioFrame("s16", "mono", count)
    frame.sample_rate, frame.pts = RATE, 0
    frame.planes[0].update(struct.pack(f"<{count}h", *samples).ljust(frame.planes[0].buffer_size, b"\0"))
    return frame


@cache
def film(
    container: str, codec: str, count: int = 24, *, audio: str = "", size: tuple[int, int] = (64, 48), **options: str
) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.thread_count = 1
        track = out.add_stream(audio, rate=RATE, layout="mono") if audio else None
        for number in range(count):
            frame = av.VideoFrame.from_image(noise(size, str(number)))
            frame.pts, frame.time_base = number, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track:
            out.mux(track.encode(_tone(count / 24)))
            out.mux(track.encode(None))
    return buffer.getvalue()


def noise(size: tuple[int, int], seed: str = "") -> Image.Image:
    grey = hashlib.shake_256(seed.encode()).digest(size[0] * size[1])
    return Image.frombytes("L", size, grey).convert("RGB")


def image(kind: str, size: tuple[int, int] = (60, 40), **options: object) -> bytes:
    buffer = io.BytesIO()
    noise(size).save(buffer, kind, **options)
    return buffer.getvalue()


def on_its_side(mp4: bytes) -> bytes:
    """The film with a quarter turn in its track header (ISO/IEC 14496-12, 8.3.2: the matrix is 40 bytes in)."""
    at = mp4.index(b"tkhd") + 44
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    return mp4[:at] + matrix + mp4[at + 36 :]
