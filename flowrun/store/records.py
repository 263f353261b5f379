"""Picks, fetched URLs, uploads and export records on disk: one small synced file each, named by what it is about.

Owns these files. A damaged one is as if it were not there; writing it again sets the damaged one aside or replaces it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from flowrun.digest import Digest
from flowrun.ids import RecipeKey
from flowrun.secret import mask, without_query
from flowrun.store.documents import (
    DocumentError,
    dump,
    export_from_json,
    export_to_json,
    load,
    pick_from_json,
    pick_to_json,
    upload_from_json,
    upload_to_json,
    url_from_json,
    url_to_json,
)
from flowrun.store.landing import Landing, set_aside
from flowrun.store.protocol import ExportRecord, FetchedUrl, Pick, Upload

T = TypeVar("T")
_SAFE = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_PRIVATE = 0o600


def _name(text: str) -> str:
    """A file name for any text: itself where that is safe on every file system, else its hash."""
    return text if _SAFE.fullmatch(text) else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Files(Generic[T]):
    """A folder of documents of one kind."""

    folder: Path
    landing: Landing
    mode: int = 0o644

    def path(self, *names: str) -> Path:
        return self.folder.joinpath(*names[:-1], f"{names[-1]}.json")

    def get(self, path: Path, read: Callable[[Mapping[str, Any]], T]) -> T | None:
        try:
            return read(load(path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, DocumentError):
            return None

    def set(self, path: Path, document: Mapping[str, Any]) -> None:
        self.landing.write(path, dump(document), mode=self.mode)

    def create(self, path: Path, document: Mapping[str, Any], read: Callable[[Mapping[str, Any]], T]) -> None:
        """Write it unless a readable one is there."""
        while not self.landing.create(path, dump(document), mode=self.mode) and self.get(path, read) is None:
            set_aside(path)


class DiskPicks:
    """``picks/<recipe>.json``."""

    def __init__(self, folder: Path, landing: Landing) -> None:
        self._files: _Files[Pick] = _Files(folder, landing)

    def get(self, recipe: RecipeKey) -> Pick | None:
        pick = self._files.get(self._files.path(_name(recipe)), pick_from_json)
        return pick if pick and pick.recipe == recipe else None

    def set(self, pick: Pick) -> None:
        path = self._files.path(_name(pick.recipe))
        if pick.by == "default":
            self._files.create(path, pick_to_json(pick), pick_from_json)
        else:
            self._files.set(path, pick_to_json(pick))


class DiskUrls:
    """``urls/<SHA-256 of the URL>.json``. The URL itself is written masked: it may carry somebody's token."""

    def __init__(self, folder: Path, landing: Landing) -> None:
        self._files: _Files[FetchedUrl] = _Files(folder, landing)

    def get(self, url: str) -> FetchedUrl | None:
        return self._files.get(self._path(url), lambda data: url_from_json(data, url))

    def set(self, fetched: FetchedUrl) -> None:
        self._files.set(self._path(fetched.url), url_to_json(fetched, mask(without_query(fetched.url))))

    def _path(self, url: str) -> Path:
        return self._files.path(_name(url))


class DiskUploads:
    """``uploads/<account>/<sha256>.json``, for the user's eyes only."""

    def __init__(self, folder: Path, landing: Landing) -> None:
        self._files: _Files[Upload] = _Files(folder, landing, _PRIVATE)

    def get(self, account: str, digest: Digest, now: float) -> Upload | None:
        upload = self._files.get(self._path(account, digest), upload_from_json)
        same = upload is not None and (upload.account, upload.digest) == (account, digest)
        return upload if upload and same and upload.expires_at > now else None

    def set(self, upload: Upload) -> None:
        self._files.set(self._path(upload.account, upload.digest), upload_to_json(upload))

    def _path(self, account: str, digest: Digest) -> Path:
        return self._files.path(_name(account), _name(digest.sha256))


class DiskExports:
    """``exports/<SHA-256 of the folder's name>.json``."""

    def __init__(self, folder: Path, landing: Landing) -> None:
        self._files: _Files[ExportRecord] = _Files(folder, landing)

    def get(self, folder: str) -> ExportRecord | None:
        record = self._files.get(self._files.path(_name(folder)), export_from_json)
        return record if record and record.folder == folder else None

    def set(self, record: ExportRecord) -> None:
        self._files.set(self._files.path(_name(record.folder)), export_to_json(record))
