"""What the Runway API does, whoever plays it, told through flowrun's own client and by plain requests.

A subclass gives the fixture `api`. `AccountKit` costs nothing anywhere: a person with a key can hold it against the live API.
`ApiKit` generates, and is the sandbox's, in process and over HTTP.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
import pytest

from flowrun.clock import Clock, SystemClock
from flowrun.ids import TaskId
from flowrun.media.probe import probe_bytes
from flowrun.runway.client import API_VERSION, Provider, RunwayClient
from flowrun.runway.errors import (
    AnswerLostError,
    GoneError,
    KeyRefusedError,
    NotAcceptedError,
    RefusedError,
    SubmitFailure,
    TransientError,
    UrlExpiredError,
    WrongProviderError,
)
from flowrun.runway.pace import Timeouts
from flowrun.runway.values import OutputUrl, Task, TaskStatus
from flowrun.secret import Secret
from tests.sandbox.visitor import data_uri, png

T = TypeVar("T")
UNKNOWN = TaskId("17f20503-6c24-4c16-946b-35dbbce2af2f")
PICTURE = {"model": "gen4_image", "promptText": "a fox", "ratio": "1280:720"}
FILM = {"model": "gen4_turbo", "promptText": "it runs", "ratio": "1280:720", "duration": 2}
MOST_POLLS = 500
SHORT = Timeouts(read=0.2, create=0.2)


@dataclass
class Talk:
    """One conversation with the API: an open connection, and a clock to wait by."""

    http: httpx.AsyncClient
    base_url: str
    key: Secret
    clock: Clock
    client: RunwayClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.as_client()

    def as_client(self, secret: Secret | None = None, **more: Any) -> RunwayClient:
        given = {"sleep": self.clock.sleep, "rng": random.Random(7), **more}
        return RunwayClient(self.http, base_url=self.base_url, secret=secret or self.key, **given)

    async def ask(self, method: str, path: str, *, without: tuple[str, ...] = (), **more: Any) -> httpx.Response:
        """A plain request. `path`: an address, or what comes after the base; `without`: headers to leave out."""
        usual = {"Authorization": f"Bearer {self.key.reveal()}", "X-Runway-Version": API_VERSION}
        headers = {name: value for name, value in {**usual, **more.pop("headers", {})}.items() if name not in without}
        url = path if "://" in path else self.base_url + path
        return await self.http.request(method, url, headers=headers, **more)

    async def create(self, operation: str = "text_to_image", body: Any = None, **change: Any) -> TaskId:
        return (await self.client.submit(f"/v1/{operation}", {**(body or PICTURE), **change})).task

    async def ended(self, task: TaskId) -> Task:
        for _ in range(MOST_POLLS):
            found = await self.client.task(task)
            if found.status.terminal:
                return found
            await self.clock.sleep(0.02)
        raise AssertionError(f"{task} does not end")

    async def made(self, task: TaskId) -> OutputUrl:
        found = await self.ended(task)
        assert found.status is TaskStatus.SUCCEEDED, found
        (url,) = found.outputs
        return url

    async def fetched(self, url: OutputUrl) -> bytes:
        into = bytearray()
        await self.client.download(url, into.extend)
        return bytes(into)


@dataclass
class Api:
    """An API to hold the kit against. `begin`: opens a conversation; `run`: runs one on its kind of loop."""

    begin: Callable[[Clock], AbstractAsyncContextManager[Talk]]
    runner: Callable[[Callable[[Clock], Awaitable[Any]]], Any]
    provider: Provider = "sandbox"

    def run(self, scene: Callable[[Talk], Awaitable[T]]) -> T:
        async def main(clock: Clock) -> T:
            async with self.begin(clock) as talk:
                return await scene(talk)

        found: T = self.runner(main)
        return found


def refused(answer: httpx.Response, *statuses: int) -> str:
    """The text of an error; that it is one, in JSON."""
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert isinstance(answer.json()["error"], str)
    assert answer.json()["error"]
    return str(answer.json()["error"])


def today() -> datetime:
    return datetime.now(UTC)


class AccountKit:
    """Costs nothing: no request of these creates, changes or deletes anything."""

    def test_the_organization_tells_limits_and_balance(self, api: Api) -> None:
        found = api.run(lambda talk: talk.client.organization())
        assert found.models
        assert found.balance >= 0
        for limits in found.models.values():
            assert limits.concurrent is None or limits.concurrent >= 1
            assert limits.daily is None or limits.daily >= 1
        assert set(found.used_today) <= set(found.models)

    def test_who_answers_is_known(self, api: Api) -> None:
        other: Provider = "runway" if api.provider == "sandbox" else "sandbox"

        async def scene(talk: Talk) -> None:
            with pytest.raises(WrongProviderError):
                talk.client.check_provider(api.provider)  # nobody has answered yet
            await talk.client.organization()
            talk.client.check_provider(api.provider)
            with pytest.raises(WrongProviderError):
                talk.client.check_provider(other)

        api.run(scene)

    def test_usage_is_by_day_and_model(self, api: Api) -> None:
        end = (today() + timedelta(days=1)).date()
        rows = api.run(lambda talk: talk.client.usage(end - timedelta(days=8), end))
        for row in rows:
            assert (end - timedelta(days=8)).isoformat() <= row.date < end.isoformat()
            assert row.model

    def test_usage_of_more_than_90_days_is_refused(self, api: Api) -> None:
        end = today().date()
        with pytest.raises(RefusedError) as caught:
            api.run(lambda talk: talk.client.usage(end - timedelta(days=120), end))
        assert caught.value.status == 400

    @pytest.mark.parametrize("path", ["/v1/organization", f"/v1/tasks/{UNKNOWN}"])
    def test_without_a_key_is_401(self, api: Api, path: str) -> None:
        refused(api.run(lambda talk: talk.ask("GET", path, without=("Authorization",))), 401)

    @pytest.mark.parametrize("headers", [{}, {"X-Runway-Version": "1999-01-01"}])
    def test_without_a_known_version_is_400(self, api: Api, headers: dict[str, str]) -> None:
        without = () if headers else ("X-Runway-Version",)
        refused(api.run(lambda talk: talk.ask("GET", "/v1/organization", without=without, headers=headers)), 400)

    def test_an_unknown_task_is_gone(self, api: Api) -> None:
        with pytest.raises(GoneError):
            api.run(lambda talk: talk.client.task(UNKNOWN))
        refused(api.run(lambda talk: talk.ask("GET", f"/v1/tasks/{UNKNOWN}")), 404)

    def test_to_cancel_an_unknown_task_is_404_and_no_trouble_to_the_client(self, api: Api) -> None:
        refused(api.run(lambda talk: talk.ask("DELETE", f"/v1/tasks/{UNKNOWN}")), 404)
        api.run(lambda talk: talk.client.delete(UNKNOWN))

    def test_an_invented_endpoint_is_refused_in_json(self, api: Api) -> None:
        refused(api.run(lambda talk: talk.ask("DELETE", f"/v1/tasks/{UNKNOWN}/cancel")), 404, 405)

    def test_a_json_content_type_without_a_body_is_taken(self, api: Api) -> None:
        headers = {"Content-Type": "application/json"}
        assert api.run(lambda talk: talk.ask("GET", "/v1/organization", headers=headers)).status_code == 200


class ApiKit(AccountKit):
    """The sandbox's part: generations, files, money, and everything that goes wrong when a fault header asks for it."""

    # generations

    def test_a_generation_from_its_request_to_its_bytes(self, api: Api) -> None:
        async def scene(talk: Talk) -> tuple[bytes, bytes, int]:
            before = (await talk.client.organization()).balance
            url = await talk.made(await talk.create())
            twice = await talk.fetched(url), await talk.fetched(url)
            return *twice, before - (await talk.client.organization()).balance

        first, second, cost = api.run(scene)
        assert probe_bytes(first).media_type == "image/png"
        assert first == second
        assert cost == 5

    def test_it_counts_in_the_day_and_in_usage(self, api: Api) -> None:
        async def scene(talk: Talk) -> None:
            before = (await talk.client.organization()).used_today.get("gen4_image", 0)
            await talk.create()
            assert (await talk.client.organization()).used_today["gen4_image"] == before + 1
            day = datetime.fromtimestamp(talk.clock.now(), UTC).date()
            rows = await talk.client.usage(day, day + timedelta(days=1))
            assert [(row.date, row.model) for row in rows if row.model == "gen4_image"] == [
                (day.isoformat(), "gen4_image")
            ]
            assert rows[0].credits >= 5

        api.run(scene)

    def test_an_output_is_the_next_input(self, api: Api) -> None:
        async def scene(talk: Talk) -> bytes:
            still = await talk.made(await talk.create())
            film = await talk.create("image_to_video", FILM, promptImage=still.reveal())
            return await talk.fetched(await talk.made(film))

        assert probe_bytes(api.run(scene)).media_type == "video/mp4"

    def test_more_than_the_tier_runs_waits_throttled(self, api: Api) -> None:
        async def scene(talk: Talk) -> set[TaskStatus]:
            with fault(talk, takes=1.0):  # the first run until the last is there, also over slow HTTP
                films = [await talk.create("text_to_video", model="veo3.1", duration=4) for _ in range(12)]
            found = {(await talk.client.task(film)).status for film in reversed(films)}
            assert {(await talk.ended(film)).status for film in films} == {TaskStatus.SUCCEEDED}
            return found

        assert TaskStatus.THROTTLED in api.run(scene)

    def test_a_cancelled_task_is_gone(self, api: Api) -> None:
        async def scene(talk: Talk) -> None:
            task = await talk.create("text_to_video", model="veo3.1", duration=8)
            await talk.client.delete(task)
            with pytest.raises(GoneError):
                await talk.client.task(task)
            await talk.client.delete(task)

        api.run(scene)

    def test_what_is_wrong_with_a_body_is_named(self, api: Api) -> None:
        with pytest.raises(NotAcceptedError) as caught:
            api.run(lambda talk: talk.create(ratio="1:1", colour="red"))
        assert caught.value.kind is SubmitFailure.REFUSED_INPUT
        assert {problem.where for problem in caught.value.problems} >= {"ratio"}

    def test_a_failed_task_says_why(self, api: Api) -> None:
        async def scene(talk: Talk) -> Task:
            with fault(talk, fail="INTERNAL"):
                task = await talk.create()
            return await talk.ended(task)

        found = api.run(scene)
        assert (found.status, found.failure_code, found.outputs) == (TaskStatus.FAILED, "INTERNAL", ())
        assert found.failure

    # files

    def test_an_upload_is_an_input(self, api: Api) -> None:
        data = png(320, 180)

        async def scene(talk: Talk) -> bytes:
            given = await talk.client.upload(
                "fox.png", "image/png", lambda: io.BytesIO(data), len(data), talk.clock.now()
            )
            task = await talk.create(referenceImages=[{"uri": given.uri, "tag": "fox"}])
            return await talk.fetched(await talk.made(task))

        assert probe_bytes(api.run(scene)).media_type == "image/png"

    def test_a_data_uri_is_an_input(self, api: Api) -> None:
        image = data_uri(png())
        assert api.run(lambda talk: talk.create("image_to_video", FILM, promptImage=image))

    def test_outputs_answer_head_and_ranges_without_a_key(self, api: Api) -> None:
        async def scene(talk: Talk) -> None:
            url = (await talk.made(await talk.create())).reveal()
            whole = await talk.http.get(url)
            head = await talk.http.head(url)
            part = await talk.http.get(url, headers={"Range": "bytes=-7"})
            assert (head.status_code, head.content, part.status_code) == (200, b"", 206)
            assert head.headers["content-length"] == str(len(whole.content))
            assert part.content == whole.content[-7:]

        api.run(scene)

    def test_a_link_that_is_not_right_has_expired(self, api: Api) -> None:
        async def scene(talk: Talk) -> None:
            url = await talk.made(await talk.create())
            with pytest.raises(UrlExpiredError):
                await talk.fetched(OutputUrl(url.reveal()[:-4] + "AAAA"))

        api.run(scene)

    # what goes wrong

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_lost_answer_to_a_creation_is_uncertain(self, api: Api, when: str) -> None:
        async def scene(talk: Talk) -> int:
            before = (await talk.client.organization()).used_today["gen4_image"]
            with fault(talk, lost=when), pytest.raises(AnswerLostError):
                await talk.create()
            return (await talk.client.organization()).used_today["gen4_image"] - before

        assert api.run(scene) == (1 if when == "after" else 0)

    def test_a_late_answer_to_a_creation_is_uncertain(self, api: Api) -> None:
        async def scene(talk: Talk) -> None:
            with fault(talk, delay=1.0), pytest.raises(AnswerLostError):
                await talk.as_client(timeouts=SHORT).submit("/v1/text_to_image", PICTURE)

        api.run(scene)

    @pytest.mark.parametrize(
        ("status", "error"),
        [(503, NotAcceptedError), (429, NotAcceptedError), (401, NotAcceptedError), (500, AnswerLostError)],
    )
    def test_an_error_to_a_creation(self, api: Api, status: int, error: type[Exception]) -> None:
        async def scene(talk: Talk) -> None:
            with fault(talk, status=status), pytest.raises(error):
                await talk.create()

        api.run(scene)

    @pytest.mark.parametrize("deed", [{"lost": "before"}, {"status": 503}, {"status": 429}, {"delay": 1.0}], ids=str)
    def test_a_poll_that_fails_can_be_repeated(self, api: Api, deed: dict[str, Any]) -> None:
        async def scene(talk: Talk) -> None:
            task = await talk.create()
            with fault(talk, **deed), pytest.raises(TransientError):
                await talk.as_client(timeouts=SHORT).task(task)
            assert (await talk.ended(task)).status is TaskStatus.SUCCEEDED

        api.run(scene)

    def test_a_download_that_breaks_off_goes_on(self, api: Api) -> None:
        async def scene(talk: Talk) -> None:
            url = await talk.made(await talk.create())
            got = bytearray()
            with fault(talk, cut=400):
                came = await talk.client.download(url, got.extend)
            assert bytes(got) == await talk.fetched(url)
            assert came.size == len(got) > 400

        api.run(scene)

    @pytest.mark.parametrize("deed", [{"cut": 0}, {"lost": "after"}], ids=str)
    def test_a_download_that_breaks_off_can_be_repeated(self, api: Api, deed: dict[str, Any]) -> None:
        async def scene(talk: Talk) -> None:
            url = await talk.made(await talk.create())
            got = bytearray()
            with fault(talk, **deed), pytest.raises(TransientError):
                await talk.client.download(url, got.extend)
            assert not got
            assert await talk.fetched(url)

        api.run(scene)

    def test_a_refused_key_is_told_apart(self, api: Api) -> None:
        async def scene(talk: Talk) -> None:
            with fault(talk, status=401), pytest.raises(KeyRefusedError):
                await talk.client.organization()

        api.run(scene)


@contextmanager
def fault(talk: Talk, **deed: Any) -> Iterator[None]:
    """Each request of the block asks for a fault."""
    talk.http.headers["X-Flowrun-Scenario"] = json.dumps(deed)
    try:
        yield
    finally:
        del talk.http.headers["X-Flowrun-Scenario"]


def on_a_real_loop(main: Callable[[Clock], Awaitable[T]]) -> T:
    async def whole() -> T:
        return await main(SystemClock())

    return asyncio.run(whole())
