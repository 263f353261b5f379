"""The process dies before or after each ledger transaction, each commit to the store and each request, one by one; the next
apply must pay for nothing twice and lose nothing.

Dying is simulated: from the chosen moment on every port raises, as nothing of a killed process does anything any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flowrun.ledger.sqlite import SqliteLedger
from flowrun.production import owner
from flowrun.production.exits import Exit
from flowrun.runway.client import RunwayClient
from flowrun.store.blobs import DiskBlobs
from flowrun.store.records import DiskPicks
from flowrun.store.results import DiskResults
from flowrun.store.runs import DiskRuns
from tests.support.stage import Stage

pytestmark = pytest.mark.usefixtures("unmeasured")  # whole productions; each part of them has tests of its own

FLOW = """
    flowrun: 1
    name: crash
    nodes:
      hero:
        uses: text_to_image
        with: {model: gen4_image, promptText: a fox, ratio: "1280:720"}
      shot:
        uses: image_to_video
        with: {model: gen4_turbo, promptImage: "{{ nodes.hero.output }}", ratio: "1280:720", duration: 5}
    outputs: {film: "{{ nodes.shot.output }}"}
"""
LEDGER = (
    *("claim", "reserve", "intend", "submitted", "ended", "note", "hand_over", "receive"),
    *("settle", "release", "retire", "heartbeat", "reap"),
)
PORTS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (SqliteLedger, LEDGER),
    (DiskResults, ("commit", "flowed")),
    (DiskPicks, ("set",)),
    (DiskRuns, ("begin", "step", "end")),
    (DiskBlobs, ("writer",)),
)
REQUESTS = ("submit", "task", "download")


class Killed(BaseException):
    """As if by SIGKILL: nobody catches it."""


class Mortal:
    """Counts moments, and from moment `last` on lets nothing through. Two moments a call: before it, and after it."""

    def __init__(self, last: int) -> None:
        self.last, self.moment, self.seen = last, 0, ""

    def pass_moment(self, name: str) -> None:
        self.moment += 1
        if self.moment == self.last:
            self.seen = name
        if self.moment >= self.last:
            raise Killed(name)

    def call(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def mortal(*args: Any, **kwargs: Any) -> Any:
            self.pass_moment(f"before {name}")
            value = method(*args, **kwargs)
            self.pass_moment(f"after {name}")
            return value

        return mortal

    def request(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        async def mortal(*args: Any, **kwargs: Any) -> Any:
            self.pass_moment(f"before {name}")
            value = await method(*args, **kwargs)
            self.pass_moment(f"after {name}")
            return value

        return mortal


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, mortal: Mortal) -> Iterator[None]:
    with monkeypatch.context() as patched:
        for kind, names in PORTS:
            for name in names:
                patched.setattr(kind, name, mortal.call(getattr(kind, name), f"{kind.__name__}.{name}"))
        for name in REQUESTS:
            patched.setattr(RunwayClient, name, mortal.request(getattr(RunwayClient, name), name))
        yield


def killed(stage: Stage, monkeypatch: pytest.MonkeyPatch, last: int) -> str:
    """Run until the moment; where it died, '' where the run ended before."""
    mortal = Mortal(last)
    with dying(monkeypatch, mortal):
        try:
            stage.apply()
        except BaseException as error:
            if not _is_kill(error):
                raise
    return mortal.seen


def _is_kill(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_kill(each) for each in error.exceptions)
    return isinstance(error, Killed) or (error.__context__ is not None and _is_kill(error.__context__))


def test_killed_at_each_step_and_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "_lives", lambda pid: False)  # whoever held something has ended
    deaths: dict[str, int] = {}
    for last in range(1, 400):
        stage = Stage(tmp_path / str(last), FLOW)
        where = killed(stage, monkeypatch, last)
        if not where:
            break
        deaths[where] = deaths.get(where, 0) + 1
        before = stage.submissions if (stage.root / ".flowrun/sandbox/api").exists() else 0
        done = stage.apply()
        open_window = where in (
            "before submit",
            "after submit",
            "after SqliteLedger.intend",
            "before SqliteLedger.submitted",
        )
        if done.exit is Exit.UNKNOWN:
            assert open_window, f"uncertain after dying {where}"
            assert stage.submissions == before
            done = stage.apply(resend=("hero", "shot"))
        else:
            assert stage.submissions == 2, f"paid {stage.submissions} times after dying {where}"
        assert done.exit is Exit.DONE, f"{done.exits} after dying {where}: {done.summary}"
        assert list(stage.exports()) == ["crash/film.mp4"]
    else:
        pytest.fail("the run never ended by itself")
    assert deaths["before submit"] == deaths["after submit"] == 2
    assert deaths["before SqliteLedger.intend"] == deaths["after SqliteLedger.settle"] == 2
    assert deaths["before DiskResults.commit"] == deaths["after DiskResults.commit"] == 2
