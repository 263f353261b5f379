"""The official Python SDK, unchanged, is the judge: every operation, uploads, cancelling and the account, over a real socket."""

from __future__ import annotations

import asyncio
import inspect
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import runwayml
from runwayml import AsyncRunwayML, RunwayML, TaskFailedError

from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.media.film import FilmSpec, make_film
from flowrun.media.probe import probe_bytes
from flowrun.operations.catalogue import catalogue
from tests.sandbox.visitor import data_uri, png, sound
from tests.support.http_sandbox import DEADLINE, KEY, HttpSandbox, process, threaded, until

pytestmark = pytest.mark.long  # it talks to a real server, each call in its own time

SCENARIO = "media: tiny\ndurations: {default: 0.3}\n"


@cache
def film_bytes() -> bytes:
    return make_film(FilmSpec(64, 36, 3.5, tiny=True))


@cache
def sound_bytes() -> bytes:
    return sound(5.0)


IMAGE = {"type": "image", "uri": data_uri(png())}
VOICE = {"type": "runway-preset", "preset_id": "Maya"}


def requests(film: str, audio: str) -> dict[str, dict[str, Any]]:
    """One request of each operation, as the SDK spells it."""
    return {
        "text_to_image": {
            "model": "gen4_image",
            "prompt_text": "a fox with @scarf",
            "ratio": "1280:720",
            "reference_images": [{"uri": data_uri(png()), "tag": "scarf"}],
            "seed": 7,
        },
        "image_to_video": {
            "model": "gen4_turbo",
            "prompt_image": [{"uri": data_uri(png()), "position": "first"}],
            "prompt_text": "it runs",
            "ratio": "1280:720",
            "duration": 5,
        },
        "text_to_video": {
            "model": "veo3.1",
            "prompt_text": "a fox runs",
            "ratio": "1280:720",
            "duration": 4,
            "audio": False,
        },
        "video_to_video": {"model": "gen4_aleph", "prompt_text": "snow", "ratio": "1280:720", "video_uri": film},
        "character_performance": {
            "model": "act_two",
            "character": IMAGE,
            "reference": {"type": "video", "uri": film},
            "ratio": "1280:720",
        },
        "sound_effect": {"model": "eleven_text_to_sound_v2", "prompt_text": "a brook", "duration": 2, "loop": True},
        "speech_to_speech": {
            "model": "eleven_multilingual_sts_v2",
            "media": {"type": "audio", "uri": audio},
            "voice": VOICE,
        },
        "text_to_speech": {"model": "eleven_multilingual_v2", "prompt_text": "Two foxes.", "voice": VOICE},
        "voice_dubbing": {"model": "eleven_voice_dubbing", "audio_uri": audio, "target_lang": "es"},
        "voice_isolation": {"model": "eleven_voice_isolation", "audio_uri": audio},
    }


@pytest.fixture(scope="module")
def served() -> Iterator[HttpSandbox]:
    with threaded(SCENARIO) as found:
        yield found


@pytest.fixture
def client(served: HttpSandbox) -> Iterator[RunwayML]:
    with RunwayML(api_key=KEY, base_url=served.url, max_retries=0) as found:
        yield found


@asynccontextmanager
async def asynchronous(served: HttpSandbox) -> AsyncIterator[AsyncRunwayML]:
    async with AsyncRunwayML(api_key=KEY, base_url=served.url, max_retries=0) as found:
        yield found


def succeeded(client: RunwayML, task: str) -> Any:
    """The task once it has ended well, polled by the SDK's own call."""
    return until(lambda: (found := client.tasks.retrieve(task)).status == "SUCCEEDED" and found, f"{task} to succeed")


async def succeeded_later(client: AsyncRunwayML, task: str) -> Any:
    async with asyncio.timeout(DEADLINE):
        while (found := await client.tasks.retrieve(task)).status != "SUCCEEDED":
            assert found.status in ("PENDING", "THROTTLED", "RUNNING"), found
            await asyncio.sleep(0.02)
    return found


# every operation


def check(operation: str, body: dict[str, Any], facts: MediaFacts) -> None:
    assert facts.kind is catalogue().operations[operation].produces
    if facts.kind is MediaKind.VIDEO:
        assert facts.duration == pytest.approx(body.get("duration", 3.5), abs=0.15)


def test_every_operation_is_among_the_requests() -> None:
    assert set(requests("", "")) == set(catalogue().operations)


