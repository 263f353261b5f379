"""What a run came to: golden texts fed through the real fold, and the ways on for everything that can go wrong."""

from __future__ import annotations

import re

import pytest

from flowrun.engine import events as ev
from flowrun.engine.failure import Verdict
from flowrun.engine.states import NodeState as S
from flowrun.engine.summary import Summary
from flowrun.ui.summary_text import summary_text
from tests.ui.ui_values import AT, KEY, golden

TASK = "5f0c9f3e-3a53-4a2f-8b36-0d6f3b1c2d4e"
DOUBT = "A request sent at 2026-11-22 03:05:25 UTC was never answered: it may have been accepted, for up to 25 credits."


def folded(*events: ev.Event) -> Summary:
    summary = Summary()
    for event in events:
        summary.take_in(event)
    return summary


def shown(summary: Summary, exit_code: int = 0, **more: object) -> str:
    given = {"file": "story.yaml", "elapsed": 243.0, "colour": False, "width": 80, **more}
    return summary_text(summary, exit_code=exit_code, **given)


def made(address: str, credits: int | None = 25) -> list[ev.Event]:
    unit = f"{address}#1"
    return [
        ev.Submitted(AT, unit, TASK, credits),
        ev.Stored(AT, unit, TASK, "r", (), credits),
        ev.Settled(AT, address, S.SUCCEEDED, 1),
    ]


def failed(address: str, verdict: Verdict, state: S | None, **fields: object) -> list[ev.Event]:
    given = {"code": "SOME.CODE", "message": "It went wrong.", **fields}
    return [
        ev.AttemptFailed(AT, f"{address}#1", verdict.value, **given),
        *([ev.Settled(AT, address, state)] if state else []),
    ]


def everything() -> Summary:
    refused = {"code": "SAFETY.INPUT.TEXT", "message": "Moderation refused the prompt.", "hint": "Change the prompt."}
    return folded(
        *made("hero"),
        *[ev.Settled(AT, f"old{number}", S.REUSED, 1) for number in range(12)],
        *failed("shot[b]", Verdict.DOUBT, S.UNCERTAIN, code="answer-lost", message=DOUBT),
        *failed("shot[c]", Verdict.REJECT, S.REJECTED, task=TASK, charged=25, **refused),
        *failed("shot[d]", Verdict.REJECT, S.REJECTED, task=TASK, charged=25, **refused),
        *failed("shot[e]", Verdict.FAIL, S.FAILED, task=TASK, hint="Apply again to generate it anew."),
        ev.Decided(AT, "was", "rejected", "previously-failed", detail="SAFETY: refused before"),
        ev.Settled(AT, "was", S.REJECTED),
        ev.Settled(AT, "cut", S.BLOCKED),
        ev.Settled(AT, "line", S.SKIPPED),
        ev.LimitsRead(AT, 90, (ev.ModelLimit("gen4_turbo", 2, 0, 50),)),
        ev.Decided(AT, "late", "run", "new", tuple(ev.UnitSpec(take, "run", "veo3.1", 32) for take in (1, 2))),
        ev.Decided(AT, "many", "run", "new", (ev.UnitSpec(1, "run", "gen4_turbo", 25),)),
        ev.OverCap(AT, "late#1", "run-cap", 20, 32),
        ev.OverCap(AT, "late#2", "run-cap", 20, 32),
        ev.OverCap(AT, "dear#1", "unknown-price", None),
        ev.Queued(AT, "many#1", "daily", AT + 11_520.0),
        ev.CapsTold(AT, (ev.CapLeft("run-cap", 50, 5), ev.CapLeft("balance", 90, 45))),
        ev.Recovered(AT, "gone", TASK, "collected", "r"),
        ev.Recovered(AT, "lost", TASK, "failed", "the API no longer knows it"),
        ev.Recovered(AT, "kept", TASK, "left", "No space left on device"),
        ev.Exported(AT, "still", "/p/out/fox/still.png", "written"),
        ev.Exported(AT, "still", "/p/out/fox/again.png", "replaced"),
        ev.Exported(AT, "still", "/p/out/fox/mine.png", "kept"),
        ev.Exported(AT, "shots", "/p/out/fox/shots/gone.mp4", "orphan"),
        ev.Exported(AT, "still", "/p/out/fox/same.png", "unchanged"),
        ev.Exported(AT, "words", "", "skipped"),
        ev.Exported(AT, "shots", "", "missing"),
    )


