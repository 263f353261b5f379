"""Expected texts as files: compared as they stand, rewritten all by one switch, `FLOWRUN_REFRESH_GOLDEN=1`."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

SWITCH = "FLOWRUN_REFRESH_GOLDEN"


def check_golden(name_path: Path, text: str) -> None:
    """Compare `text` with the file at `name_path`; with the switch set, make the file say so instead.

    A missing file is a failure, so that a test never passes by writing its own expectation.
    """
    if os.environ.get(SWITCH) == "1":
        name_path.parent.mkdir(parents=True, exist_ok=True)
        name_path.write_bytes(text.encode())
        return
    assert name_path.is_file(), f"{name_path} is missing; {SWITCH}=1 writes it"
    expected = name_path.read_bytes().decode()
    if text != expected:
        lines = difflib.unified_diff(expected.splitlines(), text.splitlines(), "expected", "now", lineterm="", n=2)
        raise AssertionError(f"{name_path.name} differs; {SWITCH}=1 takes the new text:\n" + "\n".join(lines))
