"""``python -m tests.limits [RUNS [FIRST]]``: random runs under a cap of 500 credits, and their tally. Exit 1: one went above."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter

from tests.limits.budgets import CAP, tried


def main(runs: int = 1000, first: int = 0) -> int:
    began, tally, above = time.monotonic(), Counter[str](), list[str]()
    with multiprocessing.get_context("spawn").Pool(os.cpu_count() or 1) as pool:
        for found, wrong in pool.imap_unordered(tried, range(first, first + runs), chunksize=5):
            tally.update(found)
            above += wrong
    for name, count in sorted(tally.items()):
        sys.stdout.write(f"{count:7,}  {name}\n")
    sys.stdout.write("\n".join([*above, f"{len(above)} above {CAP} credits, {time.monotonic() - began:.0f} s\n"]))
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
