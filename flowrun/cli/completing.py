"""What the Tab key offers for values: manifests, profiles, nodes, schemas. Owns the looking-up, which is quick or gives up, and
never says anything: a half-typed line is no mistake."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PATIENCE = 2.0  # seconds for the addresses of a manifest; whoever presses Tab does not wait longer
MOST = 500  # that are offered
LARGEST = 1 << 20  # bytes of a manifest that is read for it
_MANIFESTS = (".yaml", ".yml", ".plan.json")  # saved plans stand where manifests do
_HARD = frozenset(" \t\"'\\$`!*?;|&<>(){}")  # a shell would take a word with these apart

Offered = list["CompletionItem"]


def manifests(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Offered:
    """YAML files and folders."""
    head, name = os.path.split(incomplete)
    return _items(word for word in _entries(head, name))


def _entries(head: str, name: str) -> Iterable[str]:
    try:
        with os.scandir(Path(head).expanduser() if head else ".") as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if not entry.name.startswith(name) or (entry.name.startswith(".") and not name.startswith(".")):
            continue
        if entry.is_dir():
            yield os.path.join(head, entry.name) + "/"  # noqa: PTH118 - a word as typed, `./` and `~` and all
        elif entry.name.endswith(_MANIFESTS):
            yield os.path.join(head, entry.name)  # noqa: PTH118 - as above


def profiles(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Offered:
    """Those of the manifest that was named."""
    return _starting(incomplete, lambda: _keys(ctx, "profiles"))


def nodes(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Offered:
    """Nodes and instances of the manifest that was named."""
    return _starting(incomplete, lambda: _keys(ctx, "nodes"), lambda: _addresses(ctx))


def selections(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Offered:
    """As `nodes`, for the last of several that are united, intersected or widened."""
    head = incomplete[: max(incomplete.rfind(mark) for mark in ",&+") + 1]

    def led(words: Iterable[str]) -> list[str]:
        return [head + each for each in words]

    return _starting(incomplete, lambda: led(_keys(ctx, "nodes")), lambda: led(_addresses(ctx)))


def schemas(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Offered:
    from flowrun.operations.data import schema_file

    return _starting(incomplete, lambda: [path.stem for path in schema_file("models.json").parent.glob("*.json")])


def runs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Offered:
    """Runs of this project, of which something is at the API still."""
    return _starting(incomplete, lambda: _open_runs(ctx))


def shells(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Offered:
    from flowrun.cli.completion import SHELLS

    return _starting(incomplete, lambda: SHELLS)


# -- looking up


def _starting(incomplete: str, *ways: Callable[[], Iterable[str]]) -> Offered:
    """The words that begin so, by the last of `ways` that gives them in time; the quickest comes first."""
    found: list[str] = []

    def look() -> None:
        for words in ways:
            with suppress(Exception):  # whatever it is, the command itself will say it
                found[:] = sorted(set(words()))

    looking = Thread(target=look, daemon=True)
    looking.start()
    looking.join(PATIENCE)
    return _items(each for each in list(found) if each.startswith(incomplete) and not _HARD & set(each))


def _items(words: Iterable[str]) -> Offered:
    from click.shell_completion import CompletionItem

    return [CompletionItem(word) for word in list(words)[:MOST]]


def _manifest(ctx: click.Context) -> Path | None:
    found = ctx.params.get("file") or ctx.params.get("what")
    rest = (each for each in ctx.args if each.endswith(_MANIFESTS))  # not read yet, where an option lacks its value
    named = found or next(rest, None)
    return Path(named).expanduser() if named else None


def _addresses(ctx: click.Context) -> list[str]:
    """Instances, and the nodes they belong to. Raises whatever a manifest that is still being written is wrong in."""
    path = _manifest(ctx)
    if path is None:
        return []
    from flowrun.production.addresses import addresses

    given = {name: ctx.params[name] for name in ("vars", "vars_files", "profile") if ctx.params.get(name)}
    found = addresses(path, **given)
    return [*found, *(each.partition("[")[0] for each in found)]


def _open_runs(ctx: click.Context) -> list[str]:
    from flowrun.production.in_flight import in_flight
    from flowrun.production.options import Options, Surroundings
    from flowrun.store.location import find_project

    if not (find_project(Path.cwd() / "manifest") / ".flowrun").is_dir():
        return []  # pressing Tab makes no folders
    options = Options(sandbox=bool(ctx.params.get("sandbox")), scenario=ctx.params.get("scenario"))
    return [row.run for each in in_flight(options, Surroundings()) for row in each.tasks]


def _keys(ctx: click.Context, section: str) -> list[str]:
    """The keys of a mapping at the top of the manifest, whatever else is wrong with it."""
    path = _manifest(ctx)
    if path is None or path.stat().st_size > LARGEST:
        return []
    from flowrun.yaml_tree import Mapping, parse

    tree = parse(path.read_text(encoding="utf-8"), str(path))
    found = tree.get(section) if isinstance(tree, Mapping) else None
    return list(found.keys) if isinstance(found, Mapping) else []
