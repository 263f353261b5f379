"""An upload that the API forgot early is made anew, once; a request that is wrong for another reason is not sent again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from flowrun.engine.attempt import execute
from flowrun.engine.failure import AttemptError, Verdict
from flowrun.engine.stale import JUST_NOW
from flowrun.ids import ActionKey
from flowrun.runway.errors import InputProblem, NotAcceptedError, SubmitFailure
from flowrun.runway.values import Upload
from tests.engine.fakes import World, a_doc
from tests.engine.test_body import LARGE, told, with_media

GONE = InputProblem(("images", 0, "uri"), "The upload has expired.")


def refusal(*problems: InputProblem) -> NotAcceptedError:
    return NotAcceptedError("POST: HTTP 400", SubmitFailure.REFUSED_INPUT, problems=problems)


async def refused(world: World, problem: InputProblem, **more: Any) -> Verdict:
    """What becomes of a request that names an upload of earlier."""
    world.api.submissions.append(refusal(problem))
    with pytest.raises(AttemptError) as caught:
        await execute(world.process().attempt(with_media(world, LARGE, key=ActionKey("key-b"), seed=7, **more)))
    return caught.value.failure.verdict


@pytest.mark.parametrize(
    "problem",
    [
        GONE,
        InputProblem((), "Fetching the asset failed."),
        InputProblem(("images",), "runway:// URI is not known"),
        InputProblem(("images", 7, "what"), "the upload is gone"),
    ],
)
def test_an_upload_of_earlier_is_made_anew(problem: InputProblem) -> None:
    async def story(world: World) -> None:
        await execute(world.process().attempt(with_media(world, LARGE)))
        await world.clock.sleep(JUST_NOW + 1)
        assert await refused(world, problem) is Verdict.RESEND
        await execute(world.process().attempt(with_media(world, LARGE, key=ActionKey("key-b"))))
        assert len(world.api.uploads) == 2

    told(story)


def test_one_made_just_now_cannot_be_forgotten() -> None:
    async def story(world: World) -> None:
        await execute(world.process().attempt(with_media(world, LARGE)))
        assert await refused(world, GONE) is Verdict.FAIL
        await execute(world.process().attempt(with_media(world, LARGE, key=ActionKey("key-b"))))
        assert len(world.api.uploads) == 2, "by hand it can be tried all the same"

    told(story)


@pytest.mark.parametrize(
    "problem", [InputProblem(("seed",), "This was uploaded before."), InputProblem((), "Invalid input.")]
)
def test_other_complaints_cost_no_upload(problem: InputProblem) -> None:
    async def story(world: World) -> None:
        await execute(world.process().attempt(with_media(world, LARGE)))
        await world.clock.sleep(JUST_NOW + 1)
        assert await refused(world, problem) is Verdict.FAIL
        await execute(world.process().attempt(with_media(world, LARGE, key=ActionKey("key-b"))))
        assert len(world.api.uploads) == 1

    told(story)


def test_all_that_were_on_their_way_with_a_forgotten_upload_are_sent_again() -> None:
    async def story(world: World) -> None:
        anne = world.process()
        await execute(anne.attempt(with_media(world, LARGE)))
        await world.clock.sleep(JUST_NOW + 1)
        attempts = [anne.attempt(with_media(world, LARGE, key=ActionKey(f"key-{each}"))) for each in "bc"]
        world.api.submissions += [refusal(GONE), refusal(GONE)]
        ends = await asyncio.gather(*map(execute, attempts), return_exceptions=True)
        assert [each.failure.verdict for each in ends] == [Verdict.RESEND, Verdict.RESEND]
        world.api.submissions += [refusal(GONE)]
        with pytest.raises(AttemptError) as caught:
            await execute(attempts[0])
        assert caught.value.failure.verdict is Verdict.FAIL, "it named one made just now"

    told(story)


def test_many_that_each_made_one_just_now_come_to_an_end_together() -> None:
    """Whoever uploads last is remembered; the others' were made just now all the same."""

    async def story(world: World) -> None:
        world.limits = replace(world.limits, concurrency=None)
        anne = world.process()
        ports = anne.ports()
        docs = [with_media(world, LARGE, key=ActionKey(f"key-{each}")) for each in "abcdefgh"]
        upload, numbers = world.api.upload, count()

        async def another(*given: Any) -> Upload:
            made = await upload(*given)
            return replace(made, uri=f"{made.uri}-{next(numbers)}")

        world.api.upload = another  # type: ignore[method-assign]
        world.api.submissions += [refusal(GONE)] * len(docs)
        attempts = [replace(anne.attempt(doc), ports=ports) for doc in docs]
        ends = await asyncio.gather(*map(execute, attempts), return_exceptions=True)
        assert {each.failure.verdict for each in ends} == {Verdict.FAIL}
        assert len(world.api.uploads) == len(docs)

    told(story)


def test_an_upload_that_a_person_made_is_not_ours_to_make_anew() -> None:
    async def story(world: World) -> None:
        world.api.submissions += [refusal(GONE)]
        request = {"images": [{"uri": {"$uri": "runway://of-a-person"}}]}
        with pytest.raises(AttemptError) as caught:
            await execute(world.process().attempt(a_doc(request=request)))
        assert caught.value.failure.verdict is Verdict.FAIL

    told(story)
