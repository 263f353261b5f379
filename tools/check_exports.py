"""Decodes every file of an export folder and prints what it is: `python tools/check_exports.py FOLDER`. Exit 1 where one
does not decode, or where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

from flowrun.media.errors import NotMediaError
from flowrun.media.probe import probe


def main(folder: str) -> int:
    """Probe them all; the exit code."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    for path in files:
        try:
            facts = probe(path)
        except NotMediaError as error:
            print(f"{path}: {error}")
            return 1
        size = f"{facts.width}x{facts.height}" if facts.width else ""
        seconds = f"{facts.duration:g} s" if facts.duration else ""
        print(f"{path}: {facts.media_type} {size} {seconds}".rstrip())
    return 0 if files else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
