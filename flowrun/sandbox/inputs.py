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
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.media.probe import NotMediaError, kind_of, normalized, probe_bytes
from flowrun.operations.model import Slot
from flowrun.sandbox import downloads, uploads
from flowrun.sandbox.books import Books
from flowrun.sandbox.messages import RefusalError, Request
from flowrun.sandbox.recipe import Input, Source
from flowrun.sandbox.render import Render
from flowrun.sandbox.state import Blobs

FOREIGN_SECONDS = 5.0  # what the sandbox takes media it does not fetch to be long
TYPES = {
    MediaKind.IMAGE: ("image/jpeg", "image/png", "image/webp"),
    MediaKind.VIDEO: ("video/mp4", "video/quicktime", "video/x-matroska", "video/webm", "video/3gpp", "video/ogg"),
    MediaKind.AUDIO: ("audio/mpeg", "audio/wav", "audio/flac", "audio/mp4", "audio/aac"),
}
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
        kind = slot.kind or MediaKind.IMAGE
        if uri.startswith("data:"):
            source, facts = self._data(uri, slot.data_uri_limit)
        elif uri.startswith("runway:"):
            source, facts = self._upload(uri)
        elif uri.startswith(self.base_url + "/"):
            source, facts = self._output(uri)
        else:
            host = foreign_host(uri)
            seconds = None if kind is MediaKind.IMAGE else FOREIGN_SECONDS
            return Input(
                slot.path, Source(kind, host=host, mark=_mark(uri)), MediaFacts(kind, TYPES[kind][0], duration=seconds)
            )
        if facts.kind is not kind:
            raise InputError(f"Expected {kind.value}, got {facts.kind.value}.")
        if facts.media_type not in TYPES[kind]:
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
            task = downloads.find(self.books, asked.path, asked.argument("_jwt"), self.blobs, self.now)
        except RefusalError as refusal:
            raise InputError(f"Fetching the asset failed with HTTP status {refusal.status}. {refusal.error}") from None
        render = Render(task.recipe, self.blobs)
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
