"""A saved plan in use: found on the command line, turned back into a production, held against what is now. Owns the way from
the file to a production; the file is `saved`'s, the rule `holding`'s."""

from __future__ import annotations

import os
import shlex
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowrun.ids import ActionKey
from flowrun.ledger.protocol import Ledger
from flowrun.production import holding
from flowrun.production.binding import Bound
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.production.saved import OptionsDocument, SavedPlan, found_path, is_saved_plan, read_saved_plan
from flowrun.production.saving import FREE, Snapshot, account_in, plan_to_keep

if TYPE_CHECKING:
    from flowrun.production.production import Production

_FLAGS = {"vars": "--var", "vars_files": "--vars-file"}  # the others are named as their fields


@dataclass(slots=True)
class Kept:
    """`path`: of the file, absolute; `named`: as the person named it. `is_done`: whether it was found to be carried out."""

    path: Path
    named: Path
    plan: SavedPlan
    manifest: Path
    is_done: bool = False

    @property
    def again(self) -> str:
        """The command that makes such a plan anew."""
        words = ["flowrun", "plan", str(self.manifest), *flags_of(self.plan.options), "--save", str(self.named)]
        return " ".join(map(shlex.quote, words))

    def spent(self, ledger: Ledger) -> frozenset[ActionKey]:
        return holding.spent_keys(self.plan, ledger)

    def check_place(self, at: Bound) -> None:
        """Raises DiagnosticError: another provider or account."""
        holding.check_place(self.plan, at.choice.name, account_in(at), self.again)

    def check(self, now: Snapshot) -> None:
        """Raises DiagnosticError: something moved."""
        today = plan_to_keep(now, self.path)
        places = {str(at): each.node.decl.key_span for at, each in now.planner.graph.instances.items()}
        holding.check(self.plan, today, places, self.again)
        self.is_done = holding.is_carried_out(self.plan, today)


def flags_of(options: OptionsDocument) -> list[str]:
    """The options as they would be typed."""
    words: list[str] = []
    for name in OptionsDocument.model_fields:
        value, flag = getattr(options, name), _flag(name)
        if value is True:
            words.append(flag)
        elif isinstance(value, tuple):
            words += [word for each in value for word in (flag, each)]
        elif value is not False and value is not None:
            words += [flag, str(value)]
    return words


def _flag(name: str) -> str:
    return _FLAGS.get(name, f"--{name.replace('_', '-')}")


def open_production(path: Path, options: Options, around: Surroundings) -> Production:
    """The production of a manifest, or of a saved plan: the file's first key tells which.

    Raises DiagnosticError; FlowrunError where options are given that a saved plan holds itself.
    """
    from flowrun.production.production import Production

    file = around.named(path)
    if not is_saved_plan(file):
        return Production(path, options, around)
    _refuse_shaping(path, options)
    saved, absolute = read_saved_plan(file), (around.cwd / path).absolute()
    manifest = found_path(saved.manifest, absolute)
    if not manifest.is_file():
        message = f"{path} was made from {manifest}, which is not there; nothing was submitted"
        raise FlowrunError(Exit.WRONG, message, "put it back, or make the plan anew with flowrun plan FILE --save")
    there = _in_folder(around, found_path(saved.folder, absolute))
    shown = manifest.relative_to(there.cwd) if _is_here(manifest, there, around) else manifest
    kept = Kept(absolute, path, saved, shown)
    return Production(shown, _options(saved, options, path), there, kept=kept)


def _is_here(manifest: Path, there: Surroundings, around: Surroundings) -> bool:
    return there.cwd == around.cwd and manifest.is_relative_to(there.cwd)


def _in_folder(around: Surroundings, folder: Path) -> Surroundings:
    """The same process in the folder where the plan was made, so that relative paths mean what they meant."""
    environ, state = dict(around.environ), around.environ.get("FLOWRUN_STATE_DIR")
    if state:
        environ["FLOWRUN_STATE_DIR"] = str(around.cwd / Path(state).expanduser())
    return around if _same(folder, around.cwd) else replace(around, cwd=folder, environ=environ)


def _same(one: Path, other: Path) -> bool:
    return os.path.normpath(one) == os.path.normpath(other.absolute())


def _refuse_shaping(path: Path, options: Options) -> None:
    given = [_flag(each.name) for each in fields(options) if _shapes(each.name) and not _is_default(each, options)]
    if given:
        message = f"{path} is a saved plan and holds its options itself: {', '.join(given)} would make it another plan"
        raise FlowrunError(Exit.WRONG, message, "leave them away, or save another plan: flowrun plan FILE --save P")


def _shapes(name: str) -> bool:
    return name not in FREE and name != "max_credits"


def _is_default(field: Any, options: Options) -> bool:
    default = field.default_factory() if field.default is MISSING else field.default
    return bool(getattr(options, field.name) == default)


def _options(saved: SavedPlan, given: Options, path: Path) -> Options:
    """The plan's options, with what an apply may say anew; a cap may only be lowered."""
    own = saved.options
    if given.max_credits is not None and saved.cap is not None and given.max_credits > saved.cap:
        message = f"--max-credits {given.max_credits} is more than {path} allows, which is {saved.cap}"
        raise FlowrunError(Exit.WRONG, message, "a saved plan's cap can only be lowered; save another plan to raise it")
    cap = own.max_credits if given.max_credits is None else given.max_credits
    paths = {
        "vars_files": tuple(map(Path, own.vars_files)),
        "scenario": None if own.scenario is None else Path(own.scenario),
        "out": None if own.out is None else Path(own.out),
    }
    plain = {name: getattr(own, name) for name in OptionsDocument.model_fields if name not in paths}
    return replace(given, **{**plain, **paths, "max_credits": cap})
