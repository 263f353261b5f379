"""How well limits are used. Run: ``python -m benchmarks.limits [--nodes N] [--free] [--tiers N ...] [--graphs N]``.

500 nodes over four models, tasks of 20 to 60 s, two processes at once on one account, in virtual time: as two manifests of
half the nodes, and as one manifest that both apply; at the limits of tiers 1 to 4, and with the limits 1, 3, 5, 10 in one
account. Planner, scheduler, driver, ledger file, store, client and sandbox are the real ones.

A row tells the wall time over an ideal list schedule of the same graph that sees every finish at once (promised: 1.12 at most
with polls as the API wants them, 1.01 with free ones), over one that knew every duration beforehand, and over what no schedule
can undercut: the longest path, or a model's work over its limit. Late is the share of the slots' time in which a slot stood idle
and something could have had it; with free polls, half a percent at most is promised. Peaks are the sandbox's own count.
``--free``: free polls too. Exit 1 where a promise is broken; ``tests/limits`` holds them as well.

A process that has a slot keeps it for what it has next itself, so two of them give slots in another order than one list would,
which is up to a percent better or worse, by chance, the more so the more run at once. ``--graphs N`` tries N of them a setting.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice, product
from statistics import mean
from typing import TypeVar

from tests.limits.measuring import FREE, LATE, POLITE, PROMISED, Measured, Setting, measured

T = TypeVar("T")
MIXED = 5  # in place of a tier: four limits in one account

HEADING = (
    "poll   manifests  limits        wall  to ideal  to knowing  to bound    idle   late  peaks             paid  CPU"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits")
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--free", action="store_true", help="with free polls too")
    parser.add_argument("--only-free", action="store_true", help="with free polls alone")
    parser.add_argument(
        "--tiers", type=int, nargs="+", default=[1, 2, 3, 4, MIXED], help=f"{MIXED}: 1, 3, 5, 10 in one"
    )
    parser.add_argument("--graphs", type=int, default=1, metavar="N", help="so many a setting")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at once")
    asked = parser.parse_args()
    polls = [*([] if asked.only_free else [POLITE]), *([FREE] if asked.free or asked.only_free else [])]
    print(HEADING, flush=True)
    held = True
    with multiprocessing.get_context("spawn").Pool(asked.jobs) as pool:
        rows = pool.imap(_timed, settings(polls, asked.nodes, asked.tiers, asked.graphs))
        for of_a_setting in batched(rows, asked.graphs):
            held = _told(of_a_setting) and held
    promised = ", ".join(f"{most} with polls of {poll:g} s" for poll, most in PROMISED.items())
    print(f"promised: to ideal at most {promised}; late at most {LATE:.1%} with free polls;")
    print("peaks never above the limits, nor below the ideal's")
    return 0 if held else 1


def settings(polls: list[float], nodes: int, tiers: list[int], graphs: int) -> Iterator[Setting]:
    """The graphs of one setting follow each other."""
    for poll, shared, tier, seed in product(polls, (False, True), tiers, range(1, graphs + 1)):
        yield Setting(tier, poll, shared, mixed=tier == MIXED, nodes=nodes, seed=seed)


def batched(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(rows)
    while batch := list(islice(rest, size)):
        yield batch


def _told(rows: Iterable[tuple[Measured, float]]) -> bool:
    """Whether each holds what is promised."""
    ratios, held = list[float](), True
    for found, seconds in rows:
        print(row(found, seconds), flush=True)
        ratios.append(found.to_ideal)
        held = held and found.keeps
    if len(ratios) > 1:
        print(f"{'':32}  mean  {mean(ratios):8.4f}, from {min(ratios):.4f} to {max(ratios):.4f}", flush=True)
    return held


def _timed(setting: Setting) -> tuple[Measured, float]:
    began = time.process_time()
    return measured(setting), time.process_time() - began


def row(found: Measured, seconds: float) -> str:
    setting = found.setting
    limits = "1, 3, 5, 10" if setting.mixed else f"tier {setting.tier}: {min(setting.limits.values())}"
    peaks = ", ".join(map(str, found.peaks.values()))
    paid = f"{found.accepted}" + (f", {found.paid_twice} TWICE" if found.paid_twice else "")
    used = f"{found.idle:6.1%}  {found.late:5.2%}  {peaks:16}  {paid:4}  {seconds:.0f} s"
    return (
        f"{setting.poll:<5g}  {'one' if setting.shared else 'two':9}  {limits:11}  {found.wall:5.0f} s  {found.to_ideal:8.4f}"
        f"  {found.wall / found.knowing:10.4f}  {found.to_bound:8.4f}  {used}"
        f"{'' if found.keeps else '  BROKEN'}"
    )


if __name__ == "__main__":
    sys.exit(main())
