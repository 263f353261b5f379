"""Where the data files lie. Owns finding and reading them; what they mean is decided by who asked."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent
SHIPPED = {"runwayml-5.24.0": "overlay-runwayml-5.24.0.json"}  # overlays by name
DEFAULT_OVERLAYS = ("runwayml-5.24.0",)  # what the live API takes today
FOLDERS = (PACKAGE / "_schemas", PACKAGE.parent / "schemas")  # in an installed wheel; in a checkout


def schema_file(name: str) -> Path:
    """The file `name` of the folder `schemas`, installed or in a checkout. Raises FileNotFoundError."""
    for folder in FOLDERS:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name} is in none of {', '.join(map(str, FOLDERS))}: the installation is damaged")


@cache
def document(name: str) -> Any:
    """The JSON in that file, read once; not to be changed by the caller. Raises FileNotFoundError."""
    return json.loads(schema_file(name).read_text(encoding="utf-8"))
