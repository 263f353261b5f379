"""``python -m tests.limits [RUNS]``: random runs under a cap of 500 credits, and their tally. Exit 1 where one went above."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter

from tests.limits.budgets import CAP, budget_of, spend


def main(runs: int = 1000) -> int:
    began, tally, above = time.monotonic(), Counter[str](), list[str]()
    with multiprocessing.get_context("spawn").Pool(os.cpu_count() or 1) as pool:
        for found, wrong in pool.imap_unordered(_tried, range(runs), chunksize=5):
            tally.update(found)
            above += wrong
    for name, count in sorted(tally.items()):
        sys.stdout.write(f"{count:7,}  {name}\n")
    sys.stdout.write("\n".join([*above, f"{len(above)} above {CAP} credits, {time.monotonic() - began:.0f} s\n"]))
    return 1 if above else 0


def _tried(seed: int) -> tuple[Counter[str], list[str]]:
    budget, tally, above = budget_of(seed), Counter[str](), list[str]()
    for spent in spend(budget):
        kind = (
            "applies whose films cost more than estimated" if budget.dearer else "applies that are charged as estimated"
        )
        tally.update({"runs with two processes": budget.processes == 2 and spent is not None, kind: 1})
        tally.update(
            {"tasks accepted": spent.accepted, "tasks that failed": spent.failed, f"exit {spent.exit.value}": 1}
        )
        tally.update(
            {
                "applies that held something back": spent.over > 0,
                "applies with twenty or more at once": spent.at_once >= 20,
            }
        )
        tally["applies within 10 credits of the cap"] += CAP - 10 <= spent.estimated <= CAP
        tally["applies charged above the cap by dearer films"] += spent.taken > CAP
        if spent.estimated > CAP or (spent.taken > CAP and not budget.dearer):
            above.append(f"seed {seed}: {spent}")
    return tally, above


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
