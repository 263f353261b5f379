"""The time that is promised: a sandbox over HTTP that answers quickly is expected to, a realistic one is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from flowrun.production.proposing import Proposal
from tests.support.http_sandbox import KEY, HttpSandbox, threaded

TWO = """
flowrun: 1
name: two
nodes:
  fox: {uses: text_to_image, with: {model: gen4_image, promptText: a fox, ratio: "1280:720"}}
  shot:
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "{{ nodes.fox.output }}", ratio: "1280:720", duration: 5}
"""


def production(root: Path, served: HttpSandbox, **options: Any) -> Production:
    (root / "two.yaml").write_text(TWO)
    environ = {"RUNWAYML_BASE_URL": served.url, "RUNWAYML_API_SECRET": KEY}
    return Production(root / "two.yaml", Options(**options), Surroundings(environ=environ, cwd=root))


@pytest.mark.parametrize(("poll", "least", "most"), [(1.0, 3.0, 5.0), (5.0, 50.0, 200.0)])
def test_what_a_plan_expects_of_a_server(tmp_path: Path, poll: float, least: float, most: float) -> None:
    with threaded(f"media: tiny\npoll: {poll}\n") as served:
        seconds = production(tmp_path, served).propose().seconds
    assert seconds is not None
    assert least <= seconds <= most


def test_an_apply_is_told_the_same_and_what_was_learned_counts_more(tmp_path: Path) -> None:
    heard: dict[str, float] = {}
    proposed: list[Proposal] = []

    def confirm(proposal: Proposal) -> bool:
        proposed.append(proposal)
        return True

    with threaded() as served:
        production(tmp_path, served).apply(
            confirm=confirm,
            emit=lambda event: heard.update({item.address: item.seconds for item in getattr(event, "items", ())}),
        )
        again = production(tmp_path, served, force=("fox",)).propose()
    assert heard == {"fox": 2.0, "shot": 2.0}
    assert proposed[0].seconds == 4.0
    assert {step.seconds for step in again.plan.steps.values()}.isdisjoint({2.0})
