"""Whether a file is as long as it says of itself. Owns the few bytes of each format that declare a length.

A cut download often opens and plays; only the declared extents give it away, and reading them costs a few seeks
however big the file is. Nothing is decoded here. Sources: ISO/IEC 14496-12 (boxes), RFC 8794 (EBML), the RIFF and
Ogg (RFC 3533) page layouts, PNG (chunks), the Xing header as LAME writes it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import BinaryIO

from flowrun.media.types import id3_size

_TAIL = 1 << 17  # two Ogg pages of the greatest size (65,307 bytes)
_MANY_BOXES = 1_000_000  # a fragmented film of days has fewer
_MPEG1_KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_MPEG2_KILOBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)


class Extent(Enum):
    """WHOLE: all declared bytes are here. CUT: some are not. UNKNOWN: the format, or this file, declares no length."""

    WHOLE = "whole"
    CUT = "cut"
    UNKNOWN = "unknown"


def extent_of(stream: BinaryIO, size: int, media_type: str) -> Extent:
    """Compare what the file declares with the `size` bytes it has. Moves the stream's position."""
    check = _CHECKS.get(media_type)
    return check(stream, size) if check else Extent.UNKNOWN


def _at(stream: BinaryIO, position: int, count: int) -> bytes:
    stream.seek(position)
    return stream.read(count)


def _whole_if(fits: bool) -> Extent:
    return Extent.WHOLE if fits else Extent.CUT


def _iso(stream: BinaryIO, size: int) -> Extent:
    """Top-level boxes lie end to end up to the end of the file, and one of them is the index, `moov`."""
    position, seen, open_ended = 0, set[bytes](), False
    for _ in range(_MANY_BOXES):
        if position >= size or open_ended:
            break
        head = _at(stream, position, 16)
        kind, length = head[4:8], _box_length(head)
        if {b"moov", b"mdat"} <= seen and not kind.isalnum():
            break  # something appended behind a whole film
        open_ended = length == 0
        if len(head) < 8 or 0 < length < 8 or position + length > size:
            return Extent.CUT
        seen.add(kind)
        position += length
    if b"moov" not in seen:
        return Extent.CUT
    return Extent.UNKNOWN if open_ended else Extent.WHOLE


def _box_length(head: bytes) -> int:
    """Bytes of a box with its header; 0 means up to the end of the file."""
    length = int.from_bytes(head[:4], "big")
    return int.from_bytes(head[8:16], "big") if length == 1 else length


def _ebml(stream: BinaryIO, size: int) -> Extent:
    """The EBML header, then one Segment with a size, all ones where a live recorder did not know it."""
    head = _at(stream, 0, 4096)
    header_size, body = _vint(head, 4)
    position = body + header_size
    segment = _at(stream, position, 16)
    if segment[:4] != b"\x18\x53\x80\x67":
        return _whole_if(len(segment) >= 4)
    length, after = _vint(segment, 4)
    if _is_unknown(length, after - 4):
        return _ebml_live(stream, position + after, size)
    return _whole_if(position + after + length <= size)


def _ebml_live(stream: BinaryIO, position: int, size: int) -> Extent:
    """A live recording, element by element: only a torn last one gives a cut away."""
    while position < size:
        head = _at(stream, position, 12)
        _, id_end = _vint(head, 0)
        length, after = _vint(head, id_end)
        if id_end > 4:
            break  # no element; whatever it is, no length of it is known
        inside = head[:id_end] == b"\x1f\x43\xb6\x75" and _is_unknown(length, after - id_end)  # a live Cluster
        position += after if inside else after + length
    return Extent.CUT if position > size else Extent.UNKNOWN


def _is_unknown(length: int, width: int) -> bool:
    return length == (1 << 7 * width) - 1


def _vint(data: bytes, position: int) -> tuple[int, int]:
    """An EBML variable-length number at `position`, and where it ends. What is cut counts as zero."""
    first = data[position] if position < len(data) else 0
    width = 9 - first.bit_length()
    end = position + width
    raw = int.from_bytes(data[position:end], "big")
    return raw & ((1 << 7 * width) - 1), end


def _webp(stream: BinaryIO, size: int) -> Extent:
    return _whole_if(int.from_bytes(_at(stream, 4, 4), "little") + 8 <= size)


def _wav(stream: BinaryIO, size: int) -> Extent:
    """The `data` chunk's length; a pipe could not know it and wrote all ones (or RF64 keeps it elsewhere)."""
    position = 12
    while position + 8 <= size:
        head = _at(stream, position, 8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            return Extent.UNKNOWN if length in (0, 0xFFFFFFFF) else _whole_if(position + 8 + length <= size)
        position += 8 + length + length % 2
    return Extent.CUT


def _ogg(stream: BinaryIO, size: int) -> Extent:
    """The last page is complete and says that it is the last."""
    start = max(0, size - _TAIL)
    tail = _at(stream, start, _TAIL)
    page = tail.rfind(b"OggS")
    if page < 0 or page + 27 > len(tail):
        return Extent.CUT
    segments = tail[page + 27 : page + 27 + tail[page + 26]]
    complete = page + 27 + tail[page + 26] + sum(segments) <= len(tail)
    return _whole_if(complete and bool(tail[page + 5] & 0x04))


def _mp3(stream: BinaryIO, size: int) -> Extent:
    """The Xing (or Info) header inside the first frame counts the bytes from that frame on."""
    start = id3_size(_at(stream, 0, 10))
    frame = _at(stream, start, 256)
    mark = max(frame.find(b"Xing"), frame.find(b"Info"))
    flags = frame[mark + 7] if 0 <= mark < len(frame) - 16 else 0
    if flags & 3 != 3:
        return Extent.UNKNOWN
    return _whole_if(start + int.from_bytes(frame[mark + 12 : mark + 16], "big") <= size)


def mp3_frame_length(head: bytes) -> int:
    """Bytes of a layer III frame by its four header bytes (ISO/IEC 11172-3, 13818-3), 0 where they are none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, rate, pad = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or rate == 3:
        return 0
    first = version == 3  # MPEG-1; 2 is MPEG-2, 0 its half-rate extension
    hertz = (44100, 48000, 32000)[rate] >> (0 if first else 1 if version == 2 else 2)
    kilobits = (_MPEG1_KILOBITS if first else _MPEG2_KILOBITS)[head[2] >> 4]
    return (144 if first else 72) * kilobits * 1000 // hertz + pad if kilobits else 0


def _png(stream: BinaryIO, size: int) -> Extent:
    position = 8
    while position + 12 <= size:
        head = _at(stream, position, 8)
        position += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            return _whole_if(position <= size)
    return Extent.CUT


_CHECKS: dict[str, Callable[[BinaryIO, int], Extent]] = {
    "image/png": _png,
    "image/webp": _webp,
    "video/mp4": _iso,
    "video/quicktime": _iso,
    "video/3gpp": _iso,
    "audio/mp4": _iso,
    "video/webm": _ebml,
    "video/x-matroska": _ebml,
    "audio/mpeg": _mp3,
    "audio/wav": _wav,
    "audio/ogg": _ogg,
}
