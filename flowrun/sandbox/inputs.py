"""The media that a request names. Owns which addresses are taken and what each stands for; nothing is fetched from anywhere.

A data URI and an upload stand for their bytes, a fresh link to one of the sandbox's own outputs for that output, and any other
https address for a drawing that shows its host.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.media.probe import NotMediaError, kind_of, normalized, probe_bytes
from flowrun.operations.model import Path, Slot
from flowrun.sandbox import downloads, uploads
from flowrun.sandbox.books import Books
from flowrun.sandbox.messages import RefusalError, Request
from flowrun.sandbox.recipe import Input, Source, leaves
from flowrun.sandbox.state import Blobs

FOREIGN_SECONDS = 5.0  # what the sandbox takes media it does not fetch to be long
TYPES = {
    MediaKind.IMAGE: ("image/jpeg", "image/png", "image/webp"),
    MediaKind.VIDEO: ("video/mp4", "video/quicktime", "video/x-matroska", "video/webm", "video/3gpp", "video/ogg"),
    MediaKind.AUDIO: ("audio/mpeg", "audio/wav", "audio/flac", "audio/mp4", "audio/aac"),
}
DATA_URI_LIMIT = 5_242_880  # characters, where no schema says it
_ADDRESS = re.compile(r"data:|runway:|https?:")
_MEDIA_NAME = re.compile(r"(?:image|video|audio|reference|keyframe)s?$|^media$", re.IGNORECASE)
_DATA = re.compile(r"data:([a-z]+/[a-z0-9.+-]+)((?:;[a-z0-9-]+=[^;,]*)*)(;base64)?,", re.IGNORECASE)


class InputError(ValueError):
    """The media cannot be taken, for the reason that is the text."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Reads the addresses in one request."""

    books: Books
    blobs: Blobs
    base_url: str
    now: float

    def resolve(self, uri: str, slot: Slot) -> Input:
        """Raises InputError."""
        if uri.startswith("data:"):
            source, facts = self._data(uri, slot.data_uri_limit)
        elif uri.startswith("runway:"):
            source, facts = self._upload(uri)
        elif uri.startswith(self.base_url + "/"):
            source, facts = self._output(uri)
        else:
            source, facts = _foreign(uri, slot)
        if slot.kind not in (None, facts.kind):
            raise InputError(f"Expected {slot.kind}, got {facts.kind}.")
        if facts.media_type not in TYPES[facts.kind]:
            raise InputError(f"Unsupported asset type: {facts.media_type}.")
        return Input(slot.path, source, facts)

    def _data(self, uri: str, limit: int) -> tuple[Source, MediaFacts]:
        if len(uri) > limit:
            raise InputError(
                f"The data URI has {len(uri)} characters, at most {limit} are taken. Upload the file instead."
            )
        declared, data = decode_data_uri(uri)
        if declared not in TYPES.get(kind_of(declared) or MediaKind.IMAGE, ()):
            raise InputError(f"Unsupported asset type: {declared}.")
        try:
            facts = probe_bytes(data)
        except NotMediaError as error:
            raise InputError(f"The data URI is not usable media: {error.reason}.") from None
        sha256 = hashlib.sha256(data).hexdigest()
        self.blobs.write(f"inputs/{sha256}", data)
        return Source(facts.kind, blob=sha256), facts

    def _upload(self, uri: str) -> tuple[Source, MediaFacts]:
        try:
            upload = uploads.find(self.books, uri, self.now)
        except ValueError as error:
            raise InputError(str(error)) from None
        if upload.facts is None:
            raise InputError(f"The uploaded file {upload.filename} is not usable media.")
        return Source(upload.facts.kind, blob=upload.stored), upload.facts

    def _output(self, uri: str) -> tuple[Source, MediaFacts]:
        asked = Request.of("GET", uri)
        try:
            render = downloads.find(self.books, asked.path, asked.argument("_jwt"), self.blobs, self.now)
        except RefusalError as refusal:
            raise InputError(f"Fetching the asset failed with HTTP status {refusal.status}. {refusal.error}") from None
        return Source(render.facts.kind, recipe=render.keep()), render.facts


def decode_data_uri(uri: str) -> tuple[str, bytes]:
    """The normalized media type that is declared, and the bytes. Raises InputError."""
    found = _DATA.match(uri)
    if found is None:
        raise InputError("Invalid data URI: expected data:<type>;base64,<data>.")
    text = uri[found.end() :]
    try:
        data = base64.b64decode(text, validate=True) if found[3] else unquote_to_bytes(text)
    except (binascii.Error, ValueError):
        raise InputError("Invalid data URI: the data is not base64.") from None
    return normalized(found[1]), data


def _foreign(uri: str, slot: Slot) -> tuple[Source, MediaFacts]:
    """Media that is not fetched; where the place does not say its kind, the place's name does."""
    host, kind = foreign_host(uri), slot.kind or _kind_by_name(str(slot.path[0]))
    seconds = None if kind is MediaKind.IMAGE else FOREIGN_SECONDS
    return Source(kind, host=host, mark=_mark(uri)), MediaFacts(kind, TYPES[kind][0], duration=seconds)


def _kind_by_name(name: str) -> MediaKind:
    named = (kind for kind in (MediaKind.VIDEO, MediaKind.AUDIO) if kind.value in name.lower())
    return next(named, MediaKind.IMAGE)


def addresses(body: Any, known: Iterable[Slot]) -> Iterator[Slot]:
    """Further places of a request that hold an address of media, though its schema does not say of what kind."""
    slots = {slot.path: slot for slot in known}
    limit = min((slot.data_uri_limit for slot in slots.values()), default=DATA_URI_LIMIT)
    for path, value in leaves(body):
        if isinstance(value, str) and path not in slots and _takes_address(path) and _ADDRESS.match(value):
            yield Slot(path, None, limit)


def _takes_address(path: Path) -> bool:
    """Whether a place's name is one that media has, as far as that is seen in the API: ``promptImage``, ``x[0].uri``."""
    names = [part for part in path if isinstance(part, str)]
    return names[-1].lower().endswith("uri") or (len(names) == 1 and _MEDIA_NAME.search(names[0]) is not None)


def foreign_host(uri: str) -> str:
    """The host of an https address, by the API's rules for addresses. Raises InputError."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        uri.encode()  # half a character is none
    except ValueError:
        raise InputError("Invalid URL.") from None
    if parts.scheme != "https":
        raise InputError("Only HTTPS URLs are allowed.")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host:
            return host
        raise InputError("Invalid URL.") from None
    raise InputError("The host of a URL must be a domain name, not an IP address.")


def _mark(uri: str) -> str:
    return hashlib.sha256(uri.encode()).hexdigest()[:12]
