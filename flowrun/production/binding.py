"""Opening what a command works on: store, ledger, client, inputs. Owns where each lies on disk for which provider."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.engine.ports import REAP_AFTER
from flowrun.files import write_atomic
from flowrun.ids import OwnerId
from flowrun.ledger.location import account_of, ledger_path
from flowrun.ledger.protocol import LedgerDamagedError
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.production.configuring import settings_of
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.inputs import DiskInputs
from flowrun.production.options import Options, Surroundings
from flowrun.production.owner import is_gone, new_owner
from flowrun.production.provider import Choice, choose, make_client
from flowrun.settings.model import Settings
from flowrun.store.disk import DiskStore
from flowrun.store.location import is_network_filesystem, store_root
from flowrun.store.protocol import StoreDamagedError

if TYPE_CHECKING:
    from httpx import AsyncClient

    from flowrun.runway.client import RunwayClient

LEDGERS_USED = "ledgers"


@dataclass(slots=True)
class Bound:
    """What a command has open. `client` is made on first use, since most commands send nothing."""

    project: Path
    choice: Choice
    options: Options
    around: Surroundings
    store: DiskStore
    ledger: SqliteLedger
    account: str
    inputs: DiskInputs
    owner: OwnerId
    settings: Settings
    _client: RunwayClient | None = None
    _http: AsyncClient | None = None

    def client(self) -> RunwayClient:
        """Raises FlowrunError where there is no key."""
        if self._client is None:
            folder = self.store.root / "api"
            self._client, self._http = make_client(self.choice, self.options, self.around, folder, self.settings)
        return self._client

    @property
    def project_name(self) -> str:
        """What the project is called: by its settings, else as its folder."""
        return self.settings.project.name or self.project.name

    def reap(self) -> None:
        """Free what dead processes held."""
        self.ledger.reap(REAP_AFTER, is_gone)

    async def close_client(self) -> None:
        if self._http is not None:
            await self._http.aclose()
        self._client = self._http = None

    def export_root(self, manifest: Path) -> Path:
        """The folder that exports of a manifest go below, without the flow's own name."""
        if self.options.out is not None:
            return self.around.cwd / self.options.out
        return manifest.parent / "out" / ("sandbox" if self.choice.name == "sandbox" else "")


@contextmanager
def bound(project: Path, options: Options, around: Surroundings, settings: Settings | None = None) -> Iterator[Bound]:
    """Everything open for one command; closed after it. `settings` None: they are read now. Raises FlowrunError for what
    cannot be opened, DiagnosticError for wrong settings."""
    settings = settings_of(project, around) if settings is None else settings
    if options.scenario is not None and not around.named(options.scenario).is_file():
        message = f"--scenario: there is no file {options.scenario}; nothing was submitted"
        raise FlowrunError(Exit.WRONG, message, "check the path")
    _refuse_unnamable(project)
    base = store_root(project, str(settings.cache.dir or ""))
    _refuse_network(base)
    choice = choose(options, settings, lambda: holds_runway(base, around))
    root = base / "sandbox" if choice.name == "sandbox" else base
    with _open_store(root, choice, around) as store:
        account = _account(choice, root, settings.provider.account)
        ledger = _open_ledger(choice, account, root, around)
        try:
            inputs = DiskInputs(
                project, store.urls, store.blobs, allow_outside=options.allow_outside, refresh=options.refresh
            )
            owner = new_owner(around.rng)
            yield Bound(project, choice, options, around, store, ledger, account, inputs, owner, settings)
        finally:
            ledger.close()


def _refuse_unnamable(project: Path) -> None:
    """Records are UTF-8, and name the project. Raises FlowrunError for a folder whose name is no text in it."""
    try:
        os.fspath(project).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(project).decode("ascii", "backslashreplace")
        hint = "rename that folder; or is the locale not UTF-8? then export LC_ALL=C.UTF-8"
        raise FlowrunError(Exit.WRONG, f"the folder's path '{shown}' is not UTF-8; nothing ran", hint) from None


def _refuse_network(base: Path) -> None:
    if is_network_filesystem(base):
        message = f"the store {base} lies on a network file system, where its index would be damaged sooner or later"
        raise FlowrunError(Exit.SURROUNDINGS, message, "set FLOWRUN_CACHE_DIR to a folder on a local disk")


