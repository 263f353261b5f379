"""A body that is told, not held: media, and behind it an empty box as long as a scenario wants. Owns cutting it into pieces.

The box is ISO base media's ``free`` (ISO/IEC 14496-12, 8.1.2), which every reader of MP4 and QuickTime skips, so that a film
padded to gigabytes stays the film that it was. Its bytes are zeros, made as they are sent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

PIECE = 65_536  # bytes
TICK = 0.1  # seconds between two pieces of a slow body
_ZEROS = bytes(PIECE)
_LARGEST = 2**32 - 1  # of a box whose length is told in 32 bits


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes ``[begin, end)`` of `media` with `padding` zeros behind it. `rate`: bytes a second, None: at once."""

    media: bytes
    padding: int = 0
    begin: int = 0
    end: int = 0
    rate: int | None = None

    @classmethod
    def of(cls, media: bytes, pad: int = 0, rate: int | None = None) -> Content:
        """`pad`: the size of a box behind the media; one of less than its own header is none."""
        head = _box(pad)
        padding = pad - len(head) if head else 0
        return cls(media + head, padding, 0, len(media) + len(head) + padding, rate)

    def __len__(self) -> int:
        return self.end - self.begin

    def part(self, begin: int, end: int) -> Content:
        """Bytes `begin` to `end` of this."""
        return replace(self, begin=self.begin + begin, end=min(self.end, self.begin + end))

    def pieces(self) -> Iterator[tuple[float, bytes]]:
        """The bytes, each piece with the seconds to wait before it; the same ones each time."""
        size, wait = PIECE, 0.0
        if self.rate is not None:
            size = max(1, min(PIECE, round(self.rate * TICK)))
            wait = size / self.rate
        for at in range(self.begin, self.end, size):
            yield wait, self._piece(at, min(at + size, self.end))

    def _piece(self, begin: int, end: int) -> bytes:
        held = self.media[begin:end]
        missing = end - begin - len(held)
        return held + _ZEROS[:missing] if missing else held


def _box(size: int) -> bytes:
    """The head of a box of so many bytes in all."""
    if size < 8:
        return b""
    return struct.pack(">I4s", size, b"free") if size <= _LARGEST else struct.pack(">I4sQ", 1, b"free", size)
