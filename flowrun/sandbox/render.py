"""Making an output's media from its recipe, once. Owns the making; what is made is decided by the recipe alone.

The codecs are loaded when the first output is made. Making may take seconds and may be done in any thread; two that make the same
output at once make the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.sandbox.recipe import digest_of, facts_of, read
from flowrun.sandbox.state import Blobs

PLACEHOLDER_SIZE = (640, 360)
_FORMATS: Mapping[str, Any] = {  # as the makers call them
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
}


@dataclass(frozen=True, slots=True)
class Render:
    """A recipe that makes the media's bytes when it is called. They are kept as a blob by the recipe's digest."""

    recipe: str
    blobs: Blobs

    @property
    def digest(self) -> str:
        return digest_of(self.recipe)

    @property
    def facts(self) -> MediaFacts:
        return facts_of(self.recipe)

    @property
    def media_type(self) -> str:
        return self.facts.media_type

    def keep(self) -> str:
        """Keep the recipe itself, so that another may name it by its digest, which is returned."""
        self.blobs.write(f"recipes/{self.digest}", self.recipe.encode())
        return self.digest

    def __call__(self) -> bytes:
        """The bytes, made now if they never were. Raises OSError where they cannot be kept."""
        name = f"outputs/{self.digest}"
        made = self.blobs.read(name)
        if made is None:
            made = self._made()
            self.blobs.write(name, made)
        return made

    def _made(self) -> bytes:
        document = read(self.recipe)
        make = {MediaKind.IMAGE: self._picture, MediaKind.VIDEO: self._film, MediaKind.AUDIO: self._sound}
        return make[MediaKind(document["kind"])](document)

    def _picture(self, document: Mapping[str, Any]) -> bytes:
        from flowrun.media.picture import PictureSpec, Reference, draw_picture  # loads Pillow

        shown = tuple(
            Reference(self._bytes_of(each), each["tag"]) for each in document["sources"] if each["role"] == "reference"
        )
        kind = _FORMATS[document["type"]]
        return draw_picture(PictureSpec(**_sized(document), references=shown, format=kind))

    def _film(self, document: Mapping[str, Any]) -> bytes:
        from flowrun.media.film import FilmSpec, make_film  # loads the codecs

        first, last = self._frame(document, "first"), self._frame(document, "last")
        timed = {**_sized(document), "duration": document["seconds"], "audio": document["audio"]}
        return make_film(FilmSpec(**timed, first=first, last=last), _FORMATS[document["type"]])

    def _frame(self, document: Mapping[str, Any], role: str) -> bytes | None:
        """The image that the film begins from or ends in."""
        from flowrun.media.frames import first_frame  # loads the codecs

        source = next((each for each in document["sources"] if each["role"] == role), None)
        return None if source is None else first_frame(self._bytes_of(source))

    def _sound(self, document: Mapping[str, Any]) -> bytes:
        from flowrun.media.sound import SoundKind, SoundSpec, make_sound  # loads the codecs

        effect = document["operation"].startswith("sound_effect")
        common = _common(document)
        text = common.pop("prompt") or "Somebody speaks here, for as long as it takes."
        kind = SoundKind.EFFECT if effect else SoundKind.SPEECH
        form = _FORMATS[document["type"]]
        return make_sound(SoundSpec(kind, document["seconds"], text, document["voice"], format=form, **common))

    def _bytes_of(self, source: Mapping[str, Any]) -> bytes:
        """The bytes of an input; a drawing of the host for one that was not fetched."""
        if source["host"]:
            return self._placeholder(source)
        if source["recipe"]:
            kept = self.blobs.read(f"recipes/{source['recipe']}")
            return Render(_there(kept).decode(), self.blobs)()
        return _there(self.blobs.read(f"inputs/{source['blob']}"))

    def _placeholder(self, source: Mapping[str, Any]) -> bytes:
        from flowrun.media.picture import PictureSpec, draw_picture  # loads Pillow

        return draw_picture(PictureSpec(*PLACEHOLDER_SIZE, source["host"], f"not fetched {source['mark']}"))


def _common(document: Mapping[str, Any]) -> dict[str, Any]:
    names = ("prompt", "operation", "model", "seed", "variation", "tiny")
    return {name: document[name] for name in names}


def _sized(document: Mapping[str, Any]) -> dict[str, Any]:
    width, height = document["size"]
    return {"width": width, "height": height, **_common(document)}


def _there(data: bytes | None) -> bytes:
    if data is None:
        raise FileNotFoundError("the sandbox's state lost the bytes of an input; remove its folder to begin anew")
    return data
