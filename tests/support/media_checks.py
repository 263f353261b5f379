"""What tests of other packages ask of media that was made: is it whole, does it move, does it start from that image."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import av
from PIL import Image, ImageChops, ImageOps, ImageStat

from flowrun.media.facts import MediaFacts
from flowrun.media.frames import first_frame
from flowrun.media.probe import probe


def decode_check(path: Path) -> MediaFacts:
    """The facts of a whole, decodable file. Raises NotMediaError."""
    return probe(path)


def frames(media: Path | bytes) -> list[Image.Image]:
    """Every frame of a film, as stored."""
    source = io.BytesIO(media) if isinstance(media, bytes) else media
    with av.open(source) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def distance(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two images of one size, 0 to 255 a channel."""
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def frames_differ(media: Path | bytes) -> bool:
    """Whether a film moves: each third of it looks different from the one before."""
    shown = frames(media)
    marks = [shown[0], shown[len(shown) // 3], shown[2 * len(shown) // 3], shown[-1]]
    return all(distance(one, other) > 0.3 for one, other in pairwise(marks))


def first_frame_distance(film: Path | bytes, image: bytes) -> float:
    """How far the first frame is from `image` cropped from its centre; under 6 is the same picture after encoding."""
    frame = Image.open(io.BytesIO(first_frame(film)))
    return distance(frame, ImageOps.fit(Image.open(io.BytesIO(image)).convert("RGB"), frame.size))
