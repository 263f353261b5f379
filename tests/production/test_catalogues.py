"""Whole productions with catalogues of their own: a user's overlay, unknown and retired models, the bare description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flowrun.cli.main import run
from flowrun.clock import SystemClock
from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.engine.states import NodeState
from flowrun.media.probe import probe
from flowrun.plan.model import Decision
from flowrun.plan.whole import Plan
from flowrun.production.applying import Applied
from flowrun.production.exits import Exit
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from flowrun.sandbox import http as sandbox_http
from flowrun.sandbox import service
from tests.production.test_main_path import CHAIN
from tests.support.http_sandbox import KEY, HttpSandbox, threaded
from tests.support.stage import Stage

MINE = """\
format: 1
about: The models that our studio was given early.
operations:
  text_to_image:
    models:
      house_image:
        like: gen4_image
        properties: {ratio: {enum: ["1280:720", "640:360"]}, mood: {type: string, enum: [mild, wild]}}
prices:
  house_image: {credits: 3, unit: image, as_of: 2026-11-23, source: [a mail]}
"""
HOUSE = """
    flowrun: 1
    name: house
    nodes:
      hero:
        uses: text_to_image
        with: {model: house_image, promptText: "a red fox", ratio: "640:360", mood: wild}
      shot:
        uses: image_to_video
        with: {model: gen4_turbo, promptImage: "{{ nodes.hero.output }}", ratio: "1280:720", duration: 5}
    outputs: {still: "{{ nodes.hero.output }}"}
"""
STILL = """
    flowrun: 1
    name: still
    nodes:
      hero:
        uses: text_to_image
        with: {model: MODEL, promptText: "a red fox", ratio: "1280:720"}
"""
OVERLAYS = 'catalogue.overlays = ["runwayml-5.24.0", "mine.yaml"]\n'


def staged(root: Path, manifest: str, overlay: str = MINE, settings: str = OVERLAYS) -> Stage:
    stage = Stage(root, manifest)
    configure(root, overlay, settings)
    return stage


def configure(root: Path, overlay: str, settings: str = OVERLAYS) -> None:
    (root / "mine.yaml").write_text(overlay, encoding="utf-8")
    (root / "flowrun.toml").write_text(settings, encoding="utf-8")


def still(model: str) -> str:
    return STILL.replace("MODEL", model)


def refusals(stage: Stage, **flags: Any) -> list[Diagnostic]:
    with pytest.raises(DiagnosticError) as caught:
        stage.plan(**flags)
    return list(caught.value.diagnostics)


def decisions(plan: Plan) -> dict[str, Decision]:
    return {str(address): step.decision for address, step in plan.steps.items()}


def codes(plan: Plan) -> list[str]:
    return [each.code for each in plan.warnings]


# -- a model of one's own


def test_an_overlay_adds_a_model_without_code(tmp_path: Path) -> None:
    stage = staged(tmp_path, HOUSE)
    plan = stage.plan()
    assert (plan.by_model["house_image"].low, plan.by_model["house_image"].high) == (3, 3)
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 2)
    (made,) = stage.exports().values()
    facts = probe(made)
    assert facts.width / facts.height == pytest.approx(16 / 9, abs=0.02)
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 2


SEVERAL = """\
format: 1
about: A model that makes several pictures of one request.
operations:
  text_to_image:
    models:
      house_image: {like: gen4_image, properties: {outputCount: {type: integer, minimum: 1, maximum: 4, default: 1}}}
prices:
  house_image: {credits: 3, unit: image, input: outputCount, as_of: 2026-11-23, source: [a mail]}
"""
SHEET = """
    flowrun: 1
    name: sheet
    nodes:
      hero:
        uses: text_to_image
        with: {model: house_image, promptText: "a red fox", ratio: "1280:720", outputCount: 3}
      shot:
        uses: image_to_video
        with: {model: gen4_turbo, promptImage: "{{ nodes.hero.outputs[2] }}", ratio: "1280:720", duration: 5}
    outputs: {first: "{{ nodes.hero.output }}", all: "{{ nodes.hero.outputs }}", shot: "{{ nodes.shot.output }}"}
