"""Opening what a command works on: store, ledger, client, inputs. Owns where each lies on disk for which provider."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.engine.ports import REAP_AFTER
from flowrun.files import write_atomic
from flowrun.ids import OwnerId
from flowrun.ledger.location import ledger_path
from flowrun.ledger.looking import joined, look_at
from flowrun.ledger.protocol import LedgerDamagedError
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.ledger.transactions import FactLedger
from flowrun.production.configuring import settings_of
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.inputs import DiskInputs
from flowrun.production.ledgers import Ledgers, account_name
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


@dataclass(slots=True)
class Bound:
    """What a command has open. `client` is made on first use, since most commands send nothing."""

    project: Path
    choice: Choice
    options: Options
    around: Surroundings
    store: DiskStore
    ledger: FactLedger
    account: str
    inputs: DiskInputs
    owner: OwnerId
    settings: Settings
    ledgers: Ledgers
    former: Mapping[str, FactLedger]  # by account, to be looked at
    reading: bool = False
    _client: RunwayClient | None = None
    _http: AsyncClient | None = None

    def client(self) -> RunwayClient:
        """Raises FlowrunError where there is no key."""
        if self._client is None:
            folder = self.store.root / "api"
            place = None if self.reading and not folder.exists() else folder
            self._client, self._http = make_client(self.choice, self.options, self.around, place, self.settings)
        return self._client

    @property
    def project_name(self) -> str:
        """What the project is called: by its settings, else as its folder."""
        return self.settings.project.name or self.project.name

    @property
    def seen(self) -> FactLedger:
        """The ledger together with what former accounts' still hold of this store: to be looked at."""
        if not self.former:
            return self.ledger
        return joined([self.ledger, *self.former.values()], self.around.clock.now, self.ledgers.store)

    def reap(self) -> None:
        """Free what dead processes held."""
        self.ledger.reap(REAP_AFTER, is_gone)

    def is_dead(self, owner: OwnerId) -> bool:
        """Whether a reaper would free what the owner holds; never ourselves, however long the machine was asleep."""
        heard = max((row.heartbeat for row in self.seen.owners() if row.owner == owner), default=-math.inf)
        return is_gone(owner) or (owner != self.owner and self.around.clock.now() - heard > REAP_AFTER)

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
def bound(
    project: Path, options: Options, around: Surroundings, settings: Settings | None = None, *, reading: bool = False
) -> Iterator[Bound]:
    """Everything open for one command; closed after it. `settings` None: they are read now. `reading`: for a command that
    writes nothing; what is not there is empty then, and it waits for nobody. Raises FlowrunError for what cannot be opened,
    DiagnosticError for wrong settings."""
    settings = settings_of(project, around) if settings is None else settings
    if options.scenario is not None and not around.named(options.scenario).is_file():
        message = f"--scenario: there is no file {options.scenario}; nothing was submitted"
        raise FlowrunError(Exit.WRONG, message, "check the path")
    _refuse_unnamable(project)
    base = store_root(project, str(settings.cache.dir or ""))
    _refuse_network(base)
    choice = choose(options, settings, lambda: holds_runway(base, around))
    root = base / "sandbox" if choice.name == "sandbox" else base
    with ExitStack() as opened:
        store = opened.enter_context(_open_store(root, choice, around, reading=reading))
        ledgers = _ledgers_of(root, around)
        account = account_name(choice, settings.provider.account, ledgers)
        ledger, former = _open_ledgers(choice, account, ledgers, around, opened, reading=reading)
        inputs = DiskInputs(
            project, store.urls, store.blobs, allow_outside=options.allow_outside, refresh=options.refresh
        )
        owner = new_owner(around.rng, str(root))
        yield Bound(
            project, choice, options, around, store, ledger, account, inputs, owner, settings, ledgers, former, reading
        )


def _open_ledgers(
    choice: Choice, account: str, ledgers: Ledgers, around: Surroundings, opened: ExitStack, *, reading: bool
) -> tuple[FactLedger, dict[str, FactLedger]]:
    """The account's own, and those of former accounts, which are only looked at."""
    if choice.name == "runway" and choice.key is not None and not reading:
        ledgers.note(account)
    path = ledger_path(ledgers.root, account) if choice.name == "sandbox" else ledgers.path(account)
    own = opened.enter_context(closing(_open_ledger(path, around, reading=reading)))
    former = {
        name: opened.enter_context(closing(_open_ledger(path, around, reading=True)))
        for name, path in ledgers.former(account, choice).items()
    }
    return own, former


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
    return _ledgers_of(base, around).any_open()


def _ledgers_of(root: Path, around: Surroundings) -> Ledgers:
    return Ledgers(root, state_dir(around), around.clock.now)


def _open_store(root: Path, choice: Choice, around: Surroundings, *, reading: bool) -> DiskStore:
    try:
        if root.name == "sandbox" and not reading:
            _ignore(root.parent)
        return DiskStore.open(root, around.clock.now, provider=choice.name, reading=reading)
    except StoreDamagedError as error:
        raise FlowrunError(Exit.DAMAGED, str(error), "move it aside and apply again") from error
    except OSError as error:
        hint = "mend its permissions, or set FLOWRUN_CACHE_DIR to a folder that can be written"
        raise FlowrunError(Exit.SURROUNDINGS, str(error), hint) from error


def _ignore(folder: Path) -> None:
    """Keep the folder out of git, also where only the sandbox writes in it."""
    if not (folder / ".gitignore").exists():
        write_atomic(folder / ".gitignore", b"*\n")


def _open_ledger(path: Path, around: Surroundings, *, reading: bool) -> FactLedger:
    try:
        return look_at(path, around.clock.now) if reading else SqliteLedger(path, around.clock.now)
    except LedgerDamagedError as error:
        hint = f"move {path} aside only if nothing is in flight: it is the record of what was paid"
        raise FlowrunError(Exit.DAMAGED, f"the ledger is damaged: {error}", hint) from error
    except OSError as error:
        hint = "mend its permissions, or set FLOWRUN_STATE_DIR to a folder that can be written"
        raise FlowrunError(Exit.SURROUNDINGS, f"the ledger cannot be opened: {error}", hint) from error


def state_dir(around: Surroundings) -> Path:
    given = around.environ.get("FLOWRUN_STATE_DIR")
    if given:
        return around.cwd / Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_state_dir("flowrun", appauthor=False))
