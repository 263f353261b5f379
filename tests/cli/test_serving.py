"""`flowrun sandbox` as a person starts it: a real process, its words, its end; and a production against it."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flowrun.media.probe import probe
from flowrun.operations.catalogue import described
from flowrun.production.options import Surroundings
from flowrun.production.serving import ServerOptions, open_server
from tests.cli.console import Console
from tests.support.http_sandbox import end, first_line, process, threaded, until

EXAMPLES = Path(__file__).parents[2] / "examples"


def started(*arguments: str, **more: Any) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "flowrun", "sandbox", *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


# the process


@pytest.mark.parametrize(("which", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_tells_its_address_and_ends_by_a_signal_without_a_trace(which: int, code: int, tmp_path: Path) -> None:
    with started("--port", "0", env={"TMPDIR": str(tmp_path), "PATH": ""}) as server:
        url = first_line(server).strip()
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))):
            assert [each.name.startswith("flowrun-sandbox-") for each in tmp_path.iterdir()] == [True]
            ended, out, err = end(server, which)
    assert (ended, out) == (code, "")
    assert f"export RUNWAYML_BASE_URL={url} RUNWAYML_API_SECRET=" in err
    assert "100,000 credits" in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_json_and_flags_make_the_account(tmp_path: Path) -> None:
    state = tmp_path / "kept"
    with process("--tier", "1", "--credits", "3", "--state", str(state), "--quiet") as served:
        assert served.process is not None
        answer = served.send("GET", "/v1/organization").json()
        assert answer["creditBalance"] == 3
        assert answer["tier"]["models"]["veo3.1"]["maxConcurrentGenerations"] == 1
        body = {"model": "gen4_image", "promptText": "a fox", "ratio": "1280:720"}
        refused = served.send("POST", "/v1/text_to_image", json=body)
        assert (refused.status_code, "enough credits" in refused.json()["error"]) == (400, True)
        code, out, err = end(served.process)
    assert (code, out, err) == (143, "", "")
    assert (state / "state.sqlite").is_file()


def test_the_api_is_served_as_described_or_as_the_project_has_it(tmp_path: Path) -> None:
    body = {"model": "gen4_image", "promptText": "a fox", "ratio": "1280:720"}
    with process("--description-only") as served:
        assert served.send("POST", "/v1/text_to_image", json=body).json().keys() == {"id"}
        assert len(served.send("GET", "/v1/organization").json()["tier"]["models"]) == 15
    with process() as served:
        assert served.send("POST", "/v1/text_to_image", json=body).json().keys() == {"id", "estimatedCost"}
    options, around = ServerOptions(port=0), Surroundings(cwd=tmp_path)
    (tmp_path / "flowrun.toml").write_text("[catalogue]\noverlays = []\n", encoding="utf-8")
    with open_server(options, around) as opened:
        assert opened.sandbox.catalogue == described()


def test_a_kept_state_outlives_the_process(tmp_path: Path) -> None:
    state = str(tmp_path / "kept")
    with process("--state", state) as served:
        task = served.create()
        data = served.web.get(served.output(task)).content
    with process("--state", state) as served:
        assert served.web.get(served.output(task)).content == data
        assert served.create() != task


def test_the_json_line_has_what_a_script_needs() -> None:
    with started("--port", "0", "--json", "--quiet", "--realistic") as server:
        document = json.loads(first_line(server))
        _, rest, err = end(server)
    assert document == {
        "url": document["url"],
        "pid": server.pid,
        "tier": 3,
        "credits": 100_000,
        "poll": 5.0,
    }
    assert (rest, err) == ("", "")


# what goes wrong


def test_a_taken_port_is_told_with_a_way_out(console: Console) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = console("sandbox", "--port", str(port))
        assert said.code == 7
        assert f"127.0.0.1 port {port} is in use" in said.err
        assert "--port 0" in said.err
        assert console("sandbox", "--port", str(port), "--json").document["exit"] == 7


def test_a_port_without_permission_is_told(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)
    said = console("sandbox", "--port", "80")
    assert said.code == 7
    assert "may not be used" in said.err
    assert "above 1023" in said.err


def test_an_address_that_is_not_ours_is_told(console: Console) -> None:
    said = console("sandbox", "--host", "192.0.2.1")
    assert said.code == 7
    assert "--host" in said.err


def test_a_scenario_that_is_wrong_or_not_there_is_told(console: Console) -> None:
    console.file("bad.yaml", "speed: 2\n")
    said = console("sandbox", "--port", "0", "--scenario", "bad.yaml")
    assert said.code == 2
    assert "scenario-invalid" in said.err
    assert "bad.yaml:1:8" in said.err
    said = console("sandbox", "--port", "0", "--scenario", "none.yaml")
    assert said.code == 2
    assert "none.yaml" in said.err


def test_a_state_that_is_none_is_told(console: Console) -> None:
    console.file("state/state.sqlite", "this is not a database, but long enough to look like one. " * 50)
    said = console("sandbox", "--port", "0", "--state", "state")
    assert said.code == 7
    assert "--state" in said.err
    console.file("old/unused", "")
    with closing(sqlite3.connect(console.root / "old" / "state.sqlite")) as old:
        old.execute("PRAGMA user_version = 99")
    said = console("sandbox", "--port", "0", "--state", "old")
    assert said.code == 7
    assert "format 99" in said.err
    console.file("file", "")
    assert console("sandbox", "--port", "0", "--state", "file").code == 2


@pytest.mark.parametrize("flags", [("--tier", "6"), ("--credits", "-1"), ("--port", "70000")])
def test_wrong_flags_end_with_2(console: Console, flags: tuple[str, str]) -> None:
    assert console("sandbox", *flags).code == 2


def test_other_machines_are_warned_of() -> None:
    with started("--port", "0", "--quiet", "--host", "0.0.0.0") as server:
        assert first_line(server).startswith("http://127.0.0.1:")
        _, _, err = end(server)
    assert "other machines may reach 0.0.0.0" in err


# a production against it


def hello(console: Console) -> None:
    console.file("hello.yaml", (EXAMPLES / "hello-image" / "hello.yaml").read_bytes())


def test_an_example_applies_over_http(console: Console) -> None:
    hello(console)
    with threaded() as served:
        said = console("apply", "hello.yaml", "--json", RUNWAYML_BASE_URL=served.url)
        assert said.code == 0, said.err
        assert said.document["submitted"] == 1
        again = console("apply", "hello.yaml", "--json", RUNWAYML_BASE_URL=served.url, RUNWAYML_API_SECRET="any")
        assert again.document["submitted"] == 0
        report = served.report()
    assert report["requests"]["text_to_image"] == 1
    assert report["requests"]["download"] == 1
    ((task, row),) = report["tasks"].items()
    assert row["status"] == "SUCCEEDED"
    assert task in said.err or task[:8] in said.err
    assert probe(console.root / "out" / "sandbox" / "hello-image" / "fox.png").media_type == "image/png"


CHAIN = """
flowrun: 1
name: chain
assets: {big: big.bmp.png}
nodes:
  still:
    uses: text_to_image
    with:
      model: gen4_image
      promptText: a fox
      ratio: "1280:720"
      referenceImages: [{uri: "{{ assets.big }}", tag: big}]
  film:
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "{{ nodes.still.output }}", promptText: it runs, ratio: "1280:720", duration: 2}
outputs: {film: "{{ nodes.film.output }}"}
"""


def test_a_large_input_goes_as_an_upload_and_no_http_link_is_sent(console: Console) -> None:
    from PIL import Image

    console.file("flow.yaml", CHAIN)
    noise = Image.effect_noise((2000, 2000), 90).convert("RGB")
    noise.save(console.root / "big.bmp.png", "PNG", compress_level=0)
    with threaded() as served:
        said = console("apply", "flow.yaml", "--json", RUNWAYML_BASE_URL=served.url)
        assert said.code == 0, said.err
        report = served.report()
    assert (report["requests"]["uploads"], report["requests"]["storage"]) == (1, 1)
    assert report["requests"]["download"] == 2
    assert probe(console.root / "out" / "sandbox" / "chain" / "film.mp4").duration == pytest.approx(2, abs=0.1)


def test_a_scenario_for_a_server_elsewhere_is_refused(console: Console) -> None:
    hello(console)
    said = console("apply", "hello.yaml", "--scenario", "scenario.yaml", RUNWAYML_BASE_URL="http://127.0.0.1:9")
    assert said.code == 2
    assert "flowrun sandbox --scenario" in said.err


def test_polls_keep_the_interval_that_the_server_names(console: Console) -> None:
    hello(console)
    with threaded("media: tiny\ndurations: {default: 0.6}\npoll: 0.1\n") as served:
        assert console("apply", "hello.yaml", RUNWAYML_BASE_URL=served.url).code == 0
        found = served.report()
    assert found["requests"]["tasks"] >= 3
    assert found["smallest_poll_interval"] >= 0.099


def test_the_ready_line_comes_only_once_requests_are_answered() -> None:
    with process() as served:
        assert served.report()["submissions"] == []
        until(lambda: served.send("GET", "/v1/organization").status_code == 200, "an answer", 1)
