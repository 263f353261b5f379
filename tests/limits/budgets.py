"""Random productions that want more than they may spend: prices that do not divide the cap, room for twenty at once, failures,
retries, lost answers, one or two processes. Owns what is drawn, and the sums that are made of the sandbox's books afterwards.

What "never above" is measured on: the credits that the sandbox had taken for one apply and not given back, after every single
acceptance. Where it charges just what was estimated, these may not exceed the cap. Where it charges more than anybody could know
(`dearer`), the estimates of the same tasks may not; what it took above them is told beside.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flowrun.engine.events import OverCap, Submitted
from flowrun.production.exits import Exit
from flowrun.sandbox import generations
from flowrun.sandbox.lifecycle import peak
from flowrun.sandbox.records import Task
from tests.limits.crowd import Crowd, crowd
from tests.simulation.ports import patched

CAP = 500
DEEDS: tuple[Mapping[str, Any], ...] = (
    {"fail": "INTERNAL"},
    {"fail": "INTERNAL.BAD_OUTPUT.CODE01"},
    {"fail": "SAFETY.OUTPUT.VIDEO"},
    {"fail": "INPUT_PREPROCESSING.INTERNAL"},
    {"cancelled": True},
    {"status": 503},
    {"lost": "after"},
    {"lost": "before"},
    {"delay": 40.0},
)


@dataclass(frozen=True, slots=True)
class Line:
    """One node, and what it costs by the price list."""

    name: str
    price: int
    text: str


@dataclass(frozen=True, slots=True)
class Budget:
    """One run. `by`: where the cap stands; `processes`: how many apply at once, each under its own cap; `dearer`: the sandbox
    charges more than the price list."""

    seed: int
    by: str
    processes: int
    dearer: bool
    faults: tuple[Mapping[str, Any], ...]
    lines: tuple[tuple[Line, ...], ...]


@dataclass(frozen=True, slots=True)
class Spent:
    """The most credits at one moment of one apply: `taken` by the sandbox, `estimated` for the same tasks. `wanted`: of all
    nodes; `accepted`: tasks; `failed`: those that ended so; `at_once`: the most in flight; `over`: nodes held back."""

    taken: int
    estimated: int
    wanted: int
    accepted: int
    failed: int
    at_once: int
    over: int
    exit: Exit


def budget_of(seed: int) -> Budget:
    rng = random.Random(f"budget {seed}")
    processes = rng.choice((1, 1, 1, 2))
    lines = tuple(_lines(rng, f"f{place}", rng.choice((16, 22, 28))) for place in range(processes))
    faults = tuple(_fault(rng) for _ in range(rng.choice((0, 1, 2, 4))))
    by = rng.choice(("flag", "manifest", "both"))
    return Budget(seed, by, processes, rng.random() < 0.15, faults, lines)


def _lines(rng: random.Random, flow: str, count: int) -> tuple[Line, ...]:
    """Sounds from 2 to 9, stills of 5 and 8, films from 40 to 120."""
    return tuple(_line(rng, f"n_{number}", flow) for number in range(count))


def _line(rng: random.Random, name: str, flow: str) -> Line:
    kind = rng.choice(("sound", "still", "film", "film"))
    words = f"{flow} {name}"
    if kind == "sound":
        seconds = rng.randrange(2, 10)
        with_ = f'model: eleven_text_to_sound_v2, promptText: "{words}", duration: {seconds}'
        return Line(name, seconds, f"{{uses: sound_effect, with: {{{with_}}}}}")
    if kind == "still":
        ratio, price = rng.choice((("1280:720", 5), ("1920:1080", 8)))
        with_ = f'model: gen4_image, promptText: "{words}", ratio: "{ratio}"'
        return Line(name, price, f"{{uses: text_to_image, with: {{{with_}}}}}")
    seconds, (audio, rate) = rng.choice((4, 6, 8)), rng.choice((("true", 15), ("false", 10)))
    with_ = f'model: veo3.1_fast, promptText: "{words}", ratio: "1280:720", duration: {seconds}, audio: {audio}'
    return Line(name, rate * seconds, f"{{uses: text_to_video, with: {{{with_}}}}}")


def _fault(rng: random.Random) -> Mapping[str, Any]:
    match = {"nth": rng.choice((1, 2, 3, 5, 8))}
    return {"on": "generations", "match": match, "do": {**rng.choice(DEEDS), "times": rng.choice((1, 2, 3))}}


def manifest(flow: str, lines: tuple[Line, ...], credits: int | None) -> str:
    limits = "" if credits is None else f"limits: {{credits: {credits}}}\n"
    return f"flowrun: 1\nname: {flow}\n{limits}nodes:\n{''.join(f'  {each.name}: {each.text}' + chr(10) for each in lines)}"


def spend(budget: Budget) -> tuple[Spent, ...]:
    """What each of the applies came to."""
    durations = {"default": [1.0, 30.0]}
    scenario = {"durations": durations, "poll": 5.0, "tier": 5, "credits": 100_000, "faults": list(budget.faults)}
    flows = {f"f{place}": lines for place, lines in enumerate(budget.lines)}
    in_file = {"flag": None, "manifest": CAP, "both": 2 * CAP}[budget.by]
    flags: dict[str, Any] = {} if budget.by == "manifest" else {"max_credits": CAP}
    with crowd(scenario, budget.seed) as project, patched(_dearer() if budget.dearer else []):
        for flow, lines in flows.items():
            project.write(flow, manifest(flow, lines, in_file))
        done = project.apply(*flows, **flags)
        return tuple(
            _spent(project, flow, lines, each.exit) for (flow, lines), each in zip(flows.items(), done, strict=True)
        )


def _dearer() -> list[tuple[Any, str, Any]]:
    """The sandbox's own price list, on which films cost a fifth more."""
    real = generations.estimate

    def estimate(spec: Any, body: Any, seconds: Any) -> Any:
        found = real(spec, body, seconds)
        return replace(found, high=found.high * 6 // 5) if found.high and spec.model == "veo3.1_fast" else found

    return [(generations, "estimate", estimate)]


def _spent(project: Crowd, flow: str, lines: tuple[Line, ...], code: Exit) -> Spent:
    prices = {each.name: each.price for each in lines}
    ours = [each for each in project.tasks() if each.prompt.split()[0] == flow]
    estimates = {each.id: prices[_name(each)] for each in ours}
    over = {event.unit for event in project.events[flow] if isinstance(event, OverCap)}
    sent = {event.unit for event in project.events[flow] if isinstance(event, Submitted)}
    return Spent(
        most(ours, {each.id: each.cost for each in ours}),
        most(ours, estimates),
        sum(prices.values()),
        len(ours),
        sum(each.outcome != "SUCCEEDED" for each in ours),
        peak((each.created, each.ends) for each in ours),
        len(over - sent),
        code,
    )


def _name(task: Task) -> str:
    return task.prompt.split()[1]


def most(tasks: list[Task], credits: Mapping[str, int]) -> int:
    """The largest sum of `credits` after any acceptance; what failed and was refunded counts until it ended."""
    sums = (
        sum(credits[each.id] for each in tasks if _counts(each, at)) for at in sorted({each.created for each in tasks})
    )
    return max(sums, default=0)


def _counts(task: Task, at: float) -> bool:
    return task.created <= at and not (task.refunded and task.ends <= at)


def tried(seed: int) -> tuple[Counter[str], list[str]]:
    """A run's tally, and what went above the cap."""
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
