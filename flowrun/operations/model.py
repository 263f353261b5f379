"""Words of the catalogue: paths, inputs, media slots, problems, and what stands in for values not known yet.

Owns their shape; the schema gives them content (`structure`, `spec`), checks make the problems (`check`, `rules`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any, Final, Literal

from flowrun.diagnostics.model import Severity
from flowrun.media.facts import MediaKind

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]


class Unknown(Enum):
    """The type of `UNKNOWN`, so that a type checker can tell it apart."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final[Literal[Unknown.UNKNOWN]] = Unknown.UNKNOWN
"""Stands where a value is not known yet: it satisfies `required`, and nothing at or below it is reported."""


@dataclass(frozen=True, slots=True)
class MediaLeaf:
    """Stands where media will be, of this kind; None: of a kind not known yet."""

    kind: MediaKind | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in one request that takes media. `kind` is None only while a `type` beside it leaves it open.

    `data_uri_limit`: the most characters that a whole data URI may have here, by the description and by today's API.
    """

    path: Path
    kind: MediaKind | None
    data_uri_limit: int


@dataclass(frozen=True, slots=True)
class SlotPattern:
    """A place where a model takes media, in any request: ``*`` stands for the positions of a list."""

    path: tuple[str, ...]
    kind: MediaKind
    data_uri_limit: int

    def __str__(self) -> str:
        return ".".join(self.path).replace(".*", "[]")


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a model. Bounds are of the number, the text (UTF-16 code units) or the list, whichever it takes.

    `types` are JSON Schema's names; `schema` is the whole of what the API says of it.
    """

    name: str
    required: bool
    types: frozenset[str]
    enum: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    default: Any = None
    media: frozenset[MediaKind] = frozenset()
    schema: Schema = field(default_factory=dict, repr=False)

    @property
    def is_media(self) -> bool:
        """Whether media stands in this input or somewhere below it."""
        return bool(self.media)


@dataclass(frozen=True, slots=True)
class Retired:
    """The live API refuses the model, since that day where it is known. The successor may be unknown to this catalogue."""

    since: date | None
    successor: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request. `path` is the smallest part that must change.

    `missing` names an input that the mapping at `path` lacks; `earlier` is the place that a duplicate repeats.
    """

    path: Path
    code: str
    message: str
    hint: str | None = None
    severity: Severity = Severity.ERROR
    missing: str | None = None
    earlier: Path | None = None

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


def dotted(path: Path) -> str:
    """A path as people write it: ``referenceImages[0].tag``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
