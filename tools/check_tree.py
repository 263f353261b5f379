"""House rules that no linter knows: file sizes, words that stay out, places that nothing may name.

`python tools/check_tree.py` prints each breach and exits 1 where there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST_LINES = 600
NAMES = re.compile(r"\b(?:class|def)\s+\w*(?:helper|manager|util|mock)\w*", re.IGNORECASE)
PLACES = re.compile(r"/work/|\.\./shared|pypi\.org|pythonhosted|registry\.npmjs")
KEY = re.compile(r"key_[0-9a-f]{128}")


def breaches(path: Path) -> Iterator[str]:
    """What is wrong with one file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    lines = text.count("\n")
    if path.suffix == ".py" and lines > MOST_LINES:
        yield f"{path}: {lines} lines; {MOST_LINES} is the most"
    if path.name == Path(__file__).name:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if path.suffix == ".py" and NAMES.search(line):
            yield f"{path}:{number}: a name that is not in the glossary: {line.strip()}"
        if PLACES.search(line):
            yield f"{path}:{number}: names a place outside of the project"
        if KEY.search(line):
            yield f"{path}:{number}: looks like an API key"


def main() -> int:
    """Check every tracked file; the exit code."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [text for name in listed.splitlines() if (ROOT / name).is_file() for text in breaches(ROOT / name)]
    print("\n".join(found) or "the tree keeps the house rules")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