def test_the_asynchronous_client_makes_one_of_each(served: HttpSandbox) -> None:
    asked = requests(data_uri(film_bytes(), "video/mp4"), data_uri(sound_bytes(), "audio/mpeg"))

    async def make(client: AsyncRunwayML, operation: str) -> tuple[str, MediaFacts]:
        accepted = await getattr(client, operation).create(**asked[operation])
        (url,) = (await succeeded_later(client, accepted.id)).output
        data = await asyncio.to_thread(lambda: served.web.get(url).content)
        return operation, probe_bytes(data)

    async def scene() -> list[tuple[str, MediaFacts]]:
        async with asynchronous(served) as client:
            return await asyncio.gather(*(make(client, operation) for operation in asked))

    for operation, facts in asyncio.run(scene()):
        check(operation, asked[operation], facts)


@pytest.mark.parametrize("operation", list(requests("", "")))
def test_the_synchronous_client_makes_one_from_uploads(served: HttpSandbox, client: RunwayML, operation: str) -> None:
    film = client.uploads.create_ephemeral(file=("reference.mp4", film_bytes())).uri
    audio = client.uploads.create_ephemeral(file=("speech.mp3", sound_bytes()), file_metadata="{}").uri
    body = requests(film, audio)[operation]
    task = getattr(client, operation).create(**body).id
    (url,) = succeeded(client, task).output
    check(operation, body, probe_bytes(served.web.get(url).content))


# chains and files


def test_outputs_are_inputs_of_what_follows(served: HttpSandbox, client: RunwayML) -> None:
    still = succeeded(
        client, client.text_to_image.create(model="gen4_image", prompt_text="a fox", ratio="1280:720").id
    ).output[0]
    film = succeeded(
        client,
        client.image_to_video.create(
            model="gen4_turbo", prompt_image=still, prompt_text="it runs", ratio="1280:720", duration=2
        ).id,
    ).output[0]
    assert still.startswith(served.url)
    restyled = client.video_to_video.create(model="gen4_aleph", prompt_text="snow", ratio="1280:720", video_uri=film)
    data = served.web.get(succeeded(client, restyled.id).output[0]).content
    assert probe_bytes(data).duration == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("form", ["path", "opened", "pair"])
def test_every_form_of_file_is_taken(client: RunwayML, tmp_path: Path, form: str) -> None:
    path = tmp_path / "fox.png"
    path.write_bytes(png())
    with path.open("rb") as opened:
        files: dict[str, Any] = {"path": path, "opened": opened, "pair": ("fox.png", io.BytesIO(png()))}
        uri = client.uploads.create_ephemeral(file=files[form]).uri
    assert uri.startswith("runway://")
    assert client.image_to_video.create(model="gen4_turbo", prompt_image=uri, ratio="1280:720", duration=2).id


def test_the_asynchronous_client_uploads(served: HttpSandbox) -> None:
    async def scene() -> str:
        async with asynchronous(served) as client:
            uri = (await client.uploads.create_ephemeral(file=("fox.png", png()))).uri
            reference = {"uri": uri, "tag": "fox"}
            return (
                await client.text_to_image.create(
                    model="gen4_image_turbo", prompt_text="@fox", ratio="1280:720", reference_images=[reference]
                )
            ).id

    assert asyncio.run(scene())


def test_a_file_that_is_too_small_is_refused(client: RunwayML) -> None:
    with pytest.raises(runwayml.APIStatusError, match="400"):
        client.uploads.create_ephemeral(file=("fox.png", b"x" * 500))


# tasks


@pytest.mark.long
def test_the_sdks_own_waiting(served: HttpSandbox) -> None:
    """Its first look is after 4.5 to 7.5 s, so all waits go on at once."""

    async def scene() -> tuple[Any, Any]:
        body: dict[str, Any] = {"model": "gen4_image", "prompt_text": "a fox", "ratio": "1280:720"}
        scripted = {"X-Flowrun-Scenario": '{"fail": "SAFETY.INPUT.TEXT"}'}
        async with asynchronous(served) as client:
            with RunwayML(api_key=KEY, base_url=served.url) as other:
                good = other.text_to_image.create(**body)
                bad = await client.text_to_image.create(**body, extra_headers=scripted)
                waits = asyncio.to_thread(good.wait_for_task_output, DEADLINE), bad.wait_for_task_output(DEADLINE)
                return tuple(await asyncio.gather(*waits, return_exceptions=True))

    made, failed = asyncio.run(scene())
    assert (made.status, len(made.output)) == ("SUCCEEDED", 1)
    assert isinstance(failed, TaskFailedError)
    assert failed.task_details.failure_code == "SAFETY.INPUT.TEXT"
    assert failed.task_details.failure


