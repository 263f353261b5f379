"""Who a process is in the ledger, for which store it works, and whether such a one still lives. Owns the form of owner ids:
``host/pid/start/store-random``; `start` tells a pid from its successor's, `store` is a mark of the store's folder."""

from __future__ import annotations

import hashlib
import os
import random
import socket
from pathlib import Path

from flowrun.ids import OwnerId


def new_owner(rng: random.Random, store: str) -> OwnerId:
    """`store`: its folder."""
    pid = os.getpid()
    return OwnerId(f"{socket.gethostname()}/{pid}/{_started(pid) or 0}/{_mark(store)}-{rng.getrandbits(48):012x}")


def works_for(owner: OwnerId, store: str) -> bool:
    """Whether the owner is a process that works with the store in that folder."""
    return owner.rpartition("/")[2].startswith(f"{_mark(store)}-")


def _mark(store: str) -> str:
    return hashlib.sha256(store.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def is_gone(owner: OwnerId) -> bool:
    """Whether the owner's process has certainly ended. An owner on another machine is never said to be gone."""
    host, pid, start, _ = [*owner.split("/"), "", "", "", ""][:4]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    if not _lives(int(pid)):
        return True
    now = _started(int(pid))
    return now is not None and start not in ("0", str(now))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process, or a platform that does not tell
        return True
    return True


def _started(pid: int) -> int | None:
    """The kernel's start time of a process, in its own ticks, where the platform has one. A zombie has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return -1 if fields[0] == "Z" else int(fields[19])
