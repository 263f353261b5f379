"""Large random productions over four film models, whose limits are the tier's for films: 1, 3, 5, 10. Owns their shape: mixed
chains, as a film that is made, changed, acted over and joined by order alone; every model has as many nodes as the others."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

MODELS = ("veo3.1_fast", "veo3.1", "aleph2", "act_two")
DEEPEST = 4  # nodes in a chain


@dataclass(frozen=True, slots=True)
class Film:
    """One node. `takes`: the node whose film it is made from, "" for none; `needs`: one that it only comes after."""

    name: str
    model: str
    takes: str = ""
    needs: str = ""

    @property
    def after(self) -> tuple[str, ...]:
        return tuple(each for each in (self.takes, self.needs) if each)

    def text(self, flow: str) -> str:
        """As a manifest has it. The seed tells two nodes of one recipe apart."""
        source, number = f"{{{{ nodes.{self.takes}.output }}}}", int(self.name.partition("_")[2])
        made = {
            "aleph2": f'video_to_video, with: {{model: aleph2, promptText: "{flow} {self.name}", videoUri: "{source}"}}',
            "act_two": f"character_performance, with: {{model: act_two, seed: {number}, "
            f'character: {{type: video, uri: "{source}"}}, reference: {{type: video, uri: "{source}"}}}}',
        }
        plain = f'text_to_video, with: {{model: {self.model}, promptText: "{flow} {self.name}", ratio: "1280:720", duration: 4}}'
        needs = f", needs: [{self.needs}]" if self.needs else ""
        return f"  {self.name}: {{uses: {made.get(self.model, plain)}{needs}}}\n"


Films = Mapping[str, Film]


def films(count: int, seed: int) -> dict[str, Film]:
    """`count` nodes, those of one model as many as those of another; who comes after another stands below it."""
    rng, made, depth = random.Random(f"films {seed}"), dict[str, Film](), dict[str, int]()
    for number in range(count):
        model, name = MODELS[number % len(MODELS)], f"n_{number}"
        earlier = [each for each in made if depth[each] < DEEPEST]
        takes = rng.choice(earlier) if model in ("aleph2", "act_two") else ""
        needs = rng.choice(earlier) if earlier and rng.random() < 0.25 else ""
        made[name] = Film(name, model, takes, "" if needs == takes else needs)
        depth[name] = 1 + max((depth[each] for each in made[name].after), default=0)
    return made


def manifest(flow: str, graph: Films, concurrency: Mapping[str, int] | None = None, words: str = "") -> str:
    """`words`: what prompts begin with, the flow's name where nothing is said; manifests with the same ones share nodes."""
    told = ", ".join(f"{model}: {limit}" for model, limit in (concurrency or {}).items())
    limits = f"limits: {{concurrency: {{{told}}}}}\n" if told else ""
    return f"flowrun: 1\nname: {flow}\n{limits}nodes:\n{''.join(each.text(words or flow) for each in graph.values())}"
