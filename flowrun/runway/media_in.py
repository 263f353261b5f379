"""How a media input travels to the API. Owns the choice and the limits; fetching, uploading and reading are others'.

Sizes are taken in the smaller reading where a source says only "MB". A data URI's limit counts the characters of the
whole string. Source: the API's page on inputs; 5 MB for every kind's data URI since August 2026.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from flowrun.runway.values import Upload
from flowrun.secret import Secret

SMALLEST_UPLOAD = 512  # bytes
LARGEST_UPLOAD = 200_000_000  # bytes
SMALL_DATA_URI = 1 << 20  # characters; up to here a data URI is simpler than anything else
LARGEST_DATA_URI = 5_000_000  # characters; only where uploads do not work
LONGEST_URL = 2048  # characters
LIFE_LEFT = 3600.0  # seconds a link or an upload must still live: a request can wait, and its task be queued
OUTPUT_URL_LIFE = 24 * 3600.0  # seconds an output URL serves at least, from the task's answer on
LARGEST_BY_URL: Mapping[str, int] = MappingProxyType({"image": 16_000_000, "video": 32_000_000, "audio": 32_000_000})

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FreshUrl:
    """An output URL of the upstream's task. `expires_at`: epoch seconds, None: unknown, so it is not used."""

    url: Secret
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class DataUri:
    """Within the request itself (`data_uri`)."""


@dataclass(frozen=True, slots=True)
class Url:
    """By a link that the API fetches. It may carry a token."""

    url: Secret


@dataclass(frozen=True, slots=True)
class Uploaded:
    """By an upload that is there already."""

    uri: str


@dataclass(frozen=True, slots=True)
class NeedsUpload:
    """By an upload that must be made first."""


@dataclass(frozen=True, slots=True)
class CannotTravel:
    """In no way. `reason` for a person."""

    reason: str


Transport = DataUri | Url | Uploaded | NeedsUpload | CannotTravel


def transport_for(
    size: int,
    media_type: str,
    *,
    data_limit: int | None = None,
    fresh: FreshUrl | None = None,
    remembered: Upload | None = None,
    https: str | None = None,
    now: float,
    uploads_work: bool = True,
) -> Transport:
    """For a blob of `size` bytes of the true `media_type`, at `now` (epoch seconds).

    `data_limit`: the slot's own limit for a data URI, in characters; None: it names none. `https`: the user's address
    that serves just these bytes (`travels_by_url` was asked). An https input goes by its URL; else what is small goes
    as data, then an output URL or an upload with an hour to live, then a new upload, and data again where uploads fail.
    """
    if https is not None and allowed_url(https, size, media_type):
        return Url(Secret(https))
    encoded = encoded_length(size, media_type)
    slot = LARGEST_DATA_URI if data_limit is None else min(data_limit, LARGEST_DATA_URI)
    if encoded <= min(SMALL_DATA_URI, slot):
        return DataUri()
    if fresh is not None and _lives(fresh.expires_at, now) and allowed_url(fresh.url.reveal(), size, media_type):
        return Url(fresh.url)
    if remembered is not None and _lives(remembered.expires_at, now):
        return Uploaded(remembered.uri)
    return _sent_anew(size, encoded, slot, uploads_work=uploads_work)


def _sent_anew(size: int, encoded: int, slot: int, *, uploads_work: bool) -> Transport:
    if uploads_work and SMALLEST_UPLOAD <= size <= LARGEST_UPLOAD:
        return NeedsUpload()
    if encoded <= slot:
        return DataUri()
    if size > LARGEST_UPLOAD:
        return CannotTravel(f"{size} bytes are more than the {LARGEST_UPLOAD} that can be uploaded")
    return CannotTravel(f"uploads do not work now, and {encoded} characters of data are more than the {slot} allowed")


def _lives(expires_at: float | None, now: float) -> bool:
    return expires_at is not None and expires_at - now >= LIFE_LEFT


def data_uri(media_type: str, data: bytes) -> str:
    """``data:image/png;base64,...``; the API takes no other encoding."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def encoded_length(size: int, media_type: str) -> int:
    """Characters of the data URI of `size` bytes."""
    return len(f"data:{media_type};base64,") + (size + 2) // 3 * 4


def travels_by_url(url: str, size: int, media_type: str, *, content_type: str | None, direct: bool) -> bool:
    """Whether the API would fetch `url` itself, after what a fetch of ours saw: the `content_type` the server names, and
    whether it came `direct` (no redirect, its length announced). The API takes the server's word for the type."""
    served = (content_type or "").partition(";")[0].strip().lower()
    return direct and _kind(served) == _kind(media_type) and allowed_url(url, size, media_type)


def allowed_url(url: str, size: int, media_type: str) -> bool:
    """The rules that can be seen from outside: https, a DNS name, 2048 characters, the size allowed to the kind."""
    limit = LARGEST_BY_URL.get(_kind(media_type), 0)
    return size <= limit and len(url) <= LONGEST_URL and dns_host(url) is not None


def dns_host(url: str) -> str | None:
    """The host of an https URL, where that is a DNS name of two labels or more and nobody's name stands before it."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    with suppress(ValueError):
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".")
        if parts.scheme == "https" and "@" not in parts.netloc and parts.port != 0 and _is_name(host):
            return host
    return None


def _is_name(host: str) -> bool:
    """A top label that begins with a digit makes the whole an IPv4 address in one of its spellings."""
    labels = host.split(".")
    if len(labels) < 2 or labels[-1][:1].isdecimal() or labels[-1] in ("localhost", "local", "internal"):
        return False
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _kind(media_type: str) -> str:
    return media_type.partition("/")[0]
