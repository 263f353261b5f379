"""The comparison with expected texts fails when it should, and rewrites only when told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.golden import SWITCH, check_golden


def test_an_equal_text_passes_and_another_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    path = tmp_path / "text.txt"
    path.write_bytes(b"one\ntwo\r\n")
    check_golden(path, "one\ntwo\r\n")
    with pytest.raises(AssertionError, match=r"(?s)text.txt differs.*\+three"):
        check_golden(path, "one\nthree\n")
    assert path.read_bytes() == b"one\ntwo\r\n"


def test_a_missing_file_is_a_failure_until_the_switch_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    path = tmp_path / "below" / "text.txt"
    with pytest.raises(AssertionError, match="missing"):
        check_golden(path, "one\n")
    monkeypatch.setenv(SWITCH, "1")
    check_golden(path, "one\n")
    monkeypatch.delenv(SWITCH)
    check_golden(path, "one\n")
