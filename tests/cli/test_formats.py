"""Every command in every form: what is on stdout for a comment, for GitHub's runner, for a program; talk stays on stderr."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flowrun.cli.output import Form
from tests.cli.console import Console, Said
from tests.cli.test_commands import FLOW
from tests.support.golden import check_golden

GOLDEN = Path(__file__).parent / "golden" / "formats"
BAD = FLOW.replace("ratio:", "rato:", 1)
_OWN = re.compile(r"[0-9a-f]{64}|(?<=result )[0-9a-f]{20}|(?<=key )[0-9a-f]{16}|(?<=task )<id>|(?<=seed )\d+|\d+ bytes")


@pytest.fixture
def project(console: Console) -> Console:
    console.file("flow.yaml", FLOW)
    console.file("bad.yaml", BAD)
    return console


def golden(name: str, said: Said) -> None:
    """Exit code and stdout alone: what is told on stderr is the text's matter."""
    text = said.transcript.partition("--- stderr")[0]
    check_golden(GOLDEN / f"{name}.txt", re.sub(r" *\(?exit 0\)?$", "", _OWN.sub("<own>", text)))


def made(console: Console, *flags: str) -> Said:
    return console("apply", "flow.yaml", "--scenario", "scenario.yaml", "--quiet", *flags)


@pytest.mark.parametrize("form", ["markdown", "github"])
def test_plan_apply_and_plan_again(project: Console, form: str) -> None:
    golden(f"plan-{form}", project("plan", "flow.yaml", "--sandbox", "--format", form))
    golden(f"apply-{form}", made(project, "--format", form))
    golden(f"plan-unchanged-{form}", project("plan", "flow.yaml", "--sandbox", "--format", form))
    changed = project("plan", "flow.yaml", "--sandbox", "--format", form, "--var", "animal=wolf that asks @user | <b>")
    golden(f"plan-changed-{form}", changed)


@pytest.mark.parametrize("form", ["markdown", "github"])
def test_what_goes_wrong(project: Console, form: str) -> None:
    golden(f"validate-{form}", project("validate", "flow.yaml", "bad.yaml", "--format", form))
    golden(f"valid-{form}", project("validate", "flow.yaml", "--format", form))
    golden(f"plan-wrong-{form}", project("plan", "bad.yaml", "--sandbox", "--format", form))
    golden(f"usage-{form}", project("plan", "--format", form))
    golden(f"error-{form}", project("show", "nonsense", f"--format={form}"))
    golden(f"apply-failed-{form}", made(project, "--format", form, "--var", "animal=fox [moderated]"))


@pytest.mark.parametrize("form", ["markdown", "github"])
def test_what_only_looks(project: Console, form: str) -> None:
    golden(f"outputs-none-{form}", project("outputs", "flow.yaml", "--format", form))
    made(project)
    golden(f"outputs-{form}", project("outputs", "flow.yaml", "--format", form))
    golden(f"runs-{form}", project("runs", "--format", form))
    run = project("runs", "--json").document[0]["id"]
    golden(f"show-run-{form}", project("show", run, "--format", form))
    golden(f"show-node-{form}", project("show", "flow.yaml", "hero", "--format", form))
    golden(f"status-{form}", project("status", "--sandbox", "--format", form))
    said = project("org", "--sandbox", "--format", form)
    assert said.out.startswith("Balance on the sandbox's play money: 99,970 credits")
    assert ("| `gen4_turbo` | 5 | 1 |" in said.out) is (form == "markdown")
    assert ("- plan-1\n" in project("schema", "--format", form).out) is (form == "markdown")


def test_json_is_one_of_the_forms(project: Console) -> None:
    for command in (["plan", "flow.yaml", "--sandbox"], ["validate", "bad.yaml"], ["status", "--sandbox"], ["schema"]):
        assert project(*command, "--format", "json").out == project(*command, "--json").out
    assert (
        project("graph", "flow.yaml", "--format", "json").document == project("graph", "flow.yaml", "--json").document
    )


def test_two_forms_at_once_are_a_mistake(project: Console) -> None:
    said = project("plan", "flow.yaml", "--json", "--format", "markdown")
    assert said.code == 2
    assert "--json and --format markdown" in said.err
    assert project("plan", "flow.yaml", "--sandbox", "--json", "--format", "json").code == 0
    for form in ("markdown", "github"):
        said = project("apply", "flow.yaml", "--sandbox", "--format", form, "--events", "-")
        assert said.code == 2
        assert f"--format {form} and '--events -'" in said.err


