"""What exported files are called: default paths, extensions, paths that clash. Owns names only; `exporter` places files.

All of it can be asked before anything runs, so that a bad path is a diagnostic and not a surprise after paying.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flowrun.files import safe_join
from flowrun.media.facts import MediaKind
from flowrun.media.types import extension, kind_of, kind_of_extension, type_of_extension

_LONGEST = 200  # bytes of a name made of a key; file systems allow 255, and temporary and copied names grow
_OTHERS = {  # extensions of media that flowrun neither makes nor reads: a name that claims one is still a claim
    MediaKind.IMAGE: (".avif", ".bmp", ".heic", ".jp2", ".jxl", ".psd", ".svg", ".tga", ".tif", ".tiff"),
    MediaKind.VIDEO: (".avi", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".ogv", ".wmv"),
    MediaKind.AUDIO: (".aif", ".aiff", ".alac", ".amr", ".wma"),
}
_KINDS = {ext: kind for kind, extensions in _OTHERS.items() for ext in extensions}


class WrongKindError(ValueError):
    """A path whose extension claims another kind of media than the output is. `claimed`: what it claims."""

    def __init__(self, path: str, claimed: MediaKind, media_type: str) -> None:
        super().__init__(f"{path}: an extension of {claimed}, for {media_type}")
        self.claimed = claimed


@dataclass(frozen=True, slots=True)
class NamedPath:
    """A path with the extension its file should have. `corrected`: it had another one of the same kind."""

    path: str
    corrected: bool = False


def default_path(output: str, key: str | None, ext: str) -> str:
    """``still.png``, or ``shots/intro.mp4`` for an instance of a fan-out. `ext` with or without its dot."""
    dotted = f".{ext.removeprefix('.')}"
    return f"{output}{dotted}" if key is None else f"{output}/{_shortened(key)}{dotted}"


def _shortened(key: str) -> str:
    """A key may have 80 characters of four bytes each: a name no file system takes."""
    data = key.encode()
    if len(data) <= _LONGEST:
        return key
    return f"{data[:_LONGEST].decode(errors='ignore')}-{hashlib.sha256(data).hexdigest()[:8]}"


def claimed_kind(path: str) -> MediaKind | None:
    """The kind of media the path's extension claims; None without an extension, or with one that is no medium's."""
    suffix = PurePosixPath(path).suffix.lower()
    return kind_of_extension(suffix) or _KINDS.get(suffix)


def with_extension(path: str, media_type: str) -> NamedPath:
    """`path` with the extension of `media_type`. What is no medium's extension (``scene.1``) is part of the name.

    Raises WrongKindError.
    """
    claimed, right = claimed_kind(path), extension(media_type)
    if claimed is None:
        return NamedPath(f"{PurePosixPath(path)}{right}")
    if claimed != kind_of(media_type):
        raise WrongKindError(path, claimed, media_type)
    if extension(type_of_extension(PurePosixPath(path).suffix) or "") == right:
        return NamedPath(path)
    return NamedPath(str(PurePosixPath(path).with_suffix(right)), corrected=True)


def check_path(path: str) -> None:
    """Raises UnsafePathError (of `flowrun.files`) for a path that would leave the export folder, or is none."""
    safe_join(Path(), path)


def folded(path: str) -> str:
    """What two paths share that are one on a disk which ignores letter case or Unicode normalization."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(PurePosixPath(path))).casefold())


def collisions(paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Pairs (earlier, later) that cannot both be: one path, letter case ignored, or a file where a folder must be."""
    seen: dict[str, str] = {}
    clashes = []
    folders: dict[str, str] = {}
    for path in paths:
        name = folded(path)
        above = [str(each) for each in PurePosixPath(name).parents[:-1]]
        rivals = [seen.get(name), folders.get(name), *(seen.get(each) for each in above)]
        clashes += [(rival, path) for rival in rivals if rival is not None][:1]
        seen.setdefault(name, path)
        folders.update({each: path for each in above if each not in folders})
    return tuple(clashes)
