"""Every command once and more, as a person would type it: what goes to stdout, what to stderr, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flowrun import load
from flowrun.cli.apply import _Asker
from flowrun.cli.output import Output
from flowrun.production.budget import Caps
from flowrun.production.options import Options
from flowrun.production.proposing import Proposal
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import SqliteState
from tests.cli.console import Console
from tests.support.golden import check_golden

GOLDEN = Path(__file__).parent / "golden"
FLOW = """flowrun: 1
name: small
vars: {animal: fox}
nodes:
  hero:
    uses: text_to_image
    tags: [stills]
    with: {model: gen4_image, promptText: "a {{ vars.animal }}", ratio: "1280:720"}
  shot:
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "{{ nodes.hero.output }}", ratio: "1280:720", duration: 5}
outputs: {film: "{{ nodes.shot.output }}"}
"""


@pytest.fixture
def project(console: Console) -> Console:
    console.file("flow.yaml", FLOW)
    return console


def _apply(console: Console, *flags: str) -> dict[str, object]:
    said = console("apply", "flow.yaml", "--scenario", "scenario.yaml", "--json", *flags)
    assert said.code == 0, said.err
    document: dict[str, object] = said.document
    return document


def test_plan_then_apply_then_nothing(project: Console) -> None:
    planned = project("plan", "flow.yaml", "--sandbox")
    assert planned.code == 0
    check_golden(GOLDEN / "plan-new.txt", planned.transcript)
    applied = project("apply", "flow.yaml", "--scenario", "scenario.yaml")
    assert applied.code == 0
    assert applied.out == ""
    again = project("apply", "flow.yaml", "--sandbox")
    check_golden(GOLDEN / "apply-unchanged.txt", again.transcript)


def test_plan_json_is_what_its_schema_says(project: Console) -> None:
    import jsonschema_rs

    schema = project("schema", "plan").document
    planned = project("plan", "flow.yaml", "--sandbox", "--json")
    jsonschema_rs.validator_for(schema).validate(planned.document)
    steps = {step["address"]: step for step in planned.document["steps"]}
    assert steps["hero"]["decision"] == "run"
    assert steps["shot"]["decision"] == "undecided"


def test_events_are_what_their_schema_says_and_rebuild_the_summary(project: Console) -> None:
    import jsonschema_rs

    schema = jsonschema_rs.validator_for(project("schema", "event-1").document)
    document = _apply(project, "--events", "events.ndjson")
    events = [json.loads(line) for line in (project.root / "events.ndjson").read_text().splitlines()]
    for event in events:
        schema.validate(event)
    assert events[0]["type"] == "run-started"
    assert events[-1]["summary"]["submitted"] == document["submitted"] == 2


def test_events_on_stdout_and_json_exclude_each_other(project: Console) -> None:
    said = project("apply", "flow.yaml", "--sandbox", "--json", "--events", "-")
    assert said.code == 2
    only = project("apply", "flow.yaml", "--scenario", "scenario.yaml", "--events", "-", "--quiet")
    assert [json.loads(line)["type"] for line in only.out.splitlines()][-1] == "run-ended"


def test_without_key_and_flag_the_sandbox_is_announced(project: Console) -> None:
    said = project("apply", "flow.yaml")
    assert said.code == 0
    assert "sandbox: no RUNWAYML_API_SECRET is set" in said.err


def test_real_credits_without_terminal_or_cap_need_a_word(project: Console) -> None:
    said = project("plan", "flow.yaml", RUNWAYML_API_SECRET="key_" + "a" * 128, RUNWAYML_BASE_URL="https://api.invalid")
    assert said.code == 0, said.err
    said = project(
        "apply", "flow.yaml", RUNWAYML_API_SECRET="key_" + "a" * 128, RUNWAYML_BASE_URL="https://api.invalid"
    )
    assert said.code == 7
    assert "aaaa" not in said.err + said.out


def test_outputs_runs_show(project: Console) -> None:
    assert "nothing yet" in project("outputs", "flow.yaml").err
    run = _apply(project)["run"]
    said = project("outputs", "flow.yaml")
    assert [Path(line).name for line in said.out.splitlines()] == ["film.mp4"]
    assert project("outputs", "flow.yaml", "--json").document[0]["output"] == "film"
    assert str(run) in project("runs").out
    assert str(run) in project("runs", "flow.yaml").out
    assert project("runs", "--json").document[0]["submitted"] == 2
    assert "hero" in project("show", str(run)).out
    assert "a fox" in project("show", "flow.yaml", "hero").out
    film = said.out.strip()
    shown = project("show", film, "--json").document
    assert shown["operation"] == "image_to_video"
    assert project("show", "nonsense").code == 2
    assert project("show", "flow.yaml", "shto").code == 2


def test_graph_in_every_form(project: Console) -> None:
    assert project("graph", "flow.yaml").out.startswith("flowchart LR")
    assert "->" in project("graph", "flow.yaml", "--format", "dot").out
    assert project("graph", "flow.yaml", "--format", "svg").out.startswith("<svg")
    document = project("graph", "flow.yaml", "--json").document
    assert document["edges"] == [{"from": "hero", "to": "shot", "kind": "data"}]


def test_org_and_status(project: Console) -> None:
    said = project("org", "--sandbox")
    assert said.code == 0
    assert "100,000" in said.out
    assert project("org", "--sandbox", "--json").document["models"]["gen4_turbo"]["concurrent"] == 5
    assert "Nothing is in flight" in project("status", "--sandbox").out
    assert project("status", "--sandbox", "--json").document == {"open": [], "uncertain": []}


def test_forget_what_is_not_uncertain(project: Console) -> None:
    _apply(project)
    said = project("forget", "flow.yaml", "hero")
    assert said.code == 2
    assert "no uncertain submission" in said.err


def test_uncertain_named_commands_work(project: Console) -> None:
    project.file("scenario.yaml", "media: tiny\nfaults: [{on: text_to_image, match: {nth: 1}, do: {lost: after}}]\n")
    said = project("apply", "flow.yaml", "--scenario", "scenario.yaml")
    assert said.code == 6
    check_golden(GOLDEN / "apply-uncertain.txt", said.transcript)
    assert "hero" in project("status").out
    assert project("forget", "flow.yaml", "hero").code == 0
    assert project("apply", "flow.yaml", "--scenario", "scenario.yaml").code == 0


def test_moderated_says_what_it_cost_and_what_to_do(project: Console) -> None:
    said = project("apply", "flow.yaml", "--scenario", "scenario.yaml", "--var", "animal=fox [moderated]")
    assert said.code == 1
    check_golden(GOLDEN / "apply-moderated.txt", said.transcript)


def test_cap_says_what_did_not_fit(project: Console) -> None:
    said = project("apply", "flow.yaml", "--scenario", "scenario.yaml", "--max-credits", "20")
    assert said.code == 3
    check_golden(GOLDEN / "apply-over-cap.txt", said.transcript)


def test_selection(project: Console) -> None:
    said = project("plan", "flow.yaml", "--sandbox", "--select", "shot", "--json")
    assert {step["address"]: step["decision"] for step in said.document["steps"]} == {
        "hero": "excluded",
        "shot": "blocked",
    }
    assert _apply(project, "--select", "tag:stills")["submitted"] == 1
    assert _apply(project, "--select", "+shot")["submitted"] == 1


def test_schema_lists_and_suggests(project: Console) -> None:
    assert "plan-1" in project("schema").out.splitlines()
    said = project("schema", "plam")
    assert said.code == 2
    assert "plan" in said.err


def test_quiet_says_nothing_when_all_is_well(project: Console) -> None:
    said = project("apply", "flow.yaml", "--scenario", "scenario.yaml", "--quiet")
    assert (said.code, said.out, said.err) == (0, "", "")


def test_unknown_command_and_help(project: Console) -> None:
    said = project("aply")
    assert said.code == 2
    assert "apply" in said.err
    assert project("--help").code == 0
    assert project("apply", "--help").code == 0
    assert "flowrun" in project("--version").out


def test_export_changed_by_hand_is_kept(project: Console) -> None:
    _apply(project)
    film = project.root / "out/sandbox/small/film.mp4"
    film.write_bytes(b"my cut")
    said = project("apply", "flow.yaml", "--sandbox")
    assert "--overwrite" in said.err
    assert film.read_bytes() == b"my cut"
    project("apply", "flow.yaml", "--sandbox", "--overwrite")
    assert film.read_bytes() != b"my cut"
    project.file("flow.yaml", FLOW.replace("{film:", "{cut:"))
    assert "--prune" in project("apply", "flow.yaml", "--sandbox").err
    project("apply", "flow.yaml", "--sandbox", "--prune")
    assert not film.exists()


def test_a_bug_leaves_a_report_and_no_traceback(project: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowrun.production.production import Production

    def broken(self: object, *args: object, **kwargs: object) -> None:
        raise RuntimeError("canary of a bug")

    monkeypatch.setattr(Production, "propose", broken)
    said = project("plan", "flow.yaml")
    assert said.code == 70
    assert "Traceback" not in said.err
    [report] = (project.root / ".flowrun/logs").glob("bug-*.txt")
    assert "canary of a bug" in report.read_text()


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from flowrun.cli.main import run; run(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("av", "PIL", "httpx", "pydantic", "networkx", "jinja2", "jsonschema_rs", "yaml"):
        assert f"'{heavy}'" not in done.stderr, heavy


class TestConfirmation:
    """Only on a terminal, only where real credits would be spent."""

    @pytest.fixture
    def proposal(self, project: Console) -> Proposal:
        production = load(project.root / "flow.yaml", sandbox=True)
        return replace(production.propose(), provider="runway", banner=None)

    def asked(
        self,
        monkeypatch: pytest.MonkeyPatch,
        proposal: Proposal,
        *,
        terminal: bool,
        answer: bool = False,
        yes: bool = False,
    ) -> tuple[bool, int]:
        questions = []

        def ask(*args: object, **kwargs: object) -> bool:
            questions.append(args)
            return answer

        monkeypatch.setattr("flowrun.cli.apply.can_ask", lambda: terminal)
        monkeypatch.setattr("click.confirm", ask)
        said = _Asker(Path("flow.yaml"), Options(), Output(quiet=True), yes).confirm(proposal)
        return said, len(questions)

    def test_a_person_is_asked_once(self, monkeypatch: pytest.MonkeyPatch, proposal: Proposal) -> None:
        assert self.asked(monkeypatch, proposal, terminal=True, answer=True) == (True, 1)
        assert self.asked(monkeypatch, proposal, terminal=True, answer=False) == (False, 1)

    def test_yes_skips_the_question(self, monkeypatch: pytest.MonkeyPatch, proposal: Proposal) -> None:
        assert self.asked(monkeypatch, proposal, terminal=True, yes=True) == (True, 0)

    def test_nobody_there(self, monkeypatch: pytest.MonkeyPatch, proposal: Proposal) -> None:
        assert self.asked(monkeypatch, proposal, terminal=False) == (False, 0)
        assert self.asked(monkeypatch, replace(proposal, caps=Caps(asked=10)), terminal=False) == (True, 0)

    def test_the_sandbox_asks_nobody(self, monkeypatch: pytest.MonkeyPatch, proposal: Proposal) -> None:
        assert self.asked(monkeypatch, replace(proposal, provider="sandbox"), terminal=True) == (True, 0)


def test_adopt_takes_the_lost_answer_up(project: Console) -> None:
    project.file("scenario.yaml", "media: tiny\nfaults: [{on: text_to_image, match: {nth: 1}, do: {lost: after}}]\n")
    assert project("apply", "flow.yaml", "--scenario", "scenario.yaml").code == 6
    state = SqliteState(project.root / ".flowrun/sandbox/api")
    [submission] = Sandbox(state).report()["submissions"]
    state.close()
    for wrong in (submission["id"][:8], submission["id"] + "0", "nonsense"):
        said = project("adopt", "flow.yaml", "hero", "--task", wrong)
        assert (said.code, "is no task id; nothing was settled" in said.err) == (2, True)
    other = "0" * 8 + submission["id"][8:]
    said = project("adopt", "flow.yaml", "hero", "--task", other)
    assert (said.code, f"the API knows no task {other}; nothing was settled" in said.err) == (2, True)
    said = project("adopt", "flow.yaml", "hero", "--task", submission["id"])
    assert said.code == 0, said.err
    assert project("adopt", "flow.yaml", "hero", "--task", submission["id"]).code == 2
    done = project("apply", "flow.yaml", "--scenario", "scenario.yaml", "--json")
    assert (done.code, done.document["submitted"]) == (0, 1)


def test_export_folder_of_another_manifest_is_refused_before_anything_is_spent(project: Console) -> None:
    _apply(project)
    project.file("copy.yaml", FLOW.replace("animal: fox", "animal: wolf"))
    for command in (["plan"], ["apply"]):
        said = project(*command, "copy.yaml", "--sandbox")
        assert said.code == 2, said.err
        assert "flow.yaml" in said.err
    assert project("runs", "--json").document[0]["submitted"] == 2
    (project.root / "flow.yaml").rename(project.root / "renamed.yaml")
    said = project("apply", "renamed.yaml", "--sandbox", "--json")
    assert (said.code, said.document["submitted"]) == (0, 0)


def test_exports_must_have_somewhere_to_go(project: Console) -> None:
    project.file("rows.csv", "a\n")
    said = project("apply", "flow.yaml", "--scenario", "scenario.yaml", "--out", "rows.csv")
    assert said.code == 2
    assert "is a file" in said.err
    project.file("long.yaml", FLOW.replace("name: small", f"name: {'x' * 300}"))
    assert project("apply", "long.yaml", "--scenario", "scenario.yaml").code == 2
    assert not (project.root / ".flowrun/sandbox/api/state.sqlite").exists()


def test_show_a_take(project: Console) -> None:
    project.file("flow.yaml", FLOW.replace("tags: [stills]", "tags: [stills]\n    takes: 2"))
    _apply(project)
    one, two = (project("show", "flow.yaml", f"hero#{take}", "--json").document for take in (1, 2))
    assert (one["take"], two["take"]) == (1, 2)
    said = project("show", "flow.yaml", "hero#9")
    assert said.code == 2
    assert "hero#1" in said.err


def test_validate_and_graph_write_nothing(project: Console) -> None:
    assert project("validate", "flow.yaml").code == 0
    assert project("graph", "flow.yaml").code == 0
    assert not (project.root / ".flowrun").exists()


def test_scenario_that_is_not_there(project: Console) -> None:
    for command in ("plan", "apply"):
        said = project(command, "flow.yaml", "--scenario", "nothing.yaml")
        assert said.code == 2
        assert "nothing.yaml" in said.err


def test_json_of_a_wrong_flag(project: Console) -> None:
    said = project("plan", "--json", "--frce", "flow.yaml")
    assert (said.code, said.document["exit"]) == (2, 2)
    assert project("runs", "nothing.yaml").code == 2


def test_outputs_that_are_gone_or_not_exported_any_more(project: Console) -> None:
    _apply(project)
    film = project.root / "out/sandbox/small/film.mp4"
    project.file("flow.yaml", FLOW.replace("{film:", "{cut:"))
    _apply(project)
    said = project("outputs", "flow.yaml")
    assert [Path(line).name for line in said.out.splitlines()] == ["cut.mp4"]
    assert "film.mp4 is not exported any more" in said.err
    film.unlink()
    (film.parent / "cut.mp4").unlink()
    said = project("outputs", "flow.yaml")
    assert said.out == ""
    assert "is gone" in said.err


def test_selection_that_makes_nothing_is_no_success(project: Console) -> None:
    said = project("apply", "flow.yaml", "--scenario", "scenario.yaml", "--select", "shot")
    assert said.code == 3


def test_a_reader_of_events_that_goes_away_ends_no_run(project: Console) -> None:
    line = [
        sys.executable,
        "-m",
        "flowrun",
        "apply",
        "flow.yaml",
        "--scenario",
        "scenario.yaml",
        "--events",
        "-",
        "--quiet",
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("RUNWAYML", "FLOWRUN"))}
    process = subprocess.Popen(line, cwd=project.root, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr is not None
    process.stderr.close()
    assert (project.root / "out/sandbox/small/film.mp4").is_file()
