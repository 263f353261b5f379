"""Which ledgers a store works with: that of its account now, and those of former ones, which may still hold what it has open.

Owns the notes of that in the store, one small file an account, and what may be asked of a ledger that is only looked at. A key
that was rotated, or `provider.account` set anew, makes another account. Taking things up from a former one is `taking_over`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from flowrun.files import write_atomic
from flowrun.ledger.location import account_of, is_account, ledger_path
from flowrun.ledger.looking import look_at
from flowrun.ledger.protocol import LedgerDamagedError
from flowrun.ledger.rebuilding import is_missing
from flowrun.production.provider import Choice

LEDGERS_USED = "ledgers"
_NOBODY = "no-key"  # whose ledger is empty for ever


@dataclass(frozen=True, slots=True)
class Ledgers:
    """Of the store at `root`. `state`: the user's folder, which the ledgers lie in; `now`: epoch seconds."""

    root: Path
    state: Path
    now: Callable[[], float]

    @property
    def store(self) -> str:
        """As origins name it."""
        return str(self.root)

    def used(self) -> list[str]:
        """Accounts whose ledgers this store has worked with, the latest first."""
        folder = self.root / LEDGERS_USED
        names = [each.name for each in folder.iterdir() if is_account(each.name)] if folder.is_dir() else []
        return sorted(names, key=lambda name: (_noted_at(folder / name), name), reverse=True)

    def note(self, account: str) -> None:
        """Before anything is written to its ledger. Raises OSError."""
        write_atomic(self.root / LEDGERS_USED / account, b"")

    def former(self, account: str, choice: Choice) -> dict[str, Path]:
        """The files of all others that the store has used, the latest first; the key's own too, where another is named."""
        own = [] if choice.key is None else [account_of(choice.key)]
        names = dict.fromkeys([*self.used(), *own]) if choice.name == "runway" else {}
        paths = {name: self.path(name) for name in names if name != account}
        return {name: path for name, path in paths.items() if path.exists() or is_missing(path)}

    def path(self, account: str) -> Path:
        return ledger_path(self.state, account)

    def meant(self) -> str:
        """The account where there is no key: a used one that has something of this store unsettled, else the latest."""
        used = self.used()
        return next((name for name in used if self.has_open(name, self.store)), next(iter(used), _NOBODY))

    def any_open(self) -> bool:
        return any(map(self.has_open, self.used()))

    def has_open(self, account: str, store: str | None = None) -> bool:
        """Whether its ledger has unsettled tasks or requests, of one store or any; those of killed processes that nobody has
        reaped too. One that is damaged may: nobody knows, until it is mended. Raises OSError."""
        if is_missing(self.path(account)):
            return True
        try:
            with closing(look_at(self.path(account), self.now)) as ledger:
                unanswered = [row for row in ledger.unanswered() if store in (None, row.origin.store)]
                return bool(ledger.open(store) or unanswered)
        except LedgerDamagedError:
            return True


def _noted_at(path: Path) -> int:
    """0 for a note that was taken away just now."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def account_name(choice: Choice, named: str | None, ledgers: Ledgers) -> str:
    """Whose ledger a command works with. `named`: by the settings."""
    if choice.is_local:
        return "in-process"
    if choice.name == "runway" and named is not None:
        return named
    return ledgers.meant() if choice.key is None else account_of(choice.key)
