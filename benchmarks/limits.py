"""How well limits are used. Run: ``python -m benchmarks.limits [--nodes N] [--free] [--jobs N]``.

500 nodes over four models, tasks of 20 to 60 s, two processes at once on one account, in virtual time: as two manifests of
half the nodes, and as one manifest that both apply; at the limits of tiers 1 to 4, and with the limits 1, 3, 5, 10 in one
account. Planner, scheduler, driver, ledger file, store, client and sandbox are the real ones.

A row tells the wall time over an ideal list schedule of the same graph that sees every finish at once (promised: 1.12 at most
with polls as the API wants them, 1.01 with free ones), over one that knew every duration beforehand, and over what no schedule
can undercut: the longest path, or a model's work over its limit. Peaks are the sandbox's own count. ``--free``: free polls too,
which takes minutes a row. Exit 1 where a promise is broken; ``tests/limits`` holds them as well.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator

from tests.limits.measuring import FREE, POLITE, PROMISED, Measured, Setting, measured

HEADING = (
    "poll   manifests  limits        wall  to ideal  to knowing  to bound  idle slots  peaks             paid  CPU"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits")
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--free", action="store_true", help="with free polls too")
    parser.add_argument("--only-free", action="store_true", help="with free polls alone")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at once")
    asked = parser.parse_args()
    polls = [*([] if asked.only_free else [POLITE]), *([FREE] if asked.free or asked.only_free else [])]
    print(HEADING, flush=True)
    held = True
    with multiprocessing.get_context("spawn").Pool(asked.jobs) as pool:
        for found, seconds in pool.imap(_timed, settings(polls, asked.nodes)):
            held = held and found.holds
            print(row(found, seconds), flush=True)
    promised = ", ".join(f"{most} with polls of {poll:g} s" for poll, most in PROMISED.items())
    print(f"promised: to ideal at most {promised}; peaks as the limits")
    return 0 if held else 1


def settings(polls: list[float], nodes: int) -> Iterator[Setting]:
    for poll in polls:
        for shared in (False, True):
            yield from (Setting(tier, poll, shared, nodes=nodes) for tier in (1, 2, 3, 4))
            yield Setting(5, poll, shared, mixed=True, nodes=nodes)


def _timed(setting: Setting) -> tuple[Measured, float]:
    began = time.process_time()
    return measured(setting), time.process_time() - began


def row(found: Measured, seconds: float) -> str:
    setting = found.setting
    limits = "1, 3, 5, 10" if setting.mixed else f"tier {setting.tier}: {min(setting.limits.values())}"
    peaks = ", ".join(map(str, found.peaks.values()))
    paid = f"{found.accepted}" + (f", {found.paid_twice} TWICE" if found.paid_twice else "")
    return (
        f"{setting.poll:<5g}  {'one' if setting.shared else 'two':9}  {limits:11}  {found.wall:5.0f} s  {found.to_ideal:8.4f}"
        f"  {found.wall / found.knowing:10.4f}  {found.to_bound:8.4f}  {found.idle:10.1%}  {peaks:16}  {paid:4}  {seconds:.0f} s"
        f"{'' if found.holds else '  BROKEN'}"
    )


if __name__ == "__main__":
    sys.exit(main())
