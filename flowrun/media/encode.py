"""Sound samples into files and tracks. Owns encoders' settings; the samples are 16-bit mono, little-endian."""

from __future__ import annotations

import io
import struct
import sys
from array import array
from fractions import Fraction
from typing import Literal

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer

FILM_RATE = 48_000  # Hz, of the sound in films
_BYTES = 2  # a sample


def little_endian(samples: array[int]) -> bytes:
    """The bytes of 16-bit samples, the same on every machine."""
    if sys.byteorder == "big":
        samples = samples[:]
        samples.byteswap()
    return samples.tobytes()


def as_wav(pcm: bytes, rate: int) -> bytes:
    """A canonical RIFF file: a 44-byte header and the samples."""
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(pcm), b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    return header + struct.pack("<4sI", b"data", len(pcm)) + pcm


def as_mp3(pcm: bytes, rate: int, mark: str) -> bytes:
    """An MP3 of constant bit rate with a Xing header, and `mark` in its ID3 comment."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as out:
        out.metadata["comment"] = mark
        stream = out.add_stream("libmp3lame", rate=rate, layout="mono", options={"compression_level": "9"})
        stream.codec_context.bit_rate = 128_000 if rate > 24_000 else 24_000
        feed(out, stream, pcm, rate)
    return buffer.getvalue()


def as_flac(pcm: bytes, rate: int, mark: str) -> bytes:
    """A FLAC with `mark` in its comment."""
    return _encoded(pcm, rate, mark, "flac", "flac")


def as_ogg_opus(pcm: bytes, rate: int, mark: str) -> bytes:
    """An Ogg Opus with `mark` in its comment. `rate` must be one of Opus's own, such as 8,000 or 48,000."""
    return _encoded(pcm, rate, mark, "ogg", "libopus")


def _encoded(pcm: bytes, rate: int, mark: str, container: str, codec: Literal["flac", "libopus"]) -> bytes:
    """The same bytes each time: Ogg's serial number, which would be random, is fixed by `bitexact`."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options={"fflags": "+bitexact"}) as out:
        out.metadata["comment"] = mark
        stream = out.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)  # noqa: S101  # its stub knows some codecs by name only
        feed(out, stream, pcm, rate)
    return buffer.getvalue()


def add_aac(out: OutputContainer) -> AudioStream:
    """A sound track for a film; `feed` it at FILM_RATE."""
    stream = out.add_stream("aac", rate=FILM_RATE, layout="mono", options={"aac_coder": "fast"})
    stream.codec_context.bit_rate = 96_000
    return stream


def feed(out: OutputContainer, stream: AudioStream, pcm: bytes, rate: int) -> None:
    """Encode all of `pcm` into `stream`, and end it."""
    frame = AudioFrame("s16", "mono", len(pcm) // _BYTES)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
    out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
