"""Simulated productions under crashes, faults, limits and budgets keep every promise; and the simulation would see it if one did
not. 300 here, 2,000 in a step of their own; `python -m tests.simulation` goes on from there."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from flowrun.media.probe import NotMediaError, probe_bytes
from flowrun.sandbox.faults import Effects
from flowrun.sandbox.messages import Response
from flowrun.sandbox.scenario import Deed
from tests.simulation.bugs import BUGS
from tests.simulation.injecting import has_happened
from tests.simulation.making import case_of
from tests.simulation.media import quick_media
from tests.simulation.model import EACH, Case, Edit, Node, Ref, Round, Visit, edited, mended
from tests.simulation.oracle import evaluate
from tests.simulation.rules import RULES
from tests.simulation.seeds import DESTROYED, PLANNED, run
from tests.simulation.shrinking import shrunk, with_names
from tests.simulation.telling import table, told
from tests.simulation.visits import Report, simulate

pytestmark = pytest.mark.usefixtures("unmeasured")  # what chance has reached is no proof that a test looks at it

SHAPES = {"image": ([1280, 720], None), "video": ([1280, 720], 5.0), "audio": (None, 1.0)}
USUAL, ALL, BATCH = 300, 2000, 10  # seeds in this suite; those of the step of its own; in one test


def _keeps_every_promise(first: int) -> None:
    for seed in range(first, first + BATCH):
        report = run(case_of(seed))
        assert report.violation is None, f"{told(report)}\n\npython -m tests.simulation --seed {seed} makes it small"


@pytest.mark.parametrize("first", range(0, USUAL, BATCH))
def test_every_promise_is_kept(first: int) -> None:
    _keeps_every_promise(first)


def _keeps_them_though_it_is_destroyed(first: int) -> None:
    for seed in range(first, first + BATCH):
        report = run(case_of(seed), DESTROYED)
        again = f"python -m tests.simulation --seed {seed} --destroy makes it small"
        assert report.violation is None, f"{told(report)}\n\n{again}"


def test_every_promise_is_kept_though_the_ledger_is_destroyed() -> None:
    _keeps_them_though_it_is_destroyed(0)


def _shows_all_before(first: int) -> None:
    reports = [run(case_of(seed), PLANNED) for seed in range(first, first + BATCH)]
    assert sum(report.tally["plan before an apply"] for report in reports) > BATCH
    assert [told(report) for report in reports if report.violation] == []


def test_a_plan_right_before_an_apply_shows_all_that_it_sends() -> None:
    _shows_all_before(0)


@pytest.mark.long
@pytest.mark.parametrize("first", range(BATCH, USUAL // 3, BATCH))
def test_plans_right_before_more_applies_show_all_that_they_send(first: int) -> None:
    _shows_all_before(first)


@pytest.mark.long
@pytest.mark.parametrize("first", range(BATCH, USUAL // 3, BATCH))
def test_every_promise_is_kept_though_the_ledger_is_destroyed_by_more(first: int) -> None:
    _keeps_them_though_it_is_destroyed(first)


def _caught(name: str) -> Report:
    reports = (run(case_of(seed), name) for seed in range(ALL))
    return next(report for report in reports if report.violation is not None)


BREAKS = {
    "resend-on-timeout": {"paid-twice"},
    "lease-freed-on-owner-death": {"over-limit"},
    "commit-before-blob": {"half-committed", "paid-twice"},
    "budget-checked-after-submit": {"over-cap"},
    "download-skipped-on-stop": {"lost", "paid-twice"},
}


@pytest.mark.long
@pytest.mark.parametrize(("name", "kinds"), BREAKS.items())
def test_a_deliberate_mistake_is_caught(name: str, kinds: set[str], record_property: Callable[..., None]) -> None:
    report = _caught(name)
    record_property("seeds", report.case.seed + 1)
    assert report.violation is not None
    assert report.violation.kind in kinds


@pytest.mark.parametrize("name", RULES)
def test_a_rule_that_is_taken_away_is_missed(name: str) -> None:
    """In the very code that keeps it, and in a case where it matters; with the rule in its place the case is sound."""
    rule = RULES[name]
    sound = simulate(rule.case)
    assert sound.violation is None, told(sound)
    broken = simulate(rule.case, rule.away())
    assert broken.violation is not None
    assert broken.violation.kind in rule.kinds


@pytest.mark.long
def test_a_case_is_made_small() -> None:
    report = _caught("commit-before-blob")

    def breaks(case: Case) -> bool:
        violation = run(case, "commit-before-blob").violation
        return violation is not None and violation.kind == "half-committed"

    small = shrunk(with_names(report.case, report.deaths), breaks)
    assert (len(small.nodes), len(small.rounds)) == (1, 1)
    assert small.rounds[0].faults == ()
    [visit] = small.rounds[0].visits
    assert visit.death in {("before store.land blobs", 1), ("after store.land results", 1)}
    assert visit == Visit(death=visit.death)
    assert "half-committed" in told(run(small, "commit-before-blob"))


def test_each_deliberate_mistake_is_tried() -> None:
    assert set(BREAKS) == set(BUGS)


def test_a_seed_tells_everything() -> None:
    """Whatever a process's own randomness is, as that of hashes."""
    script = (
        "import hashlib; from tests.simulation.seeds import run; from tests.simulation.making import case_of\n"
        "traces = [line for seed in (26, 45, 64) for line in run(case_of(seed)).trace]\n"
        "print(len(traces), hashlib.sha256('\\n'.join(traces).encode()).hexdigest())"
    )
    environs = [{**os.environ, "PYTHONHASHSEED": str(number)} for number in (1, 2)]
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=each)
        for each in environs
    ]
    said = [each.communicate(timeout=120)[0] for each in started]
    assert said[0] == said[1]
    assert int(said[0].split()[0]) > 100


