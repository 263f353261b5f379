"""Tables of runs, steps, limits and open tasks: what they say, and that they fit eighty columns."""

from __future__ import annotations

import re

from flowrun.diagnostics.visible import width
from flowrun.digest import Digest
from flowrun.ids import ActionKey, RecipeKey, ResultId, RunId, TaskId
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.runway.values import ModelLimits, Organization
from flowrun.store.protocol import Result, RunRow, StepRow, StoredFile
from flowrun.ui.org_text import org_text
from flowrun.ui.recipe_text import recipe_text
from flowrun.ui.runs_markdown import status_markdown
from flowrun.ui.runs_text import run_text, runs_text, status_text
from tests.ui.ui_values import AT, KEY, golden, intent, task_row

KEY_OF = ActionKey("e" * 64)


def row(number: int = 0, **fields: object) -> RunRow:
    known = {"ended_at": AT + 300, "exit": 0, "submitted": 3, "credits": 75}
    return RunRow(RunId(f"20261122-03052{number}-ab12cd"), "runway", "fox", "", "story.yaml", AT, **{**known, **fields})


def steps() -> list[StepRow]:
    return [
        StepRow("hero", "succeeded", "run", "new", credits=25),
        StepRow("shot[a-key-that-is-rather-long-for-any-table-but-legal]", "reused", "hit", ""),
        StepRow("shot[b]", "rejected", "run", "input-changed", detail="Moderation refused the prompt. " * 4),
    ]


def fits(text: str, columns: int = 80) -> bool:
    return all(width(line) <= columns or "flowrun " in line for line in text.split("\n"))


def test_runs() -> None:
    odd = [row(3, exit=6), row(4, exit=130), row(5, exit=99), row(6, exit=None, ended_at=None)]
    long = RunRow(RunId("20261122-030529-ab12cd"), "runway", "a-very-long-name-of-a-flow", "draft", "s.yaml", AT)
    text = runs_text([row(), row(1, exit=1), *odd, long])
    golden("runs", text)
    assert fits(text)
    assert runs_text([]) == "No runs yet."


def test_ends_are_explained_where_they_are_shown() -> None:
    assert ":" not in runs_text([row(), row(1, exit=1)]).split("\n")[-1].replace("03:05", "")
    assert runs_text([row(exit=7)], width=200).split("\n")[-1].startswith("cut short: ")
    assert "no end" not in runs_text([row(exit=7)])


def test_one_run() -> None:
    text = run_text(row(exit=1), steps())
    golden("run", text)
    assert fits(text)


def test_a_run_that_has_no_end_yet_and_no_steps() -> None:
    running = RunRow(RunId("r"), "sandbox", "fox", "draft", "story.yaml", AT)
    assert run_text(running, []) == (
        "Run r\nfox, profile draft on sandbox, from story.yaml\nstarted 2026-11-22 03:05 UTC; no end\n"
        "0 requests sent, 0 credits ($0.00)"
    )


def test_the_organization() -> None:
    limits = {"gen4_turbo": ModelLimits(2, 50), "veo3.1": ModelLimits(1, None)}
    told = Organization(limits, {"gen4_turbo": 50, "gone": 3}, 12345, 200_000)
    remarks = {"gen4_turbo": "", "veo3.1": "retired, use veo4", "gone": "not in the catalogue"}
    text = org_text(told, remarks)
    golden("organization", text)
    assert fits(text)
    assert "catalogue" not in org_text(told, dict.fromkeys(remarks, ""))
    nothing = org_text(Organization(balance=10), {}, provider="sandbox")
    assert nothing == "Balance on the sandbox's play money: 10 credits ($0.10)"


def test_what_is_open() -> None:
    tasks = [task_row("hero#1"), task_row("shot[a-key-that-is-rather-long]#2", status="SUCCEEDED")]
    text = status_text(tasks, [intent(), intent("two#2", None, "my story.yaml")])
    golden("status", text)
    assert fits(text)
    wide = status_text(tasks, [], width=120)
    assert "gen4_turbo" in wide
    assert "gen4_turbo" not in status_text(tasks, [])
    assert fits(wide, 120)


def test_the_ways_on_from_a_doubt_carry_the_flags() -> None:
    assert "flowrun forget story.yaml --sandbox" in status_text([], [intent()], flags=("--sandbox",), width=200)


def test_nothing_open() -> None:
    assert status_text([], []) == "Nothing is in flight, and nothing is uncertain."
    assert status_text([], [intent()]).startswith("Nothing is in flight.\n\nUncertain: these need your decision (1)\n")


def test_what_lies_under_a_former_account() -> None:
    text = status_text([task_row("hero#1")], [intent()], account="studio")
    assert text.startswith(
        "Under the former account studio; the next apply takes this up under the present\n"
        "one:\n\n1 task at the API; apply again takes them up"
    )
    assert fits(text)
    page = status_markdown([], [intent()], "studio_2")
    assert page.startswith("Under the former account studio_2;")


def result(text: str = "a red fox") -> Result:
    facts = MediaFacts(MediaKind.VIDEO, "video/mp4", 1280, 720, 5.0, ("h264",))
    request = {
        "model": "gen4_turbo",
        "promptText": text,
        "promptImage": {"$media": "ab" * 32},
        "duration": 5,
        "list": [text],
    }
    return Result(
        ResultId("r1"), KEY_OF, RecipeKey("d" * 64), TaskId("t1"), "runway", "image_to_video", "gen4_turbo", 1,
        (StoredFile(Digest("c" * 64, 1234), facts),), {"request": request, "salt": "second try"},
        {"address": text, "manifest": "story.yaml"}, seed=7, credits=25, committed_at=AT, forced=True,
    )  # fmt: skip


def test_a_result_tells_its_recipe() -> None:
    golden("recipe", recipe_text("hero: result r1", result()))


def test_nothing_harmful_and_no_secret_gets_through() -> None:
    evil = f"\x1b[2J\r\n{KEY}\u202e"
    bad = StepRow(evil, "failed", "run", evil, detail=evil)
    run = RunRow(RunId(evil), evil, evil, evil, evil, AT)
    task = task_row(evil, task=TaskId(evil), status=evil, model=evil)
    for colour in (False, True):
        texts = [
            runs_text([run], colour=colour),
            run_text(run, [bad], colour=colour),
            org_text(Organization({evil: ModelLimits()}), {evil: evil}, colour=colour),
            status_text([task], [intent(evil, manifest=evil)], colour=colour, width=140),
            recipe_text(evil, result(evil), colour=colour),
        ]
        text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(texts).replace("␛[2J", ""))
        assert KEY[:60] not in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
