"""``python -m tests.simulation``: simulate productions by seed, print the tally, replay one, make a failing one small.

    python -m tests.simulation --seeds 0..2000            2,000 productions on every core
    python -m tests.simulation --time 7200                from seed 0 on, for two hours, or until Ctrl-C
    python -m tests.simulation --seed 214                 one, told move by move; made small where it breaks a promise
    python -m tests.simulation --seed 214 --bug commit-before-blob
    python -m tests.simulation --seeds 0..2000 --destroy  its ledger destroyed before each round

Exit 0: every promise was kept; 1: one was not.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial

from tests.simulation.bugs import BUGS
from tests.simulation.making import case_of
from tests.simulation.model import Case
from tests.simulation.seeds import DESTROYED, run, tried
from tests.simulation.shrinking import shrunk, with_names
from tests.simulation.telling import table, told

SHRINK = 120.0  # seconds for making one case small
SHOWN = 3  # failing cases that are made small and told; of the others, the seeds


def main() -> int:
    asked = _arguments()
    if asked.seed is not None:
        return _one(asked.seed, asked.bug)
    began, tally, failed = time.monotonic(), Counter[str](), list[tuple[int, str]]()
    with suppress(KeyboardInterrupt):  # the tally of those that are through
        for seed, found, violation in _all(asked):
            tally.update(found)
            if violation:
                failed.append((seed, violation))
                _say(f"seed {seed}: {violation.splitlines()[0]}")
    seconds = time.monotonic() - began
    _say(table(tally, len(failed)))
    _say(f"{tally['production']:,} productions in {seconds:.0f} s with {asked.jobs} at once")
    for seed, _ in failed[:SHOWN]:
        _one(seed, asked.bug)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", default=None, metavar="A..B", help="from A on, before B (default 0..2000)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="one, told move by move")
    parser.add_argument(
        "--time", type=float, default=None, metavar="SECONDS", help="begin no further one after so long"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="how many at once")
    parser.add_argument("--bug", choices=sorted(BUGS), default=None, help="with a deliberate mistake in flowrun")
    parser.add_argument(
        "--destroy", dest="bug", action="store_const", const=DESTROYED, help="the ledger destroyed before each round"
    )
    return parser.parse_args()


def _seeds(asked: argparse.Namespace) -> Iterator[int]:
    """Until the time is over, where there is a limit."""
    first, _, last = (asked.seeds or "0..").partition("..")
    end = int(last) if last else None if asked.time is not None else int(first) + 2000
    over = None if asked.time is None else time.monotonic() + asked.time
    for seed in itertools.count(int(first)):
        if (end is not None and seed >= end) or (over is not None and time.monotonic() > over):
            return
        yield seed


def _all(asked: argparse.Namespace) -> Iterator[tuple[int, Counter[str], str]]:
    work = partial(tried, bug=asked.bug)
    if asked.jobs <= 1:
        yield from map(work, _seeds(asked))
        return
    with multiprocessing.get_context("spawn").Pool(asked.jobs, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        for batch in _batches(_seeds(asked), 8 * asked.jobs):
            yield from pool.imap_unordered(work, batch)


def _batches(seeds: Iterable[int], size: int) -> Iterator[list[int]]:
    """Not all at once: a generator that looks at the clock is asked as it goes on."""
    rest = iter(seeds)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def _one(seed: int, bug: str | None) -> int:
    report = run(case_of(seed), bug)
    if report.violation is None:
        _say(told(report))
        return 0
    _say(f"\nseed {seed} breaks a promise: {report.violation}\nmaking it small ...")
    kind, end = report.violation.kind, time.monotonic() + SHRINK

    def breaks(case: Case) -> bool:
        violation = run(case, bug).violation
        return violation is not None and violation.kind == kind

    named = with_names(report.case, report.deaths)
    _say(told(run(shrunk(named if breaks(named) else report.case, breaks, lambda: time.monotonic() < end), bug)))
    return 1


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
