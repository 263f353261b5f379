"""The official SDKs judge `flowrun sandbox` over a real socket, each in an environment of its own and with its own waiting:
Python by two versions, Node by one. What an SDK itself does wrong is said where it shows.

The judges are scripts (`scripts/`) that print what they found. All run at the same time, once, since an SDK looks at a task only
after 4.5 to 7.5 seconds; the tests here then read what they say.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flowrun.media.facts import MediaKind
from flowrun.media.film import FilmSpec, make_film
from flowrun.media.probe import probe_bytes
from flowrun.operations.catalogue import described
from tests.sandbox.visitor import png, sound
from tests.sdk.environments import node_judge, python_judge, quiet
from tests.support.http_sandbox import process

pytestmark = pytest.mark.long

SCENARIO = """
media: tiny
durations: {default: 1, gemini_2.5_flash: 10, veo3.1_fast: 300, veo3: 300}
faults:
  - {on: generations, match: {prompt: this one fails}, do: {fail: SAFETY.INPUT.TEXT}}
  - {on: generations, match: {prompt: this one is cancelled}, do: {cancelled: true}}
"""
BROKEN = "faults: [{on: storage, do: {lost: before}}]\n"
DEADLINE = 120.0  # seconds that a judge may take
Found = dict[str, Any]
ENVIRONMENTS: dict[str, Callable[[Path], list[str]]] = {
    "python-4.4.0": lambda folder: python_judge(folder, "4.4.0"),
    "python-5.24.0": lambda folder: python_judge(folder, "5.24.0"),
    "node-4.20.1": lambda folder: node_judge(folder, "4.20.1"),
}
JUDGES = {  # name -> environment, flags of the sandbox
    "python-4.4.0": ("python-4.4.0", ()),
    "python-4.4.0-description": ("python-4.4.0", ("--description-only",)),
    "python-5.24.0": ("python-5.24.0", ()),
    "python-5.24.0-description": ("python-5.24.0", ("--description-only",)),
    "node-4.20.1": ("node-4.20.1", ()),
    "node-4.20.1-description": ("node-4.20.1", ("--description-only",)),
}
PYTHON = [name for name in JUDGES if name.startswith("python")]
NODE = [name for name in JUDGES if name.startswith("node")]
UNTYPED = "python-5.24.0-description"


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, Found]]]:
    """By judge: the folder with what was made, and what it found."""
    root = tmp_path_factory.mktemp("sdk")
    with ThreadPoolExecutor(len(JUDGES)) as pool, ExitStack() as opened:
        made = {name: pool.submit(make, root / name) for name, make in ENVIRONMENTS.items()}
        broken = opened.enter_context(process(scenario=BROKEN)).url
        commands = {name: found.result() for name, found in made.items()}

        def judge(name: str) -> tuple[Path, Found]:
            environment, flags = JUDGES[name]
            folder = _media(root / f"judged-by-{name}")
            with process(*flags, scenario=SCENARIO) as served:
                return folder, _judged([*commands[environment], served.url, broken, str(folder)])

        yield dict(zip(JUDGES, pool.map(judge, JUDGES), strict=True))


def _media(folder: Path) -> Path:
    folder.mkdir()
    (folder / "film.mp4").write_bytes(make_film(FilmSpec(64, 36, 3.5, tiny=True)))
    (folder / "speech.mp3").write_bytes(sound(5.0))
    (folder / "fox.png").write_bytes(png())
    return folder


def _judged(command: list[str]) -> Found:
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=quiet(), check=False)
    assert done.returncode == 0, f"{command[1]}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    found: Found = json.loads(done.stdout)
    return found


@pytest.fixture
def judged(request: pytest.FixtureRequest, findings: dict[str, tuple[Path, Found]]) -> Found:
    return findings[request.param][1]


def by(*judges: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("judged", judges, indirect=True)


# by all


@pytest.mark.parametrize("name", JUDGES)
def test_nothing_unexpected_happened(findings: dict[str, tuple[Path, Found]], name: str) -> None:
    found = findings[name][1]
    assert found["version"] == JUDGES[name][0].partition("-")[2]
    assert {scene: seen for scene, seen in found.items() if scene != "version" and "unexpected" in seen} == {}


@pytest.mark.parametrize("form", ["from uploads", "from data URIs"])
@pytest.mark.parametrize("name", JUDGES)
def test_every_operation_lives_its_life(findings: dict[str, tuple[Path, Found]], name: str, form: str) -> None:
    """Created, waited for in the SDK's own way, downloaded without a key, decoded."""
    folder, found = findings[name]
    for operation in described().operations.values():
        seen = found[_scene(name, form, operation.name)]
        assert (seen["status"], len(seen["files"])) == ("SUCCEEDED", 1), operation.name
        (file,) = seen["files"]
        facts = probe_bytes((folder / file["file"]).read_bytes())
        assert (file["status"], file["type"]) == (200, facts.media_type)
        assert facts.kind is operation.produces
        if facts.kind is MediaKind.VIDEO:
            assert facts.duration == pytest.approx(_SECONDS[operation.name], abs=0.2)