def test_uncertain_is_settled_in_words(project: Console) -> None:
    project.file("scenario.yaml", "media: tiny\nfaults: [{on: text_to_image, match: {nth: 1}, do: {lost: after}}]\n")
    said = made(project, "--format", "markdown")
    assert said.code == 6
    assert "flowrun forget flow.yaml --scenario scenario.yaml hero" in said.out
    golden("status-uncertain-markdown", project("status", "--format", "markdown"))
    planned = project("plan", "flow.yaml", "--sandbox", "--format", "github").out
    assert planned.startswith(
        "::warning file=flow.yaml,line=5,col=3,endLine=5,endColumn=7,title=uncertain::hero: a request"
    )
    assert project("forget", "flow.yaml", "hero", "--format", "markdown").out == (
        "1 uncertain submission of hero forgotten; apply sends it anew\n"
    )


class TestStepSummary:
    def test_the_page_is_appended_there_and_nowhere_else(self, project: Console) -> None:
        summary = project.file("summary.md", "before\n")
        said = project("plan", "flow.yaml", "--sandbox", "--format", "github", GITHUB_STEP_SUMMARY=str(summary))
        page = project("plan", "flow.yaml", "--sandbox", "--format", "markdown").out
        assert summary.read_text() == f"before\n{page}\n"
        assert "###" not in said.out
        made_at = made_with_summary(project, summary)
        assert made_at.code == 0
        assert "### ✅ `flow.yaml`: Done in" in summary.read_text()

    def test_it_is_left_alone_in_every_other_form(self, project: Console) -> None:
        summary = project.file("summary.md", "before\n")
        for flags in ([], ["--json"], ["--format", "markdown"]):
            project("plan", "flow.yaml", "--sandbox", *flags, GITHUB_STEP_SUMMARY=str(summary))
        assert summary.read_text() == "before\n"

    def test_one_that_cannot_be_written_changes_no_exit_code(self, project: Console) -> None:
        missing = str(project.root / "no" / "summary.md")
        said = project("plan", "flow.yaml", "--sandbox", "--format", "github", GITHUB_STEP_SUMMARY=missing)
        assert said.code == 0
        assert "GITHUB_STEP_SUMMARY cannot be written" in said.err


def made_with_summary(console: Console, summary: Path) -> Said:
    flags = ("--scenario", "scenario.yaml", "--format", "github")
    return console("apply", "flow.yaml", *flags, GITHUB_STEP_SUMMARY=str(summary))


class TestPlaces:
    def test_files_are_named_from_the_root_of_the_checkout(self, project: Console) -> None:
        project.file("sub/flow.yaml", BAD)
        (project.root / "sub/.git").mkdir()
        command = ("validate", "sub/flow.yaml", "--format", "github")
        assert "::error file=sub/flow.yaml,line=8," in project(*command).out
        assert "::error file=flow.yaml," in project(*command, GITHUB_WORKSPACE=str(project.root / "sub")).out
        assert "::error file=sub/flow.yaml," in project(*command, GITHUB_WORKSPACE="/elsewhere").out

    def test_a_flag_is_no_file(self, project: Console) -> None:
        project.file("flow.yaml", FLOW.replace("{animal: fox}", "{animal: {type: integer, required: true}}"))
        said = project("plan", "flow.yaml", "--var", "animal=x", "--format", "github")
        [line] = said.out.splitlines()
        assert line.startswith("::error title=wrong-value::`--var animal=x`: `animal` must be an integer")


@pytest.mark.parametrize("environ", [{"GITHUB_ACTIONS": "true"}, {}])
def test_no_prompt_is_a_command_to_the_runner(project: Console, environ: dict[str, str]) -> None:
    made(project)
    words = " ".join(["word"] * 12)
    evil = f"{words} ::add-mask::fox {words} ##[add-mask]fox"
    form = ("--format", "github") if not environ else ()
    for command in ("plan", "apply"):
        said = project(command, "flow.yaml", "--scenario", "scenario.yaml", "--var", f"animal={evil}", *form, **environ)
        lines = [*said.out.splitlines(), *said.err.splitlines()]
        bad = [each for each in lines if "##[" in each or each.lstrip().startswith("::add")]
        assert not [each for each in bad if not each.startswith(("::notice ", "::warning ", "::error "))]


def test_no_secret_is_shown(project: Console) -> None:
    key = "key_" + "ab" * 64
    for form in Form:
        flags = ("--format", form.value, "--var", f"animal={key}")
        for command in (("plan", "flow.yaml", "--sandbox"), ("apply", "flow.yaml", "--scenario", "scenario.yaml")):
            said = project(*command, *flags)
            assert "abab" not in said.out + said.err


@pytest.mark.parametrize(
    ("words", "form"),
    [
        (["plan", "--json"], Form.JSON),
        (["plan", "--format", "github"], Form.GITHUB),
        (["plan", "--format=markdown", "x"], Form.MARKDOWN),
        (["graph", "--format", "svg"], Form.TEXT),
        (["plan", "--format"], Form.TEXT),
        (["plan"], Form.TEXT),
    ],
)
def test_the_form_is_known_before_the_command_line_is_read(words: list[str], form: Form) -> None:
    assert Form.asked(words) is form
