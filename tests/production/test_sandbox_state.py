"""The state of the sandbox in this process is a file too: what is wrong with it is said, and is no bug."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import DATABASE
from flowrun.store.protocol import StoreDamagedError

ONE = """
flowrun: 1
nodes: {fox: {uses: text_to_image, with: {model: gen4_image, promptText: a fox, ratio: "1280:720"}}}
"""


def production(root: Path) -> Production:
    (root / "one.yaml").write_text(ONE)
    return Production(root / "one.yaml", Options(sandbox=True), Surroundings(environ={}, cwd=root))


@pytest.mark.parametrize("version", [None, 999])
def test_a_damaged_or_foreign_state_is_named(tmp_path: Path, version: int | None) -> None:
    state = tmp_path / ".flowrun/sandbox/api" / DATABASE
    state.parent.mkdir(parents=True)
    if version is None:
        state.write_bytes(b"no database at all, " * 100)
    else:
        sqlite3.connect(state).execute(f"PRAGMA user_version = {version}").connection.close()
    with pytest.raises(StoreDamagedError, match="sandbox/api: the sandbox's state"):
        production(tmp_path).apply()


def test_a_disk_that_is_full_for_it_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> Any:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(Sandbox, "handle", full)
    with pytest.raises(OSError, match="sandbox/api") as caught:
        production(tmp_path).apply()
    assert caught.value.errno == errno.ENOSPC
