"""What is known of an instance's result, and what a template may see of it. Owns artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from flowrun.diagnostics.span import Span
from flowrun.graph.address import Address
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.store.protocol import StoredFile
from flowrun.template import Unresolved

FACTS = ("width", "height", "duration", "media_type", "sha256")
_EVERY = ("media_type", "sha256")
_FACTS_OF = {
    MediaKind.IMAGE: ("width", "height", *_EVERY),
    MediaKind.VIDEO: FACTS,
    MediaKind.AUDIO: ("duration", *_EVERY),
}


def facts_of(kind: MediaKind | None) -> tuple[str, ...]:
    """The facts that media of a kind have: an image has no duration."""
    return FACTS if kind is None else _FACTS_OF[kind]


@dataclass(frozen=True, slots=True)
class Made:
    """The picked take's files; `takes`: those of every take, None while one of them is still to come."""

    files: tuple[StoredFile, ...]
    takes: tuple[tuple[StoredFile, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Will exist; not known yet. `may_skip`: or will be skipped, which only the run will tell.

    `presumed`: taken to be made all the same, so that what refers to it can be judged before anything ran.
    """

    may_skip: bool = False
    presumed: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """Will not exist, on purpose."""


@dataclass(frozen=True, slots=True)
class Barred:
    """Will not exist in this run: failed, rejected, uncertain, excluded, or below one of those."""

    why: str


Outcome: TypeAlias = Made | Pending | Skipped | Barred


class World(Protocol):
    """Where outcomes are looked up; what nobody has settled is Pending."""

    def outcome(self, address: Address) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Outcomes:
    """A world held in a mapping."""

    known: Mapping[Address, Outcome]

    def outcome(self, address: Address) -> Outcome:
        return self.known.get(address, Pending())


def _fact(facts: MediaFacts, sha256: str, key: str | int) -> object:
    if key == "sha256":
        return sha256
    value = getattr(facts, str(key))
    if value is None:
        raise KeyError(key)
    return value


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a reference to an output yields: media with facts, never a text. `file` is None until it exists."""

    address: Address
    index: int
    kind: MediaKind | None
    file: StoredFile | None

    @property
    def template_opaque(self) -> str:
        return f"an artifact ({self.kind.value})" if self.kind else "an artifact"

    def template_get(self, key: str | int) -> object:
        if key not in facts_of(self.kind):
            raise KeyError(key)
        if self.file is None:
            raise Unresolved(self.address)
        return _fact(self.file.facts, self.file.digest.sha256, key)

    def template_keys(self) -> Iterable[str]:
        return facts_of(self.kind)


@dataclass(frozen=True, slots=True)
class AssetMedia:
    """A named local file or URL. `look` tells its facts and SHA-256, None while it cannot be read."""

    name: str
    written: str
    base: Path
    pin: str | None
    span: Span
    look: Callable[[AssetMedia], tuple[MediaFacts, str] | None]

    template_opaque = "an asset"

    def template_get(self, key: str | int) -> object:
        if key not in FACTS:
            raise KeyError(key)
        seen = self.look(self)
        if seen is None:
            raise Unresolved(self.name)
        return _fact(*seen, key)

    def template_keys(self) -> Iterable[str]:
        return FACTS


Media: TypeAlias = Artifact | AssetMedia
