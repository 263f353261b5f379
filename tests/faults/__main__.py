"""``python -m tests.faults``: kill the real program at every named point and take it up again, freeze it and let it come back,
and print the tally.

    python -m tests.faults                       every case once
    python -m tests.faults --times 20 --jobs 2   twenty times, two at once
    python -m tests.faults --only ^half-download --times 100

Exit 0: every promise was kept; 1: one was not.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.faults.freezing import FREEZES, Freeze, freeze
from tests.faults.killing import KILLS, Kill, Outcome, kill
from tests.faults.stage import SCENARIO, Production
from tests.faults.tally import table
from tests.faults.warm import warm
from tests.support.http_sandbox import process

Case = Kill | Freeze


def main() -> int:
    asked = _arguments()
    began, outcomes = time.monotonic(), list[Outcome]()
    cases = [each for each in (*KILLS, *FREEZES) if re.search(asked.only, each.name)]
    for number in range(asked.times):
        for outcome in _round(cases, asked.jobs):
            outcomes.append(outcome)
            for wrong in outcome.wrong:
                _say(f"{outcome.name}, round {number + 1}: {wrong}")
    _say(table(outcomes))
    _say(f"{len(outcomes):,} cases in {time.monotonic() - began:.0f} s with {asked.jobs} at once")
    return 1 if any(each.wrong for each in outcomes) or not outcomes else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--times", type=int, default=1, metavar="N", help="how often each case (default 1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="how many at once")
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name it is found in")
    return parser.parse_args()


def _round(cases: list[Case], jobs: int) -> Iterator[Outcome]:
    """Every case once, at a new server. Each thread has a process of its own that forks."""
    own = threading.local()
    with ExitStack() as ends, tempfile.TemporaryDirectory() as folder:
        served = ends.enter_context(process(scenario=SCENARIO))
        idle = [ends.enter_context(warm()) for _ in range(jobs)]

        def carried_out(case: Case) -> Outcome:
            own.forks = forks = getattr(own, "forks", None) or idle.pop()
            return _carried_out(case, Production(Path(folder) / case.name, case.name, served, forks))

        with ThreadPoolExecutor(jobs) as threads:
            yield from threads.map(carried_out, cases)


def _carried_out(case: Case, project: Production) -> Outcome:
    try:
        return kill(case, project) if isinstance(case, Kill) else freeze(case, project)
    except AssertionError as error:
        return Outcome.missed(case.name, case.point, str(error))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
