"""Where a store is: the project of a manifest, the store's folder, and whether a disk can hold one.

Owns the look at the file system above the store; reads nothing in it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = ".flowrun"
MARKS = ("flowrun.toml", FOLDER, ".git")
MOUNTS = Path("/proc/self/mountinfo")

# SQLite's WAL needs memory shared among all who have the database open, which no file system of these gives between
# machines (https://www.sqlite.org/wal.html, "all processes using a database must be on the same host computer").
_CLUSTER = ("afs", "beegfs", "ceph", "coda", "davfs", "davfs2", "glusterfs", "gpfs", "lustre", "orangefs", "pvfs2")
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", *_CLUSTER})
_OBJECTS = ("blobfuse", "blobfuse2", "gcsfuse", "goofys", "juicefs", "mount-s3", "rclone", "s3fs")
_FUSE = ("sshfs", "cephfs", "ceph-fuse", "curlftpfs", "davfs", "glusterfs", "mfs", "moosefs", "nfs", "smbnetfs")
_NETWORK_FUSE = frozenset({*_FUSE, *_OBJECTS})
_ESCAPE = re.compile(r"\\([0-7]{3})")


def find_project(manifest: Path) -> Path:
    """The nearest folder at or above the manifest that has a ``flowrun.toml``, ``.flowrun`` or ``.git``, else its own.

    Symbolic links are not followed: a linked manifest belongs to where the link is.
    """
    own = Path(os.path.normpath(manifest.absolute())).parent
    for folder in (own, *own.parents):
        if any(_marks(folder / mark) for mark in MARKS):
            return folder
    return own


def name_in(project: Path, path: Path) -> str:
    """As records name a manifest: its path below the project, or whole where it lies outside. `path`: absolute."""
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else str(path)


def is_no_more(store: str) -> bool:
    """Whether nothing stands where a store was, as origins name it: its project was moved or deleted."""
    return not Path(store).exists()


def _marks(candidate: Path) -> bool:
    return candidate.is_dir() if candidate.name == FOLDER else candidate.exists()


def store_root(project: Path, env_cache_dir: str | None) -> Path:
    """The store's folder: `env_cache_dir` where one is set (a relative one counts from the project), else ``.flowrun``."""
    if not env_cache_dir:
        return project / FOLDER
    return project / Path(env_cache_dir).expanduser()


@dataclass(frozen=True, slots=True)
class _Mount:
    point: Path
    kind: str
    options: str


def is_network_filesystem(path: Path, mounts: Path = MOUNTS) -> bool:
    """Whether `path` (which need not exist) lies on a disk of another machine. Known on Linux; False elsewhere."""
    try:
        table = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    mount = _mount_of(path.resolve(), table)
    return mount is not None and _is_network(mount)


def _mount_of(path: Path, table: str) -> _Mount | None:
    """The mount with the longest point above `path`; of several at one point the last, which hides the others."""
    above = [each for each in map(_mount, table.splitlines()) if each and path.is_relative_to(each.point)]
    return max(reversed(above), key=lambda each: len(each.point.parts), default=None)


def _mount(line: str) -> _Mount | None:
    """One line of mountinfo: fields, a lone hyphen, then type, source and options (proc_pid_mountinfo(5))."""
    left, hyphen, right = line.partition(" - ")
    fields, rest = left.split(" "), right.split(" ")
    if not hyphen or len(fields) < 5 or len(rest) < 3:
        return None
    point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
    return _Mount(Path(point), rest[0], rest[2])


def _is_network(mount: _Mount) -> bool:
    if mount.kind == "9p":  # between a virtual machine and its host it is local; over TCP or RDMA it is not
        return any(f"trans={each}" in mount.options.split(",") for each in ("tcp", "rdma"))
    family, _, kind = mount.kind.partition(".")
    return mount.kind in _NETWORK or (family == "fuse" and kind in _NETWORK_FUSE)
