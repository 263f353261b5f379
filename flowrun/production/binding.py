"""Opening what a command works on: store, ledger, client, inputs. Owns where each lies on disk for which provider."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.engine.ports import REAP_AFTER
from flowrun.files import write_atomic
from flowrun.ids import OwnerId
from flowrun.ledger.location import ledger_path
from flowrun.ledger.looking import joined
from flowrun.ledger.protocol import LedgerFormatError
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.ledger.transactions import FactLedger
from flowrun.production.configuring import settings_of
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.inputs import DiskInputs
from flowrun.production.ledgers import Ledgers, account_name
from flowrun.production.mending import look_at_sound, open_mended, open_sound
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
    mended: list[str] = field(default_factory=list)  # what was damaged and put right on opening, in words
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
    def written(self) -> SqliteLedger:
        """The ledger of a command that writes, as a file of which copies are kept."""
        if not isinstance(self.ledger, SqliteLedger):
            raise RuntimeError("a command that only looks has no ledger to write to")
        return self.ledger

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
    project: Path,
    options: Options,
    around: Surroundings,
    settings: Settings | None = None,
    *,
    reading: bool = False,
    mends: bool = False,
) -> Iterator[Bound]:
    """Everything open for one command; closed after it. `settings` None: they are read now. `reading`: for a command that
    writes nothing; what is not there is empty then, and it waits for nobody. `mends`: a damaged ledger is rebuilt. Raises
    FlowrunError for what cannot be opened, DiagnosticError for wrong settings."""
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
        door = _Door(choice, account, store, ledgers, around, reading=reading, mends=mends)
        ledger, former = door.open_own(opened), door.open_former(opened)
        inputs = DiskInputs(
            project, store.urls, store.blobs, allow_outside=options.allow_outside, refresh=options.refresh
        )
        owner = new_owner(around.rng, str(root))
        yield Bound(
            project,
            choice,
            options,
            around,
            store,
            ledger,
            account,
            inputs,
            owner,
            settings,
            ledgers,
            former,
            reading,
            door.told,
        )


@dataclass(slots=True)
class _Door:
    """To the ledgers of one command. `told`: what was mended on the way, in words."""

    choice: Choice
    account: str
    store: DiskStore
    ledgers: Ledgers
    around: Surroundings
    reading: bool
    mends: bool
    told: list[str] = field(default_factory=list)

    def open_own(self, opened: ExitStack) -> FactLedger:
        """The account's."""
        if self.choice.name == "runway" and self.choice.key is not None and not self.reading:
            self.ledgers.note(self.account)
        is_sandbox = self.choice.name == "sandbox"
        path = ledger_path(self.ledgers.root, self.account) if is_sandbox else self.ledgers.path(self.account)
        return self._entered(opened, lambda: self._own(path))

    def open_former(self, opened: ExitStack) -> dict[str, FactLedger]:
        """Those of former accounts, which are only looked at."""
        paths = self.ledgers.former(self.account, self.choice)
        return {name: self._entered(opened, partial(self._former, name, path)) for name, path in paths.items()}

    def _own(self, path: Path) -> FactLedger:
        now = self.around.clock.now
        if self.reading:
            return look_at_sound(path, now)
        return self._mended(self.account, path) if self.mends else open_sound(path, now)

    def _former(self, account: str, path: Path) -> FactLedger:
        try:
            return look_at_sound(path, self.around.clock.now)
        except FlowrunError as error:
            if not self.mends or error.exit is not Exit.DAMAGED:
                raise
        self._mended(account, path).close()
        return look_at_sound(path, self.around.clock.now)

    def _mended(self, account: str, path: Path) -> SqliteLedger:
        found = open_mended(path, account, self.store, self.around.clock.now)
        self.told += found.told
        return found.ledger

    def _entered(self, opened: ExitStack, door: Callable[[], FactLedger]) -> FactLedger:
        """Open until the command's end. Raises FlowrunError."""
        try:
            return opened.enter_context(closing(door()))
        except LedgerFormatError as error:
            raise FlowrunError(Exit.DAMAGED, str(error), "nothing was submitted") from error
        except OSError as error:
            hint = "mend its permissions, or set FLOWRUN_STATE_DIR to a folder that can be written"
            raise FlowrunError(Exit.SURROUNDINGS, f"the ledger cannot be opened: {error}", hint) from error


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


def state_dir(around: Surroundings) -> Path:
    given = around.environ.get("FLOWRUN_STATE_DIR")
    if given:
        return around.cwd / Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_state_dir("flowrun", appauthor=False))
