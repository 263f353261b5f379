"""What a plan says, as a person reads it: golden texts, and the properties no golden text can show."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.diagnostics.visible import width
from flowrun.engine.estimate import foresee
from flowrun.ids import TaskId
from flowrun.ledger.protocol import CapLeft, LimitName, Limits
from flowrun.plan.model import Cost, Decision, Reason, Step, TakeStep, Why
from flowrun.plan.whole import Plan
from flowrun.ui.annotations import Places, plan_annotations
from flowrun.ui.plan_facts import PlanFacts
from flowrun.ui.plan_text import plan_text
from tests.ui.ui_values import KEY, changed, golden, intent, plan_of, step

D, R = Decision, Reason
NOW = 1_795_316_725.0  # 2026-11-22 03:05:25 UTC
PROMPT = "a red fox with a green scarf runs through the snow, soft light, 35mm film, seen from the side, in the morning"
HITS = [step(f"old{number}", D.HIT) for number in range(12)]


def text_of(*steps: Step, file: str = "story.yaml", columns: int = 80, verbose: bool = False, **facts: object) -> str:
    return plan_text(PlanFacts(plan_of(*steps), **facts), file=file, colour=False, width=columns, verbose=verbose)


def everyday() -> list[Step]:
    prompt = changed(("promptText", PROMPT, PROMPT.replace("runs", "jumps") + ", again"), ("duration", 5, 10))
    media = changed(("promptImage", "sha256:" + "ab" * 32, "sha256:" + "cd" * 32), reason=R.FILE_CHANGED)
    two = (TakeStep(1, D.HIT), TakeStep(2, D.RUN))
    waits = Why(R.UPSTREAM_CHANGED, detail="waits for hero")
    return [
        step("hero", D.RUN, R.NEW, credits=8, uses="text_to_image/gen4_image"),
        *HITS,
        step("shot[intro]", D.RUN, prompt, credits=50, takes=(TakeStep(1, D.RUN), TakeStep(2, D.RUN))),
        step("shot[end]", D.RUN, media, credits=25),
        step("again", D.RUN, R.RETAKE, credits=25, takes=two),
        step("cut", D.UNDECIDED, waits, credits=(0, 25)),
        step("flight", D.RESUME, takes=(TakeStep(1, D.RESUME, task=TaskId("t")),)),
        step("line", D.SKIP, R.WHEN_FALSE, uses="text_to_speech/eleven_multilingual_v2"),
    ]


def fan_out() -> list[Step]:
    why = [changed(("promptText", f"take {key} by day", f"take {key} by night")) for key in range(40)]
    shots = [step(f"shot[s{key}]", D.RUN, why[key], credits=25) for key in range(40)]
    below = [
        step(f"cut[s{key}]", D.UNDECIDED, Why(R.UPSTREAM_CHANGED, detail=f"waits for shot[s{key}]"), credits=(0, 5))
        for key in range(7)
    ]
    return [*shots, *below]


def stopping() -> list[Step]:
    doubt = (TakeStep(1, D.UNCERTAIN, uncertain=intent()),)
    second = (TakeStep(1, D.HIT), TakeStep(2, D.UNCERTAIN, uncertain=intent("two#2", None)))
    refusal = Why(R.PREVIOUSLY_FAILED, detail="SAFETY.INPUT.TEXT: Moderation refused the prompt.")
    problem = Diagnostic(
        "wrong-media", "a sound cannot be a promptImage", Span("story.yaml", 7, 5, 7, 9), "use a still"
    )
    return [
        step("shot[b]", D.UNCERTAIN, takes=doubt),
        step("two", D.UNCERTAIN, takes=second),
        step("hero", D.REJECTED, refusal),
        step("cut", D.BLOCKED, Why(R.UPSTREAM_BLOCKED, detail="shot[b] is uncertain"), upstream=("shot[b]", "hero")),
        step("still[a]", D.EXCLUDED, R.NOT_SELECTED),
        step(
            "wide[a]",
            D.BLOCKED,
            Why(
                R.UPSTREAM_BLOCKED, detail="still[a] is not selected and was never made; select +wide[a] to make it too"
            ),
            upstream=("still[a]",),
        ),
        step("loud", D.BLOCKED, problems=(problem,)),
    ]


def test_an_everyday_plan() -> None:
    text = text_of(
        *everyday(), balance=1000, daily_left={"gen4_turbo": 45, "gen4_image": None, "idle": 3}, seconds=243.0, cap=400
    )
    golden("plan_everyday", text)


def test_a_narrow_plan_breaks_between_words() -> None:
    facts = PlanFacts(plan_of(*everyday()), provider="sandbox", cap=400, seconds=243.0)
    text = plan_text(facts, file="story.yaml", colour=False, width=60)
    golden("plan_narrow", text)
    assert all(width(line) <= 60 for line in text.split("\n"))
    assert text.index("charges nothing") < text.index("gen4_image  8 credits")


def test_an_everyday_plan_told_in_full_and_wide() -> None:
    golden("plan_verbose", text_of(*everyday(), columns=120, verbose=True, seconds=3000))


def test_a_fan_out_that_says_the_same_is_one_line() -> None:
    capped = under_caps(plan_of(*fan_out()), balance=900, run_cap=100)
    later = {"gen4_turbo": None}
    golden("plan_fan_out", text_of(*fan_out(), balance=900, daily_left={"gen4_turbo": 30}, daily_next=later, **capped))


def under_caps(plan: Plan, **limits: int) -> dict[str, object]:
    """What is known of the caps: each leaves all of what it allows, but a day's, which has a tenth of it left."""
    left = tuple(
        CapLeft(name, most, most // 10 if name is LimitName.DAY_CAP else most, NOW + 3600)
        for name, most in (
            (LimitName.RUN_CAP, limits.get("run_cap")),
            (LimitName.DAY_CAP, limits.get("day_cap")),
            (LimitName.BALANCE, limits.get("balance")),
        )
        if most is not None
    )
    rest = {each.cap: each.left for each in left}
    found = Limits(
        balance=rest.get(LimitName.BALANCE),
        run_cap=rest.get(LimitName.RUN_CAP),
        day_cap=rest.get(LimitName.DAY_CAP),
    )
    return {
        "cap": limits.get("run_cap"),
        "left": left,
        "foreseen": foresee(plan, lambda model: 5, found),
        "at": NOW,
    }


def test_a_plan_says_beforehand_what_fits_in_the_order_in_which_it_runs() -> None:
    steps = [step(name, D.RUN, Why(R.NEW), credits=25, seconds=9.0) for name in "abcd"]
    steps.append(step("cut", D.UNDECIDED, Why(R.UPSTREAM_CHANGED), credits=(0, 5), upstream=("c",), seconds=9.0))
    text = text_of(*steps, columns=200, **under_caps(plan_of(*steps), run_cap=60))
    assert "  Cap      60 credits at most in one apply\n" in text
    assert "  Fits     55 credits ($0.55), in this order: c, a, cut\n" in text  # what others wait for comes first
    assert "           over the cap: 50 credits of b, d; all of it takes --max-credits 105" in text
    written = text_of(*steps, columns=200, **under_caps(plan_of(*steps), run_cap=60), written=60)
    assert "; all of it takes limits.credits: 105 in the manifest" in written


def test_a_plan_under_a_days_cap() -> None:
    steps = [step(name, D.RUN, Why(R.NEW), credits=25, seconds=9.0) for name in "ab"]
    steps.append(step("cut", D.RUN, Why(R.NEW), credits=50, upstream=("b",), seconds=9.0))
    known = under_caps(plan_of(*steps), day_cap=300)
    text = text_of(*steps, columns=200, **known)
    day = "300 credits at most in any 24 hours in this project (limits.credits_per_day), 30 left; more at 04:05 UTC, in 60 min"
    assert f"  Day cap  {day}\n" in text.replace("in 1 h", "in 60 min")
    assert "over the day's cap: 75 credits of a, cut; all of it takes limits.credits_per_day = 370" in text
    short = plan_annotations(PlanFacts(plan_of(*steps), **known), Places({}, lambda name: name), file="s.yaml")
    assert short[-1].endswith("3 run; 100 credits ($1.00); 25 credits of them fit")


def test_a_plan_that_fits_says_no_more_than_its_cap() -> None:
    steps = [step("a", D.RUN, Why(R.NEW), credits=25)]
    assert "Fits" not in text_of(*steps, **under_caps(plan_of(*steps), run_cap=60))


def test_a_plan_says_what_none_of_it_fits_and_what_is_left_behind() -> None:
    steps = [step("a", D.RUN, Why(R.NEW), credits=25)]
    steps.append(step("cut", D.RUN, Why(R.NEW), credits=5, upstream=("a",)))
    text = text_of(*steps, columns=200, **under_caps(plan_of(*steps), balance=20))
    assert "  Fits     none of it\n" in text
    assert "over the balance: 25 credits of a; 10 credits more would be enough for all of it\n" in text
    assert "after those, not in this apply: cut" in text


def test_a_fan_out_of_six_is_not_folded() -> None:
    text = text_of(*fan_out()[:6])
    assert all(f"shot[s{key}]" in text for key in range(6))
    assert "more" not in text


def test_what_stops_says_how_to_go_on() -> None:
    golden("plan_stops", text_of(*stopping(), file="my story.yaml"))


def test_the_flags_of_a_command_are_kept_in_the_next() -> None:
    facts = PlanFacts(plan_of(*stopping()[:1]))
    text = plan_text(facts, file="s.yaml", colour=False, width=80, flags=("--profile", "draft"))
    assert "flowrun apply s.yaml --profile draft --resend 'shot[b]'\n" in text
    assert "flowrun forget s.yaml --profile draft 'shot[b]'" in text


def test_many_that_stop_are_not_all_told() -> None:
    steps = [step(f"n{number}", D.REJECTED, Why(R.PREVIOUSLY_FAILED, detail="X: no")) for number in range(9)]
    text = text_of(*steps)
    assert text.count("X: no") == 6
    assert "  … 3 more; -v lists all" in text
    assert "-v lists all" not in text_of(*steps, verbose=True)


def test_unknown_prices_are_unknown_and_never_nought() -> None:
    unknown = step("new", D.RUN, R.NEW, cost=Cost(0, 0, 1), uses="text_to_video/veo9")
    text = text_of(unknown, cap=50, balance=10)
    assert "unknown price" in text
    assert "unknown for 1 generation without a known price" in text
    assert "--allow-unknown-price" in text
    assert "10 credits now, 10, less what is unknown, after" in text
    mixed = text_of(unknown, step("old", D.RUN, R.NEW, cost=Cost(5, 5, 1), uses="text_to_video/veo9"))
    assert "5 credits + unknown" in mixed
    assert "5 credits ($0.05), and unknown for 2 generations" in mixed


def test_a_plan_without_work_is_one_line() -> None:
    skipped = step("line", D.SKIP, R.WHEN_FALSE)
    assert text_of(*HITS) == "Nothing to do: 12 nodes are unchanged."
    assert text_of(HITS[0], skipped) == "Nothing to do: 1 node is unchanged, 1 node is skipped."
    assert text_of() == "Nothing to do: there are no nodes."


def test_a_plan_without_work_shows_a_hit_that_has_something_to_say() -> None:
    text = text_of(*HITS, replace(HITS[0], address=step("odd", D.HIT).address, why=Why(R.LOCK_DIFFERS, detail="gone")))
    assert "hit  odd  image_to_video/gen4_turbo  lock-differs: gone" in text
    assert text.endswith("Nothing to do: 13 nodes are unchanged.")


def test_the_sandbox_says_that_it_charges_nothing() -> None:
    facts = PlanFacts(plan_of(everyday()[0], profile="draft"), provider="sandbox", banner="sandbox: no key\x1b[2J")
    text = plan_text(facts, file="s.yaml", colour=False, width=100)
    assert text.startswith("sandbox: no key␛[2J\n\nPlan for fox, profile draft, on sandbox:\n")
    assert "8 credits ($0.08) at Runway's prices; the sandbox charges nothing" in text


def test_a_balance_that_is_too_small_is_named() -> None:
    text = text_of(*everyday(), balance=100)
    assert "100 credits now: 33 credits too few for all of it; what fits runs" in " ".join(text.split())
    assert text_of(everyday()[-2], balance=100).endswith("  Balance  100 credits now")
    capped = text_of(*everyday(), balance=100, cap=30)
    assert "100 credits now, 70 after" in capped
    assert "none: nothing new is paid for" in text_of(everyday()[-2])


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (R.RESULT_MISSING, "result-missing: its files are gone from the store"),
        (R.FORCED, "forced: one more result, as --force asks"),
        (R.SALT_CHANGED, "salt-changed"),
    ],
)
def test_reasons_have_their_documented_names(reason: Reason, words: str) -> None:
    assert words in " ".join(text_of(step("a", D.RUN, Why(reason, detail=None), credits=1)).split())