def test_a_run_in_which_everything_happened() -> None:
    golden("summary_everything", shown(everything(), 6, cap=50))


def test_a_run_in_which_all_went_well() -> None:
    summary = folded(*made("hero"), *made("shot[a]"), ev.Exported(AT, "still", "/p/out/fox/still.png", "written"))
    golden("summary_done", shown(summary))


def test_an_interrupted_run() -> None:
    events = [
        ev.Expanded(AT, tuple(ev.Item(name, (), 1.0, 0) for name in ("a", "b", "c"))),
        *made("a"),
        ev.Interrupted(AT),
        ev.Left(AT, "b#1", TASK),
        *failed("c", Verdict.RESEND, None, charged=0, message="The API is overloaded."),
    ]
    golden("summary_interrupted", shown(folded(*events), 130))
    assert "1 made, 1 left at the API, 1 not reached." in shown(folded(*events), 130)


def test_several_tasks_that_go_on_are_counted() -> None:
    events = [ev.Interrupted(AT), *[ev.Left(AT, f"n{number}#1", TASK) for number in range(3)]]
    words = "Interrupted: 3 tasks go on at the API (n0, n1, n2); apply again takes them up, nothing is paid twice."
    assert words in shown(folded(*events), 130, width=120)
    assert "nothing is in flight" in shown(folded(ev.Interrupted(AT)), 143, width=100)


def stopped_run(*events: ev.Event) -> list[ev.Event]:
    begun = ev.RunStarted(AT, "20261122-030525-ab12cd", "fox", "", "sandbox", None)
    nodes = ev.Expanded(AT, tuple(ev.Item(name, (), 1.0, 0) for name in ("a", "b", "c", "d")))
    left = [ev.Left(AT, f"{name}#1", f"task-{name}") for name in ("a", "b", "c")]
    return [begun, nodes, ev.Interrupted(AT), *left, *events]


def test_the_two_ways_on_are_named_after_an_interrupt() -> None:
    flags = ("--profile", "x", "--scenario", "my scenario.yaml")
    text = summary_text(
        folded(*stopped_run()), file="s.yaml", exit_code=130, elapsed=1.0, colour=False, width=100, flags=flags
    )
    assert "    go on:           flowrun apply s.yaml --profile x --scenario 'my scenario.yaml'\n" in text
    assert text.endswith("    or cancel them:  flowrun cancel 20261122-030525-ab12cd --scenario 'my scenario.yaml'")


def test_what_an_interrupt_cancelled_collected_or_left_is_told() -> None:
    became = [
        ev.Withdrawn(AT, "a#1", "task-a", "cancelled"),
        ev.Withdrawn(AT, "b#1", "task-b", "collected", "", 25),
        ev.Withdrawn(AT, "c#1", "task-c", "left", "the API goes on with it"),
    ]
    summary = folded(*stopped_run(*became))
    golden("summary_withdrawn", shown(summary, 130))
    assert summary.left == {"c#1": "task-c"}
    assert "1 cancelled, 1 collected, 1 left at the API, 1 not reached." in shown(summary, 130)


def test_a_cost_that_the_api_tells_of_a_cancelled_task_replaces_the_estimate() -> None:
    sent = [ev.Submitted(AT, "a#1", "task-a", 25), ev.Submitted(AT, "b#1", "task-b", 25)]
    told = ev.Withdrawn(AT, "a#1", "task-a", "cancelled", "", 3)
    untold = ev.Withdrawn(AT, "b#1", "task-b", "cancelled")
    assert folded(*stopped_run(*sent, told, untold)).credits == 28


