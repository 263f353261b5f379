"""Copying a file without moving its bytes, where the file system can. Owns the system call, knows nothing of stores."""

from __future__ import annotations

import sys
from typing import BinaryIO

if sys.platform == "linux":
    import fcntl

    _FICLONE = 0x40049409  # _IOW(0x94, 9, int) of linux/fs.h; ioctl_ficlone(2): Btrfs, XFS, bcachefs, OCFS2

    def reflink(source: BinaryIO, target: BinaryIO) -> bool:
        """Make the empty `target` share all of `source`'s blocks. False, and nothing done, where that cannot be."""
        try:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        except (OSError, ValueError):  # a stream without a file says so with an error that is both
            return False
        return True

else:

    def reflink(source: BinaryIO, target: BinaryIO) -> bool:
        """Nothing is known to clone open files here: the caller copies."""
        del source, target
        return False