def test_details_are_told_where_a_reason_has_them() -> None:
    steps = [
        step("a", D.SKIP, Why(R.UPSTREAM_SKIPPED, detail="b")),
        step("c", D.RUN, Why(R.SHARED, detail="the same recipe as a"), takes=(TakeStep(3, D.RUN),)),
        step("d", D.GATED),
    ]
    text = text_of(*steps)
    for words in ("upstream-skipped: b is skipped", "shared: the same recipe as a; take 3", "waits for an approval"):
        assert words in text


def test_takes_that_differ_are_told_apart() -> None:
    decisions = [D.HIT, D.RUN, D.RUN, D.RUN, D.REJECTED, D.REJECTED]
    takes = tuple(TakeStep(number, decision) for number, decision in enumerate(decisions, 1))
    assert "take 1 hit, takes 2–4 run, takes 5, 6 rejected" in text_of(step("a", D.RUN, R.NEW, takes=takes))


def test_many_changed_fields_are_counted() -> None:
    why = changed(*[(f"f{number}", number, number + 1) for number in range(11)])
    text = text_of(step("a", D.RUN, why))
    assert "input-changed: f0, f1, f2 … 8 more" in text
    assert "f7: 7 -> 8\n" in text
    assert "f8" not in text
    assert "… 3 more fields; -v shows all" in text


