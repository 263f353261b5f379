"""Media that a manifest names, looked at: what their bytes are and whether they may be used. Owns the protocol and the
rules of written media; reading files is the implementation's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from flowrun.digest import Digest
from flowrun.graph.outcomes import Artifact
from flowrun.graph.request import Source, WrittenMedia
from flowrun.media.facts import MediaFacts
from flowrun.runway.media_in import dns_host


@dataclass(frozen=True, slots=True)
class KnownMedia:
    """Media whose bytes are known. `url`: an https address that served them; `origin`: file, url, data or upstream."""

    digest: Digest
    facts: MediaFacts
    origin: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class UnreadMedia:
    """An https input that was never fetched (or is to be fetched again)."""

    url: str


@dataclass(frozen=True, slots=True)
class UploadedMedia:
    """A hand-written upload URI: nobody can read it, so its text is its name."""

    uri: str


@dataclass(frozen=True, slots=True)
class PendingMedia:
    """An artifact that does not exist yet."""

    artifact: Artifact


Seen: TypeAlias = KnownMedia | UnreadMedia | UploadedMedia | PendingMedia


_SCHEME = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9+.-]*)://|(?P<data>data):", re.IGNORECASE)
_LONGEST_SHOWN = 80


class InputError(Exception):
    """Media that cannot be used. `code` is a diagnostic's."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


class InputFacts(Protocol):
    """Looks at media, without network. Each raises InputError."""

    def file(self, path: Path) -> KnownMedia:
        """A local file, hashed by content and probed."""
        ...

    def url(self, url: str, pin: str | None) -> KnownMedia | UnreadMedia: ...

    def data(self, uri: str) -> KnownMedia: ...


def look(source: Source, inputs: InputFacts) -> Seen:
    """What is known of one piece of media. Raises InputError."""
    if isinstance(source, Artifact):
        if source.file is None:
            return PendingMedia(source)
        return KnownMedia(source.file.digest, source.file.facts, "upstream")
    return look_written(source, inputs)


def has_scheme(text: str) -> bool:
    """Whether a text in a media slot is an address of any kind, not a path."""
    return _SCHEME.match(text) is not None


def look_written(source: WrittenMedia, inputs: InputFacts) -> Seen:
    """The rules of a plain text in a media slot: https, runway, data, else a path; any other scheme is an error."""
    text, scheme = source.text, _scheme(source.text)
    if scheme is None:
        return _pinned(inputs.file(_path(source)), source)
    if scheme == "data":
        return _pinned(inputs.data(text), source)
    if scheme == "runway":
        return _uploaded(source)
    if scheme == "https":
        _check_url(text)
        return inputs.url(text, source.pin)
    hint = "use https, or download it and name the file" if scheme == "http" else "use a path, https:// or runway://"
    raise InputError("bad-media-url", f"'{scheme}://' cannot be used as media", hint)


def _scheme(text: str) -> str | None:
    found = _SCHEME.match(text)
    return (found["name"] or found["data"]).lower() if found else None


def _path(source: WrittenMedia) -> Path:
    if not source.text.strip() or "\0" in source.text:
        raise InputError("missing-file", "the path is empty", "write a path relative to this file")
    return source.base / source.text


def _uploaded(source: WrittenMedia) -> UploadedMedia:
    if source.pin is not None:
        message = "an upload URI cannot be read, so it cannot be held to a pin"
        raise InputError("pin-mismatch", message, "name the file itself, or take `sha256:` out")
    return UploadedMedia(source.text)


def _check_url(url: str) -> None:
    """What would never be fetched is said before anything runs."""
    if dns_host(url) is not None:
        return
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        host = ""
    if "@" in url.partition("://")[2].partition("/")[0]:
        message, hint = "the URL names a user, and none is sent along", "take away what stands before the @"
    elif not url.isascii() or not url.isprintable() or " " in url:
        message, hint = "the URL has characters that no URL has", "write them percent-encoded, a space as %20"
    else:
        message = f"the URL needs the name of a public host, not '{host}'"
        hint = "use an address under a public domain, or download it and name the file"
    raise InputError("bad-media-url", message, hint)


def _pinned(known: KnownMedia, source: WrittenMedia) -> KnownMedia:
    if source.pin is not None and source.pin.removeprefix("sha256:") != known.digest.sha256:
        name = source.text if len(source.text) <= _LONGEST_SHOWN else f"{source.text[:_LONGEST_SHOWN]}..."
        message = f"'{name}' has other bytes than its pin: sha256 is {known.digest.sha256}"
        raise InputError("pin-mismatch", message, "restore the file, or change `sha256:` if the new bytes are meant")
    return known
