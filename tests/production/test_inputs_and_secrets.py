"""Inputs from files, https and the environment: what is sent, what is kept, what is never seen."""

from __future__ import annotations

import io
import random
from pathlib import Path

import httpx
import pytest
from PIL import Image

from flowrun.diagnostics.model import DiagnosticError
from flowrun.media.picture import PictureSpec, draw_picture
from flowrun.plan.model import Decision, Reason
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Surroundings
from flowrun.production.production import Production
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock

PICTURE = draw_picture(PictureSpec(640, 640, prompt="scarf"))
OTHER = draw_picture(PictureSpec(640, 640, prompt="hat"))
WITH_FILE = """
    flowrun: 1
    name: files
    assets: {scarf: scarf.png}
    nodes:
      hero:
        uses: text_to_image
        with:
          model: gen4_image
          promptText: "a fox with @scarf"
          ratio: "1280:720"
          referenceImages: [{uri: "{{ assets.scarf }}", tag: scarf}]
"""
WITH_URL = WITH_FILE.replace("scarf: scarf.png", 'scarf: "https://pictures.example.com/scarf.png"')
WITH_ENV = """
    flowrun: 1
    name: secrets
    env: [CLIENT]
    nodes:
      line:
        uses: text_to_speech
        with:
          model: eleven_multilingual_v2
          promptText: "made for {{ env.CLIENT }}"
          voice: {type: runway-preset, presetId: Maya}
"""


def test_file_is_keyed_by_its_bytes(tmp_path: Path) -> None:
    stage = Stage(tmp_path, WITH_FILE)
    picture = tmp_path / "scarf.png"
    picture.write_bytes(PICTURE)
    assert stage.apply().exit is Exit.DONE
    picture.touch()
    picture.rename(tmp_path / "renamed.png")
    stage.edit("scarf.png", "renamed.png")
    assert stage.apply().summary.submitted == 0
    (tmp_path / "renamed.png").write_bytes(OTHER)
    [step] = stage.plan().steps.values()
    assert step.why is not None
    assert step.why.reason is Reason.FILE_CHANGED
    assert stage.apply().summary.submitted == 1


def test_file_changed_between_plan_and_use_stops_its_node(tmp_path: Path) -> None:
    stage = Stage(tmp_path, WITH_FILE)
    (tmp_path / "scarf.png").write_bytes(PICTURE)

    def change(proposal: object) -> bool:
        (tmp_path / "scarf.png").write_bytes(OTHER)
        return True

    done = stage.apply(confirm=change)
    assert done.exit is Exit.FAILED
    assert done.summary.troubles["hero#1"].code == "file-changed"
    assert stage.submissions == 0
    assert stage.apply().exit is Exit.DONE


def test_file_outside_of_the_project_needs_a_word(tmp_path: Path) -> None:
    (tmp_path / "scarf.png").write_bytes(PICTURE)
    stage = Stage(tmp_path / "project", WITH_FILE.replace("scarf: scarf.png", "scarf: ../scarf.png"))
    with pytest.raises(DiagnosticError) as wrong:
        stage.apply()
    assert [each.code for each in wrong.value.diagnostics][:1] == ["outside-project"]
    assert stage.apply(allow_outside=True).exit is Exit.DONE


class WebStage(Stage):
    """A stage whose https inputs come from a scripted web."""

    served: bytes = PICTURE
    asked: int = 0

    def production(self, clock: VirtualClock, **flags: object) -> Production:
        made = super().production(clock, **flags)
        made.around = Surroundings(
            environ=made.around.environ,
            cwd=made.around.cwd,
            clock=clock,
            offload=made.around.offload,
            rng=made.around.rng,
            web=httpx.MockTransport(self._serve),
            resolve=_public,
        )
        return made

    def _serve(self, request: httpx.Request) -> httpx.Response:
        type(self).asked += 1
        assert "authorization" not in request.headers
        headers = {"content-type": "image/png", "content-length": str(len(self.served)), "etag": '"1"'}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(self.served))


async def _public(host: str, port: int) -> list[str]:
    return ["93.184.216.34"]


def test_https_input_is_fetched_once_and_keyed_by_its_bytes(tmp_path: Path) -> None:
    stage = WebStage(tmp_path, WITH_URL)
    [step] = stage.plan().steps.values()
    assert step.decision is Decision.UNDECIDED
    assert step.why is not None
    assert step.why.reason is Reason.INPUT_UNREAD
    WebStage.asked = 0
    assert stage.apply().exit is Exit.DONE
    assert stage.apply().summary.submitted == 0
    assert WebStage.asked == 1
    assert stage.apply(refresh=True).summary.submitted == 0
    assert WebStage.asked == 2
    stage.served = OTHER
    assert stage.apply().summary.submitted == 0
    assert stage.apply(refresh=True).summary.submitted == 1


def test_https_input_with_a_pin(tmp_path: Path) -> None:
    pinned = 'scarf: {path: "https://pictures.example.com/scarf.png", sha256: "' + "0" * 64 + '"}'
    stage = WebStage(tmp_path, WITH_FILE.replace("scarf: scarf.png", pinned).replace("path:", "url:"))
    try:
        done = stage.apply()
    except DiagnosticError:
        stage.write(WITH_FILE.replace("scarf: scarf.png", pinned))
        done = stage.apply()
    assert done.exit is Exit.FAILED
    assert stage.submissions == 0


def test_secret_is_nowhere_on_disk_or_in_events(tmp_path: Path) -> None:
    stage = Stage(tmp_path, WITH_ENV, environ={"CLIENT": "canary-4711"})
    assert stage.apply().exit is Exit.DONE
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"canary-4711" not in path.read_bytes(), path
    assert "canary-4711" not in repr(stage.events)
    stage.environ["CLIENT"] = "another"
    assert stage.apply().summary.submitted == 0


def test_missing_environment_is_said_before_anything_runs(tmp_path: Path) -> None:
    stage = Stage(tmp_path, WITH_ENV)
    with pytest.raises(FlowrunError) as missing:
        stage.apply()
    assert missing.value.exit is Exit.WRONG
    assert "CLIENT" in str(missing.value)


def test_large_file_is_uploaded_once_and_remembered(tmp_path: Path) -> None:
    noisy = _noise(1600)
    assert len(noisy) * 4 / 3 > 1 << 20
    stage = Stage(tmp_path, WITH_FILE)
    (tmp_path / "scarf.png").write_bytes(noisy)
    assert stage.apply().exit is Exit.DONE
    requests = stage.sandbox["requests"]
    assert requests["uploads"] == 1
    stage.edit("a fox", "a wolf")
    assert stage.apply().exit is Exit.DONE
    assert stage.sandbox["requests"]["uploads"] == 1
    stage.now += 25 * 3600
    stage.edit("a wolf", "a bear")
    assert stage.apply().exit is Exit.DONE
    assert stage.sandbox["requests"]["uploads"] == 2


def test_where_uploads_fail_what_is_small_enough_travels_as_data(tmp_path: Path) -> None:
    stage = Stage(tmp_path, WITH_FILE, scenario="faults: [{on: uploads, do: {status: 500}}]\n")
    (tmp_path / "scarf.png").write_bytes(_noise(1000))
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 1)


def _noise(side: int) -> bytes:
    """A PNG that does not compress: about `side` squared bytes."""
    image = Image.frombytes("L", (side, side), random.Random(4).randbytes(side * side))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
