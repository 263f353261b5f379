"""Decoding stills, with Pillow. Owns how image bytes that others made are unpacked: whole, bounded, upright.

The format's own class is called rather than `Image.open`, which would try the others and warn of large images.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL.GifImagePlugin import GifImageFile
from PIL.Image import Image, Transpose
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from flowrun.media.errors import as_not_media, check_pixels

_CLASSES: dict[str, type[ImageFile]] = {
    "image/png": PngImageFile,
    "image/jpeg": JpegImageFile,
    "image/webp": WebPImageFile,
    "image/gif": GifImageFile,
}
_ORIENTATION = 0x0112  # the EXIF tag; 1 and anything unknown is upright
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_one_at_a_time = threading.Lock()  # warning filters belong to the whole process


def decoded(stream: BinaryIO, media_type: str) -> Image:
    """The image in `stream` (the first of an animation), turned upright as its EXIF data says. Raises NotMediaError."""
    stream.seek(0)
    with as_not_media("the image cannot be decoded"):
        with _without_warnings():
            image = _CLASSES[media_type](stream)
        check_pixels(*image.size)
        image.load()
        with _without_warnings():
            turn = _turn(image)
        return image if turn is None else image.transpose(turn)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Pillow remarks on bad EXIF data to the terminal; where the image is good, nobody needs to know."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _turn(image: Image) -> Transpose | None:
    """The turn EXIF data asks for. Unreadable EXIF data asks for none, as in every viewer."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return None
