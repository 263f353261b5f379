"""Media inputs on this machine: local files hashed and probed once a run, https inputs as they were fetched, data URIs.
Owns the snapshot: what was planned is what is sent, or the node stops."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote_to_bytes

from flowrun import digest
from flowrun.digest import Digest
from flowrun.engine.failure import AttemptError, Failure, Verdict
from flowrun.graph.inputs import InputError, KnownMedia, UnreadMedia
from flowrun.media.errors import NotMediaError
from flowrun.media.probe import probe, probe_bytes
from flowrun.secret import without_query
from flowrun.store.protocol import Blobs, FetchedUrl, Urls

Fetch = Callable[[str], Awaitable[FetchedUrl]]


class DiskInputs:
    """`root`: the project, which local files must not leave unless `allow_outside`. `refresh`: trust no fetched URL of
    an earlier run."""

    def __init__(
        self, root: Path, urls: Urls, blobs: Blobs, *, allow_outside: bool = False, refresh: bool = False
    ) -> None:
        self._root, self._urls, self._blobs = root.resolve(), urls, blobs
        self._allow_outside, self._refresh = allow_outside, refresh
        self._files: dict[Path, KnownMedia | InputError] = {}
        self._sources: dict[str, Path | bytes] = {}  # by sha256: where the bytes of an input are now
        self._fetched: set[str] = set()

    def file(self, path: Path) -> KnownMedia:
        """Raises InputError: missing, outside of the project, or no media."""
        if path not in self._files:
            try:
                self._files[path] = self._look(path)
            except InputError as error:
                self._files[path] = error
        found = self._files[path]
        if isinstance(found, InputError):
            raise found
        return found

    def _look(self, path: Path) -> KnownMedia:
        if path.is_dir():
            raise InputError("missing-file", f"'{path.name}' is a folder, not a file", "name a file in it")
        if not path.is_file():
            hint = "paths count from the file they are written in"
            raise InputError("missing-file", f"there is no file '{path.name}' in {path.parent}", hint)
        real = path.resolve()
        if not self._allow_outside and not real.is_relative_to(self._root):
            hint = "move it into the project, or allow it with --allow-outside"
            raise InputError("outside-project", f"'{path}' lies outside of the project {self._root}", hint)
        try:
            with real.open("rb") as stream:
                named = digest.of_stream(stream)
            facts = probe(real)
        except OSError as error:
            raise InputError("unreadable-file", f"'{path.name}' cannot be read: {error.strerror or error}") from error
        except NotMediaError as error:
            raise InputError("not-media", f"'{path.name}' is no usable media: {error}") from error
        self._sources[named.sha256] = real
        return KnownMedia(named, facts, "file")

    def url(self, url: str, pin: str | None) -> KnownMedia | UnreadMedia:
        known = self._urls.get(url)
        trusted = not self._refresh or url in self._fetched
        if known is None or not trusted or not self._blobs.has(known.digest):
            return UnreadMedia(url)
        if pin is not None and pin.removeprefix("sha256:") != known.digest.sha256:
            message = f"{without_query(url)} served other bytes than its pin: sha256 is {known.digest.sha256}"
            raise InputError("pin-mismatch", message, "change `sha256:` if the new bytes are meant")
        return KnownMedia(known.digest, known.facts, "url", url if known.by_url else None)

    def data(self, uri: str) -> KnownMedia:
        """Raises InputError for a data URI that does not decode to media."""
        head, _, payload = uri.partition(",")
        try:
            is_base64 = head.endswith(";base64")
            data = base64.b64decode(payload, validate=True) if is_base64 else unquote_to_bytes(payload)
            facts = probe_bytes(data)
        except (binascii.Error, NotMediaError) as error:
            raise InputError("bad-data-uri", f"the data URI holds no usable media: {error}") from error
        named = digest.of_bytes(data)
        self._sources[named.sha256] = data
        return KnownMedia(named, facts, "data")

    def read(self) -> dict[Path, str]:
        """The local files that were looked at and could be used, with their SHA-256."""
        return {path: found.digest.sha256 for path, found in self._files.items() if isinstance(found, KnownMedia)}

    def fetched(self, url: str) -> None:
        """`url` was fetched in this run: what the store says of it is fresh."""
        self._fetched.add(url)

    def stash(self, wanted: Digest) -> None:
        """Put an input's bytes into the store. Raises AttemptError where they are not what was planned; OSError."""
        source = self._sources.get(wanted.sha256)
        if source is None:
            raise AttemptError(_changed("an input"))
        if isinstance(source, bytes):
            self._blobs.put(io.BytesIO(source))
            return
        try:
            with source.open("rb") as stream:
                stored = self._blobs.put(stream)
        except FileNotFoundError:
            raise AttemptError(_changed(str(source))) from None
        if stored != wanted:
            raise AttemptError(_changed(str(source)))


def _changed(name: str) -> Failure:
    message = f"{name} was changed while this ran; nothing was submitted for it."
    return Failure(Verdict.FAIL, "file-changed", message, "Apply again to plan with the file as it is now.", charged=0)
