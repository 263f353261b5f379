"""Looking at media: what a file truly is, whatever its name or its server says, and whether all of it is there.

Owns the judgement "usable media, of this type, this large, this long". A still is decoded whole. Of video and sound
the declared byte extents are checked, the index against the file's size, the first and the last frames decoded; where
a format declares no extents, all packets are read. Memory stays small however big the file is. Decoding is `still`'s and
`container`'s, loaded when first needed; the table of types is `types`'s, and its names are offered here too.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

from flowrun.media.errors import NotMediaError
from flowrun.media.extents import Extent, extent_of
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.media.types import (
    HEAD,
    extension,
    id3_size,
    kind_of,
    kind_of_extension,
    normalized,
    same_kind,
    sniff,
    type_of_extension,
)

__all__ = [
    "NotMediaError",
    "extension",
    "kind_of",
    "kind_of_extension",
    "normalized",
    "probe",
    "probe_bytes",
    "same_kind",
    "sniff",
    "type_of_extension",
]

_CUT = "it is cut short: the {size:,} bytes here are not all that it declares"
_CODECS = {"image/png": "png", "image/jpeg": "mjpeg", "image/webp": "webp", "image/gif": "gif"}  # FFmpeg's names


def probe(path: Path) -> MediaFacts:
    """The facts of a file. Raises NotMediaError for what is no usable media, OSError for what cannot be read."""
    with path.open("rb") as stream:
        return _probe(stream)


def probe_bytes(data: bytes | memoryview) -> MediaFacts:
    """The facts of media held in memory, or of a view, which is not copied. Raises NotMediaError."""
    return _probe(io.BytesIO(data) if isinstance(data, bytes) else io.BufferedReader(_Reader(data)))


class _Reader(io.RawIOBase):
    """Reads a view as a file is read."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._data)}[whence]
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        piece = self._data[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _probe(stream: BinaryIO) -> MediaFacts:
    size = stream.seek(0, os.SEEK_END)
    media_type = _sniffed(stream)
    if media_type is None:
        stream.seek(0)
        raise NotMediaError(_what_else(stream.read(HEAD)))
    extent = extent_of(stream, size, media_type)
    if extent is Extent.CUT:
        raise NotMediaError(_CUT.format(size=size))
    if media_type in _CODECS:
        return _still_facts(stream, media_type)
    return _container_facts(stream, media_type, size, extent)


def _sniffed(stream: BinaryIO) -> str | None:
    """The type by the first bytes, looked for behind an ID3 tag however long it is."""
    stream.seek(0)
    head = stream.read(HEAD)
    tag = id3_size(head)
    if tag <= HEAD - 4:
        return sniff(head)
    stream.seek(tag)
    return sniff(stream.read(16)) or "audio/mpeg"


def _what_else(head: bytes) -> str:
    """What people receive in place of media, in words."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "it is empty"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "it is an HTML page, most likely a server's error or login page"
    if text.startswith((b"<?xml", b"<svg", b"<error")):
        return "it is XML or SVG"
    if text.startswith((b"{", b"[")):
        return "it is JSON, most likely a server's error message"
    if b"\0" not in head and head.decode("utf-8", "replace").count("\ufffd") <= 1:
        return "it is text"
    return "its first bytes belong to no media format known here"


def _still_facts(stream: BinaryIO, media_type: str) -> MediaFacts:
    from flowrun.media import still  # Pillow is loaded by the first image that is looked at

    width, height = still.decoded(stream, media_type).size
    return MediaFacts(MediaKind.IMAGE, media_type, width, height, codecs=(_CODECS[media_type],))


def _container_facts(stream: BinaryIO, media_type: str, size: int, extent: Extent) -> MediaFacts:
    from flowrun.media import container  # PyAV takes a tenth of a second to load

    return container.facts(stream, media_type, size, whole=extent is Extent.WHOLE)
