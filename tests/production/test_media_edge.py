"""Media at the edge of the API, in whole applies: what is refused before it costs, what is sent how, what is kept."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from flowrun.action import MediaInput
from flowrun.diagnostics.model import DiagnosticError
from flowrun.digest import of_bytes
from flowrun.engine import events as ev
from flowrun.media.probe import probe
from flowrun.operations.catalogue import catalogue
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Surroundings
from flowrun.production.production import Production
from flowrun.runway.client import RunwayClient
from flowrun.runway.values import Downloaded
from tests.media import foreign
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock

STILL = """
    flowrun: 1
    name: edge
    nodes:
      hero:
        uses: text_to_image
        with:
          model: gen4_image
          promptText: "a fox with @scarf"
          ratio: "1280:720"
          referenceImages: [{uri: SOURCE, tag: scarf}]
"""
FILM = """
    flowrun: 1
    name: edge
    nodes:
      film:
        uses: image_to_video
        with: {model: veo3.1, promptImage: "SOURCE", ratio: "1280:720", duration: 4, audio: false}
"""


def picture(kind: str, size: tuple[int, int] = (640, 360)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, kind)
    return buffer.getvalue()


def noise(side: int) -> bytes:
    return foreign.image("png", (side, side))


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was sent to create tasks."""
    sent: list[dict[str, Any]] = []
    exchange = RunwayClient._exchange

    async def recorded(client: RunwayClient, request: httpx.Request, call: str) -> Any:
        if request.method == "POST" and request.url.path.rpartition("/")[2] in catalogue().operations:
            sent.append(json.loads(request.content))
        return await exchange(client, request, call)

    monkeypatch.setattr(RunwayClient, "_exchange", recorded)
    return sent


def refused(stage: Stage) -> Any:
    """The one mistake for which nothing was even planned."""
    with pytest.raises(DiagnosticError) as wrong:
        stage.apply()
    assert not (stage.root / ".flowrun/sandbox/api").exists(), "the API was not spoken to"
    [only] = [each for each in wrong.value.diagnostics if each.is_error]
    return only


# -- before paying


def test_a_gif_is_refused_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "scarf.png").write_bytes(picture("gif"))
    stage = Stage(tmp_path, STILL.replace("SOURCE", "scarf.png"))
    only = refused(stage)
    assert (only.code, only.span.line) == ("unsupported-format", 11)
    assert "image/gif" in only.message


def test_a_jpeg_that_is_called_png_is_sent_as_what_it_is(tmp_path: Path, bodies: list[dict[str, Any]]) -> None:
    (tmp_path / "scarf.png").write_bytes(picture("jpeg"))
    assert Stage(tmp_path, STILL.replace("SOURCE", "scarf.png")).apply().exit is Exit.DONE
    assert bodies[0]["referenceImages"][0]["uri"].startswith("data:image/jpeg;base64,")


def test_a_picture_of_the_wrong_shape_is_refused_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "wide.png").write_bytes(picture("png", (900, 300)))
    only = refused(Stage(tmp_path, FILM.replace("SOURCE", "wide.png")))
    assert (only.code, only.span.line) == ("aspect-window", 7)


def test_a_film_of_the_wrong_length_is_refused_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "act.mp4").write_bytes(foreign.film("mp4", "libx264", 24))
    (tmp_path / "face.png").write_bytes(picture("png"))
    manifest = """
        flowrun: 1
        name: edge
        nodes:
          act:
            uses: character_performance
            with:
              model: act_two
              character: {type: image, uri: face.png}
              reference: {type: video, uri: act.mp4}
              ratio: "1280:720"
    """
    only = refused(Stage(tmp_path, manifest))
    assert (only.code, only.span.line) == ("duration-window", 10)


def test_a_file_that_no_upload_takes_is_refused_at_its_line(tmp_path: Path) -> None:
    """A whole film behind an empty box; on disk it takes no room."""
    film = foreign.film("mp4", "libx264", 120)
    sparse(tmp_path / "act.mp4", film, 200_000_001)
    (tmp_path / "face.png").write_bytes(picture("png"))
    manifest = """
        flowrun: 1
        name: edge
        nodes:
          act:
            uses: character_performance
            with: {model: act_two, character: {type: image, uri: face.png}, reference: {type: video, uri: act.mp4}}
    """
    only = refused(Stage(tmp_path, manifest))
    assert (only.code, only.span.line) == ("input-too-large", 7)
    assert "200000000" in only.message


def sparse(path: Path, film: bytes, size: int) -> None:
    """`film`, with a free box at its end so that it has `size` bytes (ISO/IEC 14496-12, 8.1.2)."""
    path.write_bytes(film + (size - len(film)).to_bytes(4, "big") + b"free")
    with path.open("r+b") as stream:
        stream.truncate(size)


