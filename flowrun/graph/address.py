"""Addresses: how one node, instance or take is named everywhere. Owns the syntax; the rules of keys are manifest's.

``address = segment {"." segment} ["#" take]``, ``segment = id ["[" key "]"]``: ``ep[s1].shot[intro]#2``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

_SEGMENT = re.compile(r"""(?P<id>[A-Za-z_][A-Za-z0-9_]*)(?:\[(?P<key>[^'"\[\]#,&/\\\x00-\x1f\x7f-\x9f]{1,80})\])?""")
_TAKE = re.compile(r"[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class Segment:
    id: str
    key: str | None = None

    def __str__(self) -> str:
        return self.id if self.key is None else f"{self.id}[{self.key}]"


@dataclass(frozen=True, slots=True)
class Address:
    """One node, instance or, with `take`, one of its takes."""

    segments: tuple[Segment, ...]
    take: int | None = None

    def __str__(self) -> str:
        text = ".".join(str(segment) for segment in self.segments)
        return text if self.take is None else f"{text}#{self.take}"

    def __lt__(self, other: Address) -> bool:
        return str(self) < str(other)

    @property
    def node_id(self) -> str:
        return self.segments[-1].id

    @property
    def key(self) -> str | None:
        return self.segments[-1].key

    def of_take(self, take: int) -> Address:
        return replace(self, take=take)

    def without_take(self) -> Address:
        return self if self.take is None else replace(self, take=None)


def address(node_id: str, key: str | None = None) -> Address:
    return Address((Segment(node_id, key),))


def parse(text: str) -> Address:
    """An address as a person types it: in any Unicode form. Raises ValueError, saying what an address looks like."""
    body, mark, take = unicodedata.normalize("NFC", text).partition("#")
    if mark and not _TAKE.fullmatch(take):
        raise ValueError(f"'{take}' is no take: write a number from 1, as in {body or 'node'}#2")
    segments = []
    position = 0
    while True:
        match = _SEGMENT.match(body, position)
        if not match:
            break
        segments.append(Segment(match["id"], match["key"]))
        position = match.end()
        if position == len(body):
            return Address(tuple(segments), int(take) if mark else None)
        if body[position] != ".":
            break
        position += 1
    raise ValueError(f"'{text}' is no address: write node, node[key] or node[key]#take")
