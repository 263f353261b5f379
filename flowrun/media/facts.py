"""What is known of a media file once it was looked at. Values only; looking is `probe`'s."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class MediaKind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Kind, true media type (``image/png``), pixels, container seconds rounded to 1 ms, codec names as FFmpeg calls them."""

    kind: MediaKind
    media_type: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    codecs: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> MediaFacts:
        """Raises KeyError, ValueError or TypeError for what is no facts document."""
        return cls(**{**data, "kind": MediaKind(data["kind"]), "codecs": tuple(data.get("codecs", ()))})
