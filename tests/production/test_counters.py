"""What the organization's counters say of a request that was never answered: always shown, and acted on only where the user
trusts them, nobody else used the model, and two readings a minute apart agree."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flowrun.engine import events as ev
from flowrun.ledger.evidence import Finding, Reading, after_of, before_of, counter_words, weigh, with_readings
from flowrun.ledger.location import ledger_path
from flowrun.ledger.protocol import IntentRow
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.production.exits import Exit
from tests.support.stage import Stage

ONE = """
    flowrun: 1
    name: one
    nodes:
      a:
        uses: text_to_image
        with: {model: gen4_image, promptText: "alpha", ratio: "1280:720"}
"""
TWO = f"""{ONE}
      b:
        uses: text_to_image
        with: {{model: gen4_image, promptText: "beta", ratio: "1280:720"}}
"""
BEFORE = "faults: [{on: text_to_image, match: {nth: 1}, do: {lost: before}}]\n"
AFTER = "faults: [{on: text_to_image, match: {nth: 1}, do: {lost: after}}]\n"


def trusting(stage: Stage) -> Stage:
    (stage.root / "flowrun.toml").write_text('[provider]\nuncertain = "trust-counters"\n')
    return stage


def ledger_of(stage: Stage) -> SqliteLedger:
    return SqliteLedger(ledger_path(stage.root / ".flowrun" / "sandbox", "in-process"), lambda: stage.now)


def uncertain(stage: Stage) -> tuple[IntentRow, ...]:
    with closing(ledger_of(stage)) as ledger:
        return ledger.uncertain()


@pytest.mark.parametrize(
    ("scenario", "counted", "words"),
    [(BEFORE, 0, "nothing seems to have been accepted"), (AFTER, 1, "it seems to have been accepted")],
)
def test_the_counters_are_shown_and_settle_nothing(tmp_path: Path, scenario: str, counted: int, words: str) -> None:
    stage = Stage(tmp_path, ONE, scenario=scenario)
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.UNKNOWN, counted)
    [trouble] = done.summary.troubles.values()
    assert words in trouble.message
    [row] = uncertain(stage)
    before = before_of(row.evidence)
    assert before is not None
    assert (before.counted, before.known, [each.counted for each in after_of(row.evidence)]) == (0, 0, [counted])
    again = stage.apply()
    assert (again.exit, stage.submissions) == (Exit.UNKNOWN, counted)
    assert words in next(iter(again.summary.troubles.values())).message
    assert not [event for event in stage.events if isinstance(event, ev.Weighing)]


def test_trusted_counters_that_show_nothing_send_it_again(tmp_path: Path) -> None:
    stage = trusting(Stage(tmp_path, ONE, scenario=BEFORE))
    began = stage.now
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 1)
    assert [type(event).__name__ for event in stage.events].count("Weighing") == 1
    assert stage.now - began > 60.0 + 20.0
    with closing(ledger_of(stage)) as ledger:
        [(given_up, _), (accepted, _)] = ledger.requests(0.0, 1e12)
    assert given_up.evidence["decision"] == "counted out"
    assert (accepted.outcome.value, uncertain(stage)) == ("accepted", ())


def test_trusted_counters_that_show_one_more_stop_it(tmp_path: Path) -> None:
    stage = trusting(Stage(tmp_path, ONE, scenario=AFTER))
    for _ in range(2):
        done = stage.apply()
        assert (done.exit, stage.submissions) == (Exit.UNKNOWN, 1)


def test_they_are_not_trusted_where_somebody_else_used_the_model(tmp_path: Path) -> None:
    stage = trusting(Stage(tmp_path, ONE, scenario=BEFORE.replace("nth: 1", "nth: 2")))
    assert stage.apply().exit is Exit.DONE
    for folder in ("ledgers", "journals"):  # as on another machine: the generation is nobody's here
        shutil.rmtree(tmp_path / ".flowrun" / "sandbox" / folder)
    stage.edit("alpha", "omega")
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.UNKNOWN, 1)
    assert "says nothing certain" in next(iter(done.summary.troubles.values())).message


def test_of_two_requests_without_an_answer_neither_is_settled(tmp_path: Path) -> None:
    both = BEFORE[:-2] + ", {on: text_to_image, match: {nth: 2}, do: {lost: before}}]\n"
    stage = trusting(Stage(tmp_path, TWO, scenario=both))
    done = stage.apply()
    assert (done.exit, stage.submissions, len(uncertain(stage))) == (Exit.UNKNOWN, 0, 2)


def test_another_generation_that_is_answered_meanwhile_disturbs_nothing(tmp_path: Path) -> None:
    stage = trusting(Stage(tmp_path, TWO, scenario=BEFORE))
    assert stage.apply().exit is Exit.DONE
    assert sorted(each["prompt"] for each in stage.sandbox["submissions"]) == ["alpha", "beta"]


def test_what_an_earlier_run_left_is_weighed_before_the_plan(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ONE, scenario=BEFORE)
    assert stage.apply().exit is Exit.UNKNOWN
    stage.events.clear()
    done = trusting(stage).apply()
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.DONE, 1, 1)
    assert [event.type for event in stage.events[:2]] == ["weighing", "run-started"]


CHAIN = f"""{ONE}
      film:
        uses: image_to_video
        with: {{model: gen4_turbo, promptImage: "{{{{ nodes.a.output }}}}", ratio: "1280:720", duration: 5}}
