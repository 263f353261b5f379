"""Settings change what whole productions do: limits, provider, store, ledger, warnings, the key of a `.env`."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from flowrun.action import ActionDoc
from flowrun.diagnostics.model import DiagnosticError
from flowrun.engine import events as ev
from flowrun.engine.states import NodeState
from flowrun.ids import ActionKey, OwnerId, RecipeKey, RunId, TaskId
from flowrun.ledger.location import account_of, ledger_path
from flowrun.ledger.protocol import Limits, Mine, Origin
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.production.binding import bound
from flowrun.production.configuring import lowered, queue_ahead
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.production.queries import organization, past_runs
from flowrun.production.taking_over import begin_work
from flowrun.secret import Secret
from flowrun.settings.model import LimitSettings, Settings
from tests.production.test_main_path import CHAIN, FIVE
from tests.support.http_sandbox import QUICK, threaded
from tests.support.stage import Stage

KEY = "key_" + "0a" * 64
OTHER_KEY = "key_" + "0b" * 64
QUIET = "flowrun: 1\nname: quiet\nnodes: {}\n"


def configured(root: Path, toml: str, manifest: str = CHAIN, **rest: Any) -> Stage:
    """A stage with a flowrun.toml."""
    stage = Stage(root, manifest, **rest)
    (root / "flowrun.toml").write_text(toml, encoding="utf-8")
    return stage


def most_in_flight(stage: Stage) -> int:
    """The most tasks that were at the API at once."""
    now = most = 0
    for event in stage.events:
        now += isinstance(event, ev.Submitted) - isinstance(event, ev.Ended)
        most = max(most, now)
    return most


# -- to whom the key goes


def test_a_project_alone_never_sends_the_key_to_a_stranger(tmp_path: Path) -> None:
    address = "https://runwayml.com.proxy.example"
    (tmp_path / "flowrun.toml").write_text(f'provider.base_url = "{address}"\n', encoding="utf-8")
    own = tmp_path / "home/flowrun/config.toml"
    environ = {
        "RUNWAYML_API_SECRET": KEY,
        "FLOWRUN_STATE_DIR": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(own.parents[1]),
    }
    with pytest.raises(FlowrunError) as caught, bound(tmp_path, Options(), Surroundings(environ=environ, cwd=tmp_path)):
        pass
    assert caught.value.exit is Exit.WRONG
    assert "flowrun.toml:1:21" in caught.value.message
    assert f"export RUNWAYML_BASE_URL={address}" in str(caught.value.hint)
    own.parent.mkdir(parents=True)
    own.write_text(f'provider.base_url = "{address}"\n', encoding="utf-8")
    (tmp_path / "flowrun.toml").unlink()
    with bound(tmp_path, Options(), Surroundings(environ=environ, cwd=tmp_path)) as at:
        assert at.choice.base_url == address


# -- limits


@pytest.mark.parametrize(
    ("toml", "manifest", "expected"),
    [
        ("", "", 5),  # what tier 3 of the sandbox allows
        ("limits.concurrency = {gen4_image = 2}\n", "", 2),
        ("limits.concurrency = {gen4_image = 3}\n", "    limits: {concurrency: {gen4_image: 1}}\n", 1),
        ("limits.concurrency = {gen4_image = 1}\n", "    limits: {concurrency: {gen4_image: 3}}\n", 1),
        ("limits.concurrency = {gen4_image = 99}\n", "", 5),
        ("limits.queue_ahead = 2\n", "", 7),
        ("limits.queue_ahead = 2\n", "    limits: {queue_ahead: 1}\n", 6),
    ],
)
def test_generations_in_flight(tmp_path: Path, toml: str, manifest: str, expected: int) -> None:
    stage = configured(tmp_path, toml, FIVE + manifest)
    assert stage.apply().exit is Exit.DONE
    assert most_in_flight(stage) == expected


def test_the_lower_limit_holds_and_the_manifest_speaks_first() -> None:
    settings = Settings(limits=LimitSettings(concurrency={"a": 2, "b": 1}, queue_ahead=3))
    assert lowered({"a": 1, "b": 5, "c": 4}, settings) == {"a": 1, "b": 1, "c": 4}
    assert (queue_ahead(None, settings), queue_ahead(0, settings)) == (3, 0)


def test_a_limit_of_a_model_that_nobody_has_is_an_error(tmp_path: Path) -> None:
    stage = configured(tmp_path, "[limits.concurrency]\ngen4_turb = 1\n")
    with pytest.raises(DiagnosticError) as wrong:
        stage.plan()
    (found,) = wrong.value.diagnostics
    assert (found.code, str(found.span)) == ("unknown-model", "flowrun.toml:2:1")
    assert "gen4_turbo" in (found.hint or "")
    stage = Stage(tmp_path / "other", CHAIN, environ={"FLOWRUN_LIMITS_CONCURRENCY": "gen4_turb=1"})
    with pytest.raises(DiagnosticError, match="FLOWRUN_LIMITS_CONCURRENCY"):
        stage.plan()


def test_a_wrong_setting_stops_before_anything(tmp_path: Path) -> None:
    stage = configured(tmp_path, 'cache.remote = "s3://x"\n')
    with pytest.raises(DiagnosticError) as wrong:
        stage.apply()
    assert wrong.value.diagnostics[0].code == "setting-not-available"
    assert not (tmp_path / ".flowrun").exists()
    with pytest.raises(DiagnosticError):
        past_runs(None, 10, Options(), Surroundings(environ={}, cwd=tmp_path))


# -- requests


REFUSED_ONCE = "faults: [{on: text_to_image, match: {nth: 1}, do: {status: 502}}]\n"


def test_a_502_is_sent_again(tmp_path: Path) -> None:
    stage = configured(tmp_path, "", scenario=REFUSED_ONCE)
    assert stage.apply().exit is Exit.DONE


def test_a_502_can_be_made_uncertain(tmp_path: Path) -> None:
    stage = configured(tmp_path, "provider.resend_502 = false\n", scenario=REFUSED_ONCE)
    done = stage.apply()
    assert done.exit is Exit.UNKNOWN
    assert done.summary.states["hero"] is NodeState.UNCERTAIN
    assert stage.submissions == 0
    assert stage.apply().exit is Exit.UNKNOWN, "and it is not sent again"
    assert stage.submissions == 0


# -- the store


def test_projects_share_a_store(tmp_path: Path) -> None:
    toml = 'cache.dir = "../store"\n'
    first, second = configured(tmp_path / "a", toml), configured(tmp_path / "b", toml)
    assert first.apply().summary.submitted == 3
    assert not (tmp_path / "a" / ".flowrun" / "results").exists()
    assert (tmp_path / "store" / "sandbox" / "results").is_dir()
    again = second.apply()
    assert (again.exit, again.summary.submitted) == (Exit.DONE, 0)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    stage = configured(tmp_path, 'cache.dir = "of-the-file"\n', environ={"FLOWRUN_CACHE_DIR": str(tmp_path / "other")})
    stage.apply()
    assert (tmp_path / "other" / "sandbox").is_dir()
    assert not (tmp_path / "of-the-file").exists()


# -- the provider


def around(root: Path, **environ: str) -> Surroundings:
    named = {"FLOWRUN_STATE_DIR": str(root / "state"), "PATH": "/usr/local/bin:/usr/bin:/bin", **environ}
    return Surroundings(environ=named, cwd=root, rng=random.Random(5))


def chosen(root: Path, toml: str, options: Options | None = None, **environ: str) -> tuple[str, str | None, bool]:
    (root / "flowrun.toml").write_text(toml, encoding="utf-8")
    with bound(root, options or Options(), around(root, **environ)) as at:
        return at.choice.name, at.choice.base_url, at.choice.banner is not None


LIVE = "https://api.dev.runwayml.com"
LOCAL = "http://localhost:9"


@pytest.mark.parametrize(
    ("toml", "environ", "expected"),
    [
        ("", {}, ("sandbox", None, True)),
        ("", {"RUNWAYML_API_SECRET": KEY}, ("runway", LIVE, False)),
        ('provider.name = "sandbox"\n', {"RUNWAYML_API_SECRET": KEY}, ("sandbox", None, False)),
        ('provider.name = "runway"\n', {}, ("runway", LIVE, False)),
        (f'provider.base_url = "{LOCAL}"\n', {"RUNWAYML_API_SECRET": KEY}, ("sandbox", LOCAL, False)),
        (
            f'provider = {{name = "runway", base_url = "{LOCAL}"}}\n',
            {"RUNWAYML_API_SECRET": KEY},
            ("runway", LOCAL, False),
        ),
        (
            'provider.base_url = "https://api.dev-stage.runwayml.com"\n',
            {"RUNWAYML_API_SECRET": KEY},
            ("runway", "https://api.dev-stage.runwayml.com", False),
        ),
        (
            'provider.base_url = "https://proxy.example"\n',
            {"RUNWAYML_API_SECRET": KEY, "RUNWAYML_BASE_URL": LOCAL},
            ("sandbox", LOCAL, False),
        ),
        ('provider.name = "runway"\n', {"FLOWRUN_PROVIDER_NAME": "sandbox"}, ("sandbox", None, False)),
    ],
)
def test_which_provider(tmp_path: Path, toml: str, environ: dict[str, str], expected: tuple[object, ...]) -> None:
    assert chosen(tmp_path, toml, **environ) == expected


def test_the_flag_wins_over_the_settings(tmp_path: Path) -> None:
    toml = f'provider = {{name = "runway", base_url = "{LOCAL}"}}\n'
    assert chosen(tmp_path, toml, Options(sandbox=True), RUNWAYML_API_SECRET=KEY) == ("sandbox", None, False)


def test_a_proxy_that_turns_out_to_be_a_sandbox_is_refused(tmp_path: Path) -> None:
    with threaded(QUICK) as served:
        toml = f'provider.name = "runway"\nprovider.base_url = "{served.url}"\n'
        (tmp_path / "flowrun.toml").write_text(toml)
        with pytest.raises(FlowrunError) as refused:
            organization(Options(), around(tmp_path, RUNWAYML_API_SECRET=KEY))
        assert "answers as sandbox" in str(refused.value)
        (tmp_path / "flowrun.toml").write_text(f'provider.base_url = "{served.url}"\n')
        found, name = organization(Options(), around(tmp_path, RUNWAYML_API_SECRET=KEY))
        assert (name, found.balance) == ("sandbox", 100_000)
        assert served.report()["submissions"] == []


# -- the ledger


def test_keys_of_one_organization_share_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "flowrun.toml").write_text('provider.account = "studio"\n')
    for key in (KEY, OTHER_KEY):
        with bound(tmp_path, Options(), around(tmp_path, RUNWAYML_API_SECRET=key)) as at:
            assert at.account == "studio"
            begin_work(at)
            at.ledger.retire(at.owner)
    with bound(tmp_path, Options(), around(tmp_path)) as at:
        assert at.choice.name == "sandbox", "nothing of Runway's is in the project yet"
    assert [each.name for each in (tmp_path / "state" / "ledgers").glob("*.sqlite3")] == ["studio.sqlite3"]


def test_a_sandbox_is_no_account_of_the_studio(tmp_path: Path) -> None:
    (tmp_path / "flowrun.toml").write_text(f'provider = {{account = "studio", base_url = "{LOCAL}"}}\n')
    with bound(tmp_path, Options(), around(tmp_path, RUNWAYML_API_SECRET=KEY)) as at:
        assert at.account == account_of(Secret(KEY))


def leave_open(root: Path, account: str, store: Path) -> None:
    """A task in flight in the ledger of an account."""
    doc = ActionDoc(
        ActionKey("k"), RecipeKey("r"), "runway", "v", "text_to_image", "gen4_image", "/v1/text_to_image", {}
    )
    ledger = SqliteLedger(ledger_path(root / "state", account), lambda: 1000.0)
    claim = ledger.claim(doc, Origin(str(store), str(root), "f", "", "f.yaml", "a#1"), RunId("r"), OwnerId("o"))
    assert isinstance(claim, Mine)
    ledger.reserve(claim.claim, "gen4_image", 5, Limits())
    ledger.submitted(ledger.intend(claim.claim, "d", {}), TaskId("t-1"))
    ledger.close()


def taken_up(root: Path, toml: str) -> list[str]:
    """The tasks in flight that an apply with these settings finds in its ledger."""
    (root / "flowrun.toml").write_text(toml)
    with bound(root, Options(), around(root, RUNWAYML_API_SECRET=KEY)) as at:
        begin_work(at)
        at.ledger.retire(at.owner)
        assert all(not ledger.open(at.ledgers.store) for ledger in at.former.values())
        return [row.task for row, _ in at.ledger.open(at.ledgers.store)]


STUDIO = 'provider.account = "studio"\n'


def test_naming_an_account_leaves_no_open_task_of_the_key_behind(tmp_path: Path) -> None:
    leave_open(tmp_path, account_of(Secret(KEY)), tmp_path / ".flowrun")
    assert taken_up(tmp_path, STUDIO) == ["t-1"]
    assert taken_up(tmp_path, "") == ["t-1"], "and back"


def test_taking_the_name_away_leaves_no_open_task_of_the_account_behind(tmp_path: Path) -> None:
    assert taken_up(tmp_path, STUDIO) == []
    leave_open(tmp_path, "studio", tmp_path / ".flowrun")
    assert taken_up(tmp_path, "") == ["t-1"]
    assert taken_up(tmp_path, 'provider.account = "other"\n') == ["t-1"]
    assert taken_up(tmp_path, STUDIO) == ["t-1"]


def test_open_tasks_of_other_projects_are_theirs(tmp_path: Path) -> None:
    leave_open(tmp_path, account_of(Secret(KEY)), tmp_path / "another" / ".flowrun")
    assert taken_up(tmp_path, STUDIO) == []
    assert taken_up(tmp_path, "") == []


# -- warnings


def test_a_warning_can_be_ignored_and_an_error_cannot(tmp_path: Path) -> None:
    loud = Stage(tmp_path / "a", QUIET)
    assert [each.code for each in loud.plan().warnings] == ["no-nodes"]
    stage = configured(tmp_path / "b", 'lint.ignore = ["no-nodes"]\n', QUIET)
    assert stage.plan().warnings == ()
    assert stage.apply().exit is Exit.DONE
    stage.write(QUIET + "nodez: {}\n")
    with pytest.raises(DiagnosticError) as wrong:
        stage.plan()
    assert "unknown-key" in [each.code for each in wrong.value.diagnostics]


# -- the key of a .env


@pytest.mark.skipif(shutil.which("git") is None, reason="asks git")
def test_the_key_of_an_env_file(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, capture_output=True)
    (tmp_path / ".env").write_text(f"RUNWAYML_API_SECRET={KEY}\n")
    with bound(tmp_path, Options(), around(tmp_path)) as at:
        assert at.choice.name == "sandbox"
        assert ".env is not used" in (at.choice.banner or "")
    (tmp_path / ".gitignore").write_text(".env\n")
    with bound(tmp_path, Options(), around(tmp_path)) as at:
        assert (at.choice.name, at.choice.key) == ("runway", Secret(KEY))
        assert at.account == account_of(Secret(KEY))


@pytest.mark.skipif(shutil.which("git") is None, reason="asks git")
def test_an_env_file_that_git_would_take_is_warned_of_and_that_can_be_ignored(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN, environ={"PATH": "/usr/local/bin:/usr/bin:/bin"})
    (tmp_path / ".env").write_text(f"RUNWAYML_API_SECRET={KEY}\n")
    assert [each.code for each in stage.plan().warnings] == ["key-not-ignored"]
    (tmp_path / "flowrun.toml").write_text('lint.ignore = ["key-not-ignored"]\n')
    assert stage.plan().warnings == ()


# -- the name, and who is told


def test_the_project_has_a_name(tmp_path: Path) -> None:
    with bound(tmp_path, Options(), around(tmp_path)) as at:
        assert at.project_name == tmp_path.name
    (tmp_path / "flowrun.toml").write_text('project.name = "Fox"\n')
    with bound(tmp_path, Options(), around(tmp_path)) as at:
        assert at.project_name == "Fox"


def test_the_command_of_notify_runs_when_an_apply_ends(tmp_path: Path) -> None:
    stage = configured(tmp_path, 'notify.command = "echo $FLOWRUN_FLOW $FLOWRUN_EXIT > told.txt"\n', QUIET)
    stage.environ["PATH"] = "/usr/local/bin:/usr/bin:/bin"
    assert stage.apply().exit is Exit.DONE
    assert (tmp_path / "told.txt").read_text() == "quiet 0\n"