"""


def test_all_that_one_request_makes_is_kept_and_referred_to_and_paid_once(tmp_path: Path) -> None:
    stage = staged(tmp_path, SHEET, SEVERAL)
    done = stage.apply()
    assert (done.exit, stage.submissions, stage.sandbox["charges"]["spent"]) == (Exit.DONE, 2, 3 * 3 + 5 * 5)
    exports = {name: path.read_bytes() for name, path in stage.exports().items()}
    pictures = {name: data for name, data in exports.items() if name.endswith(".png")}
    assert (len(exports), len(pictures), len(set(pictures.values()))) == (5, 4, 3), "the first of three, twice"
    downloads = stage.sandbox["requests"]["download"]
    for path in stage.exports().values():
        path.unlink()
    again = stage.apply()
    assert (again.exit, stage.submissions, stage.sandbox["requests"]["download"]) == (Exit.DONE, 2, downloads)
    assert {name: path.read_bytes() for name, path in stage.exports().items()} == exports
    stage.edit("outputs[2]", "outputs[1]")
    assert (stage.apply().exit, stage.submissions) == (Exit.DONE, 3)


def test_the_editors_schema_of_a_project_has_its_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    staged(tmp_path, HOUSE)
    monkeypatch.chdir(tmp_path)
    assert run(["schema", "flow"]) == Exit.DONE
    own = json.loads(capsys.readouterr().out)["definitions"]
    assert "mood" in own["text_to_image.house_image"]["properties"]
    assert "It takes mild or wild." in json.dumps(own)
    (tmp_path / "flowrun.toml").unlink()
    assert run(["schema", "flow"]) == Exit.DONE
    assert "text_to_image.house_image" not in json.loads(capsys.readouterr().out)["definitions"]


def test_its_inputs_are_checked_like_any_others(tmp_path: Path) -> None:
    stage = staged(tmp_path, HOUSE.replace("wild", "mad").replace("640:360", "1920:1080"))
    assert {each.code for each in refusals(stage)} == {"not-allowed"}
    assert stage.submissions == 0


def test_without_the_overlay_there_is_no_such_model(tmp_path: Path) -> None:
    (unknown,) = refusals(Stage(tmp_path, HOUSE))
    assert unknown.code == "unknown-model"


@pytest.mark.parametrize(
    ("overlay", "where", "words"),
    [
        (MINE.replace("like: gen4_image", "like: gen4_imgae"), "mine.yaml:7:15", "no model 'gen4_imgae'"),
        (MINE.replace("about:", "abuot:"), "mine.yaml:2:8", "no such field"),
        (MINE.replace("credits: 3", "credits: 2.5"), "mine.yaml:10:26", "prices.house_image.credits"),
        (MINE.replace("enum: [mild, wild]", "enum: mild"), "mine.yaml:8:89", "no JSON Schema"),
        (MINE.replace("format: 1", "format: [1"), "mine.yaml:", ""),
    ],
)
def test_a_broken_overlay_is_told_at_its_place_and_nothing_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    overlay: str,
    where: str,
    words: str,
) -> None:
    staged(tmp_path, HOUSE, overlay)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWRUN_STATE_DIR", str(tmp_path / "state"))
    for command in ("validate", "plan", "apply"):
        assert run([command, "flow.yaml", *([] if command == "validate" else ["--sandbox"])]) == Exit.WRONG
        said = capsys.readouterr().err
        assert where in said
        assert words in said
    assert not list(tmp_path.glob(".flowrun/sandbox/**/*.sqlite*"))


def test_an_overlay_that_is_not_there_is_told_at_the_setting(tmp_path: Path) -> None:
    stage = staged(tmp_path, HOUSE)
    (tmp_path / "mine.yaml").unlink()
    (missing,) = refusals(stage)
    assert missing.code == "overlay-invalid"
    assert missing.span is not None
    assert (Path(missing.span.file).name, missing.span.line) == ("flowrun.toml", 1)


# -- models that nobody knows


def test_an_unknown_model_is_refused_and_passes_where_that_is_wanted(tmp_path: Path) -> None:
    stage = Stage(tmp_path, still("gen99_image"))
    (unknown,) = refusals(stage)
    assert (unknown.code, unknown.is_error) == ("unknown-model", True)
    plan = stage.plan(allow_unknown_models=True)
    assert codes(plan) == ["unchecked-model"]
    assert (plan.cost.high, plan.cost.unknown) == (0, 1)
    done = stage.apply(allow_unknown_models=True)
    assert (done.exit, stage.submissions) == (Exit.DONE, 1)


def test_an_unknown_model_may_have_defaults_and_a_limit_too(tmp_path: Path) -> None:
    stage = Stage(tmp_path, still("gen99_image"))
    stage.edit(
        "nodes:",
        "defaults: {text_to_image/gen99_image: {glow: 7, haze: 8}}\nlimits: {concurrency: {gen99_image: 1}}\nnodes:",
    )
    stage.edit('ratio: "1280:720"', 'ratio: "1280:720", haze: null')
    assert {each.code for each in refusals(stage)} == {"unknown-model"}
    (step,) = stage.plan(allow_unknown_models=True).steps.values()
    (doc,) = [take.doc for take in step.takes]
    assert doc is not None
    assert doc.request["glow"] == 7
    assert "haze" not in doc.request


def test_under_a_cap_what_has_no_price_does_not_run_unasked(tmp_path: Path) -> None:
    stage = Stage(tmp_path, still("gen99_image"))
    stopped = stage.apply(allow_unknown_models=True, max_credits=50)
    assert (stopped.exit, stage.submissions) == (Exit.STOPPED, 0)
    done = stage.apply(allow_unknown_models=True, max_credits=50, allow_unknown_price=True)
    assert (done.exit, stage.submissions) == (Exit.DONE, 1)


# -- the bare description


def test_without_overlays_the_bare_description_holds(tmp_path: Path) -> None:
    stage = staged(tmp_path, still("muse_image"), settings="catalogue.overlays = []\n")
    (unknown,) = refusals(stage)
    assert unknown.code == "unknown-model"
    assert unknown.hint == "text_to_image has gen4_image_turbo, gen4_image, gemini_2.5_flash"
    stage.write(CHAIN.replace("gen4_turbo", "gen3a_turbo").replace("1280:720", "1280:768"))
    stage.edit('ratio: "1280:768"}\n  shot', 'ratio: "1280:720"}\n  shot')
    assert codes(stage.plan()) == []


def test_another_catalogue_never_changes_what_is_on_record(tmp_path: Path) -> None:
    """An action key says nothing of the catalogue: what was paid for is a hit, whichever overlays lie over it."""
    stage = staged(tmp_path, CHAIN)
    assert stage.apply().exit is Exit.DONE
    keys = None
    shipped = 'catalogue.overlays = ["runwayml-5.24.0"]\n'
    for settings in (OVERLAYS, shipped, "catalogue.overlays = []\n", ""):
        configure(tmp_path, MINE, settings)
        plan = stage.plan()
        assert set(plan.counts) == {Decision.HIT}, settings
        now = [take.doc.key for step in plan.steps.values() for take in step.takes if take.doc]
        assert keys in (None, now)
        keys = now
        assert stage.apply().exit is Exit.DONE
    assert len(keys or ()) == stage.submissions == 3


# -- what the live API refuses

RETIRED = "format: 1\nretired: {gen4_image: {since: 2026-11-01, successor: muse_image, source: a mail}}\n"
NARROWED = """\
format: 1
operations:
  text_to_image:
    models: {gen4_image: {like: gen4_image, properties: {ratio: {enum: ["1920:1080"]}}}}