def holds_runway(base: Path, around: Surroundings) -> bool:
    """Whether the project has anything of Runway's: a result, or an attempt that a ledger it used still has open."""
    if (base / "results").is_dir() and any((base / "results").glob("*/*.json")):
        return True
    used = (base / LEDGERS_USED).iterdir() if (base / LEDGERS_USED).is_dir() else ()
    return any(_has_open(ledger_path(state_dir(around), account.name), around) for account in used)


def _has_open(path: Path, around: Surroundings, store: str | None = None) -> bool:
    """Whether a ledger has unsettled tasks or requests, one of a killed process that nobody reaped too; of one store, or any."""
    if not path.exists():
        return False
    with closing(SqliteLedger(path, around.clock.now)) as ledger:
        return bool(ledger.open(store) or [row for row in ledger.unanswered() if store in (None, row.origin.store)])


def _open_store(root: Path, choice: Choice, around: Surroundings) -> DiskStore:
    try:
        if root.name == "sandbox":
            _ignore(root.parent)
        return DiskStore.open(root, around.clock.now, provider=choice.name)
    except StoreDamagedError as error:
        raise FlowrunError(Exit.DAMAGED, str(error), "move it aside and apply again") from error
    except OSError as error:
        hint = "mend its permissions, or set FLOWRUN_CACHE_DIR to a folder that can be written"
        raise FlowrunError(Exit.SURROUNDINGS, str(error), hint) from error


def _ignore(folder: Path) -> None:
    """Keep the folder out of git, also where only the sandbox writes in it."""
    if not (folder / ".gitignore").exists():
        write_atomic(folder / ".gitignore", b"*\n")


def _account(choice: Choice, root: Path, named: str | None) -> str:
    if choice.is_local:
        return "in-process"
    if choice.name == "runway" and named is not None:
        return named
    if choice.key is not None:
        return account_of(choice.key)
    used = _ledgers_used(root)
    return used[-1] if used else "no-key"


def _ledgers_used(root: Path) -> list[str]:
    """Accounts whose ledgers this store has worked with."""
    return sorted(each.name for each in (root / LEDGERS_USED).glob("*")) if (root / LEDGERS_USED).is_dir() else []


def check_ledgers(at: Bound) -> None:
    """Before anything is planned: another key or another `provider.account` must not leave this store's open tasks behind in
    the ledger of the former, where nobody would look for them, so that what they make would be paid twice. Naming that
    ledger takes them up, with whatever key is set. Raises FlowrunError."""
    if at.choice.name != "runway" or at.choice.key is None:
        return
    own, used = account_of(at.choice.key), _ledgers_used(at.store.root)
    for account in sorted({own, *used} - {at.account}):
        if _has_open(ledger_path(state_dir(at.around), account), at.around, str(at.store.root)):
            before = "without provider.account" if account == own else f'with provider.account = "{account}"'
            message = (
                f"tasks of this project are unsettled in the ledger '{account}', and '{at.account}' would not see them"
            )
            hint = f"apply {before} until flowrun status shows none, then change it; nothing was submitted"
            raise FlowrunError(Exit.WRONG, message, hint)


def _open_ledger(choice: Choice, account: str, root: Path, around: Surroundings) -> SqliteLedger:
    folder = root if choice.name == "sandbox" else state_dir(around)
    path = ledger_path(folder, account)
    try:
        ledger = SqliteLedger(path, around.clock.now)
        if choice.name == "runway":
            write_atomic(root / LEDGERS_USED / account, b"")
    except LedgerDamagedError as error:
        hint = f"move {path} aside only if nothing is in flight: it is the record of what was paid"
        raise FlowrunError(Exit.DAMAGED, f"the ledger is damaged: {error}", hint) from error
    except OSError as error:
        hint = "mend its permissions, or set FLOWRUN_STATE_DIR to a folder that can be written"
        raise FlowrunError(Exit.SURROUNDINGS, f"the ledger cannot be opened: {error}", hint) from error
    return ledger


def state_dir(around: Surroundings) -> Path:
    given = around.environ.get("FLOWRUN_STATE_DIR")
    if given:
        return around.cwd / Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_state_dir("flowrun", appauthor=False))
