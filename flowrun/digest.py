"""Content digests. Owns how bytes get their name; what is done with the name is everyone else's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """SHA-256 (64 lowercase hex digits) and size in bytes of some content."""

    sha256: str
    size: int

    def __str__(self) -> str:
        return f"sha256:{self.sha256}"

    def to_json(self) -> dict[str, object]:
        return {"sha256": self.sha256, "size": self.size}


def of_bytes(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest(), len(data))


def of_chunks(chunks: Iterable[bytes]) -> Digest:
    """Digest of a stream, read once and not kept."""
    hasher, size = hashlib.sha256(), 0
    for chunk in chunks:
        hasher.update(chunk)
        size += len(chunk)
    return Digest(hasher.hexdigest(), size)


def of_stream(stream: BinaryIO) -> Digest:
    return of_chunks(iter(lambda: stream.read(CHUNK), b""))
