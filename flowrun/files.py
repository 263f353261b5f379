"""Writing files so that a crash leaves the old or the new, never half. Owns the disk idioms: sync, rename, safe join."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO


class UnsafePathError(ValueError):
    """A relative path that would leave its folder, or is none."""


def sync_directory(folder: Path) -> None:
    """Make a rename in `folder` durable, where the platform lets a directory be opened."""
    if os.name == "nt":  # no directory handles to sync there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacing(target: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A stream whose content becomes `target` whole when the block ends well, and leaves nothing behind when it does not.

    The bytes are synced before the rename and the folder after it. Raises OSError (a full disk, no permission).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    sync_directory(target.parent)


def write_atomic(target: Path, data: bytes | memoryview, *, mode: int = 0o644) -> None:
    """Replace `target` by `data`, durably. Raises OSError."""
    with replacing(target, mode=mode) as stream:
        stream.write(data)


def safe_join(root: Path, relative: str) -> Path:
    """`root / relative`, which must stay below `root`: no absolute path, no `..`, no backslash, no empty part.

    Raises UnsafePathError.
    """
    parts = PurePosixPath(relative).parts
    if not parts or "\\" in relative or "\0" in relative or relative.startswith("/") or ".." in parts:
        raise UnsafePathError(relative)
    return root.joinpath(*parts)
