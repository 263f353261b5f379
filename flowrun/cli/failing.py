"""From an error to what a person reads and the code the program ends with. Owns that nobody ever sees a traceback."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from flowrun.cli.output import Output
from flowrun.cli.pages import tell_error, tell_found


def exit_code(error: BaseException) -> int:
    """Tell the error on stderr (as JSON on stdout where that was asked for); the exit code for it."""
    output = _output()
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        return _usage(error, output)
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        output.talk("\ninterrupted; nothing new was started")
        return 130
    return _ours(error, output)


def _output() -> Output:
    ctx = click.get_current_context(silent=True)
    found = ctx.obj if ctx is not None else None
    return found if isinstance(found, Output) else Output.last or Output()


def _usage(error: click.ClickException, output: Output) -> int:
    _tell_data(2, error.format_message(), None, output)
    with suppress(OSError):
        error.show(file=sys.stderr)
    return 2


def _ours(error: BaseException, output: Output) -> int:
    from flowrun.diagnostics.model import DiagnosticError
    from flowrun.ledger.protocol import LedgerDamagedError
    from flowrun.production.exits import Exit, FlowrunError
    from flowrun.store.protocol import StoreDamagedError

    if isinstance(error, DiagnosticError):
        return tell_diagnostics(error.diagnostics, output)
    if isinstance(error, FlowrunError):
        return _tell(error.exit, error.message, error.hint, output)
    if isinstance(error, LedgerDamagedError):
        hint = "flowrun apply FILE sets the ledger aside and rebuilds it from its copies and journals"
        return _tell(Exit.DAMAGED, str(error), hint, output)
    if isinstance(error, StoreDamagedError):
        return _tell(Exit.DAMAGED, str(error), "nothing was submitted; move the damaged file aside", output)
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        hint = "mend that and run it again; nothing that was generated is lost"
        return _tell(Exit.SURROUNDINGS, f"{error.strerror or error}{where}", hint, output)
    if isinstance(error, ExceptionGroup):
        return _ours(error.exceptions[0], output)
    return _bug(error, output)


def _tell(code: int, message: str, hint: str | None, output: Output) -> int:
    _tell_data(code, message, hint, output)
    output.talk(f"flowrun: {message}")
    if hint:
        output.talk(f"  hint: {hint}")
    return int(code)


def _tell_data(code: int, message: str, hint: str | None, output: Output) -> None:
    with suppress(OSError):  # stdout may be what failed; then stderr and the exit code tell it
        if output.json:
            output.document({"exit": int(code), "error": {"message": message, "hint": hint}})
        else:
            tell_error(message, hint, output)


def tell_diagnostics(diagnostics: Iterable[Any], output: Output, *, code: int = 2) -> int:
    """All mistakes of a pass, with their places; `code` where one of them is an error."""
    from flowrun.diagnostics.render import to_json, to_text

    found = tuple(diagnostics)
    errors = sum(1 for each in found if each.is_error)
    with suppress(OSError):  # as above
        if output.json:
            output.document({"exit": code if errors else 0, "diagnostics": to_json(found)})
        else:
            tell_found(found, output)
    if found:
        output.talk(to_text(found, source, output.colour))
    if errors:
        output.talk(f"{errors} error{'s' if errors > 1 else ''}; nothing ran and nothing was spent")
    return code if errors else 0


def source(name: str) -> str | None:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _bug(error: BaseException, output: Output) -> int:
    from flowrun.production.masking import Masker
    from flowrun.production.run_log import log_of, write_bug

    masked, log = Masker.of_all(), log_of(error)
    try:
        report = masked("".join(traceback.format_exception(error)))
        kept = f"a report is in {short(write_bug(_project(), report, time.strftime('%Y%m%d-%H%M%S')))}"
    except OSError:
        kept = masked(f"{type(error).__name__}: {error}")
    kept += f", and the run's log is {short(Path(log))}" if log else ""
    message = f"this is a bug in flowrun; {kept}"
    return _tell(70, message, "what was submitted is on record: apply again to take it up", output)


def _project() -> Path:
    """The project of the manifest that the command line names, else of the folder it was typed in."""
    from flowrun.store.location import find_project

    named = [Path(word) for word in Output.words[2:] if not word.startswith("-")]
    manifest = next((each for each in named if each.suffix in (".yaml", ".yml", ".json") and each.is_file()), None)
    return find_project(Path.cwd() / (manifest or "manifest"))


def short(path: Path) -> str:
    """`path` as one would type it from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
