"""What is sent: media by whichever way is valid now, secrets by name, and uploads that fail."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from flowrun.action import ActionDoc, MediaInput
from flowrun.engine.attempt import execute
from flowrun.engine.body import build_body, needs_preparing, prepare, sent_media
from flowrun.engine.failure import AttemptError, Verdict
from flowrun.runway.errors import KeyRefusedError, TransientError
from flowrun.runway.media_in import FreshUrl
from flowrun.secret import Secret
from tests.engine.fakes import World, a_doc
from tests.support.virtual_time import VirtualClock, run_virtual

LARGE = 900_000  # bytes: more than a small data URI, less than the largest
HUGE = 4_000_000  # bytes: more than any data URI


def told(story: Callable[[World], Coroutine[Any, Any, Any]]) -> Any:
    async def main(clock: VirtualClock) -> Any:
        return await story(World(clock))

    return run_virtual(main)


def with_media(world: World, size: int, url: str | None = None, **more: Any) -> ActionDoc:
    digest = world.blobs.put(io.BytesIO(b"x" * size))
    media = {digest.sha256: MediaInput(digest, "image/png", url)}
    return a_doc(request={"images": [{"uri": {"$media": digest.sha256}}]}, inputs=media, **more)


def sent(body: dict[str, Any]) -> str:
    return body["images"][0]["uri"]


def test_marks_are_filled_in_and_everything_else_is_left():
    async def story(world: World) -> None:
        world.env = {"CLIENT": Secret("ACME")}
        request = {"text": {"$text": ["for ", {"$env": "CLIENT"}, "!"]}, "ref": {"$uri": "runway://x"}, "n": [1, None]}
        body = await build_body(world.process().attempt(a_doc(request=request, seed=9)))
        assert body == {"text": "for ACME!", "ref": "runway://x", "n": [1, None], "seed": 9}

    told(story)


def test_what_is_small_goes_along():
    async def story(world: World) -> None:
        doc = with_media(world, 3)
        body = await build_body(world.process().attempt(doc))
        assert sent(body) == "data:image/png;base64,eHh4"
        assert not needs_preparing(doc, world.process().ports(), world.process().attempt(doc).run)

    told(story)


def test_what_is_large_is_uploaded_once_and_remembered_for_a_day():
    async def story(world: World) -> None:
        doc, anne = with_media(world, LARGE), world.process()
        attempt = anne.attempt(doc)
        assert needs_preparing(doc, attempt.ports, attempt.run)
        await prepare(attempt)
        assert not needs_preparing(doc, attempt.ports, attempt.run)
        name = hashlib.sha256(b"x" * LARGE).hexdigest()[:16] + ".png"
        assert sent(await build_body(attempt)) == f"runway://{name}"
        await world.clock.sleep(24 * 3600.0)
        assert sent(await build_body(attempt)) == f"runway://{name}"
        assert world.api.uploads == [name, name]

    told(story)


def test_an_output_url_with_time_to_live_spares_the_upload():
    async def story(world: World) -> None:
        doc = with_media(world, LARGE)
        attempt = world.process().attempt(doc)
        attempt.ports.fresh[next(iter(doc.inputs))] = FreshUrl(
            Secret("https://o.example/1"), world.clock.now() + 7200.0
        )
        assert sent(await build_body(attempt)) == "https://o.example/1"
        await world.clock.sleep(3601.0)
        assert sent(await build_body(attempt)).startswith("runway://")

    told(story)


def test_the_users_own_address_is_named():
    async def story(world: World) -> None:
        doc = with_media(world, LARGE, "https://pictures.example/a.png")
        assert sent(await build_body(world.process().attempt(doc))) == "https://pictures.example/a.png"

    told(story)


def test_where_uploads_fail_data_goes_along_if_it_may():
    async def story(world: World) -> None:
        world.api.upload_error = TransientError("503")
        assert sent(await build_body(world.process().attempt(with_media(world, LARGE)))).startswith("data:image/png")

    told(story)


def test_what_can_travel_in_no_way_fails_and_nothing_is_held():
    async def story(world: World) -> None:
        world.api.upload_error = TransientError("storage is down")
        doc = with_media(world, HUGE)
        with pytest.raises(AttemptError) as caught:
            await execute(world.process().attempt(doc))
        failure = caught.value.failure
        assert (failure.verdict, failure.code, failure.charged) == (Verdict.FAIL, "input-cannot-travel", 0)
        assert "storage is down" in failure.message
        assert (world.claims, world.held, world.api.bodies) == ([], {}, [])

    told(story)


def test_what_is_too_large_for_everything_is_not_even_tried():
    async def story(world: World) -> None:
        digest = type(world.blobs.put(io.BytesIO(b"")))("00", 300_000_000)
        doc = a_doc(request={"images": [{"uri": {"$media": "00"}}]}, inputs={"00": MediaInput(digest, "image/png")})
        with pytest.raises(AttemptError, match="300000000 bytes are more than"):
            await build_body(world.process().attempt(doc))

    told(story)


def test_a_key_that_is_refused_by_an_upload_stops_the_run():
    async def story(world: World) -> None:
        world.api.upload_error = KeyRefusedError("401")
        with pytest.raises(AttemptError) as caught:
            await execute(world.process().attempt(with_media(world, LARGE)))
        assert (caught.value.failure.verdict, caught.value.failure.code) == (Verdict.STOP, "key-refused")
        assert (world.claims, world.held) == ([], {})

    told(story)


def test_cancelled_while_uploading_nothing_is_held():
    async def story(world: World) -> None:
        world.api.upload_takes = 100.0
        work = asyncio.create_task(execute(world.process().attempt(with_media(world, LARGE))))
        await world.clock.sleep(50.0)
        assert world.held
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert (world.claims, world.held, world.ledger.uncertain()) == ([], {}, ())

    told(story)


def test_what_stood_for_a_media_input_is_told_among_all_other_marks():
    async def story(world: World) -> None:
        world.env = {"CLIENT": Secret("ACME")}
        digest = world.blobs.put(io.BytesIO(b"xyz"))
        request = {
            "text": {"$text": ["for ", {"$env": "CLIENT"}]},
            "ref": {"$uri": "runway://x"},
            "n": [1, None, ["a"]],
        }
        request |= {"images": [{"uri": {"$media": digest.sha256}, "tag": "fox"}]}
        doc = a_doc(request=request, inputs={digest.sha256: MediaInput(digest, "image/png")}, seed=9)
        body = await build_body(world.process().attempt(doc))
        assert list(sent_media(doc.request, body)) == [(digest.sha256, "data:image/png;base64,eHl6")]

    told(story)
