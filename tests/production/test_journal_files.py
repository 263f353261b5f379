"""The files of journals: whole lines or none, and which may go."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from flowrun.production.journals import DiskJournal, read_journals


def test_a_journal_is_its_owners_alone_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "journals/run.ndjson"
    journal = DiskJournal(path)
    journal.write(b"one\n")
    journal.close()
    journal.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        DiskJournal(path)
    assert read_journals(str(tmp_path)) == {"run": b"one\n"}
    assert read_journals(str(tmp_path), {"run"}) == {}
    assert read_journals(str(tmp_path / "nowhere")) == {}


def test_a_line_that_could_not_be_synced_is_cut_off_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = DiskJournal(tmp_path / "journals/run.ndjson")
    journal.write(b"one\n")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            journal.write(b"two\n")
    journal.write(b"three\n")
    journal.close()
    assert read_journals(str(tmp_path)) == {"run": b"one\nthree\n"}