def test_a_quiet_case_does_what_one_expects() -> None:
    nodes = mended((Node("a", "still", "fox"), Node("b", "shot", "runs", refs=(Ref("a"),), takes=2)))
    report = run(Case(0, nodes, rounds=(Round(),)))
    assert report.violation is None
    assert report.tally["submission"] == 3
    assert (report.tally["death"], report.tally["interrupt"]) == (0, 0)
    assert "submission" in table(report.tally, 0)


def test_a_death_is_taken_up_without_paying_again() -> None:
    visit = Visit(death=("after ledger.submitted", 1))
    report = run(Case(0, (Node("a", "still", "fox"),), rounds=(Round(visits=(visit,)),)))
    assert report.violation is None
    assert (report.tally["submission"], report.tally["death"]) == (1, 1)
    assert report.deaths[0] == ("after ledger.submitted", 1)


def test_each_freeze_counts_once() -> None:
    visit = Visit(freeze=(("after ledger.submitted", 1), 20.0))
    report = run(Case(0, (Node("a", "still", "fox"),), rounds=(Round(visits=(visit,)),)))
    assert report.violation is None
    assert report.tally["freeze"] == 1
    assert sum("stands still" in line for line in report.trace) == 1


def _at(place: str, nth: int, **deed: Any) -> dict[str, Any]:
    return {"on": place, "match": {"nth": nth}, "do": deed}


def test_only_faults_that_a_request_met_count_as_injected() -> None:
    faults = (_at("generations", 1, status=503), _at("generations", 2, fail="INTERNAL"), _at("tasks", 900, delay=30.0))
    report = run(Case(0, (Node("a", "still", "fox"),), rounds=(Round(faults=faults),)))
    assert report.violation is None
    assert report.tally["scripted fault"] == 3
    injected = {name: number for name, number in report.tally.items() if name.startswith("injected")}
    assert injected == {"injected status at generations": 1, "injected fail at generations": 1}
    assert "1  injected fail at generations" in table(report.tally, 0)