def test_stops_without_facts_still_say_what_to_do() -> None:
    steps = [
        step("a", D.UNCERTAIN),
        step("b", D.BLOCKED, upstream=("elsewhere",)),
        step("c", D.REJECTED),
        step("d", D.BLOCKED, problems=(Diagnostic("no-key", "no canonical form"),)),
    ]
    text = " ".join(text_of(*steps).split())
    assert "a: an earlier request was never answered; it may have been accepted. It is never sent again" in text
    assert "b: something above it stops d:" in text
    assert "c: the API refused it for good" in text
    assert "d: no canonical form [no-key]" in text


def test_colour_adds_nothing_but_colour() -> None:
    facts = PlanFacts(plan_of(*everyday(), *stopping()), balance=1000, seconds=60)
    coloured = plan_text(facts, file="s.yaml", colour=True, width=80)
    assert "\x1b[31m[-runs-]\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plan_text(facts, file="s.yaml", colour=False, width=80)


def test_nothing_harmful_and_no_secret_gets_through() -> None:
    evil = f"\x1b]0;x\x07 {KEY} \u202e and a long enough text to be prose"
    why = changed(("promptText", evil, evil + " more"), ("salt", evil, None))
    stopped = step("no", D.REJECTED, Why(R.PREVIOUSLY_FAILED, detail=evil))
    for verbose in (False, True):
        text = text_of(step("a", D.RUN, why), stopped, file=f"{evil}.yaml", verbose=verbose)
        assert KEY[:60] not in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


NAMES = st.text(alphabet="aé狐🦊 -_.", min_size=1, max_size=30).map(lambda key: f"shot[{key}]")


@settings(deadline=None, max_examples=50)
@given(names=st.lists(NAMES, unique=True, max_size=12), columns=st.integers(20, 140), prompt=st.text(max_size=300))
def test_a_plan_fits_its_width_but_for_names_and_commands(names: list[str], columns: int, prompt: str) -> None:
    steps = [step(name, D.RUN, changed(("promptText", "one two", prompt)), credits=25) for name in names]
    lines = text_of(*steps, columns=columns, balance=5, seconds=1).split("\n")
    long = [line for line in lines if width(line) > max(40, columns)]
    assert all("shot[" in line for line in long)


def test_a_thousand_equal_instances_are_few_lines() -> None:
    steps = [step(f"shot[{number}]", D.RUN, R.NEW, credits=5) for number in range(1000)]
    text = text_of(*steps)
    assert "shot[0], shot[1] … 998 more" in text
    assert "5,000 credits ($50.00)" in text
    assert text.count("\n") < 12
