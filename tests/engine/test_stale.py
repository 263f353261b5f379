"""An upload that the API forgot early is made anew, once; a request that is wrong for another reason is not sent again."""

from __future__ import annotations

from typing import Any

import pytest

from flowrun.engine.attempt import execute
from flowrun.engine.failure import AttemptError, Verdict
from flowrun.engine.stale import JUST_NOW
from flowrun.ids import ActionKey
from flowrun.runway.errors import InputProblem, NotAcceptedError, SubmitFailure
from tests.engine.fakes import World
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
