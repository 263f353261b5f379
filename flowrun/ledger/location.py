"""Where the ledger of an account lies. Owns the file's name; which state directory it is, is decided at the top."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from flowrun.secret import Secret

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")


def account_of(secret: Secret) -> str:
    """The account a key speaks for when nothing names one: 16 hex digits of the key's SHA-256, which do not give it away."""
    return hashlib.sha256(secret.reveal().encode()).hexdigest()[:16]


def is_account(name: str) -> bool:
    """Whether an account may be called so."""
    return _SAFE.fullmatch(name) is not None


def ledger_path(state_dir: Path, account: str) -> Path:
    """The ledger's file. `account`: of `account_of`, or the name several keys of one organization share.

    Raises ValueError for a name that is no plain file name.
    """
    if not is_account(account):
        raise ValueError(f"an account's name is 1-80 letters, digits, '_', '-' or '.', not {account!r}")
    return state_dir / "ledgers" / f"{account}.sqlite3"
