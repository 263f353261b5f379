"""Events are facts that can be read again: every one comes back as it was, and a run read again comes to the same."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.engine import events as ev
from flowrun.engine.replay import read_events, read_journal, replay, summary_of
from tests.support.runs import RUNS, STILLS, Made, made
from tests.support.stage import TINY, Stage
from tests.support.virtual_time import VirtualClock, run_virtual

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "event-1.json").read_text("utf-8"))


@pytest.fixture(params=sorted(RUNS))
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return made(request.param, tmp_path)


def line(event: ev.Event) -> str:
    return json.dumps(ev.to_json(event), ensure_ascii=False) + "\n"


def test_a_run_read_again_comes_to_the_same(run: Made) -> None:
    ended = run.events[-1]
    assert isinstance(ended, ev.RunEnded)
    again = replay(map(line, run.events))
    assert again == run.applied.summary
    assert again.to_json() == ended.summary == json.loads(json.dumps(run.applied.summary.to_json()))


def test_every_event_comes_back_as_it_was_and_fits_the_schema(run: Made) -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)
    assert tuple(read_events(map(line, run.events))) == run.events
    for event in run.events:
        validator.validate(json.loads(line(event)))


def test_the_runs_here_have_every_event(tmp_path: Path) -> None:
    seen = {event.type for name in RUNS for event in made(name, tmp_path / name).events}
    assert {kind.type for kind in ev.EVENTS} - seen == {"prepared", "found", "halted"}


def test_a_stored_journal_is_the_run(tmp_path: Path) -> None:
    stage = Stage(tmp_path, STILLS.replace("COUNT", "2"))
    applied = stage.apply()

    async def journal(clock: VirtualClock) -> list[ev.Event]:
        with stage.production(clock).open() as at:
            return list(read_journal(at.store.runs.events(applied.run)))

    events = run_virtual(journal, start=stage.now)
    assert events == stage.events
    assert summary_of(events) == applied.summary


def test_limits_are_told_at_the_start_and_again_when_they_changed(tmp_path: Path) -> None:
    events = made("quota-waited-for", tmp_path).events
    assert [event.type for event in events[:3]] == ["run-started", "limits-read", "expanded"]
    told = [event for event in events if isinstance(event, ev.LimitsRead)]
    assert told[0].balance == 100_000
    assert told[0].models == (ev.ModelLimit("gen4_image", 2, 200, 200), ev.ModelLimit("gen4_turbo", 1, 50, 50))


def test_a_long_run_tells_only_what_is_new_of_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.stage.TINY", TINY.replace("default: 20", "default: 310"))
    stage = Stage(tmp_path, STILLS.replace("COUNT", "2"), scenario="tier: 1\n")
    stage.apply()
    told = [event for event in stage.events if isinstance(event, ev.LimitsRead)]
    assert 2 <= len(told) <= 4
    assert all(one.models != other.models or one.balance != other.balance for one, other in pairwise(told))
    assert told[0].balance > told[-1].balance
    left = [limit.daily_left or 0 for each in told for limit in each.models]
    assert left == sorted(left, reverse=True)


def test_slots_that_others_hold_are_told_beside_the_wait(tmp_path: Path) -> None:
    queued = [event for event in made("two-at-once", tmp_path).events if isinstance(event, ev.Queued)]
    assert {event.elsewhere for event in queued} & {1, 2}
    alone = [event for event in made("fan-out", tmp_path).events if isinstance(event, ev.Queued)]
    assert {event.elsewhere for event in alone} == {0}


def test_an_older_line_has_the_defaults() -> None:
    old = {"type": "queued", "at": 1.5, "unit": "a#1", "limit": "daily", "until": None}
    assert ev.from_json(old) == ev.Queued(1.5, "a#1", "daily", None)


GOOD = '{"type": "woke", "at": 1.0, "unit": null, "model": "m"}'


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        ('{"type": "woke", "at": 1.0, "unit": null, "mod', "not JSON"),
        ("[1]", "an event is a JSON object"),
        ('{"at": 1.0}', "no event has the type None"),
        ('{"type": "lunch", "at": 1.0}', "no event has the type 'lunch'"),
        ('{"type": ["woke"], "at": 1.0}', "no event has the type"),
        ('{"type": "woke", "unit": null, "model": "m"}', "a damaged woke event: at"),
        ('{"type": "woke", "at": "1.0", "unit": null, "model": "m"}', "a damaged woke event: at"),
        ('{"type": "woke", "at": NaN, "unit": null, "model": "m"}', "NaN is no number"),
        ('{"type": "woke", "at": 1.0, "unit": null, "model": "m", "more": 1}', "a damaged woke event: more"),
        (
            '{"type": "settled", "at": 1.0, "address": "a", "state": "asleep", "take": 1}',
            "a damaged settled event: state",
        ),
        ('{"type": "limits-read", "at": 1.0, "balance": 1, "models": [{"model": "m"}]}', "models.0.concurrency"),
        (
            '{"type": "left", "at": 1.0, "unit": "a#1", "task": null, "after": {"of": [1]}}',
            "a damaged left event: after",
        ),
        ('{"type": "interrupted", "at": 1.0, "times": true}', "a damaged interrupted event: times"),
    ],
)
def test_a_damaged_line_is_named(damaged: str, says: str) -> None:
    events = read_events([GOOD, "\n", damaged])
    assert next(events) == ev.Woke(1.0, None, "m")
    with pytest.raises(ValueError, match=r"^line 3: ") as refused:
        list(events)
    assert says in str(refused.value)


def test_a_damaged_entry_of_a_journal_is_named() -> None:
    with pytest.raises(ValueError, match=r"^entry 2: no event has the type 'x'"):
        list(read_journal([json.loads(GOOD), {"type": "x"}]))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3), st.lists, max_leaves=3))
def test_whatever_stands_in_a_field_it_is_read_as_it_was_or_refused(value: object) -> None:
    written = {"type": "queued", "at": 1.0, "unit": "a#1", "limit": "daily", "until": value, "elsewhere": None}
    try:
        event = ev.from_json(written)
    except ValueError:
        return
    assert ev.to_json(event) == written
