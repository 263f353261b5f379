"""The API key that is at hand: of the environment, or of a `.env` that git ignores. Owns dotenv and the question to git."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from flowrun.diagnostics.model import Diagnostic, Severity
from flowrun.diagnostics.span import Span
from flowrun.secret import Secret
from flowrun.settings.model import Layer, Origin

API_KEY = "RUNWAYML_API_SECRET"
FILE = ".env"
_MAX_BYTES = 1 << 20
_ASK_GIT_FOR = 10.0  # seconds; it answers at once, unless its disk does not


def find_api_key(
    project: Path, environ: Mapping[str, str], shown: Callable[[Path], str]
) -> tuple[tuple[Secret, Origin] | None, list[Diagnostic]]:
    """The environment's key, else that of the project's ``.env``, and warnings why one there is not used.

    Nothing else in the file is looked at. Outside of any git work tree nothing can be committed, so the file is taken.
    """
    if text := environ.get(API_KEY, "").strip():
        return (Secret(text), Origin(Layer.ENVIRONMENT, API_KEY)), []
    path = project / FILE
    found = _in_file(path)
    if found is None:
        return None, []
    if _may_be_committed(path, environ):
        return None, [_not_ignored(found, shown(path))]
    origin = Origin(Layer.PROJECT, FILE, _place(found, shown(path)))
    return (Secret((found.value or "").strip()), origin), []


def _in_file(path: Path) -> Binding | None:
    """The last line that sets the key, as a shell would have it; None without one, or where the file cannot be read."""
    try:
        with path.open("rb") as stream:
            text = stream.read(_MAX_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    found = [each for each in parse_stream(io.StringIO(text)) if each.key == API_KEY and (each.value or "").strip()]
    return found[-1] if found else None


def _may_be_committed(path: Path, environ: Mapping[str, str]) -> bool:
    """Whether git would take the file; also where a work tree is there and git cannot be asked."""
    if not any((folder / ".git").exists() for folder in path.absolute().parents):
        return False
    git = shutil.which("git", path=environ.get("PATH"))
    if git is None:
        return True
    plain = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    asked = [git, "-C", str(path.parent), "check-ignore", "--quiet", path.name]
    try:
        answer = subprocess.run(asked, env=plain, capture_output=True, timeout=_ASK_GIT_FOR, check=False)  # noqa: S603 - git itself, with words of our own
    except (OSError, subprocess.SubprocessError):
        return True
    return answer.returncode != 0  # 0: ignored, and not tracked


def _place(found: Binding, file: str) -> Span:
    """Where the variable is named; blank lines before it belong to it, as the parser sees it."""
    text = found.original.string
    before = text[: text.index(API_KEY)]
    line, column = found.original.line + before.count("\n"), len(before.rpartition("\n")[2]) + 1
    return Span(file, line, column, line, column + len(API_KEY))


def _not_ignored(found: Binding, file: str) -> Diagnostic:
    message = f"the API key in {file} is not used: git does not ignore the file, so a commit would give the key away"
    hint = f"echo {FILE} >> .gitignore (and git rm --cached {FILE}, if it was committed; then make a new key)"
    return Diagnostic("key-not-ignored", message, _place(found, file), hint, severity=Severity.WARNING)
