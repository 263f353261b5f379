"""Every setting there is: its section, name, kind, built-in value and what it does. Owns the one declaration from which
files and environment are read, and the schema and the table in the docs are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from flowrun.diagnostics.codes import registry
from flowrun.diagnostics.suggest import did_you_mean
from flowrun.operations.data import DEFAULT_OVERLAYS
from flowrun.settings.kinds import (
    Choice,
    Command,
    Count,
    Counts,
    Flag,
    Folder,
    Kind,
    Overlays,
    Text,
    Words,
    Wrong,
    address_problem,
)

ACCOUNT = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"  # it becomes the name of the ledger's file
PREFIX = "FLOWRUN_"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `built_in`: in words, for people. `default`: the plain value that means the same as leaving it away, where
    one does. `lacks`: what this version does not have, so that no other value can be honoured."""

    section: str
    name: str
    kind: Kind
    built_in: str
    about: str
    default: Any = None
    lacks: str | None = None

    @property
    def dotted(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"{PREFIX}{self.section}_{self.name}".upper()


def warning_codes() -> tuple[str, ...]:
    """Codes that may be warnings."""
    return tuple(sorted(name for name, code in registry().items() if code.warns))


def _code_problem(code: str) -> Wrong | None:
    if code not in registry():
        return Wrong(f"there is no diagnostic '{code[:64]}'", did_you_mean(code, warning_codes()))
    if code not in warning_codes():
        return Wrong(f"'{code}' is an error, and errors are never ignored", "only codes of warnings can stand here")
    return None


_REMOTE = "shared remotes"
_CATALOGUE = "descriptions other than its own"

KEYS: tuple[Key, ...] = (
    Key(
        "project",
        "name",
        Text(pattern=r"[^\x00-\x1f\x7f]{1,80}", rule="a text of 1 to 80 characters on one line"),
        "the folder's name",
        "What the project is called: by `flowrun config`, in the log of a run, and to the command of `notify`.",
    ),
    Key(
        "provider",
        "name",
        Choice(("runway", "sandbox")),
        "by key and address",
        "Which API is spoken to. `runway` with an address of this machine means a proxy to the live API; `sandbox` stays free "
        "whatever keys are around. `--sandbox` wins.",
    ),
    Key(
        "provider",
        "account",
        Text(
            takes="a name, as text",
            pattern=ACCOUNT,
            rule="a name of 1 to 80 letters, digits, `_`, `-` or `.`, no sign first",
        ),
        "one ledger a key",
        "Names the ledger, so that several keys of one organization share their limits, tasks in flight and credits. A change "
        "takes up what the former ledger left open.",
    ),
    Key(
        "provider",
        "base_url",
        Text(takes="an address, as text", check=address_problem),
        "the API's own",
        "The API's address. https, or http on this machine, which means a sandbox unless `provider.name` says `runway`. "
        "In `flowrun.toml` an address that is not Runway's is refused while there is a key: a project must not decide whom it is "
        "sent to. `RUNWAYML_BASE_URL` wins.",
    ),
    Key(
        "provider",
        "uncertain",
        Choice(("stop", "trust-counters")),
        "stop",
        "What follows from a request that was never answered: `stop`, and a person decides; or `trust-counters`: where the "
        "organization's counters say twice, 60 s apart, that nothing was accepted, and nobody else used the model, it is sent "
        "again.",
        "stop",
    ),
    Key(
        "provider",
        "resend_502",
        Flag(),
        "true",
        "Whether a creation that was answered 502 counts as not accepted and is sent again. `false` makes it uncertain.",
        True,
    ),
    Key(
        "cache",
        "dir",
        Folder(),
        "`.flowrun` in the project",
        "The store's folder. Projects that name one folder share what they made. A relative path counts from the file it "
        "stands in; in the environment, from the project.",
    ),
    Key("cache", "remote", Text(), "none", "A shared remote store, as a URL.", None, _REMOTE),
    Key("cache", "mode", Text(), "none", "Whether a shared remote is read, written, or both.", None, _REMOTE),
    Key("cache", "records", Text(), "none", "Which records go to a shared remote.", None, _REMOTE),
    Key(
        "limits",
        "credits_per_day",
        Count(),
        "no limit",
        "The most credits that all applies of the project together may commit in any 24 hours. It is a cap: without a terminal "
        "an apply may spend under it, and a node of unknown price does not run.",
    ),
    Key(
        "limits",
        "concurrency",
        Counts(),
        "the organization's",
        "Generations in flight at once, by model. It lowers the organization's limit and the manifest's, and raises neither. "
        "Files and environment are joined model by model.",
        {},
    ),
    Key(
        "limits",
        "queue_ahead",
        Count(most=1000),
        "0",
        "How many more generations of a model may wait at the API, where the manifest does not say.",
        0,
    ),
    Key("catalogue", "base", Text(), "flowrun's own", "Another description of the API's models.", None, _CATALOGUE),
    Key(
        "catalogue",
        "overlays",
        Overlays(),
        ", ".join(f"`{name}`" for name in DEFAULT_OVERLAYS),
        "What has changed since the API's description, laid over it in order: models, prices, limits. `[]` leaves the bare "
        "description; a path is a file of your own (`flowrun schema overlay-1`).",
        list(DEFAULT_OVERLAYS),
    ),
    Key(
        "lint",
        "ignore",
        Words("an array of codes of warnings", _code_problem, warning_codes),
        "none",
        "Codes of warnings that are neither shown nor counted by `--strict`. Errors are never ignored.",
        [],
    ),
    Key(
        "notify",
        "command",
        Command(),
        "none",
        "What runs when an apply ends. An array of words is run as it stands, one text is run by the shell.",
    ),
)


@cache
def by_section() -> dict[str, dict[str, Key]]:
    """Sections in declared order, each with its keys by name."""
    found: dict[str, dict[str, Key]] = {}
    for key in KEYS:
        found.setdefault(key.section, {})[key.name] = key
    return found