class Web(Stage):
    """Https inputs come from here."""

    def production(self, clock: VirtualClock, **flags: object) -> Production:
        made = super().production(clock, **flags)
        around = made.around
        made.around = Surroundings(
            environ=around.environ,
            cwd=around.cwd,
            clock=clock,
            offload=around.offload,
            rng=around.rng,
            web=httpx.MockTransport(self._serve),
            resolve=_public,
        )
        return made

    def _serve(self, request: httpx.Request) -> httpx.Response:
        assert not {"authorization", "x-runway-version", "cookie"} & set(request.headers)
        data = (self.root / "served").read_bytes()
        headers = {"content-type": "image/png", "content-length": str(len(data))}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(data))


async def _public(host: str, port: int) -> list[str]:
    return ["93.184.216.34"]


@pytest.mark.parametrize(
    ("data", "code"), [(picture("png", (900, 300)), "aspect-window"), (picture("gif"), "unsupported-format")]
)
def test_what_an_address_serves_is_checked_once_it_is_known(tmp_path: Path, data: bytes, code: str) -> None:
    """The plan cannot know; nothing is submitted all the same."""
    (tmp_path / "served").write_bytes(data)
    stage = Web(tmp_path, FILM.replace("SOURCE", "https://pictures.example.com/wide.png"))
    done = stage.apply()
    assert (done.exit, done.summary.submitted) == (Exit.FAILED, 0)
    assert [(each.decision, each.reason) for each in stage.events if isinstance(each, ev.Decided)] == [("failed", code)]


# -- on the way in


def test_an_upload_that_the_api_forgot_early_is_made_anew(tmp_path: Path, bodies: list[dict[str, Any]]) -> None:
    """It serves for an hour, and says a day."""
    (tmp_path / "scarf.png").write_bytes(noise(1200))
    stage = Stage(tmp_path, STILL.replace("SOURCE", "scarf.png"), scenario="upload_ttl: 3600\n")
    assert stage.apply().exit is Exit.DONE
    stage.now += 2 * 3600
    stage.edit("a fox", "a wolf")
    assert stage.apply().exit is Exit.DONE
    assert stage.sandbox["requests"]["uploads"] == 2
    first, stale, again = (body["referenceImages"][0]["uri"] for body in bodies)
    assert first == stale != again
    assert again.startswith("runway://")
    assert stage.submissions == 2


def test_an_upload_near_its_end_is_renewed_before_it_is_named(tmp_path: Path, bodies: list[dict[str, Any]]) -> None:
    (tmp_path / "scarf.png").write_bytes(noise(1200))
    stage = Stage(tmp_path, STILL.replace("SOURCE", "scarf.png"))
    assert stage.apply().exit is Exit.DONE
    stage.now += 22 * 3600
    stage.edit("a fox", "a wolf")
    assert stage.apply().exit is Exit.DONE
    stage.now += 1.5 * 3600
    stage.edit("a wolf", "a bear")
    assert stage.apply().exit is Exit.DONE
    first, second, third = (body["referenceImages"][0]["uri"] for body in bodies)
    assert first == second != third
    assert len(bodies) == stage.submissions == 3


# -- on the way out


FOX = """
    flowrun: 1
    name: edge
    nodes:
      hero:
        uses: text_to_image
        with: {model: gen4_image, promptText: a fox, ratio: "1280:720"}
    outputs: {hero: "{{ nodes.hero.output }}"}
"""


def test_a_download_that_is_cut_goes_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FOX, scenario="faults: [{on: download, match: {nth: [1, 2]}, do: {cut: 300}}]\n")
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 1)
    assert stage.sandbox["requests"]["download"] == 3
    assert all(probe(path) for path in stage.exports().values())