def test_the_surroundings_and_used_up_credits() -> None:
    events = [
        *failed(
            "a", Verdict.STOP, S.FAILED, code="disk-full", message="The disk is full.", hint="Free some.", task=TASK
        ),
        *failed("b", Verdict.PAUSE_RUN, None, message="The credits are used up.", hint="Buy some.", charged=0),
    ]
    text = shown(folded(*events), 7)
    assert text.startswith("Stopped after 4 min by the surroundings; nothing is lost, apply again (exit 7).\n")
    assert "Stopped the run (2)\n  a: The disk is full. [disk-full]\n    Free some.\n" in text
    assert "b: The credits are used up. [SOME.CODE] It cost nothing." in text
    assert "flowrun apply story.yaml\n" in text + "\n"


@pytest.mark.parametrize("state", [S.FAILED, S.REJECTED])
def test_retries_that_are_used_up_end_as_the_node_did(state: S) -> None:
    text = shown(folded(*failed("a", Verdict.RETRY, state)), 1)
    assert ("Failed (1)" in text) is (state is S.FAILED)
    assert ("Rejected: not sent again unasked (1)" in text) is (state is S.REJECTED)


def test_a_day_that_is_used_up_is_no_failure() -> None:
    text = shown(folded(*failed("a", Verdict.PAUSE_MODEL, None)), 3, width=200)
    assert "Failed" not in text
    assert "The day's generations are used; the next is free within 24 hours at the latest; 1 node waits: a." in text
    assert "flowrun apply story.yaml --on-quota wait" in text


def test_a_slot_that_never_came_is_no_quota() -> None:
    assert "quota" not in shown(folded(ev.Queued(AT, "a#1", "concurrency", None)), 130)


@pytest.mark.parametrize(
    ("credits", "provider", "words"),
    [
        (25, "runway", "Spent 25 credits ($0.25)."),
        (None, "runway", "Spent 1 generation of unknown price."),
        (25, "sandbox", "25 credits of the sandbox's; nothing was paid."),
        (0, "runway", "Nothing was paid."),
    ],
)
def test_what_was_spent(credits: int | None, provider: str, words: str) -> None:
    assert words in shown(folded(*made("a", credits)), provider=provider)


def test_many_files_are_not_all_listed() -> None:
    exports = [ev.Exported(AT, "s", f"/p/{number}.mp4", "written") for number in range(20)]
    text = shown(folded(*exports, ev.Exported(AT, "s", "/p/bad.mp4", "damaged")))
    assert text.count("  written") == 12
    assert "… 8 more" in text
    assert "make it anew:" in text


def test_commands_are_quoted_and_keep_their_flags() -> None:
    summary = folded(*failed("shot[b]", Verdict.DOUBT, S.UNCERTAIN))
    text = shown(summary, 6, file="my story.yaml", flags=("--profile", "draft"))
    assert "flowrun apply 'my story.yaml' --profile draft --resend 'shot[b]'" in text
    assert "flowrun forget 'my story.yaml' --profile draft 'shot[b]'" in text


def test_an_empty_run_and_an_unknown_exit() -> None:
    assert shown(Summary(), 70) == "Ended after 4 min (exit 70).\nNo nodes. Nothing was paid."


def test_colour_adds_nothing_but_colour() -> None:
    plain = shown(everything(), 6)
    coloured = shown(everything(), 6, colour=True)
    assert coloured != plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_nothing_harmful_and_no_secret_gets_through() -> None:
    evil = f"\x1b[2J\r\n{KEY}\u202e"
    events = [
        *failed(evil, Verdict.FAIL, S.FAILED, message=evil, hint=evil, code=evil),
        *failed(f"{evil}2", Verdict.DOUBT, S.UNCERTAIN, message=evil),
        ev.OverCap(AT, f"{evil}#1", "run-cap", 0),
        ev.Exported(AT, evil, evil, "written"),
        ev.Exported(AT, evil, evil, "missing"),
    ]
    text = shown(folded(*events), 1, file=evil)
    assert KEY[:60] not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
