"""Plans, runs and tables as Markdown: golden pages, tables that are tables whatever is in them, and a size that GitHub takes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from flowrun.diagnostics.model import Diagnostic, Severity
from flowrun.diagnostics.span import Span
from flowrun.plan.model import Cost, Decision, Reason, Step, Why
from flowrun.runway.values import ModelLimits, Organization
from flowrun.ui.annotations import Places, plan_annotations, summary_annotations
from flowrun.ui.markdown import MOST, ROOM, Rows, fenced, folded, listing, page, quote, table
from flowrun.ui.org_text import org_markdown
from flowrun.ui.plan_facts import PlanFacts
from flowrun.ui.plan_markdown import plan_markdown
from flowrun.ui.runs_markdown import (
    outputs_markdown,
    recipe_markdown,
    run_markdown,
    runs_markdown,
    status_markdown,
)
from flowrun.ui.summary_markdown import summary_markdown
from flowrun.ui.summary_text import Ending
from tests.ui.test_ui_plan import HITS, everyday, fan_out, stopping
from tests.ui.test_ui_runs import result, row, steps
from tests.ui.test_ui_summary import everything, made
from tests.ui.test_ui_summary import folded as fold
from tests.ui.ui_values import KEY, changed, golden, intent, plan_of, step, task_row

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
D, R = Decision, Reason


def tables(text: str) -> list[list[int]]:
    """The number of cells in each row of each table."""
    found: list[list[int]] = []
    for token in READER.parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append(0)
        elif token.type in ("td_open", "th_open"):
            found[-1][-1] += 1
    return found


def check(text: str) -> str:
    """A page as GitHub takes it: every line of a table is one, no HTML but ours, not too long."""
    assert len(text) <= MOST
    html = [each for token in READER.parse(text) for each in (token, *(token.children or ())) if "html" in each.type]
    for each in html:
        assert not re.search(r"<(?!/?(details|summary|code|del|ins)>)", each.content), each.content
    assert all(len(set(rows)) == 1 for rows in tables(text))
    unfenced = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert sum(map(len, tables(text))) == sum(
        line.startswith("|") and not line.startswith("| ---") for line in unfenced.split("\n")
    )
    return text


def plan_page(*parts: Step, **more: object) -> str:
    facts = PlanFacts(plan_of(*parts), **more)
    return check(plan_markdown(facts, file="story.yaml"))


# -- a plan


def test_an_everyday_plan() -> None:
    text = plan_page(
        *everyday(), balance=1000, daily_left={"gen4_turbo": 45, "gen4_image": None}, seconds=243.0, cap=400
    )
    golden("markdown_plan_everyday", text)
    assert "<del>runs</del><ins>jumps</ins>" in text


def test_what_stops() -> None:
    golden("markdown_plan_stops", plan_page(*stopping()))


def test_a_fan_out_is_a_row() -> None:
    text = plan_page(*fan_out())
    assert tables(text) == [[5, 5, 5]]
    assert len(tables(check(plan_markdown(PlanFacts(plan_of(*fan_out())), file="s.yaml", verbose=True)))[0]) == 48


def test_nothing_to_do_and_warnings() -> None:
    warning = Diagnostic("env-not-seen", "a | b", Span("a.yaml", 1, 2, 1, 3), severity=Severity.WARNING)
    facts = PlanFacts(replace(plan_of(*HITS, profile="draft"), warnings=(warning,)), banner="sandbox: *no key*")
    text = check(plan_markdown(facts, file="story.yaml"))
    assert "Nothing to do: 12 nodes are unchanged." in text
    assert "> sandbox: &#42;no key&#42;" in text
    assert "#### Warnings\n\n- ⚠️ **warning** at `a.yaml:1:2`: a &#124; b (`env-not-seen`)" in text
    assert "<summary>12 nodes are unchanged</summary>" in text
    assert not tables(text)


def test_a_plan_too_long_for_a_comment_says_what_is_left_out() -> None:
    why = [changed(("promptText", "word " * 9 + str(at), "other " * 9 + str(at))) for at in range(3000)]
    parts = [step(f"n{at}", D.RUN, why[at], credits=5) for at in range(3000)]
    text = plan_page(*parts, *[step(f"old{at}", D.HIT) for at in range(50)])
    assert ROOM - 2000 < len(text) <= ROOM
    shown = len(tables(text)[0]) - 1
    last = text.split("\n")[-1]
    assert f"{3000 - shown:,} steps" in last
    assert re.search(
        r"3,000 changed steps, \d+ unchanged nodes left out\. `flowrun plan story.yaml -v` shows all", last
    )
    assert "3,000 run" in text


NAMES = st.lists(st.sampled_from([*"aé狐🦊 -_.|`<>*~:@\\"]), min_size=1, max_size=12).map("".join)
TEXTS = st.lists(st.sampled_from([*"ab |`<>*_~:@#\\-[]()!&\n", "::error::", "##[", "<b>", "```"]), max_size=40).map(
    "".join
)


@settings(deadline=None, max_examples=60)
@given(key=NAMES, old=TEXTS, new=TEXTS, detail=TEXTS)
def test_no_text_breaks_a_page(key: str, old: str, new: str, detail: str) -> None:
    try:
        first = step(
            f"shot[{key}]", D.RUN, changed(("promptText", f"a b {old}", f"a b {new}"), ("x", old, new)), credits=5
        )
    except ValueError:  # no address
        return
    stopped = step("no", D.REJECTED, Why(R.PREVIOUSLY_FAILED, detail=detail))
    text = plan_page(first, stopped, step("b", D.SKIP, Why(R.UPSTREAM_SKIPPED, detail=detail)), banner=detail)
    assert tables(text) == [[5, 5, 5, 5]]
    assert not [line for line in text.split("\n") if line.lstrip().startswith("::") or "##[" in line]


# -- parts


def test_rows_that_do_not_fit_are_counted_and_keep_no_other_out() -> None:
    rows = table(("a",), [("x" * 900,), ("y",), ("z",)], what="thing")
    text = page(["head", rows, listing(["- " + "i" * 700] * 2, "item")], more="See.", room=1000)
    assert len(text) <= 1000
    assert "| y |\n| z |" in text
    assert text.endswith("*Too long for a comment: 1 thing, 2 items left out. See.*")
    assert page(["head", Rows((), "never")], more="") == "head"


def test_a_fence_is_longer_than_any_in_it() -> None:
    assert fenced(["a", "````", "::error::b"]).text == "`````text\na\n````\n: :error::b\n`````"
    assert len(READER.parse(fenced(["```", " ~~~"]).text)) == 1


def test_a_folded_part_is_markdown_again() -> None:
    text = folded("1 x", table(("a",), [("b",)])).text
    assert text == "<details><summary>1 x</summary>\n\n| a |\n| --- |\n| b |\n\n</details>"
    assert tables(text) == [[1, 1]]
    kinds = [token.type for token in READER.parse(folded("1 x", fenced(["a"])).text)]
    assert kinds == ["html_block", "fence", "html_block"]


def test_a_quotation_is_one() -> None:
    kinds = [token.type for token in READER.parse(quote("a", "b"))]
    assert kinds == ["blockquote_open", "paragraph_open", "inline", "paragraph_close", "blockquote_close"]


# -- runs and the account


ENDING = Ending("story.yaml", 6, 243.0, cap=50)


def test_a_run_in_which_everything_happened() -> None:
    golden("markdown_summary_everything", check(summary_markdown(everything(), ENDING)))


def test_a_run_in_which_all_went_well() -> None:
    text = check(summary_markdown(fold(*made("hero")), Ending("a|b.yaml", 0, 5.0, provider="sandbox")))
    assert text == (
        "### ✅ <code>a&#124;b&#46;yaml</code>: Done in 5 s\n\n1 made. 25 credits of the sandbox's; nothing was paid."
    )


def test_tables_of_runs_and_of_the_account() -> None:
    golden("markdown_runs", check(runs_markdown([row(), row(6, exit=None, ended_at=None)])))
    golden("markdown_run", check(run_markdown(row(exit=1), steps())))
    limits = {"gen4_turbo": ModelLimits(2, 50), "veo3.1": ModelLimits(1, None)}
    golden(
        "markdown_organization",
        check(org_markdown(Organization(limits, {"gone": 3}, 12345, 9), {"gen4_turbo": "", "gone": "x|y"})),
    )
    golden("markdown_status", check(status_markdown([task_row("hero#1")], [intent()])))
    golden("markdown_recipe", check(recipe_markdown("hero: result r", result())))
    rows = [("film", "out/film.mp4", ""), ("cut", "out/cut|.mp4", "is gone")]
    golden("markdown_outputs", check(outputs_markdown(rows)))


def test_pages_with_nothing_on_them() -> None:
    assert runs_markdown([]) == "No runs yet."
    assert status_markdown([], []) == "Nothing is in flight, and nothing is uncertain."
    assert status_markdown([], [intent()]).startswith("Nothing is in flight.\n\n#### Uncertain: 1 submission needs")
    assert outputs_markdown([]) == "Nothing has been exported yet."
    assert tables(org_markdown(Organization(balance=5), {})) == []


@pytest.mark.parametrize("evil", [f"{KEY} <img src=x> @user\n::error::x", "##[set-env name=A]b | `"])
def test_nothing_harmful_and_no_secret_gets_through(evil: str) -> None:
    stopped = step("no", D.REJECTED, Why(R.PREVIOUSLY_FAILED, detail=evil))
    odd = step("new", D.RUN, changed(("promptText", evil, evil + " more")), cost=Cost(0, 0, 1))
    pages = [
        plan_page(stopped, odd, banner=evil),
        check(runs_markdown([replace(row(), flow=evil)])),
        check(run_markdown(replace(row(), manifest=evil), [replace(steps()[0], detail=evil)])),
        check(recipe_markdown(evil, result(evil))),
        check(outputs_markdown([("a", evil, evil)])),
        check(status_markdown([task_row("a", model=evil)], [intent(manifest=evil)])),
    ]
    for text in pages:
        assert KEY[:60] not in text
        assert not [line for line in text.split("\n") if line.lstrip().startswith("::") or "##[" in line]


# -- annotations

PLACES = Places({"shot": Span("story.yaml", 7, 3, 7, 7), "hero": Span("story.yaml", 2, 3, 2, 7)}, lambda file: file)


def test_what_a_plan_annotates() -> None:
    facts = PlanFacts(
        replace(plan_of(*stopping(), *everyday()[-2:]), warnings=(Diagnostic("x", "y", severity=Severity.WARNING),))
    )
    golden("github_plan", "\n".join(plan_annotations(facts, PLACES, file="story.yaml", flags=("--sandbox",))))


def test_what_a_plan_without_anything_annotates() -> None:
    assert plan_annotations(PlanFacts(plan_of()), PLACES, file="s.yaml") == ["::notice title=Plan for fox::no nodes"]


def test_what_a_run_annotates() -> None:
    lines = summary_annotations(everything(), PLACES, ENDING)
    golden("github_summary", "\n".join(lines))
    assert all(line.startswith(("::error ", "::warning ", "::notice ")) for line in lines)
    assert any(
        line.startswith("::error file=story.yaml,line=7,col=3,endLine=7,endColumn=7,title=SOME.CODE::")
        for line in lines
    )
