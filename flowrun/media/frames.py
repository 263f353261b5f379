"""One frame out of a film, as a PNG. Owns what video-to-video and first-frame uses need of someone else's video."""

from __future__ import annotations

import io
from pathlib import Path

from flowrun.media import container, still
from flowrun.media.errors import NotMediaError
from flowrun.media.facts import MediaKind
from flowrun.media.types import HEAD, kind_of, sniff


def first_frame(media: Path | bytes) -> bytes:
    """The first frame as shown (upright), as PNG; of an image the image. Raises NotMediaError for sound and for no media."""
    with io.BytesIO(media) if isinstance(media, bytes) else media.open("rb") as stream:
        media_type = sniff(stream.read(HEAD)) or ""
        if kind_of(media_type) is MediaKind.IMAGE:
            image = still.decoded(stream, media_type)
        elif kind_of(media_type) is MediaKind.VIDEO:
            image = container.first_picture(stream, media_type)
        else:
            raise NotMediaError("it has no picture")
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
