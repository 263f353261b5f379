"""Looks at the machine: Python, codecs, the terminal, git. Owns how the outside is asked, which tests replace."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from flowrun.production.doctoring.finding import Finding, ok, problem, warning
from flowrun.store.location import FOLDER, is_network_filesystem

NARROW = 60  # columns; below, lines wrap
_GIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the command line knows of where it writes. `encoding`: of stdout; `width`: columns."""

    interactive: bool = False
    colour: bool = False
    width: int = 80
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Room:
    """What a disk has left. `files`: that it can still hold, None: it has no such limit."""

    bytes: int
    files: int | None


def room(folder: Path) -> Room:
    """Of the disk that holds `folder`. Raises OSError."""
    found = os.statvfs(folder)
    return Room(shutil.disk_usage(folder).free, found.f_favail if found.f_files else None)


def git(folder: Path, *words: str) -> tuple[int, str] | None:
    """Exit code and stdout of a git command that changes nothing; None where git cannot be asked."""
    found = shutil.which("git")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # of a hook around us
    with suppress(OSError, subprocess.TimeoutExpired):
        if found is not None:
            done = subprocess.run(  # noqa: S603 - fixed words, and names of our own files
                [found, *words], cwd=folder, env=plain, capture_output=True, timeout=_GIT_SECONDS, check=False
            )
            return done.returncode, done.stdout.decode("utf-8", "replace")
    return None


@dataclass(frozen=True, slots=True)
class Instruments:
    """How the doctor asks the machine."""

    room: Callable[[Path], Room] = room
    is_network: Callable[[Path], bool] = is_network_filesystem
    git: Callable[..., tuple[int, str] | None] = git


def versions() -> Iterator[Finding]:
    python = f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    yield ok("versions", f"flowrun {version('flowrun')}, Python {python}")


def terminal(of: Terminal) -> Iterator[Finding]:
    words = f"{'a terminal' if of.interactive else 'no terminal'}, {of.width} columns, {of.encoding}"
    words += ", colour" if of.colour else ", no colour"
    if of.encoding.lower().replace("-", "").replace("_", "") not in ("utf8", "utf8sig"):
        yield warning("terminal", words, "set PYTHONUTF8=1 or a UTF-8 locale, or some characters cannot be shown")
    elif of.interactive and of.width < NARROW:
        yield warning("terminal", words, f"widen it to {NARROW} columns or more, or lines wrap")
    else:
        yield ok("terminal", words)


def codecs() -> Iterator[Finding]:
    """Make one small thing of each kind, and read it back."""
    try:
        made = ", ".join(name for name in _round_trips())
    except Exception as error:  # of PyAV, Pillow or a loader: whatever it is, media cannot be read
        found = f"{type(error).__name__}: {error}"
        yield problem(
            "codecs", found, "install flowrun anew: its wheels bring the codecs (pip install --force-reinstall)"
        )
    else:
        yield ok("codecs", f"{made}: written and read back")


def _round_trips() -> Iterator[str]:
    from flowrun.media.film import FilmSpec, make_film
    from flowrun.media.frames import first_frame
    from flowrun.media.picture import PictureFormat, PictureSpec, draw_picture
    from flowrun.media.probe import probe_bytes
    from flowrun.media.sound import SoundKind, SoundSpec, make_sound

    film = make_film(FilmSpec(64, 36, 0.25, audio=True, fps=8))
    probe_bytes(film)
    first_frame(film)
    yield "H.264 with AAC"
    forms: tuple[PictureFormat, ...] = ("png", "jpeg", "webp")
    for form in forms:
        first_frame(draw_picture(PictureSpec(16, 16, format=form, tiny=True)))
        yield {"png": "PNG", "jpeg": "JPEG", "webp": "WebP"}[form]
    probe_bytes(make_sound(SoundSpec(SoundKind.EFFECT, 0.25, tiny=True)))
    yield "MP3"


def ignored(project: Path, instruments: Instruments) -> Iterator[Finding]:
    """Whether git keeps its hands off the store and off a file with a key."""
    inside = instruments.git(project, "rev-parse", "--is-inside-work-tree")
    if inside is None or inside[0] != 0:
        yield ok("git", "the project is in no git repository" if inside else "git is not installed")
        return
    tracked = instruments.git(project, "ls-files", "--", FOLDER)
    seen = [name for name in (FOLDER, ".env") if (project / name).exists() and not _ignores(project, name, instruments)]
    if tracked and tracked[1].strip():
        advice = f"git rm -r --cached {FOLDER}"
        yield warning("git", f"{FOLDER} is under version control, media, logs and all", advice)
    elif seen:
        advice = f"add {' and '.join(seen)} to .gitignore"
        yield warning("git", f"git does not ignore {' and '.join(seen)}", advice)
    else:
        yield ok("git", f"{FOLDER} and .env are ignored, or not there")


def _ignores(project: Path, name: str, instruments: Instruments) -> bool:
    probe = f"{name}/x" if (project / name).is_dir() else name  # a folder that ignores all in it is not ignored itself
    answer = instruments.git(project, "check-ignore", "-q", "--", probe)
    return answer is None or answer[0] == 0
