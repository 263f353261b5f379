"""The command line in this process, in a project on a temporary disk."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flowrun.cli.main import run

TINY = "media: tiny\ndurations: {default: 0.05}\npoll: 0.01\n"
_TIMES = re.compile(
    r"\[ *\d+s\]|\d+(\.\d+)? ?s\b|\d{8}-\d{6}-[0-9a-f]{6}|\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?( UTC)?Z?"
)
_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def transcript(self) -> str:
        """Both streams with what differs from run to run taken out."""
        text = f"exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"
        return _IDS.sub("<id>", _TIMES.sub("<time>", text))


class Console:
    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self._capsys = root, capsys
        (root / ".git").mkdir(parents=True, exist_ok=True)
        self.file("scenario.yaml", TINY)

    def file(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def __call__(self, *arguments: str, **environ: str) -> Said:
        self._capsys.readouterr()
        with _at(self.root, environ):
            code = run(list(arguments))
        captured = self._capsys.readouterr()
        return Said(code, captured.out, captured.err)


@contextmanager
def _at(root: Path, environ: dict[str, str]) -> Iterator[None]:
    before, old = Path.cwd(), dict(os.environ)
    os.chdir(root)
    for name in [name for name in os.environ if name.startswith(("RUNWAYML", "FLOWRUN"))]:
        del os.environ[name]
    os.environ.update(
        {"FLOWRUN_STATE_DIR": str(root / "state"), "XDG_CONFIG_HOME": str(root / "config"), "COLUMNS": "100", **environ}
    )
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(old)
