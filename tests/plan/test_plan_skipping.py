"""`when`, and how skipping spreads: guards, gathers, order, and asking whether a node is there."""

import pytest

from flowrun.graph.address import parse
from flowrun.graph.outcomes import Pending, Skipped
from flowrun.plan.model import Cost, Decision, Reason
from flowrun.plan.whole import make_plan, waves

from .fakes import BROKE, REFUSED, Desk

IMAGE = '{uses: text_to_image, KEYS, with: {model: gen4_image, promptText: PROMPT, ratio: "1920:1080"}}'


def image(name: str, prompt: str = "a fox", **keys: str) -> str:
    """A node; its other keys as YAML text."""
    listed = ", ".join(f"{key}: {value}" for key, value in keys.items()) or "tags: []"
    return f"  {name}: {IMAGE.replace('KEYS', listed).replace('PROMPT', prompt)}\n"


def refers(name: str, *uris: str, **keys: str) -> str:
    references = ", ".join(f'{{uri: "{uri}"}}' for uri in uris)
    return image(name, **keys).replace("ratio:", f"referenceImages: [{references}], ratio:")


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.inputs.put("a.png", "a")
    return made


SPEECH = """
  line:
    uses: text_to_speech
    with: {model: eleven_multilingual_v2, promptText: some words, voice: {type: runway-preset, presetId: Maya}}
"""


def test_when_false_costs_nothing(desk):
    step = desk.step(image("hero", when='"{{ 1 > 2 }}"'), "hero")
    assert (step.decision, step.why.reason, step.cost, step.takes) == (Decision.SKIP, Reason.WHEN_FALSE, Cost(), ())
    assert desk.decisions(image("hero", when='"{{ 1 < 2 }}"')) == {"hero": "run"}


def test_when_that_waits_is_undecided(desk):
    nodes = SPEECH + image("hero", when='"{{ nodes.line.output.duration > 10 }}"')
    step = desk.step(nodes, "hero")
    assert (step.decision, step.cost) == (Decision.UNDECIDED, Cost(0, 8))
    assert step.why.detail == "'when' waits for line"
    desk.apply(SPEECH)
    assert desk.decisions(nodes) == {"line": "hit", "hero": "run"}
    assert desk.decisions(nodes.replace("> 10", "> 20")) == {"line": "hit", "hero": "skip"}


@pytest.mark.parametrize("value", ["nodes.line.output.duration", "nodes.line.output.media_type"])
def test_when_must_be_a_boolean(desk, value):
    nodes = SPEECH + image("hero", when=f'"{{{{ {value} }}}}"')
    desk.apply(SPEECH)
    step = desk.step(nodes, "hero")
    assert (step.decision, [problem.code for problem in step.problems]) == (Decision.BLOCKED, ["wrong-type"])
    assert step.problems[0].hint is not None


def test_a_mistake_in_when_stops_the_node(desk):
    desk.apply(SPEECH)
    nodes = SPEECH + image("hero", when='"{{ 1 / (nodes.line.output.duration - 12) > 0 }}"')
    assert [problem.code for problem in desk.plan(nodes).problems] == ["bad-operation"]


def test_skipping_spreads_and_says_from_where(desk):
    nodes = image("hero", when="false") + refers("still", "{{ nodes.hero.output }}")
    nodes += refers("cut", "{{ nodes.still.output }}")
    assert desk.decisions(nodes) == {"hero": "skip", "still": "skip", "cut": "skip"}
    assert desk.step(nodes, "cut").why.detail == "still"


def test_a_fact_of_a_skipped_node_skips_too(desk):
    nodes = SPEECH + "    when: false\n" + image("hero", '"{{ nodes.line.output.duration }} seconds"')
    assert desk.decisions(nodes) == {"line": "skip", "hero": "skip"}


@pytest.mark.parametrize(
    "prompt",
    [
        "\"{{ nodes.line.output.duration | default('no') }} seconds\"",
        "\"{{ nodes.line.output.duration if nodes.line is defined else 'no' }} seconds\"",
    ],
)
def test_a_guarded_reference_goes_on_without(desk, prompt):
    nodes = SPEECH + "    when: false\n" + image("hero", prompt)
    step = desk.step(nodes, "hero")
    assert (step.decision, step.takes[0].doc.request["promptText"]) == (Decision.RUN, "no seconds")
    assert desk.decisions(SPEECH + image("hero", prompt)) == {"line": "run", "hero": "undecided"}


def test_a_guard_does_not_help_against_failure(desk):
    nodes = SPEECH + image("hero", "\"{{ nodes.line.output.duration | default('no') }} seconds\"")
    desk.settled(desk.step(nodes, "line").takes[0], REFUSED)
    assert desk.decisions(nodes) == {"line": "rejected", "hero": "blocked"}


def test_needs_on_a_skipped_node_is_met(desk):
    nodes = image("hero", when="false") + image("still", needs="[hero]")
    assert desk.decisions(nodes) == {"hero": "skip", "still": "run"}


def test_blocked_counts_more_than_skipped(desk):
    nodes = image("hero", when="false") + image("other", "a wolf")
    nodes += refers("cut", "{{ nodes.hero.output }}", "{{ nodes.other.output }}")
    desk.settled(desk.step(nodes, "other").takes[0], REFUSED)
    assert desk.decisions(nodes)["cut"] == "blocked"