@pytest.mark.parametrize("wrong", ["html", "truncated", "empty", "other"])
def test_what_is_no_media_is_never_kept(tmp_path: Path, wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(tmp_path, FOX, scenario=f"faults: [{{on: download, do: {{wrong_content: {wrong}}}}}]\n")
    with caplog.at_level("WARNING", logger="flowrun"):
        done = stage.apply()
    assert done.exit is Exit.FAILED
    noted = [each.getMessage() for each in caplog.records if "not-downloaded" in each.getMessage()]
    assert len(noted) == stage.sandbox["requests"]["download"] == 8
    assert not any("_jwt" in line for line in noted)
    assert done.summary.troubles["hero#1"].code == "not-collected"
    blobs = tmp_path / ".flowrun/sandbox/blobs"
    assert [path for path in blobs.rglob("*") if path.is_file()] == []
    (tmp_path / "scenario.yaml").unlink()
    stage.scenario = ""
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 1, "paid once"


def test_an_expired_link_is_renewed(tmp_path: Path) -> None:
    fault = "faults: [{on: download, match: {nth: [1, 2]}, do: {status: STATUS}}]\n"
    for status in (401, 403, 404):
        stage = Stage(tmp_path / str(status), FOX, scenario=fault.replace("STATUS", str(status)))
        done = stage.apply()
        assert (done.exit, stage.submissions) == (Exit.DONE, 1)


def test_a_download_survives_a_stop(tmp_path: Path) -> None:
    """The task has just ended, and the storage is busy when the interrupt comes."""

    def on_event(interrupt: object, event: ev.Event) -> None:
        if isinstance(event, ev.Ended) and callable(interrupt):
            interrupt(130)

    faults = "faults: [{on: download, match: {nth: [1, 2]}, do: {status: 503}}]\n"
    stage = Stage(tmp_path, FOX, scenario=faults, on_event=on_event)
    assert stage.apply().exit is Exit.INTERRUPTED
    assert stage.sandbox["requests"]["download"] == 3
    stage.on_event = None
    assert stage.apply().exit is Exit.DONE
    assert (stage.sandbox["requests"]["download"], stage.submissions) == (3, 1)


def test_what_the_bytes_are_counts_and_what_the_server_says_is_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = RunwayClient.download

    async def misnamed(client: RunwayClient, url: Any, write: Any) -> Downloaded:
        return Downloaded("image/jpeg", (await download(client, url, write)).size)

    monkeypatch.setattr(RunwayClient, "download", misnamed)
    stage = Stage(tmp_path, FOX)
    with caplog.at_level("WARNING", logger="flowrun"):
        assert stage.apply().exit is Exit.DONE
    assert [path.suffix for path in stage.exports().values()] == [".png"]
    [line] = [each.getMessage() for each in caplog.records if each.name == "flowrun.engine"]
    assert "type-differs" in line
    assert "said=image/jpeg found=image/png" in line


def canaries(root: Path) -> Iterator[bytes]:
    """Every byte of a project but for what the API itself keeps."""
    for path in root.rglob("*"):
        if path.is_file() and "api" not in path.relative_to(root).parts:
            yield path.read_bytes()


def test_links_and_their_tokens_are_nowhere_on_disk_or_in_events(tmp_path: Path) -> None:
    """In a run in which every download goes wrong at first, so that there is much to tell."""
    faults = """
        faults:
          - {on: download, match: {nth: 1}, do: {status: 503}}
          - {on: download, match: {nth: 2}, do: {status: 403}}
          - {on: download, match: {nth: 3}, do: {lost: before}}
          - {on: download, match: {nth: 4}, do: {wrong_content: html}}
          - {on: download, match: {nth: 5}, do: {cut: 100}}
          - {on: uploads, match: {nth: 1}, do: {status: 500}}
    """
    (tmp_path / "scarf.png").write_bytes(noise(1200))
    stage = Stage(tmp_path, STILL.replace("SOURCE", "scarf.png"), scenario=faults)
    assert stage.apply().exit is Exit.DONE
    told = [repr(each).encode() for each in stage.events]
    assert told
    for text in [*canaries(tmp_path), *told]:
        assert b"_jwt" not in text


WITH_TOKEN = "https://pictures.example.com/scarf.png?sig=CANARY&se=2026#CANARY"


@pytest.mark.parametrize("served", [picture("png"), picture("gif"), b"<html>no</html>"])
def test_the_query_of_an_address_is_kept_to_oneself(tmp_path: Path, served: bytes) -> None:
    """Whatever its parts are called: the sandbox is given no address, and the notes are without it."""
    (tmp_path / "served").write_bytes(served)
    stage = Web(tmp_path, STILL.replace("SOURCE", f'"{WITH_TOKEN}"'))
    stage.apply()
    stage.apply(refresh=True)
    (tmp_path / "flow.yaml").unlink()
    for text in [*canaries(tmp_path), *(repr(each).encode() for each in stage.events)]:
        assert b"CANARY" not in text


def test_a_pin_and_a_missing_fetch_are_told_without_the_query(tmp_path: Path) -> None:
    (tmp_path / "served").write_bytes(picture("png"))
    asset = f"assets: {{scarf: {{url: '{WITH_TOKEN}', sha256: {'ab' * 32}}}}}\n    nodes:"
    manifest = STILL.replace("nodes:", asset, 1).replace("SOURCE", '"{{ assets.scarf }}"')
    stage = Web(tmp_path, manifest)
    with pytest.raises(FlowrunError) as offline:
        stage.apply(offline=True)
    assert "pictures.example.com/scarf.png" in str(offline.value)
    assert "CANARY" not in str(offline.value)
    assert stage.apply().exit is Exit.FAILED
    [decided] = [each for each in stage.events if isinstance(each, ev.Decided)]
    assert decided.reason == "pin-mismatch"
    assert "pictures.example.com/scarf.png" in str(decided.detail)
    assert "CANARY" not in repr(stage.events)
    assert stage.submissions == 0


def test_a_document_that_goes_elsewhere_names_no_address_with_a_query() -> None:
    digest = of_bytes(b"x")
    plain, signed = (MediaInput(digest, "image/png", f"https://example.com/a{more}", 9) for more in ("", "?sig=1"))
    assert MediaInput.from_json(plain.to_json()) == plain
    assert MediaInput.from_json(signed.to_json()) == replace(plain, url=None)
