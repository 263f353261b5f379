"""A manifest that asks for a great deal of the API, applied once: what was sent for each node, and what came of it.

ran = Ran.of(Whole(tmp_path, with_outputs(manifest)))
assert ran.calls["hero"].files[0].kind is MediaKind.IMAGE
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import yaml

from flowrun.engine.events import Submitted
from flowrun.media.facts import MediaFacts
from flowrun.media.film import FilmSpec, make_film
from flowrun.media.picture import PictureSpec, draw_picture
from flowrun.media.probe import probe
from flowrun.media.sound import SoundKind, SoundSpec, make_sound
from flowrun.operations.catalogue import Catalogue
from flowrun.plan.model import Cost
from flowrun.plan.whole import Plan
from flowrun.production.applying import Applied
from flowrun.production.exits import Exit
from flowrun.production.options import Options
from flowrun.runway.client import RunwayClient
from tests.support.stage import Stage

SECONDS = {"actor": 3.5, "street": 4.0, "speech": 5.0, "interview": 12.0}  # of what is timed among the inputs


@cache
def inputs() -> dict[str, bytes]:
    """Media as a person would have them, of shapes and lengths that the API takes, by file name."""
    return {
        "face.png": draw_picture(PictureSpec(640, 640, "a face")),
        "scarf.jpg": draw_picture(PictureSpec(480, 640, "a scarf", format="jpeg")),
        "meadow.webp": draw_picture(PictureSpec(640, 360, "a meadow", format="webp")),
        "actor.mp4": make_film(FilmSpec(320, 180, SECONDS["actor"], "an actor", audio=True, fps=8)),
        "street.mp4": make_film(FilmSpec(320, 240, SECONDS["street"], "a street", fps=8)),
        "speech.mp3": make_sound(SoundSpec(SoundKind.SPEECH, SECONDS["speech"])),
        "interview.wav": make_sound(SoundSpec(SoundKind.SPEECH, SECONDS["interview"], format="wav")),
    }


@dataclass
class Whole(Stage):
    """A project with `inputs` in its folder `media`. `real`: outputs have the size that was asked for."""

    real: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        (self.root / "media").mkdir()
        for name, data in inputs().items():
            (self.root / "media" / name).write_bytes(data)

    def options(self, **flags: Any) -> Options:
        made = super().options(**flags)
        if self.real and made.scenario is not None:
            text = made.scenario.read_text(encoding="utf-8")
            made.scenario.write_text(text.replace("media: tiny", "media: normal"), encoding="utf-8")
        return made


@dataclass
class Call:
    """One request as it was sent, what the plan said of it, and its outputs. `charged`: credits, by the sandbox."""

    operation: str
    model: str
    path: str
    body: Mapping[str, Any]
    cost: Cost
    charged: int
    files: list[MediaFacts] = field(default_factory=list)


@dataclass
class Ran:
    stage: Whole
    plan: Plan
    applied: Applied
    calls: dict[str, Call]

    @classmethod
    def of(cls, stage: Whole, **flags: Any) -> Ran:
        """Plan and apply; each node of the manifest is to have an output of its own name that exports all of its files."""
        plan = stage.plan(**flags)
        sent = _Sent()
        with pytest.MonkeyPatch.context() as patch:
            sent.listen(patch)
            applied = stage.apply(**flags)
        assert applied.exit is Exit.DONE, applied.summary.troubles
        tasks = {each.unit.partition("#")[0]: each.task for each in stage.events if isinstance(each, Submitted)}
        told, exports = stage.sandbox["tasks"], stage.exports()
        calls = {}
        for address, step in plan.steps.items():
            if (task := tasks.get(str(address))) is None:
                continue
            files = [probe(path) for name, path in exports.items() if _is_of(name, str(address))]
            path, body = sent.by_task[task]
            cost = told[task]["cost"]
            calls[str(address)] = Call(step.operation, step.model, path, body, step.cost, cost, files)
        return cls(stage, plan, applied, calls)


def _is_of(export: str, node: str) -> bool:
    """``every-model/hero.png``, or ``every-model/hero/1.png`` where there are several."""
    return node in Path(export).with_suffix("").parts


@dataclass
class _Sent:
    """Hears answers with a task, and the path and the body of what they answer, as they went over the wire."""

    by_task: dict[str, tuple[str, Any]] = field(default_factory=dict)

    def listen(self, patch: pytest.MonkeyPatch) -> None:
        exchange = RunwayClient._exchange

        async def heard(client: RunwayClient, request: httpx.Request, call: str) -> Any:
            reply = await exchange(client, request, call)
            if request.method == "POST" and reply.ok and "id" in (answer := json.loads(reply.body or b"{}")):
                self.by_task[answer["id"]] = (request.url.path, json.loads(request.content))
            return reply

        patch.setattr(RunwayClient, "_exchange", heard)


def complaints(schema: Mapping[str, Any], body: Any) -> list[str]:
    found = jsonschema_rs.Draft202012Validator(schema).iter_errors(body)
    return [f"{'.'.join(map(str, each.instance_path))}: {each.message[:200]}" for each in found]


def with_outputs(manifest: str) -> str:
    """The manifest with an output for each node, all of its files."""
    names = yaml.safe_load(manifest)["nodes"]
    return "\n".join((manifest, "outputs:", *(f'  {name}: "{{{{ nodes.{name}.outputs }}}}"' for name in names))) + "\n"


def pairs(catalogue: Catalogue) -> list[tuple[str, str]]:
    return [(name, model) for name, each in catalogue.operations.items() for model in each.models]
