"""All looks in the order they are told. Owns that order and what is looked at: which project, store, ledgers, provider."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.ledger.location import account_of, ledger_path
from flowrun.ledger.protocol import LedgerDamagedError
from flowrun.production.binding import holds_runway, state_dir
from flowrun.production.configuring import settings_of
from flowrun.production.doctoring import account, disks, ledgers, machine
from flowrun.production.doctoring.finding import Finding, Status, guarded, ok, problem, warning
from flowrun.production.exits import Exit
from flowrun.production.ledgers import LEDGERS_USED
from flowrun.production.options import Options, Surroundings
from flowrun.production.provider import KEY, Choice, choose
from flowrun.secret import Secret
from flowrun.settings.model import Settings
from flowrun.store.location import find_project, store_root


@dataclass(frozen=True, slots=True)
class Health:
    """What the doctor found."""

    findings: tuple[Finding, ...]

    @property
    def exit(self) -> Exit:
        sick = any(each.status is Status.PROBLEM for each in self.findings)
        return Exit.SURROUNDINGS if sick else Exit.DONE


def examine(
    options: Options,
    around: Surroundings,
    terminal: machine.Terminal,
    *,
    offline: bool = False,
    instruments: machine.Instruments | None = None,
) -> Health:
    """Look at everything around the project of the working folder. Changes and spends nothing, and never raises for what is
    wrong out there: that is what it tells."""
    looks = _Looks(options, around, instruments or machine.Instruments())
    found = [
        *guarded("versions", machine.versions),
        *guarded("terminal", lambda: machine.terminal(terminal)),
        *guarded("settings", looks.told_settings),
        *guarded("key", looks.key),
        *guarded("address", lambda: account.address(looks.choice, around.environ)),
        *guarded("API", lambda: asyncio.run(account.answer(looks.choice, options, around, offline=offline))),
        *guarded("codecs", machine.codecs),
        *guarded("store", lambda: disks.folder("store", looks.base, "FLOWRUN_CACHE_DIR", looks.instruments)),
        *guarded("index", lambda: disks.index(looks.root)),
        *guarded("state", lambda: disks.folder("state", looks.state, "FLOWRUN_STATE_DIR", looks.instruments)),
        *guarded("ledger", lambda: ledgers.ledgers(looks.ledgers(), around.clock.now)),
        *guarded("git", lambda: machine.ignored(looks.project, looks.instruments)),
    ]
    return Health(tuple(found))


class _Looks:
    """What is looked at, as an apply in the working folder would find it."""

    def __init__(self, options: Options, around: Surroundings, instruments: machine.Instruments) -> None:
        self.instruments, self._around = instruments, around
        self.project = find_project(around.cwd / "manifest")
        self.wrong: list[Diagnostic] = []
        self.settings = self._settings()
        self.base = store_root(self.project, str(self.settings.cache.dir or ""))
        self.state = state_dir(around)
        self.choice: Choice = choose(options, self.settings, self._holds_runway)
        self.root: Path = self.base / "sandbox" if self.choice.name == "sandbox" else self.base

    def _settings(self) -> Settings:
        """Those in force; where files are wrong, what can be known without them."""
        try:
            return settings_of(self.project, self._around)
        except DiagnosticError as error:
            self.wrong = list(error.diagnostics)
            key = self._around.environ.get(KEY, "").strip()
            return Settings(api_key=Secret(key) if key else None)

    def told_settings(self) -> Iterator[Finding]:
        if self.wrong:
            first = self.wrong[0]
            more = f", and {len(self.wrong) - 1} more" if len(self.wrong) > 1 else ""
            where = f"{first.span}: " if first.span else ""
            yield problem("settings", f"{where}{first.message}{more}", first.hint or "flowrun validate shows them all")
            return
        for each in self.settings.warnings:
            yield warning("settings", each.message, each.hint or "see flowrun config --explain")
        files = sorted({each.span.file for each in self.settings.origins.values() if each.span is not None})
        if not self.settings.warnings:
            yield ok("settings", f"read from {', '.join(files)}" if files else "built in; no file says otherwise")

    def _holds_runway(self) -> bool:
        try:
            return holds_runway(self.base, self._around)
        except (OSError, LedgerDamagedError):  # told of when the ledgers are looked at
            return True

    def key(self) -> Iterator[Finding]:
        raw, found = self._around.environ.get(KEY, ""), self.settings.api_key
        if raw.strip() or found is None:
            return account.key(self.choice, raw, "the environment")
        return account.key(self.choice, found.reveal(), ".env")

    def ledgers(self) -> list[Path]:
        """Of the account in use, and of every other that the project has used."""
        if self.choice.is_local:
            return [ledger_path(self.root, "in-process")]
        folder = self.root if self.choice.name == "sandbox" else self.state
        used: Sequence[str] = []
        if self.choice.name == "runway" and (self.root / LEDGERS_USED).is_dir():
            used = sorted(each.name for each in (self.root / LEDGERS_USED).iterdir())
        named = self.settings.provider.account if self.choice.name == "runway" else None
        own = [named or account_of(self.choice.key)] if self.choice.key is not None else []
        return [ledger_path(folder, name) for name in dict.fromkeys([*own, *used])]
