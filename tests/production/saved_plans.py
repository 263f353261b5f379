"""A stage whose plans are saved and carried out, in virtual time."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from flowrun.diagnostics.model import DiagnosticError
from flowrun.engine import events as ev
from flowrun.production.applying import Applied
from flowrun.production.kept import open_production
from flowrun.production.options import Options, Surroundings
from flowrun.production.proposing import Proposal
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock, offload, run_virtual

SAVED = "p.plan.json"
CHAIN = """
    flowrun: 1
    name: chain
    vars: {animal: fox, mood: calm}
    nodes:
      hero:
        uses: text_to_image
        with: {model: gen4_image, promptText: "a {{ vars.animal }}", ratio: "1280:720"}
      shot:
        uses: image_to_video
        with:
          model: gen4_turbo
          promptImage: "{{ nodes.hero.output }}"
          promptText: "{{ vars.mood }}"
          ratio: "1280:720"
          duration: 5
    outputs: {film: "{{ nodes.shot.output }}"}
"""


def save(stage: Stage, name: str = SAVED, **flags: Any) -> Proposal:
    async def main(clock: VirtualClock) -> Proposal:
        return await stage.production(clock, **flags).propose_async(save=name)

    return run_virtual(main, start=stage.now)


def carry_out(
    stage: Stage,
    name: str = SAVED,
    *,
    confirm: Callable[[Proposal], bool] = lambda proposal: True,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    **flags: Any,
) -> Applied:
    """`apply P`, from start to end."""
    stage.options()  # writes the scenario as it is now

    async def main(clock: VirtualClock) -> Applied:
        around = Surroundings(
            environ=stage.environ if environ is None else environ,
            cwd=cwd or stage.root,
            clock=clock,
            offload=offload,
            rng=random.Random(5),
        )
        interrupt: list[Callable[[int], None]] = []

        def emit(event: ev.Event) -> None:
            stage.events.append(event)
            if stage.on_event is not None:
                stage.on_event(interrupt[0] if interrupt else None, event)

        try:
            production = open_production(Path(name), Options(**flags), around)
            return await production.apply_async(confirm=confirm, emit=emit, interruptible=interrupt.append)
        finally:
            stage.now = clock.now() + 1.0

    return run_virtual(main, start=stage.now)


def refused(stage: Stage, *patterns: str, **flags: Any) -> str:
    """The text of the refusal, in which each pattern is found; nothing was submitted."""
    before = stage.submissions
    with pytest.raises(DiagnosticError) as caught:
        carry_out(stage, **flags)
    (found,) = caught.value.diagnostics
    assert found.code == "plan-moved"
    assert found.hint is not None
    assert "flowrun plan" in found.hint
    assert "--save" in found.hint
    told = "\n".join(note.message for note in found.notes)
    for pattern in patterns:
        assert re.search(pattern, told), told
    assert stage.submissions == before
    return told


def interrupt_at_submitted(interrupt: object, event: ev.Event) -> None:
    if isinstance(event, ev.Submitted) and callable(interrupt):
        interrupt(130)
