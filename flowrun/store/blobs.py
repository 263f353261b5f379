"""Blobs on disk: ``blobs/ab/<sha256>``, read-only, never half there. Owns the bytes; what they mean is the results'."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from flowrun.digest import CHUNK, Digest, of_stream
from flowrun.store.documents import is_sha256
from flowrun.store.landing import Draft, Landing
from flowrun.store.protocol import BlobWriter, Defect
from flowrun.store.reflink import reflink

_MODE = 0o444


class DiskBlobWriter:
    """Hashes what it writes. `path` always holds all that was written so far."""

    def __init__(self, blobs: DiskBlobs, draft: Draft) -> None:
        self.path = draft.path
        self._blobs, self._draft = blobs, draft
        self._hasher, self._size = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        self._draft.stream.write(data)
        self._draft.stream.flush()
        self._hasher.update(data)
        self._size += len(data)

    def commit(self) -> Digest:
        digest = Digest(self._hasher.hexdigest(), self._size)
        self._blobs.land(self._draft, digest)
        return digest


class DiskBlobs:
    """Putting what is there already replaces it by the same bytes, which heals a damaged file."""

    def __init__(self, folder: Path, landing: Landing) -> None:
        self._folder, self._landing = folder, landing

    def put(self, stream: BinaryIO) -> Digest:
        return self._put_chunks(iter(lambda: stream.read(CHUNK), b""))

    def put_file(self, path: Path) -> Digest:
        """A local file, by reflink or copy. The digest is that of what was copied, whatever happens to the file.

        Raises OSError.
        """
        with path.open("rb") as source:
            cloned = self._clone(source)
            if cloned:
                return cloned
            known = of_stream(source)
            if self.has(known):
                return known
            source.seek(0)
            return self.put(source)

    def _clone(self, source: BinaryIO) -> Digest | None:
        with self._landing.draft() as draft:
            if not reflink(source, draft.stream):
                return None
            digest = of_stream(draft.stream)
            if not self.has(digest):
                self.land(draft, digest)
            return digest

    def _put_chunks(self, chunks: Iterable[bytes]) -> Digest:
        with self.writer() as writer:
            for each in chunks:
                writer.write(each)
            return writer.commit()

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        with self._landing.draft() as draft:
            yield DiskBlobWriter(self, draft)

    def land(self, draft: Draft, digest: Digest) -> None:
        """`draft` is the blob of that digest: for writers, who have hashed it."""
        self._landing.land(draft, self._path(digest), mode=_MODE)

    def has(self, digest: Digest) -> bool:
        return self.defect(digest) is None

    def defect(self, digest: Digest) -> Defect | None:
        """What a look at the file's size tells: one system call."""
        try:
            size = self._path(digest).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return Defect.MISSING_BLOB
        return None if size == digest.size else Defect.DAMAGED

    def open(self, digest: Digest) -> BinaryIO:
        if not self.has(digest):
            raise KeyError(str(digest))
        try:
            return self._path(digest).open("rb")
        except FileNotFoundError as error:
            raise KeyError(str(digest)) from error

    def path(self, digest: Digest) -> Path | None:
        return self._path(digest) if self.has(digest) else None

    def verify(self, digest: Digest) -> bool:
        try:
            with self.open(digest) as stream:
                return of_stream(stream) == digest
        except KeyError:
            return False

    def _path(self, digest: Digest) -> Path:
        if not is_sha256(digest.sha256):  # it becomes a path
            raise ValueError(f"not a SHA-256: {digest.sha256!r}")
        return self._folder.joinpath(digest.sha256[:2], digest.sha256)
