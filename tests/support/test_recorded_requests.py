"""The judge of what flowrun sends: what it finds wrong, and that a whole session fails for it, by workers too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.recorded_requests import Judge, Recorder, lengthened, shape, shortened

STILL = {"model": "gen4_image", "promptText": "a fox", "ratio": "1280:720"}
PATH = "/v1/text_to_image"


def judged(path: str, body: dict[str, Any]) -> list[str]:
    recorder = Recorder()
    recorder.note(path, body)
    return Judge().verdict(recorder).violations


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ratio": "1792:1024"}, "ratio"),
        ({"promptText": "x" * 1001}, "promptText"),
        ({"seed": 4294967296}, "seed"),
        ({"style": "none"}, "style: not described"),
        ({"referenceImages": [{"uri": "http://example.com/a.png", "tag": "fox"}]}, "referenceImages"),
        ({"referenceImages": [{"uri": "data:image/png;base64," + "A" * 5_242_880, "tag": "fox"}]}, "referenceImages"),
    ],
)
def test_what_the_description_refuses_is_a_violation(change: dict[str, Any], complaint: str) -> None:
    (found,) = judged(PATH, {**STILL, **change})
    assert complaint in found
    assert len(found) < 3000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PATH, STILL),
        (PATH, {**STILL, "referenceImages": [{"uri": "data:image/png;base64," + "A" * 5_000_000, "tag": "fox"}]}),
        (PATH, {"model": "gemini_image3_pro", "promptText": "a fox", "ratio": "1344:768"}),  # an overlay's
        ("/v1/uploads", {"filename": "fox.png", "type": "ephemeral"}),
        ("/v1/organization/usage", {"startDate": "2026-11-01", "beforeDate": "2026-11-22"}),
    ],
)
def test_what_it_allows_is_none(path: str, body: dict[str, Any]) -> None:
    assert judged(path, body) == []


def test_a_missing_field_and_bodies_of_the_client_itself() -> None:
    assert "promptText" in judged(PATH, {"model": "gen4_image", "ratio": "1280:720"})[0]
    assert "filename" in judged("/v1/uploads", {"type": "ephemeral"})[0]


def test_unknown_models_are_listed_apart() -> None:
    recorder = Recorder()
    recorder.note(PATH, {**STILL, "model": "gen9"})
    recorder.note(PATH, STILL)
    verdict = Judge().verdict(recorder)
    assert (verdict.violations, verdict.unknown, verdict.judged) == ([], {f"{PATH} gen9"}, {f"{PATH} gen4_image"})
    assert any("gen9" in line for line in verdict.lines())


def test_long_data_is_cut_and_as_long_again() -> None:
    body = {"a": ["data:image/png;base64," + "B" * 1000, {"b": "data:short"}], "c": "x" * 1000}
    assert len(str(shortened(body))) < 1300
    back = lengthened(shortened(body))
    assert (len(back["a"][0]), back["a"][0][:22], back["a"][1], back["c"]) == (
        1022,
        body["a"][0][:22],
        body["a"][1],
        body["c"],
    )


def test_one_body_of_each_shape_is_kept() -> None:
    recorder, other = Recorder(), Recorder()
    for text in ("a red fox", "a ted fox", "a longer fox"):
        recorder.note(PATH, {**STILL, "promptText": text})
    other.note(PATH, {**STILL, "promptText": "a wed fox"})
    other.note(PATH, {**STILL, "ratio": "1920:1080"})
    recorder.take_in(other.to_json())
    assert (recorder.seen, len(recorder.bodies)) == (5, 3)
    assert shape({"a": 1, "b": True}) != shape({"a": 1, "b": 1})


SENDING = """
import asyncio
import httpx
import pytest
from flowrun.runway.client import RunwayClient
from flowrun.secret import Secret

async def send(ratio):
    answer = httpx.MockTransport(lambda request: httpx.Response(200, json={"id": "t"}))
    async with httpx.AsyncClient(transport=answer) as http:
        client = RunwayClient(http, base_url="https://api.example.com", secret=Secret("key"))
        body = {"model": "gen4_image", "promptText": "a fox", "ratio": ratio}
        engine = {"__name__": "flowrun.engine.submit"}  # stands for the module that sends
        exec("def submit(client, body): return client.submit('/v1/text_to_image', body)", engine)
        await engine["submit"](client, body)
        await client.submit("/v1/text_to_image", {"not": "flowrun's"})

@pytest.mark.parametrize("ratio", ["1280:720", RATIO])
def test_sends(ratio):
    asyncio.run(send(ratio))
"""


@pytest.mark.long
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
@pytest.mark.parametrize(("ratio", "code"), [("1920:1080", 0), ("9:16", 1)])
def test_a_session_fails_for_a_violation(tmp_path: Path, workers: tuple[str, ...], ratio: str, code: int) -> None:
    (tmp_path / "test_it.py").write_text(SENDING.replace("RATIO", repr(ratio)))
    line = [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.recorded_requests", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*line, "--rootdir", str(tmp_path), "-o", "addopts=", *workers, str(tmp_path / "test_it.py")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "2 passed" in said
    assert f"2 requests sent by flowrun, of 2 shapes, to 1 endpoints and models that are described: {code} viol" in said
    assert ("VIOLATION /v1/text_to_image gen4_image: ratio" in said) is bool(code)