@pytest.mark.parametrize(
    ("deeds", "happened", "response"),
    [
        ([{"fail": "INTERNAL"}, {"status": 503}], [False, True], Response(503)),
        ([{"fail": "INTERNAL"}, {"cancelled": True}], [True, False], Response(200)),
        ([{"fail": "INTERNAL"}, {"lost": "after"}], [True, True], Response(200, lost=True)),
        ([{"fail": "INTERNAL"}], [False], Response(400)),  # of too few credits, say: there was no task
        ([{"status": 503}, {"lost": "after"}, {"lost": "before"}], [False, False, True], Response(0, lost=True)),
        ([{"delay": 1.0}, {"delay": 2.0}, {"tier": 2}, {"lost": "before"}], [True] * 4, Response(0, lost=True)),
        ([{"cut": 10}, {"lost": "after"}], [False, True], Response(200, cut=10, lost=True)),
        ([{"cut": 10}, {"wrong_content": "html"}], [False, True], Response(200)),
        ([{"cut": 10}, {"cut": 20}], [True, False], Response(200, cut=10)),
    ],
)
def test_of_faults_that_meet_those_count_that_had_an_effect(
    deeds: list[dict[str, Any]], happened: list[bool], response: Response
) -> None:
    met = Effects(tuple(Deed.model_validate(each) for each in deeds))
    assert [has_happened(each, met, response) for each in met.deeds] == happened


def test_the_oracle() -> None:
    nodes = mended(
        (
            Node("a", "still", "fox", rows=(("k1", "red"), ("k2", "blue"))),
            Node("b", "turbo", "runs", refs=(Ref("a", EACH),), rows=(("k2", "far"),)),
            Node("c", "sound", "wind", gather="a", takes=2),
            Node("d", "still", "none", when=False),
            Node("e", "flash", "below", refs=(Ref("d"),)),
        )
    )
    found = evaluate(nodes)
    assert set(found) == {"a[k1]", "a[k2]", "b[k2]", "c", "d", "e"}
    assert found["d"] is None
    assert found["e"] is None
    assert found["b[k2]"] is not None
    assert (found["b[k2]"].prompt, found["b[k2]"].images) == ("far runs", ("a[k2]",))
    assert found["c"] is not None
    assert (found["c"].prompt, found["c"].takes) == ("wind 2 of them", 2)


def test_edits_leave_nodes_that_hold_together() -> None:
    nodes = (Node("a", "still", "fox"), Node("b", "shot", "runs", refs=(Ref("a"),)))
    [left] = edited(nodes, [Edit("drop", 0, 0)])
    assert (left.name, left.kind, left.refs) == ("b", "film", ())
    renamed = edited(nodes, [Edit("rename", 0, 1)])
    assert renamed[1].refs == (Ref(renamed[0].name),)
    assert renamed[0].name != "a"


def _recipe(kind: str, media_type: str, prompt: str) -> str:
    size, seconds = SHAPES[kind]
    document = {"format": 2, "kind": kind, "type": media_type, "size": size, "seconds": seconds, "count": 1}
    said = {"operation": "sound_effect", "model": "some", "prompt": prompt, "voice": "", "seed": None}
    return json.dumps({**document, **said, "audio": False, "variation": 0, "tiny": True, "sources": []})


@pytest.mark.parametrize(
    ("kind", "media_type"), [("image", "image/png"), ("video", "video/mp4"), ("audio", "audio/mpeg")]
)
def test_quick_media_decode_and_differ(kind: str, media_type: str) -> None:
    made = [quick_media(_recipe(kind, media_type, prompt)) for prompt in ("fox", "owl", "fox")]
    assert made[0] == made[2] != made[1]
    assert probe_bytes(made[0]).media_type == media_type
    assert len({hashlib.sha256(each).digest() for each in made}) == 2
    with pytest.raises(NotMediaError):
        probe_bytes(made[0][: len(made[0]) // 2])