GATHER = '"{{ nodes.shot.outputs | length }} shots"'
SHOTS = image("shot", '"a fox {{ each.value.id }}"', foreach="[{id: a, use: 1}, {id: b, use: 0}, {id: c, use: 1}]")


def test_a_gather_leaves_skipped_instances_out(desk):
    some = SHOTS.replace("with:", 'when: "{{ each.value.use == 1 }}", with:') + image("cut", GATHER)
    desk.apply(some)
    step = desk.step(some, "cut")
    assert step.takes[0].doc.request["promptText"] == "2 shots"
    pictures = SHOTS.replace("with:", 'when: "{{ each.value.use == 1 }}", with:')
    pictures += refers("cut", "{{ nodes.shot.outputs[1] }}")
    assert desk.step(pictures, "cut").takes[0].doc.request["referenceImages"] == [
        {"uri": {"$media": desk.step(pictures, "shot[c]").takes[0].result.outputs[0].digest.sha256}}
    ]


def test_a_gather_of_nothing_but_skipped_ones_is_empty(desk):
    nodes = SHOTS.replace("with:", "when: false, with:") + image("cut", GATHER)
    assert desk.step(nodes, "cut").takes[0].doc.request["promptText"] == "0 shots"


def test_a_gather_with_one_that_failed_is_blocked(desk):
    nodes = SHOTS + image("cut", GATHER)
    desk.settled(desk.step(nodes, "shot[b]").takes[0], REFUSED)
    assert desk.decisions(nodes)["cut"] == "blocked"


def test_a_gather_whose_members_may_yet_be_skipped_is_undecided(desk):
    """How many there are is not known before the recording is."""
    nodes = SPEECH + SHOTS.replace("with:", 'when: "{{ nodes.line.output.duration > each.index * 6 }}", with:')
    nodes += image("cut", GATHER)
    assert desk.decisions(nodes)["cut"] == "undecided"
    desk.apply(SPEECH)
    assert desk.decisions(nodes) == {
        "line": "hit", "shot[a]": "run", "shot[b]": "run", "shot[c]": "skip", "cut": "run"
    }  # fmt: skip
    assert desk.step(nodes, "cut").takes[0].doc.request["promptText"] == "2 shots"


# -- `is defined`: asks, and does not wait


ASKS = image("still", "a den", when='"{{ nodes.hero is defined }}"')


def test_asking_waits_for_nothing_that_is_made(desk):
    step = desk.step(image("hero") + ASKS, "still")
    assert (step.decision, step.upstream) == (Decision.RUN, ())


def test_asking_knows_of_skipping_before_the_other_was_decided(desk):
    """Whatever comes first in the file and in the run."""
    for nodes in (image("hero", when="false") + ASKS, ASKS + image("hero", when="false")):
        assert desk.decisions(nodes)["still"] == "skip"
        planner = desk.planner(nodes)
        assert planner.decide(parse("still")).decision is Decision.SKIP
        assert planner.outcome(parse("hero")) == Skipped()


def test_asking_knows_of_skipping_that_spread(desk):
    nodes = image("den", when="false") + refers("hero", "{{ nodes.den.output }}") + ASKS
    planner = desk.planner(nodes)
    assert planner.decide(parse("still")).decision is Decision.SKIP


def test_asking_what_only_the_run_will_tell_waits_after_all(desk):
    nodes = SPEECH + image("hero", when='"{{ nodes.line.output.duration > 20 }}"') + ASKS
    step = desk.step(nodes, "still")
    assert (step.decision, step.why.detail) == (Decision.UNDECIDED, "'when' waits for hero")
    assert [str(up) for up in step.upstream] == ["hero"]
    desk.apply(SPEECH)
    assert desk.decisions(nodes) == {"line": "hit", "hero": "skip", "still": "skip"}
    assert desk.decisions(nodes.replace("> 20", "> 10")) == {"line": "hit", "hero": "run", "still": "run"}


def test_asking_after_one_that_failed_finds_it_there(desk):
    nodes = image("hero") + ASKS
    desk.settled(desk.step(nodes, "hero").takes[0], REFUSED)
    assert desk.decisions(nodes) == {"hero": "rejected", "still": "run"}


def test_nobody_stands_in_one_wave_with_what_it_asks_after(desk):
    graph = desk.planner(image("hero") + ASKS).graph
    assert [[str(at) for at in wave] for wave in waves(graph)] == [["hero"], ["still"]]


def test_unsettled_is_pending(desk):
    planner = desk.planner(image("hero") + image("still"))
    assert planner.outcome(parse("hero")) == planner.outcome(parse("hero#2")) == Pending()
    make_plan(planner)
    assert planner.known[parse("hero")] == Pending()


def test_a_step_that_failed_for_now_is_pending_for_those_below(desk):
    nodes = image("hero") + refers("still", "{{ nodes.hero.output }}")
    desk.settled(desk.step(nodes, "hero").takes[0], BROKE)
    assert desk.decisions(nodes) == {"hero": "run", "still": "undecided"}
