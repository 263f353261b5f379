"""How a file comes into the store: written under a temporary name, synced, renamed. Owns the store's disk idioms.

All temporary names lie in one folder of the store, so that what a crash left behind is found and swept. `flowrun.files`
has the same idiom for files elsewhere, where the temporary name must lie beside the target.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flowrun.files import sync_directory

STALE = 86_400.0  # seconds after which a temporary file has lost its writer


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, durably. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_directory(folder.parent)


@dataclass(frozen=True, slots=True)
class Draft:
    """A file on its way in."""

    stream: BinaryIO
    path: Path

    def seal(self, mode: int) -> None:
        """All bytes on the disk, nothing more to come."""
        self.stream.flush()
        self.path.chmod(mode)
        os.fsync(self.stream.fileno())


class Landing:
    """The one way in. `folder` holds the temporary names and must be on the same disk as the targets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """A new temporary file; gone afterwards unless it was landed."""
        make_folder(self._folder)
        handle, name = tempfile.mkstemp(dir=self._folder)
        path = Path(name)
        try:
            with os.fdopen(handle, "w+b") as stream:
                yield Draft(stream, path)
        finally:
            with suppress(FileNotFoundError):
                path.unlink()

    def land(self, draft: Draft, target: Path, *, mode: int) -> None:
        """`target` is the draft now, whole and durable, whatever it was before."""
        draft.seal(mode)
        make_folder(target.parent)
        draft.path.replace(target)
        sync_directory(target.parent)

    def land_new(self, draft: Draft, target: Path, *, mode: int) -> bool:
        """As `land`, but False, and nothing changed, where there is a `target` already."""
        draft.seal(mode)
        make_folder(target.parent)
        try:
            target.hardlink_to(draft.path)
        except FileExistsError:
            return False
        except OSError:  # no hard links on this disk: two writers of one name are not told apart there
            if target.exists():
                return False
            draft.path.replace(target)
        sync_directory(target.parent)
        return True

    def write(self, target: Path, data: bytes, *, mode: int = 0o644) -> None:
        """Replace `target` by `data`, durably. Raises OSError."""
        with self.draft() as draft:
            draft.stream.write(data)
            self.land(draft, target, mode=mode)

    def create(self, target: Path, data: bytes, *, mode: int = 0o644) -> bool:
        """Make `target` of `data`, durably; False where it is there already. Raises OSError."""
        with self.draft() as draft:
            draft.stream.write(data)
            return self.land_new(draft, target, mode=mode)

    def sweep(self, before: float) -> None:
        """Remove temporary files last written before that time (epoch seconds)."""
        with suppress(FileNotFoundError):
            for each in list(self._folder.iterdir()):
                with suppress(OSError):
                    if each.stat().st_mtime < before:
                        each.unlink()


def set_aside(path: Path, label: str = "damaged") -> Path | None:
    """Rename a file that cannot be used to ``<name>.<label>-<n>``, so that nothing is lost. None if it was gone."""
    number = 1
    while (aside := path.with_name(f"{path.name}.{label}-{number}")).exists():
        number += 1
    try:
        path.replace(aside)
    except FileNotFoundError:
        return None
    sync_directory(path.parent)
    return aside
