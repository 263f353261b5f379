"""Requests that were refused: what is sent another way, which inputs a failure points at, and what is not told."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from flowrun.action import MediaInput
from flowrun.engine.attempt import execute
from flowrun.engine.body import build_body
from flowrun.engine.failure import AttemptError, Complaint, Failure, Verdict
from flowrun.engine.placing import masked
from flowrun.engine.suspects import suspects
from flowrun.runway.errors import InputProblem, NotAcceptedError, SubmitFailure
from tests.engine.fakes import World, a_doc
from tests.support.virtual_time import VirtualClock, run_virtual

ADDRESS = "https://pictures.example.com/fox.png"
SLOW = InputProblem(("images", 0, "uri"), "Timeout while fetching asset.")


def told(story: Callable[[World], Coroutine[Any, Any, Any]]) -> Any:
    async def main(clock: VirtualClock) -> Any:
        return await story(World(clock))

    return run_virtual(main)


def unfetched() -> NotAcceptedError:
    return NotAcceptedError("no", SubmitFailure.INPUT_UNFETCHED, problems=(SLOW,))


def test_an_input_that_the_api_cannot_fetch_is_sent_another_way_and_once() -> None:
    async def story(world: World) -> list[dict[str, Any]]:
        digest = world.blobs.put(io.BytesIO(b"x" * 9))
        media = {digest.sha256: MediaInput(digest, "image/png", ADDRESS)}
        attempt = world.process().attempt(a_doc(request={"images": [{"uri": {"$media": digest.sha256}}]}, inputs=media))
        bodies = [await build_body(attempt)]
        world.api.submissions += [unfetched(), unfetched()]
        with pytest.raises(AttemptError) as first:
            await execute(attempt)
        assert first.value.failure.verdict is Verdict.RESEND
        bodies.append(await build_body(attempt))
        with pytest.raises(AttemptError) as second:
            await execute(attempt)
        assert second.value.failure.verdict is Verdict.FAIL
        slow = "its server was too slow for the API; that can pass (Timeout while fetching asset)"
        assert second.value.failure.problems == (Complaint("images[0].uri", slow),)
        return bodies

    first, second = told(story)
    assert first["images"] == [{"uri": ADDRESS}]
    assert second["images"] == [{"uri": "data:image/png;base64,eHh4eHh4eHh4"}]


def _doc() -> Any:
    digests = {}
    world_inputs = {}
    for name, kind in (("a", "image/png"), ("b", "video/mp4")):
        digest = type("D", (), {"sha256": name * 64, "size": 1})()
        digests[name] = digest.sha256
        world_inputs[digest.sha256] = MediaInput(digest, kind)
    request = {
        "promptText": "a fox",
        "references": [{"uri": {"$media": digests["a"]}, "tag": "fox"}],
        "video": {"$media": digests["b"]},
    }
    return a_doc(request=request, inputs=world_inputs)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("SAFETY.INPUT.TEXT", ["promptText"]),
        ("SAFETY.INPUT.IMAGE", ["references[0].uri"]),
        ("safety.input.video", ["video"]),
        ("SAFETY.INPUT.AUDIO", []),
        ("SAFETY.INPUT", []),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", ["promptText"]),
        ("INPUT_PREPROCESSING.SAFETY.THIRD_PARTY", []),
        ("ASSET.INVALID", ["references[0].uri", "video"]),
        ("INTERNAL", []),
        ("SAFETY.OUTPUT.IMAGE", []),
        (None, []),
    ],
)
def test_which_inputs_a_code_points_at(code: str | None, fields: list[str]) -> None:
    assert [each.where for each in suspects(code, _doc())] == fields


def test_a_code_that_speaks_of_text_where_there_is_none_points_at_nothing() -> None:
    assert suspects("SAFETY.INPUT.TEXT", a_doc(request={"model": "x"})) == ()


def test_nothing_secret_stands_in_what_a_failure_says() -> None:
    said = Failure(Verdict.FAIL, "x", "of Acme", "ask Acme", problems=(Complaint("promptText", "no Acme", "f", 1, 2),))
    hidden = masked(said, lambda text: text.replace("Acme", "****"))
    assert (hidden.message, hidden.hint) == ("of ****", "ask ****")
    assert str(hidden.problems[0]) == "f:1:2: promptText: no ****"
    assert masked(Failure(Verdict.FAIL, "x", "plain"), str).hint is None


def test_two_requests_on_their_way_with_one_address_are_both_sent_another_way() -> None:
    async def story(world: World) -> list[Verdict]:
        digest = world.blobs.put(io.BytesIO(b"x" * 9))
        media = {digest.sha256: MediaInput(digest, "image/png", ADDRESS)}
        request = {"images": [{"uri": {"$media": digest.sha256}}]}
        anne = world.process()
        ports = anne.ports()
        docs = [a_doc(name, request=request, inputs=media) for name in "ab"]
        attempts = [replace(anne.attempt(doc), ports=ports) for doc in docs]
        world.api.submissions += [unfetched(), unfetched()]
        ends = await asyncio.gather(*map(execute, attempts), return_exceptions=True)
        assert world.api.submissions == deque()
        world.api.submissions += [unfetched(), unfetched()]
        ends += await asyncio.gather(*map(execute, attempts), return_exceptions=True)
        return [each.failure.verdict for each in ends if isinstance(each, AttemptError)]

    assert told(story) == [Verdict.RESEND, Verdict.RESEND, Verdict.FAIL, Verdict.FAIL]
