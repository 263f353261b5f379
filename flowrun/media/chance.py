"""Numbers that look drawn by lot and are not: each is computed from an identity and a label.

Owns the only "randomness" of made media. Equal identity and label give an equal number on every machine and in any
order of asking, so that adding one decoration to a picture moves none of the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chance:
    """A source of numbers, named by 32 bytes. `Chance.of` makes one from any printable values."""

    identity: bytes

    @classmethod
    def of(cls, *values: object) -> Chance:
        """From values whose `repr` says all of them: text, numbers, bytes, None, tuples of these."""
        return cls(hashlib.sha256(repr(values).encode("utf-8", "backslashreplace")).digest())

    def _integer(self, label: str) -> int:
        return int.from_bytes(hashlib.blake2b(label.encode(), key=self.identity, digest_size=8).digest(), "big")

    def unit(self, label: str) -> float:
        """A number in [0, 1)."""
        return (self._integer(label) >> 11) / (1 << 53)

    def between(self, label: str, low: float, high: float) -> float:
        return low + (high - low) * self.unit(label)

    def integer(self, label: str, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        return low + self._integer(label) % (high - low + 1)

    def pick(self, label: str, choices: Sequence[T]) -> T:
        return choices[self._integer(label) % len(choices)]

    def noise(self, label: str, size: int) -> bytes:
        """`size` bytes of white noise."""
        return hashlib.shake_256(self.identity + label.encode()).digest(size)

    def within(self, label: str) -> Chance:
        """A source of its own, for one part of what is made."""
        return Chance(hashlib.blake2b(label.encode(), key=self.identity, digest_size=32).digest())

    def hex(self) -> str:
        """The identity in 16 digits, to be written into made media, so that no two of them are equal by accident."""
        return self.identity.hex()[:16]
