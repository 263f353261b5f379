"""Whole runs of every kind, in virtual time, for tests of what reads their events. Owns the set; each is made once a process.

run = made("moderated", tmp_path_factory.mktemp("runs"))
run.events, run.applied.summary
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowrun.engine import events as ev
from flowrun.production.applying import Applied
from tests.support import stage as stage_module
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock, run_virtual

CHAIN = """
    flowrun: 1
    name: chain
    nodes:
      hero:
        uses: text_to_image
        with: {model: gen4_image, promptText: "a red fox", ratio: "1280:720"}
      shot:
        foreach: {a: runs, b: "jumps", c: sleeps}
        uses: image_to_video
        TAKES
        with:
          model: gen4_turbo
          promptImage: "{{ nodes.hero.output }}"
          promptText: "the fox {{ each.value }}"
          ratio: "1280:720"
          duration: 5
    outputs:
      still: "{{ nodes.hero.output }}"
      shots: {from: "{{ nodes.shot.outputs }}", path: "shots/{{ each.key }}.mp4"}
"""
STILLS = """
    flowrun: 1
    name: stills
    nodes:
      still:
        foreach: COUNT
        uses: text_to_image
        with: {model: gen4_image, promptText: "fox {{ each.key }}", ratio: "1280:720"}
"""
CLASH = """
    flowrun: 1
    name: clash
    nodes:
      a:
        uses: text_to_image
        with: {model: gen4_image, promptText: alpha, ratio: "1280:720"}
    outputs:
      one: {from: "{{ nodes.a.output }}", path: "x-{{ nodes.a.output.width }}.png"}
      two: {from: "{{ nodes.a.output }}", path: "x-{{ nodes.a.output.width }}.png"}
"""


@dataclass(frozen=True)
class Made:
    """`events`: those of the last apply alone."""

    events: tuple[ev.Event, ...]
    applied: Applied


def _stage(folder: Path, manifest: str, scenario: str = "", takes: str = "", **fields: Any) -> Stage:
    return Stage(folder, manifest.replace("TAKES", takes or "tags: [shots]"), scenario=scenario, **fields)


def _one(folder: Path, manifest: str = CHAIN, scenario: str = "", takes: str = "", **flags: Any) -> Made:
    return _apply(_stage(folder, manifest, scenario, takes), **flags)


def _apply(stage: Stage, **flags: Any) -> Made:
    stage.events.clear()
    applied = stage.apply(**flags)
    return Made(tuple(stage.events), applied)


def _unchanged(folder: Path) -> Made:
    stage = _stage(folder, CHAIN)
    stage.apply()
    return _apply(stage)


def _interrupted(folder: Path) -> Stage:
    def on_event(interrupt: Any, event: ev.Event) -> None:
        if isinstance(event, ev.Progressed) and event.unit.startswith("shot") and interrupt is not None:
            interrupt(130)

    stage = _stage(folder, CHAIN)
    stage.on_event = on_event
    return stage


def _withdrawn(folder: Path) -> Made:
    """Interrupted when one shot has finished unseen, one runs and one is at the API for long."""

    def on_event(interrupt: Any, event: ev.Event) -> None:
        if isinstance(event, ev.Submitted) and event.unit == "shot[a]#1":
            asyncio.get_running_loop().call_later(20.5, interrupt, 130)

    slow = "faults: [{on: image_to_video, match: {prompt: jumps}, do: {takes: 500}}]\n"
    stage = _stage(folder, CHAIN, slow)
    stage.on_event = on_event
    return _apply(stage, cancel_on_interrupt=True)


def _resumed(folder: Path) -> Made:
    stage = _interrupted(folder)
    stage.apply()
    stage.on_event = None
    return _apply(stage)


def _recovered(folder: Path) -> Made:
    stage = _interrupted(folder)
    stage.apply()
    stage.on_event = None
    stage.now += 60.0
    stage.edit("a red fox", "a blue fox")
    return _apply(stage)


def _weighed(folder: Path) -> Made:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flowrun.toml").write_text('[provider]\nuncertain = "trust-counters"\n')
    return _one(folder, scenario="faults: [{on: image_to_video, match: {nth: 1}, do: {lost: before}}]\n")


def _two(folder: Path) -> Made:
    """The one of two applies at once that is told last."""
    stage = _stage(folder, STILLS.replace("COUNT", "8"), "tier: 1\n")
    other = _stage(folder, STILLS.replace("COUNT", "6").replace("fox", "wolf"), "tier: 1\n", file="more.yaml")

    async def main(clock: VirtualClock) -> list[Applied]:
        pairs = [(each, each.production(clock)) for each in (other, stage)]
        return list(await asyncio.gather(*(one.apply_async(emit=each.events.append) for each, one in pairs)))

    applied = run_virtual(main)[1]
    return Made(tuple(stage.events), applied)


RUNS: dict[str, Callable[[Path], Made]] = {
    "success": _one,
    "unchanged": _unchanged,
    "failure": lambda folder: _one(
        folder, scenario="faults: [{on: image_to_video, match: {nth: 1}, do: {fail: ASSET.INVALID}}]\n"
    ),
    "retried": lambda folder: _one(
        folder, scenario="faults: [{on: text_to_image, match: {nth: 1}, do: {fail: INTERNAL}}]\n"
    ),
    "moderated": lambda folder: _one(folder, CHAIN.replace("jumps", "jumps [moderated]")),
    "moderated-root": lambda folder: _one(folder, CHAIN.replace("a red fox", "a red fox [moderated]")),
    "uncertain": lambda folder: _one(
        folder, scenario="faults: [{on: image_to_video, match: {nth: 1}, do: {lost: after}}]\n"
    ),
    "weighed": _weighed,
    "cap": lambda folder: _one(folder, max_credits=40),
    "balance": lambda folder: _one(folder, STILLS.replace("COUNT", "10"), "credits: 20\n"),
    "interrupted": lambda folder: _apply(_interrupted(folder)),
    "withdrawn": _withdrawn,
    "resumed": _resumed,
    "recovered": _recovered,
    "quota": lambda folder: _one(folder, CHAIN, "tier: 1\n" + DAY_OVER),
    "quota-waited-for": lambda folder: _one(folder, CHAIN, "tier: 1\n" + DAY_OVER, wait_for_quota=True),
    "two-takes": lambda folder: _one(folder, takes="takes: 2"),
    "fan-out": lambda folder: _one(folder, STILLS.replace("COUNT", "12"), "tier: 1\n"),
    "two-at-once": _two,
    "clash": lambda folder: _one(folder, CLASH),
    "no-network": lambda folder: _one(folder, scenario="faults: [{on: image_to_video, do: {lost: before}}]\n"),
}
DAY_OVER = "faults: [{on: image_to_video, match: {nth: 2}, do: {status: 429}}]\n"
_MADE: dict[str, Made] = {}


def made(name: str, folder: Path) -> Made:
    """The run of that name; the first to ask makes it, in `folder`, and always the same whatever ran before."""
    if name not in _MADE:
        before, stage_module._SEEDS = stage_module._SEEDS, itertools.count(7)
        try:
            _MADE[name] = RUNS[name](folder)
        finally:
            stage_module._SEEDS = before
    return _MADE[name]
