"""The file of a saved plan: what `plan --save` writes and `apply` carries out. Owns its shape, version 1, how it is known from
a manifest, and reading and writing it. What goes into it is `saving`'s; whether it still holds is `holding`'s.

It is known by its first key, `flowrun_saved_plan`. No secret is in it: nodes are digests, an account is the hash of its key,
and a variable that is set to a key or a signed address keeps a plan from being saved.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.diagnostics.span import Span
from flowrun.files import write_atomic
from flowrun.plan.document import DIALECT, CreditsDocument, SubmissionsDocument
from flowrun.plan.model import Decision, Reason
from flowrun.production.exits import Exit, FlowrunError

VERSION = 1
LARGEST = 256 * 2**20  # bytes; ten thousand nodes take some eight million
_HEAD = 4096  # bytes that are looked at to know a plan
_FIRST_KEY = re.compile(r'\s*\{\s*"(flowrun_saved_plan|flowrun_plan)"\s*:')


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OptionsDocument(_Model):
    """The options that shape a plan, named as on the command line. Relative paths count from the plan's `folder`."""

    vars: tuple[str, ...] = ()
    vars_files: tuple[str, ...] = ()
    profile: str | None = None
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    resend: tuple[str, ...] = ()
    retry_rejected: bool = False
    sandbox: bool = False
    scenario: str | None = None
    refresh: bool = False
    allow_outside: bool = False
    allow_unknown_models: bool = False
    allow_unknown_price: bool = False
    max_credits: int | None = Field(None, ge=0)
    out: str | None = None


class LimitsDocument(_Model):
    """`limits` of the manifest, and where the settings are stricter, theirs."""

    credits: int | None = None
    concurrency: dict[str, int] = Field(default_factory=dict)
    queue_ahead: int = 0


class SavedTake(_Model):
    """One take. `request`: digest of what is sent, media as digests; `known`: tasks and unanswered requests that the ledger had
    of this key when the plan was made."""

    take: int = Field(ge=1)
    decision: Decision
    key: str
    request: str
    credits: CreditsDocument
    result: str | None = None
    forced: bool = False
    known: tuple[str, ...] = ()


class SavedStep(_Model):
    """One instance. `written`: digest of what the manifest says of it, whatever its upstream makes; `submissions`: requests that
    it may send, retries aside."""

    address: str
    decision: Decision
    reason: Reason | None = None
    operation: str
    model: str
    retry: int | None = None
    written: str
    submissions: SubmissionsDocument
    credits: CreditsDocument
    takes: tuple[SavedTake, ...] = ()


class ReadFile(_Model):
    """A file that the plan was made from."""

    kind: Literal["manifest", "vars", "data", "input", "scenario"]
    path: str
    sha256: str


class OutputDocument(_Model):
    """An output as the manifest has it."""

    source: str
    path: str | None = None


class SavedPlan(_Model):
    """Paths count from the folder of this file; absolute ones were outside of the project. `folder`: where the command was
    typed. `account`: hash of the key, null: there was none. `cap`: the most credits one apply may commit."""

    flowrun_saved_plan: Literal[1] = 1
    flowrun: str = Field(description="The version of flowrun that made it.")
    made_at: float = Field(description="Epoch seconds.")
    manifest: str
    folder: str
    flow: str
    profile: str
    provider: Literal["runway", "sandbox"]
    account: str | None
    options: OptionsDocument
    limits: LimitsDocument
    cap: int | None = None
    submissions: SubmissionsDocument
    credits: CreditsDocument
    steps: tuple[SavedStep, ...]
    outputs: dict[str, OutputDocument]
    read: tuple[ReadFile, ...]


def saved_plan_schema() -> dict[str, Any]:
    """JSON Schema of the file, as `schemas/saved-plan-1.json`."""
    schema = SavedPlan.model_json_schema(mode="serialization")
    return {"$schema": DIALECT, **schema, "title": "A saved flowrun plan, version 1"}


