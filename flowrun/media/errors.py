"""What is no usable media: the error, and the guards that raise it. Loads no codec library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

MAX_PIXELS = 120_000_000  # 10,954 squared: beyond any camera's stills; 480 MB once unpacked


class NotMediaError(ValueError):
    """What was looked at is no usable media. `reason` completes "is not usable media: …"; it holds no path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def as_not_media(reason: str) -> Iterator[None]:
    """Turn whatever a third-party parser raises on hostile bytes into NotMediaError: the set is open, by experience."""
    try:
        yield
    except NotMediaError:
        raise
    except Exception as error:
        said = getattr(error, "strerror", None) or str(error)
        detail = " ".join(said.split())[:120] or type(error).__name__
        raise NotMediaError(f"{reason} ({detail})") from error


def check_pixels(width: int, height: int) -> None:
    """Look before anything is unpacked: a few kilobytes can declare an image that fills all memory."""
    if width <= 0 or height <= 0:
        raise NotMediaError("it has no pixels")
    if width * height > MAX_PIXELS:
        raise NotMediaError(f"{width} x {height} pixels are more than the {MAX_PIXELS:,} allowed")