_SECONDS = {"image_to_video": 5, "text_to_video": 4, "video_to_video": 3.5, "character_performance": 3.5}


def _scene(judge: str, form: str, operation: str) -> str:
    if judge in PYTHON:
        return f"{'sync' if form == 'from uploads' else 'async'} {operation}"
    first, *others = operation.split("_")
    return f"{'uploaded' if form == 'from uploads' else 'inline'} {first}{''.join(map(str.title, others))}"


# by the Python SDK, synchronous and asynchronous

TASK_FAILED = "runwayml.TaskFailedError"
TASK_TIMEOUT = "runwayml.TaskTimeoutError"
NOT_FOUND = {"error": "runwayml.NotFoundError"}


@by(*PYTHON)
def test_the_sdk_waits_before_it_looks(judged: Found) -> None:
    assert 4.4 < judged["sync text_to_image"]["waited"] < 25
    assert judged["sync retrieved"]["status"] == "SUCCEEDED"


@by(*PYTHON)
@pytest.mark.parametrize("client", ["sync", "async"])
def test_a_failed_task_is_an_exception(judged: Found, client: str) -> None:
    seen = judged[f"{client} failed"]
    assert (seen["error"], seen["status"]) == (TASK_FAILED, "FAILED")


@by(*(name for name in PYTHON if name != UNTYPED))
@pytest.mark.parametrize("client", ["sync", "async"])
def test_a_failed_task_tells_why(judged: Found, client: str) -> None:
    seen = judged[f"{client} failed"]
    assert seen["failure_code"] == "SAFETY.INPUT.TEXT"
    assert seen["failure"]


@by(*(name for name in PYTHON if name != UNTYPED))
def test_each_status_is_read_as_its_own_type(judged: Found) -> None:
    assert judged["sync course"] == {
        "PENDING": "Pending", "RUNNING": "Running", "SUCCEEDED": "Succeeded", "FAILED": "Failed"
    }  # fmt: skip
    assert judged["sync throttled"]["last"] == ["THROTTLED", "Throttled"]


@by(UNTYPED)
def test_todays_sdk_cannot_type_the_answers_of_the_bare_description(judged: Found) -> None:
    """The SDK's fault, and why the sandbox serves today's API unless told otherwise: it knows the types apart by the costs that
    the description does not allow. So a failed task has no `failure_code`, and most statuses are of a wrong type."""
    assert judged["sync course"].keys() == {"PENDING", "RUNNING", "SUCCEEDED", "FAILED"}
    assert judged["sync course"]["FAILED"] != "Failed"
    assert judged["sync course"]["RUNNING"] != "Running"
    assert "failure_code" not in judged["sync failed"]


@by(*PYTHON)
def test_a_task_cancelled_at_the_api_ends_the_asynchronous_wait_alone(judged: Found) -> None:
    """The SDK's fault: its synchronous client polls a CANCELLED task until its own time is over."""
    assert judged["async cancelled by the API"]["error"] == TASK_FAILED
    assert judged["async cancelled by the API"]["status"] == "CANCELLED"
    assert (judged["sync cancelled"]["error"], judged["sync cancelled"]["status"]) == (TASK_TIMEOUT, "CANCELLED")
    assert judged["sync cancelled"]["after"] > 5


