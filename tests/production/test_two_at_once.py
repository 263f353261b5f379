"""Two applies at once on one ledger and one account: each paid request once, limits and balance kept together."""

from __future__ import annotations

import asyncio
from pathlib import Path

from flowrun.production.applying import Applied
from flowrun.production.exits import Exit
from tests.production.test_main_path import CHAIN, FIVE
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock, run_virtual


def _both(one: Stage, other: Stage) -> list[Applied]:
    async def main(clock: VirtualClock) -> list[Applied]:
        productions = [one.production(clock), other.production(clock)]
        return list(await asyncio.gather(*(each.apply_async() for each in productions)))

    return run_virtual(main)


def test_one_manifest_twice_pays_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    done = _both(stage, stage)
    assert [each.exit for each in done] == [Exit.DONE, Exit.DONE]
    assert stage.submissions == 3
    assert sum(each.summary.submitted for each in done) == 3


def test_two_manifests_that_share_nodes_stay_within_the_limits(tmp_path: Path) -> None:
    five = Stage(tmp_path, FIVE, scenario="tier: 1\n")
    more = FIVE.replace("name: five", "name: more").replace("foreach: 10", "foreach: 12")
    done = _both(five, Stage(tmp_path, more, scenario="tier: 1\n", file="more.yaml"))
    assert [each.exit for each in done] == [Exit.DONE, Exit.DONE]
    assert five.submissions == 12
    assert five.sandbox["peak"]["gen4_image"] == 2


def test_the_balance_is_never_overshot_by_two(tmp_path: Path) -> None:
    foxes = Stage(tmp_path, FIVE, scenario="credits: 44\n")
    wolves = FIVE.replace("name: five", "name: wolves").replace("fox", "wolf")
    done = _both(foxes, Stage(tmp_path, wolves, scenario="credits: 44\n", file="wolves.yaml"))
    assert {each.exit for each in done} == {Exit.STOPPED}
    assert foxes.submissions == 5
    assert foxes.sandbox["charges"]["spent"] == 40
