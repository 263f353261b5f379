"""A large production, applied by two processes at once, against the best that can be asked. Owns the measurement: the graph as it
was really carried out, with the durations that the sandbox drew, and what the sandbox saw in flight."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from flowrun.engine.events import Expanded
from flowrun.production.exits import Exit
from flowrun.sandbox.lifecycle import peak
from flowrun.sandbox.records import Task
from flowrun.sandbox.tiers import TIERS
from tests.limits.crowd import Crowd, crowd
from tests.limits.graphs import MODELS, Film, films, manifest
from tests.limits.ideal import Work, knowing, list_schedule, lower_bound, scheduled
from tests.limits.lateness import late

LARGE = 500  # nodes; in a small production chance decides more than order does
SECONDS = (20.0, 60.0)
POLITE, FREE = 5.0, 0.0  # seconds between polls of a task, at least: as the API wants them, and as if they cost nothing
PROMISED = {POLITE: 1.12, FREE: 1.01}  # wall time over the ideal's, at most
LATE = 0.005  # share of the slots' time, at most, that free polls leave idle while something could have had it
AT_ONCE = {"veo3.1_fast": 1, "veo3.1": 3, "aleph2": 5, "act_two": 10}  # the four tiers' limits, in one account


@dataclass(frozen=True, slots=True)
class Setting:
    """`shared`: one manifest that two processes apply; else two of half the size. `mixed`: four limits at once."""

    tier: int
    poll: float
    shared: bool = False
    mixed: bool = False
    nodes: int = 500
    seed: int = 1

    @property
    def limits(self) -> Mapping[str, int]:
        if self.mixed:
            return AT_ONCE
        concurrent = TIERS[self.tier].video.concurrent
        assert concurrent is not None
        return dict.fromkeys(MODELS, concurrent)


@dataclass(frozen=True, slots=True)
class Measured:
    """`wall`, `ideal`, `knowing`, `bound`: virtual seconds; `knowing` is the ideal that knew every duration. `peaks`: in flight
    at one moment, by model, as the sandbox saw it; `ideal_peaks`: in the ideal, which falls short of a limit where other models
    hold the work up. `idle`: the share of all slot time, until a model's last task ended, in which nothing ran; `late`: the
    share in which something could have."""

    setting: Setting
    exits: tuple[Exit, ...]
    accepted: int
    paid_twice: int
    wall: float
    ideal: float
    knowing: float
    bound: float
    peaks: Mapping[str, int]
    ideal_peaks: Mapping[str, int]
    idle: float
    late: float

    @property
    def keeps(self) -> bool:
        """Every promise."""
        limits, setting = self.setting.limits, self.setting
        within = all(self.ideal_peaks[model] <= self.peaks[model] <= limit for model, limit in limits.items())
        paid = (self.accepted, self.paid_twice) == (setting.nodes, 0) and set(self.exits) == {Exit.DONE}
        prompt = setting.poll != FREE or self.late <= LATE
        return within and paid and prompt and (setting.nodes < LARGE or self.to_ideal <= PROMISED[setting.poll])

    @property
    def to_ideal(self) -> float:
        return self.wall / self.ideal

    @property
    def to_bound(self) -> float:
        return self.wall / self.bound


def measured(setting: Setting) -> Measured:
    scenario = {
        "durations": {"default": list(SECONDS)},
        "poll": setting.poll or POLITE,
        "tier": 5 if setting.mixed else setting.tier,
        "credits": 1_000_000_000,
        "limits": {"default": {"daily": None}},  # tier 1 has but 50 a day
    }
    with crowd(scenario, setting.seed, free_polls=setting.poll == FREE) as project:
        graphs = _graphs(setting)
        for name, graph in graphs.items():
            project.write(name, manifest(name, graph, AT_ONCE if setting.mixed else None))
        done = project.apply(*(2 * [*graphs] if setting.shared else graphs), **_FLAGS)
        tasks = project.tasks()
        by_name = _by_name(project, tasks)
        works = _works(project, graphs, by_name)
        spans = scheduled(works, setting.limits)
        return Measured(
            setting,
            tuple(each.exit for each in done),
            len(tasks),
            len(project.paid_twice()),
            project.wall,
            max(end for _, end in spans.values()),
            list_schedule(knowing(works), setting.limits),
            lower_bound(works, setting.limits),
            {model: peak((each.created, each.ends) for each in tasks if each.model == model) for model in MODELS},
            {model: peak(spans[name] for name in works if works[name].model == model) for model in MODELS},
            _idle(tasks, setting.limits),
            late(works, {name: each.created for name, each in by_name.items()}, setting.limits),
        )


_FLAGS: Mapping[str, bool] = {"wait_for_quota": True}


def _graphs(setting: Setting) -> dict[str, dict[str, Film]]:
    if setting.shared:
        return {"one": films(setting.nodes, setting.seed)}
    return {name: films(setting.nodes // 2, setting.seed + place) for place, name in enumerate(("one", "two"))}


def _by_name(project: Crowd, tasks: list[Task]) -> dict[str, Task]:
    by_id = {each.id: each for each in tasks}
    return {f"{row.origin.flow} {row.origin.address.partition('#')[0]}": by_id[row.task] for row in project.sent()}


def _works(project: Crowd, graphs: Mapping[str, Mapping[str, Film]], by_name: Mapping[str, Task]) -> dict[str, Work]:
    """The graphs with the durations that were drawn and those that were expected."""
    works = {}
    for flow, graph in graphs.items():
        [grown] = [event for event in project.events[flow] if isinstance(event, Expanded)][:1]
        expected = {item.address: item.seconds for item in grown.items}
        for name, film in graph.items():
            after = tuple(f"{flow} {each}" for each in film.after)
            works[f"{flow} {name}"] = Work(film.model, by_name[f"{flow} {name}"].duration, after, expected[name])
    return works


def _idle(tasks: list[Task], limits: Mapping[str, int]) -> float:
    began, ended, busy = min(each.created for each in tasks), defaultdict[str, float](float), 0.0
    for each in tasks:
        ended[each.model] = max(ended[each.model], each.ends)
        busy += each.duration
    return 1 - busy / sum((ended[model] - began) * limits[model] for model in ended)