"""


@pytest.mark.parametrize("sent", [0, 2])
def test_a_plan_foretells_what_an_apply_may_send_beyond_it(tmp_path: Path, sent: int) -> None:
    """Since an apply weighs before it plans, and a plan asks nobody."""
    stage = Stage(tmp_path, CHAIN, scenario=AFTER if sent == 0 else BEFORE)
    assert stage.apply().exit is Exit.UNKNOWN
    assert not stage.plan().warnings
    before = stage.submissions
    plan = trusting(stage).plan()
    (warning,) = plan.warnings
    assert (warning.code, plan.most_submissions) == ("counters-decide", 0)
    assert "up to 2 more generations may be sent, for up to 30 more credits" in warning.message
    done = stage.apply()
    assert (done.summary.submitted, stage.submissions - before) == (sent, sent)


def test_a_plan_foretells_only_what_an_apply_may_settle(tmp_path: Path) -> None:
    stage = trusting(Stage(tmp_path, TWO, scenario=AFTER))
    assert stage.apply().exit is Exit.UNKNOWN
    assert len(stage.plan().warnings) == 1
    assert not stage.plan(select=("b",)).warnings, "nothing of it would be sent"
    settings = stage.root / "flowrun.toml"
    settings.write_text(f'{settings.read_text()}[lint]\nignore = ["counters-decide"]\n')
    assert not stage.plan().warnings
    trusting(stage)
    stage.now += 24 * 3600.0
    assert not stage.plan().warnings, "it has left the day, accepted or not"


def test_what_was_left_a_day_ago_is_not_weighed(tmp_path: Path) -> None:
    """Accepted or not, it counts no more."""
    stage = Stage(tmp_path, ONE, scenario=AFTER)
    assert stage.apply().exit is Exit.UNKNOWN
    stage.now += 25 * 3600.0
    done = trusting(stage).apply()
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.UNKNOWN, 0, 1)


def test_what_an_earlier_run_left_stays_where_it_was_accepted(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ONE, scenario=AFTER)
    assert stage.apply().exit is Exit.UNKNOWN
    done = trusting(stage).apply()
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.UNKNOWN, 0, 1)


def test_a_stop_ends_the_waiting_and_settles_nothing(tmp_path: Path) -> None:
    stage = trusting(Stage(tmp_path, ONE, scenario=BEFORE))

    def stop(interrupt: Any, event: ev.Event) -> None:
        if isinstance(event, ev.Weighing):
            interrupt(130)

    stage.on_event = stop
    began = stage.now
    assert stage.apply().exit is Exit.INTERRUPTED
    assert stage.now - began < 30.0
    assert (len(uncertain(stage)), stage.submissions) == (1, 0)


def test_a_second_stop_while_the_counters_are_read_tells_of_the_doubt(tmp_path: Path) -> None:
    stage = trusting(Stage(tmp_path, ONE, scenario=BEFORE))

    def stop(interrupt: Any, event: ev.Event) -> None:
        if isinstance(event, ev.Weighing):
            interrupt(130)
            interrupt(130)

    stage.on_event = stop
    done = stage.apply()
    assert [each.verdict for each in done.summary.troubles.values()] == ["doubt"]
    assert (Exit.UNKNOWN in done.exits, len(uncertain(stage)), stage.submissions) == (True, 1, 0)


def test_without_the_apis_word_there_is_no_evidence(tmp_path: Path) -> None:
    silent = BEFORE[:-2] + ", {on: organization, match: {nth: 2}, do: {status: 503, times: 99}}]\n"
    stage = trusting(Stage(tmp_path, ONE, scenario=silent))
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.UNKNOWN, 0)
    assert "The API's count" not in next(iter(done.summary.troubles.values())).message


# -- what readings say

QUIET = Reading(0.0, 3, 3, 0)


def later(seconds: float, excess: int, *, unanswered: int = 1, clean: bool = True, known: int = 3) -> Reading:
    return Reading(100.0 + seconds, known + excess, known, unanswered, clean)


@pytest.mark.parametrize(
    ("before", "first", "second", "finding"),
    [
        (QUIET, later(0, 0), later(60, 0), Finding.NOT_ACCEPTED),
        (QUIET, later(0, 0), later(60, 0, known=4), Finding.NOT_ACCEPTED),
        (QUIET, later(0, 1), later(60, 1), Finding.ACCEPTED),
        (None, later(0, 0), later(60, 0), Finding.OPEN),
        (QUIET, later(0, 0), later(59, 0), Finding.OPEN),
        (QUIET, later(0, 0), later(60, 1), Finding.OPEN),
        (QUIET, later(0, 2), later(60, 2), Finding.OPEN),
        (QUIET, later(0, -1), later(60, -1), Finding.OPEN),
        (QUIET, later(0, 0, unanswered=2), later(60, 0), Finding.OPEN),
        (QUIET, later(0, 0), later(60, 0, clean=False), Finding.OPEN),
        (Reading(0.0, 4, 3, 0), later(0, 0), later(60, 0), Finding.OPEN),
        (Reading(0.0, 3, 3, 1), later(0, 0), later(60, 0), Finding.OPEN),
        (Reading(0.0, 3, 3, 0, clean=False), later(0, 0), later(60, 0), Finding.OPEN),
    ],
)
def test_weighing(before: Reading | None, first: Reading, second: Reading, finding: Finding) -> None:
    assert weigh(before, 50.0, first, second) is finding


def test_a_request_that_may_have_left_the_day_is_not_weighed() -> None:
    old = 160.0 - 24 * 3600.0
    assert weigh(QUIET, old + 301.0, later(0, 0), later(60, 0)) is Finding.NOT_ACCEPTED
    assert weigh(QUIET, old + 299.0, later(0, 0), later(60, 0)) is Finding.OPEN


def test_readings_are_kept_the_first_and_the_last() -> None:
    evidence: dict[str, Any] = {}
    for seconds in (0, 60, 120):
        evidence |= with_readings(evidence, [later(seconds, 0)])
    assert [each.at for each in after_of(evidence)] == [100.0, 220.0]
    assert counter_words({}, "m") == ""
    assert "unknown to us" not in counter_words(evidence, "m")


def test_evidence_of_another_version_is_none() -> None:
    assert before_of({"before": {"at": 1.0, "else": 2}}) is None
    assert after_of({"after": [{"at": 1.0}]}) == ()