@by(*PYTHON)
def test_waiting_no_longer_cancels_nothing(judged: Found) -> None:
    assert judged["sync timed out"]["error"] == TASK_TIMEOUT
    assert judged["sync timed out"]["after"] > 4.4  # its time was 1 s: it looks only after a poll
    assert judged["sync timed out"]["left"] in ("PENDING", "RUNNING")
    assert judged["async timed out"]["error"] == TASK_TIMEOUT


@by(*PYTHON)
def test_a_deleted_task_is_gone(judged: Found) -> None:
    seen = judged["sync throttled"]
    assert (seen["deleted"], seen["after"], seen["twice"]) == ([None] * 6, NOT_FOUND, NOT_FOUND)
    assert judged["async cancelled"] == {"deleted": None, "after": NOT_FOUND}


@by(*PYTHON)
def test_uploads_of_every_form(judged: Found) -> None:
    assert judged["sync uploads"] == dict.fromkeys(("path", "opened", "pair", "metadata"), "runway")
    assert judged["async uploads"]["status"] == "SUCCEEDED"


@by(*PYTHON)
@pytest.mark.parametrize("client", ["sync", "async"])
def test_a_broken_storage_is_no_error_of_the_sdk(judged: Found, client: str) -> None:
    """The SDK's fault: what breaks in the second step of an upload comes out as httpx's own exception."""
    assert judged[f"{client} broken storage"]["error"].startswith("httpx.")


@by(*PYTHON)
def test_errors_are_the_sdks_own(judged: Found) -> None:
    seen = {name: found.get("error") for name, found in judged["sync refused"].items()}
    assert seen == {
        "ratio": "runwayml.BadRequestError",
        "key": "runwayml.AuthenticationError",
        "unknown": "runwayml.NotFoundError",
        "small": "runwayml.APIStatusError",  # of the storage step
        "unsupported": "runwayml.BadRequestError",
    }


@by(*PYTHON)
def test_the_account(judged: Found) -> None:
    assert judged["sync account"] == {"fell": True, "concurrent": 5, "daily": True, "usage": True}
    assert judged["async account"] == {"balance": True}


# by the Node SDK


@by(*NODE)
def test_node_takes_failed_and_cancelled_for_failures(judged: Found) -> None:
    seen = judged["failed"]
    assert (seen["error"], seen["status"], seen["failure_code"]) == ("TaskFailedError", "FAILED", "SAFETY.INPUT.TEXT")
    assert (judged["cancelled by the API"]["error"], judged["cancelled by the API"]["status"]) == (
        "TaskFailedError", "CANCELLED"
    )  # fmt: skip


@by(*NODE)
def test_node_stops_waiting_and_cancels(judged: Found) -> None:
    assert judged["timed out"]["error"] == "TaskTimedOutError"
    assert judged["timed out"]["left"] in ("PENDING", "RUNNING")
    gone = {"error": "NotFoundError", "status": 404}
    assert (judged["cancelled"]["after"], judged["cancelled"]["twice"]) == (gone, gone)
    assert judged["throttled"] == {"last": "THROTTLED"}


@by(*NODE)
def test_node_uploads_and_reads_the_account(judged: Found) -> None:
    assert judged["uploads"] == dict.fromkeys(("opened", "file", "metadata"), "runway")
    assert judged["account"] == {"fell": True, "concurrent": 5, "usage": True}
    assert judged["broken storage"]["error"] == "APIConnectionError"
    assert {name: found["status"] for name, found in judged["refused"].items()} == {
        "ratio": 400, "key": 401, "unknown": 404, "small": 400
    }  # fmt: skip


def test_without_a_node_one_is_installed(tmp_path: Path) -> None:
    """For a machine that has none; here only that it runs."""
    command = node_judge(tmp_path / "own", "4.20.1", own=True)
    assert command[0].startswith(str(tmp_path))
    said = subprocess.run([command[0], "--version"], capture_output=True, text=True, check=True, env=quiet()).stdout
    assert int(said.removeprefix("v").partition(".")[0]) >= 20