# -- knowing, reading, writing


def is_saved_plan(path: Path) -> bool:
    """Whether the file's first key says that it is a plan. Looks at its beginning alone; False for what cannot be read."""
    return _first_key(path) is not None


def _first_key(path: Path) -> str | None:
    if not path.is_file():  # a pipe would be emptied by looking
        return None
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD).decode("utf-8", errors="replace").removeprefix("\ufeff")
    except OSError:
        return None
    found = _FIRST_KEY.match(head)
    return found[1] if found else None


def read_saved_plan(path: Path) -> SavedPlan:
    """Raises DiagnosticError for a file that is damaged, of another version or no saved plan; OSError."""
    if _first_key(path) == "flowrun_plan":
        message = "this is what 'plan --json' prints; it does not hold what an apply needs"
        raise _damaged(path, message, f"flowrun plan FILE --save {path.name}", code="not-saved-plan")
    if path.stat().st_size > LARGEST:
        raise _damaged(path, f"a saved plan has at most {LARGEST:,} bytes")
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise _damaged(path, "the saved plan is no UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise _damaged(path, f"the saved plan is damaged: {error.msg}", line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise _damaged(path, "the saved plan is damaged: it is nested too deeply") from None
    return _checked(document, path)


def _checked(document: Any, path: Path) -> SavedPlan:
    version = document.get("flowrun_saved_plan") if isinstance(document, dict) else None
    if version is not None and (isinstance(version, bool) or version != VERSION):
        message = f"the saved plan has format version {version}, and this flowrun reads {VERSION}"
        raise _damaged(
            path, message, "apply it with the flowrun that made it, or plan again", code="saved-plan-version"
        )
    try:
        return SavedPlan.model_validate_json(json.dumps(document), strict=True)
    except (ValidationError, RecursionError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        place = ".".join(map(str, first["loc"])) if first else ""
        message = (
            f"the saved plan is damaged: {place}: {first['msg'].lower()}" if first else "the saved plan is damaged"
        )
        raise _damaged(path, message) from None


def _damaged(
    path: Path,
    message: str,
    hint: str = "make it again with flowrun plan FILE --save",
    *,
    code: str = "saved-plan-damaged",
    line: int = 1,
    column: int = 1,
) -> DiagnosticError:
    return DiagnosticError([Diagnostic(code, message, Span(str(path), line, column, line, column), hint)])


def check_target(path: Path) -> None:
    """Before anything is planned: only a saved plan may be replaced by one. Raises FlowrunError."""
    if path.is_dir():
        raise FlowrunError(Exit.WRONG, f"--save: {path} is a folder", "name a file in it")
    if path.exists() and _first_key(path) != "flowrun_saved_plan":
        message = f"--save: {path} is there already and is no saved plan; it was left as it is"
        raise FlowrunError(Exit.WRONG, message, "name another file, or remove that one")


def write_saved_plan(plan: SavedPlan, path: Path) -> None:
    """Whole or not at all. Raises OSError."""
    text = json.dumps(plan.model_dump(mode="json"), ensure_ascii=False, indent=1)
    write_atomic(path, (text + "\n").encode())


# -- paths


def written_path(path: Path, plan: Path, project: Path) -> str:
    """As the plan names a file: from the plan's own folder where both lie in the project, so that they can move together.

    All are absolute. Symbolic links are not followed, as they are not when a manifest's project is looked for.
    """
    there, base = _plain(path), _plain(plan.parent)
    if there.is_relative_to(_plain(project)) and base.is_relative_to(_plain(project)):
        return Path(os.path.relpath(there, base)).as_posix()
    return str(there)


def found_path(written: str, plan: Path) -> Path:
    """Where a path in the plan (an absolute one) is now. Absolute."""
    return _plain(plan.parent / written)


def _plain(path: Path) -> Path:
    return Path(os.path.normpath(path))
