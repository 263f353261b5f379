"""Events for the tests of the live view: a run in which everything a view can show is there at once."""

from __future__ import annotations

from collections.abc import Iterable

from flowrun.engine import events as ev
from flowrun.engine.failure import Verdict
from flowrun.engine.states import NodeState
from flowrun.ui.board import Board
from tests.ui.ui_values import AT

TASK = "5f0c9f3e-3a53-4a2f-8b36-0d6f3b1c2d4e"
VIDEO, IMAGE = "gen4_turbo", "gen4_image"


def board_of(events: Iterable[ev.Event]) -> Board:
    board = Board()
    for event in events:
        board.take_in(event)
    return board


def started(cap: int | None = 400, provider: str = "runway") -> ev.RunStarted:
    return ev.RunStarted(AT, "20261122-030525-ab12cd", "fox-trailer", "draft", provider, cap)


def limits(*models: ev.ModelLimit, balance: int = 5_000, at: float = AT) -> ev.LimitsRead:
    return ev.LimitsRead(at, balance, models or (ev.ModelLimit(IMAGE, 2, 200), ev.ModelLimit(VIDEO, 5, 50)))


def item(name: str, *upstream: str, model: str = VIDEO, seconds: float = 60.0, takes: int = 1) -> ev.Item:
    return ev.Item(name, upstream, seconds, 0, False, model, takes)


def expanded(*items: ev.Item) -> ev.Expanded:
    return ev.Expanded(AT, items)


def decided(name: str, decision: str = "run", model: str = VIDEO, takes: int = 1, **fields: object) -> ev.Decided:
    own = {key: fields.pop(key) for key in ("prepare", "anew") if key in fields}
    units = tuple(ev.UnitSpec(take, decision, model, 25, **own) for take in range(1, takes + 1))
    return ev.Decided(AT, name, decision, "new", units, **fields)


def sent(unit: str, at: float = 1.0, credits: int | None = 25) -> list[ev.Event]:
    return [ev.Granted(AT + at, unit, "new"), ev.Submitted(AT + at, unit, TASK, credits)]


def running(unit: str, progress: float | None, at: float = 10.0, status: str = "RUNNING") -> ev.Progressed:
    return ev.Progressed(AT + at, unit, TASK, status, progress)


def finished(unit: str, at: float = 30.0, credits: int = 25) -> list[ev.Event]:
    settled = ev.Settled(AT + at, unit.rpartition("#")[0], NodeState.SUCCEEDED, 1)
    return [ev.Ended(AT + at, unit, TASK, "SUCCEEDED"), ev.Stored(AT + at, unit, TASK, "r", (), credits), settled]


def failed(unit: str, verdict: Verdict, at: float = 30.0, **fields: object) -> ev.AttemptFailed:
    fields = {"code": "SOME.CODE", "message": "It went wrong in a way that takes some words to tell.", **fields}
    return ev.AttemptFailed(AT + at, unit, verdict.value, **fields)


def everything() -> list[ev.Event]:
    """Fifty nodes in the middle of a run."""
    shots = [f"shot[{number}]" for number in range(1, 31)]
    stills = [f"still[{number}]" for number in range(1, 11)]
    events: list[ev.Event] = [
        started(),
        limits(ev.ModelLimit(IMAGE, 2, 200), ev.ModelLimit(VIDEO, 5, 20), ev.ModelLimit("veo3.1", 1, 3)),
        expanded(
            item("hero", model=IMAGE),
            *(item(name, "hero", model=IMAGE) for name in stills),
            *(item(name, "still[1]") for name in shots),
            item("cut", *shots[:3], "hero"),
            *(item(f"ep[{key}].title", "cut", "still[9]", "shot[30]") for key in ("s1", "s2")),
            item("reveal", model="veo3.1"),
            item("twin", model="veo3.1"),
            item("多言語の字幕", model="veo3.1"),
            item("kept", model=IMAGE),
            item("no", model=IMAGE),
            item("never", model=IMAGE),
        ),
        decided("kept", "hit", IMAGE),
        ev.Settled(AT, "kept", NodeState.REUSED, 1),
        ev.Decided(AT, "no", "skip", "when-false"),
        ev.Settled(AT, "no", NodeState.SKIPPED),
        ev.Decided(AT, "never", "failed", "input-missing", detail="the file refs/none.png is gone"),
        ev.Settled(AT, "never", NodeState.FAILED),
        decided("hero", model=IMAGE),
        *sent("hero#1", 1.0, 8),
        *finished("hero#1", 20.0, 8),
    ]
    events += [decided(name, model=IMAGE) for name in stills]
    events += [*sent("still[1]#1", 21.0, 8), *finished("still[1]#1", 40.0, 8)]
    events += [*sent("still[2]#1", 21.0, 8), failed("still[2]#1", Verdict.REJECT, 41.0, charged=8)]
    events += [ev.Settled(AT + 41.0, "still[2]", NodeState.REJECTED)]
    events += [*sent("still[3]#1", 42.0, 8), running("still[3]#1", 0.42, 50.0)]
    events += [*sent("still[4]#1", 42.0, 8), running("still[4]#1", None, 50.0, "THROTTLED")]
    events += [ev.Queued(AT + 42.0, "still[5]#1", "concurrency", None, 0)]
    events += [decided(name, takes=2 if name == "shot[1]" else 1, prepare=name == "shot[9]") for name in shots]
    events += [*sent("shot[1]#1", 43.0), running("shot[1]#1", 0.999, 60.0), ev.Granted(AT + 43.0, "shot[1]#2", "new")]
    events += [*sent("shot[2]#1", 43.0), ev.Ended(AT + 70.0, "shot[2]#1", TASK, "SUCCEEDED")]
    events += [*sent("shot[3]#1", 43.0), failed("shot[3]#1", Verdict.RETRY, 71.0, delay=20.0, attempts=3)]
    events += [
        ev.Queued(AT + 71.0, "shot[4]#1", "concurrency", None, 3),
        ev.OverCap(AT + 71.0, "shot[5]#1", "run-cap", 3),
    ]
    events += [decided("reveal", "resume", "veo3.1"), ev.Granted(AT + 2.0, "reveal#1", "resumed")]
    events += [decided("twin", model="veo3.1"), ev.Granted(AT + 2.0, "twin#1", "shared")]
    events += [decided("多言語の字幕", model="veo3.1"), ev.Granted(AT + 3.0, "多言語の字幕#1", "joined")]
    return events
