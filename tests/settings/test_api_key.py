"""The API key of a `.env`: taken only where git ignores the file, and nothing else of it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from flowrun.settings import api_key
from flowrun.settings.reading import read_settings

KEY = "key_" + "0a" * 64
ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="asks git")


def project(root: Path, text: str, ignored: str | None = None) -> Path:
    """A git work tree with a `.env`; `ignored`: its .gitignore."""
    subprocess.run(["git", "init", "--quiet", str(root)], check=True, capture_output=True)
    (root / ".env").write_text(text, encoding="utf-8")
    if ignored is not None:
        (root / ".gitignore").write_text(ignored, encoding="utf-8")
    return root


@needs_git
def test_the_key_of_an_ignored_file_is_used(tmp_path: Path) -> None:
    text = f'FLOWRUN_CACHE_DIR=elsewhere\n\nexport RUNWAYML_API_SECRET="{KEY}"  # live\n'
    settings = read_settings(project(tmp_path, text, ".env\n"), ENVIRON, cwd=tmp_path)
    assert settings.api_key is not None
    assert settings.api_key.reveal() == KEY
    assert settings.cache.dir is None, "other variables of the file are not read"
    assert str(settings.origin("api_key")) == ".env:3:8"
    assert KEY not in repr(settings)


@needs_git
@pytest.mark.parametrize("ignored", [None, "*.txt\n"])
def test_the_key_of_a_file_that_git_would_take_is_not_used(tmp_path: Path, ignored: str | None) -> None:
    text = f"OTHER=1\nRUNWAYML_API_SECRET={KEY}\n"
    settings = read_settings(project(tmp_path, text, ignored), ENVIRON, cwd=tmp_path)
    assert settings.api_key is None
    (warning,) = settings.warnings
    assert (warning.code, warning.is_error, str(warning.span)) == ("key-not-ignored", False, ".env:2:1")
    assert ".gitignore" in (warning.hint or "")


@needs_git
def test_a_file_that_is_tracked_although_ignored_is_not_used(tmp_path: Path) -> None:
    root = project(tmp_path, f"RUNWAYML_API_SECRET={KEY}\n", ".env\n")
    subprocess.run(["git", "-C", str(root), "add", "--force", ".env"], check=True, capture_output=True)
    assert read_settings(root, ENVIRON).api_key is None


@needs_git
def test_git_is_asked_about_this_work_tree_whatever_the_environment_says(tmp_path: Path) -> None:
    root = project(tmp_path / "a", f"RUNWAYML_API_SECRET={KEY}\n")
    other = project(tmp_path / "b", "", ".env\n")
    environ = {**ENVIRON, "GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other)}
    assert read_settings(root, environ).api_key is None


def test_outside_of_git_nothing_can_be_committed(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"RUNWAYML_API_SECRET={KEY}\n")
    assert not any((folder / ".git").exists() for folder in tmp_path.parents), "the test needs a place outside of git"
    found = read_settings(tmp_path, ENVIRON).api_key
    assert found is not None
    assert found.reveal() == KEY


def test_where_git_cannot_be_asked_the_key_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".env").write_text(f"RUNWAYML_API_SECRET={KEY}\n")
    assert read_settings(tmp_path, {"PATH": str(tmp_path)}).api_key is None

    def broken(*args: object, **kwargs: object) -> object:
        raise OSError("no")

    monkeypatch.setattr(api_key.shutil, "which", lambda name, path: "/bin/git")
    monkeypatch.setattr(api_key.subprocess, "run", broken)
    assert read_settings(tmp_path, ENVIRON).warnings[0].code == "key-not-ignored"


def test_the_environment_wins_and_the_file_is_not_even_looked_at(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".env").write_text("RUNWAYML_API_SECRET=of-the-file\n")
    settings = read_settings(tmp_path, {**ENVIRON, "RUNWAYML_API_SECRET": f" {KEY}\n"})
    assert settings.api_key is not None
    assert settings.api_key.reveal() == KEY
    assert settings.warnings == ()
    assert str(settings.origin("api_key")) == "environment RUNWAYML_API_SECRET"


@pytest.mark.parametrize("data", [b"", b"RUNWAYML_API_SECRET=\n", b"RUNWAYML_API_SECRET\n", b"\xff\xfe", b"X=1\n"])
def test_a_file_without_a_key_says_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".env").write_bytes(data)
    settings = read_settings(tmp_path, ENVIRON)
    assert (settings.api_key, settings.warnings) == (None, ())


def test_the_last_of_two_lines_counts_and_values_are_not_expanded(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nRUNWAYML_API_SECRET=first\nRUNWAYML_API_SECRET='${A}x'\n")
    found = read_settings(tmp_path, ENVIRON).api_key
    assert found is not None
    assert found.reveal() == "${A}x"