"""


class Hasty(SystemClock):
    """Waits a hundredth of what is asked: a live API is polled every five seconds."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 100)


@dataclass
class Live:
    """A project that takes a server on this machine for the live API."""

    root: Path
    served: HttpSandbox

    def production(self, **flags: Any) -> Production:
        environ = {"RUNWAYML_API_SECRET": KEY, "FLOWRUN_STATE_DIR": str(self.root / "state")}
        return Production(
            self.root / "flow.yaml", Options(**flags), Surroundings(environ=environ, cwd=self.root, clock=Hasty())
        )

    def plan(self, **flags: Any) -> Plan:
        return self.production(**flags).plan()

    def apply(self, **flags: Any) -> Applied:
        return self.production(**flags).apply()

    def overlay(self, text: str) -> None:
        provider = f'provider = {{name = "runway", base_url = "{self.served.url}"}}\n'
        configure(self.root, text, provider + OVERLAYS)

    @property
    def submitted(self) -> int:
        return len(self.served.report()["submissions"])


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """The server's answers do not bear the sandbox's mark."""
    for module in (sandbox_http, service):
        monkeypatch.setattr(module, "POLL_HEADER", "X-Nothing")
    with threaded() as served:
        found = Live(tmp_path, served)
        (tmp_path / ".git").mkdir()
        (tmp_path / "flow.yaml").write_text(still("gen4_image").replace("\n    ", "\n"))
        found.overlay(MINE)
        yield found


CASES = pytest.mark.parametrize(
    ("overlay", "code"), [(RETIRED, "retired-model"), (NARROWED, "live-refuses")], ids=["retired", "narrowed"]
)


@CASES
def test_what_the_live_api_refuses_is_an_error_before_it_is_sent(live: Live, overlay: str, code: str) -> None:
    live.overlay(overlay)
    plan = live.plan()
    assert plan.provider == "runway"
    assert decisions(plan) == {"hero": Decision.BLOCKED}
    (problem,) = plan.problems
    assert (problem.code, problem.is_error) == (code, True)
    assert plan.most_submissions == 0
    with pytest.raises(DiagnosticError):
        live.apply()
    assert live.submitted == 0


@CASES
def test_what_is_on_record_stays_a_hit_with_a_warning(live: Live, overlay: str, code: str) -> None:
    assert live.apply().exit is Exit.DONE
    live.overlay(overlay)
    plan = live.plan()
    assert (decisions(plan), plan.problems, codes(plan)) == ({"hero": Decision.HIT}, (), [code])
    assert live.apply().exit is Exit.DONE
    assert decisions(live.plan(force=("hero",))) == {"hero": Decision.BLOCKED}
    assert live.submitted == 1


@CASES
def test_the_sandbox_still_takes_it_and_warns(tmp_path: Path, overlay: str, code: str) -> None:
    stage = staged(tmp_path, still("gen4_image"), overlay)
    assert (codes(stage.plan()), stage.plan().problems) == ([code], ())
    done = stage.apply()
    assert done.exit is Exit.DONE
    assert done.summary.states == {"hero": NodeState.SUCCEEDED}
    assert stage.submissions == 1
