"""Media that a manifest names, looked at: what their bytes are and whether they may be used. Owns the protocol and the
rules of written media; reading files is the implementation's."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from flowrun.digest import Digest
from flowrun.graph.outcomes import Artifact
from flowrun.graph.request import Source, WrittenMedia
from flowrun.media.facts import MediaFacts


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


def look_written(source: WrittenMedia, inputs: InputFacts) -> Seen:
    """The rules of a plain text in a media slot: https, runway, data, else a path; any other scheme is an error."""
    text = source.text
    scheme, mark, _ = text.partition("://")
    if text.startswith("data:"):
        return inputs.data(text)
    if not mark:
        return _pinned(inputs.file(_path(source)), source)
    if scheme == "runway":
        return UploadedMedia(text)
    if scheme == "https":
        _check_url(text)
        return inputs.url(text, source.pin)
    hint = "use https, or download it and name the file" if scheme == "http" else "use a path, https:// or runway://"
    raise InputError("bad-media-url", f"'{scheme}://' cannot be used as media", hint)


def _path(source: WrittenMedia) -> Path:
    if not source.text.strip() or "\0" in source.text:
        raise InputError("missing-file", "the path is empty", "write a path relative to this file")
    return source.base / source.text


def _check_url(url: str) -> None:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    if not host or "." not in host or _is_address(host):
        raise InputError("bad-media-url", f"the URL needs the name of a public host, not '{host}'")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _pinned(known: KnownMedia, source: WrittenMedia) -> KnownMedia:
    if source.pin is not None and source.pin.removeprefix("sha256:") != known.digest.sha256:
        message = f"'{source.text}' has other bytes than its pin: sha256 is {known.digest.sha256}"
        raise InputError("pin-mismatch", message, "restore the file, or change `sha256:` if the new bytes are meant")
    return known