def test_each_status_is_read_as_its_own_type() -> None:
    moment = [1_790_000_000.0]
    with (
        threaded("media: tiny\ndurations: {default: 100}\ntier: 1", now=lambda: moment[0]) as served,
        RunwayML(api_key=KEY, base_url=served.url, max_retries=0) as client,
    ):
        first, second = (
            client.text_to_video.create(model="veo3.1", prompt_text="a fox", ratio="1280:720", duration=4).id
            for _ in range(2)
        )

        def seen(task: str, later: float) -> tuple[str, str]:
            moment[0] += later
            found = client.tasks.retrieve(task)
            return found.status, type(found).__name__.removeprefix("Awaitable")

        assert seen(first, 0) == ("PENDING", "Pending")
        assert seen(second, 0) == ("THROTTLED", "Throttled")
        assert seen(first, 50) == ("RUNNING", "Running")
        assert seen(first, 50) == ("SUCCEEDED", "Succeeded")
        assert seen(second, 0) == ("RUNNING", "Running")


def test_cancelling(client: RunwayML) -> None:
    task = client.text_to_video.create(model="veo3.1", prompt_text="a fox", ratio="1280:720", duration=8).id
    assert client.tasks.delete(task) is None
    with pytest.raises(runwayml.NotFoundError):
        client.tasks.retrieve(task)
    with pytest.raises(runwayml.NotFoundError):
        client.tasks.delete(task)


# the account


def test_organization_and_usage(client: RunwayML) -> None:
    before = client.organization.retrieve()
    client.text_to_image.create(model="gen4_image", prompt_text="a fox", ratio="1280:720")
    after = client.organization.retrieve()
    assert before.credit_balance - after.credit_balance == 5
    assert after.tier.models["gen4_image"].max_concurrent_generations == 5
    assert after.usage.models["gen4_image"].daily_generations >= 1
    today = datetime.now(UTC).date()
    usage = client.organization.retrieve_usage(start_date=today, before_date=today + timedelta(days=1))
    assert "gen4_image" in usage.models
    assert sum(each.amount for row in usage.results for each in row.used_credits) >= 5


# errors


def test_errors_are_the_sdks_own(client: RunwayML) -> None:
    with pytest.raises(runwayml.BadRequestError, match="ratio") as caught:
        client.text_to_image.create(model="gen4_image", prompt_text="a fox", ratio="1792:1024")
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["issues"][0]["path"] == ["ratio"]
    with pytest.raises(runwayml.AuthenticationError):
        client.organization.retrieve(extra_headers={"Authorization": "Basic eDp5"})
    for status, error in ((429, runwayml.RateLimitError), (503, runwayml.InternalServerError)):
        with pytest.raises(error):
            client.organization.retrieve(extra_headers={"X-Flowrun-Scenario": f'{{"status": {status}}}'})


def test_a_lost_answer_is_sent_again_by_the_sdk_and_paid_again(served: HttpSandbox) -> None:
    """Why flowrun does not create through it."""
    before = len(served.report()["submissions"])
    with (
        RunwayML(api_key=KEY, base_url=served.url, max_retries=1) as client,
        pytest.raises(runwayml.APIConnectionError),
    ):
        client.text_to_image.create(
            model="gen4_image",
            prompt_text="a fox",
            ratio="1280:720",
            extra_headers={"X-Flowrun-Scenario": '{"lost": "after"}'},
        )
    assert len(served.report()["submissions"]) == before + 2


# the command as it is started by a person


def test_against_the_real_command(monkeypatch: pytest.MonkeyPatch) -> None:
    with process(scenario=SCENARIO) as served:
        monkeypatch.setenv("RUNWAYML_BASE_URL", served.url)
        monkeypatch.setenv("RUNWAYML_API_SECRET", "key_sandbox")
        with RunwayML() as client:
            task = client.text_to_image.create(model="gen4_image", prompt_text="a fox", ratio="1280:720").id
            (url,) = succeeded(client, task).output
        assert probe_bytes(served.web.get(url).content).media_type == "image/png"


def test_nothing_of_the_sdk_is_missing_here() -> None:
    """An operation that a newer SDK has would show as a resource without a request above."""
    with RunwayML(api_key=KEY) as client:
        resources = {name for name in dir(client) if inspect.ismethod(getattr(getattr(client, name), "create", None))}
    assert resources - {"with_options"} == set(requests("", ""))
