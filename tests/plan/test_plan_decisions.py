"""Every decision, and what it means for the nodes below."""

import pytest

from flowrun.ledger.protocol import Succeeded
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.plan.model import Cost, Decision, Reason
from flowrun.plan.whole import make_plan

from .fakes import BROKE, REFUSED, REFUSED_INPUT, SOUND, Desk

HERO = '\n  hero: {uses: text_to_image, with: {model: gen4_image, promptText: a red fox, ratio: "1920:1080"}}\n'
SHOT = """
  shot:
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "{{ nodes.hero.output }}", ratio: "1280:720", duration: 5}
"""
NEEDY = SHOT.replace('"{{ nodes.hero.output }}"', "a.png").rstrip() + "\n    needs: [hero]\n"
SPEECH = """
  line:
    uses: text_to_speech
    with: {model: eleven_multilingual_v2, promptText: some words, voice: {type: runway-preset, presetId: Maya}}
"""


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.inputs.put("a.png", "a")
    return made


def first(desk: Desk, nodes: str, address: str = "hero", **wishes):
    return desk.step(nodes, address, **wishes).takes[0]


# -- run, hit, undecided


def test_run_then_hit(desk):
    step = desk.step(HERO, "hero")
    assert (step.decision, step.cost, step.submissions, step.pick) == (Decision.RUN, Cost(8, 8), 1, None)
    assert desk.apply(HERO) == ["hero#1"]
    step = desk.step(HERO, "hero")
    assert (step.decision, step.why, step.cost, step.submissions, step.pick) == (Decision.HIT, None, Cost(), 0, 1)
    assert step.takes[0].result.id == "r1"


def test_undecided_counts_in_the_maximum(desk):
    plan = desk.plan(f"{HERO}{SHOT.rstrip()}\n    takes: 3\n")
    _, shot = plan.steps.values()
    assert (shot.decision, shot.why.reason, shot.why.detail) == (
        Decision.UNDECIDED,
        Reason.UPSTREAM_CHANGED,
        "waits for hero",
    )
    assert (shot.cost, shot.takes, shot.pick) == (Cost(0, 75), (), None)
    assert (plan.cost, plan.submissions, plan.most_submissions) == (Cost(8, 83), 1, 4)
    assert plan.submissions_of("gen4_turbo") == (0, 3)
    assert plan.submissions_of("gen4_image") == (1, 1)
    assert plan.by_model == {"gen4_image": Cost(8, 8), "gen4_turbo": Cost(0, 75)}


def test_an_unknown_price_is_never_zero(desk):
    desk.inputs.put("long.mp3", "words", MediaFacts(MediaKind.AUDIO, "audio/mpeg"))
    nodes = (
        "\n  clean: {uses: voice_dubbing, with: {model: eleven_voice_dubbing, audioUri: long.mp3, targetLang: fr}}\n"
    )
    assert desk.step(nodes, "clean").cost == Cost(0, 0, 1)
    below = SPEECH + nodes.replace("long.mp3", '"{{ nodes.line.output }}"').replace("}}\n", "}, takes: 2}\n")
    step = desk.step(below, "clean")
    assert (step.decision, step.cost) == (Decision.UNDECIDED, Cost(0, 0, 2))
    desk.apply(SPEECH)
    assert desk.step(below, "clean").cost == Cost(12, 12)  # two takes of 12 seconds


def test_all_is_known_once_the_upstream_is_there(desk):
    desk.apply(HERO)
    step = desk.step(HERO + SHOT, "shot")
    assert (step.decision, step.cost) == (Decision.RUN, Cost(25, 25))
    assert step.takes[0].doc.request["promptImage"] == {"$media": desk.results.by_blob_of(1)}


def test_early_cutoff_when_bytes_come_out_the_same(desk):
    """The still reran, its bytes did not change: the shot below is a hit."""
    desk.apply(HERO + SHOT)
    grey = HERO.replace("red", "grey")
    assert desk.decisions(grey + SHOT) == {"hero": "run", "shot": "undecided"}
    planner = desk.planner(grey)
    take = make_plan(planner).steps[next(iter(planner.graph.instances))].takes[0]
    desk.make(take, planner, "hero", data="file 1")
    assert desk.decisions(grey + SHOT) == {"hero": "hit", "shot": "hit"}


def test_who_uses_a_fact_depends_on_that_fact_alone(desk):
    film = SHOT.replace('"{{ nodes.hero.output }}"', "a.png")
    sound = '\n  noise: {uses: sound_effect, with: {model: eleven_text_to_sound_v2, promptText: wind, duration: "{{ N }}"}}\n'
    nodes = film + sound.replace("N", "nodes.shot.output.duration")
    assert desk.decisions(nodes) == {"shot": "run", "noise": "undecided"}
    desk.apply(nodes)
    longer = nodes.replace("promptImage: a.png", "promptText: slowly, promptImage: a.png")
    assert desk.decisions(longer) == {"shot": "run", "noise": "undecided"}
    assert desk.apply(longer) == ["shot#1"]  # other bytes of the same length
    assert desk.decisions(longer) == {"shot": "hit", "noise": "hit"}


def test_order_alone_hides_nothing(desk):
    assert desk.decisions(HERO + NEEDY) == {"hero": "run", "shot": "run"}
    desk.apply(NEEDY.replace("    needs: [hero]\n", ""))
    assert desk.decisions(HERO + NEEDY) == {"hero": "run", "shot": "hit"}


def test_an_unread_https_input_is_undecided_until_it_was_fetched(desk):
    nodes = SHOT.replace('"{{ nodes.hero.output }}"', '"https://example.com/a.png"')
    step = desk.step(nodes, "shot")
    assert (step.decision, step.unread, step.cost) == (Decision.UNDECIDED, ("https://example.com/a.png",), Cost(0, 25))
    desk.inputs.put("https://example.com/a.png", "a")
    assert desk.decisions(nodes) == {"shot": "run"}


@pytest.mark.parametrize(
    "key",
    [
        'when: "{{ assets.a.width > 9 }}"',
        'cache: "{{ assets.a.sha256 }}"',
        'tags: []\n    with: {seed: "{{ assets.a.width }}", PROMPT}',
    ],
)
def test_an_unread_asset_s_facts_are_fetched_too(desk, key):
    prompt = 'model: gen4_image, promptText: a fox, ratio: "1920:1080"'
    key = key.replace("PROMPT", prompt) if "PROMPT" in key else f"{key}\n    with: {{{prompt}}}"
    nodes = f'assets: {{a: "https://example.com/a.png"}}\nnodes:\n  hero:\n    uses: text_to_image\n    {key}\n'
    step = desk.step(nodes, "hero")
    assert (step.decision, step.unread) == (Decision.UNDECIDED, ("https://example.com/a.png",))
    assert step.why.reason is Reason.INPUT_UNREAD
    desk.inputs.put("https://example.com/a.png", "a")
    assert desk.decisions(nodes) == {"hero": "run"}


def test_an_asset_that_went_away_after_it_was_read_is_a_problem(desk):
    nodes = f"assets: {{a: a.png}}\nnodes:{HERO}".replace("}}\n", '}, when: "{{ assets.a.width > 9 }}"}\n')
    planner = desk.planner(nodes)
    del desk.inputs.known["a.png"]
    (step,) = make_plan(planner).steps.values()
    assert (step.decision, [problem.code for problem in step.problems]) == (Decision.BLOCKED, ["missing-file"])
    assert step.problems[0].span.line == 2


def test_what_waits_for_a_node_and_an_input_names_the_node_and_keeps_the_input(desk):
    nodes = HERO + HERO.replace("hero:", "still:").replace(
        "ratio:", 'referenceImages: [{uri: "https://e.example/a.png"}, {uri: "{{ nodes.hero.output }}"}], ratio:'
    )
    step = desk.step(nodes, "still")
    assert (step.why.detail, step.unread) == ("waits for hero", ("https://e.example/a.png",))


# -- in flight


def test_resume_an_open_task(desk):
    task = desk.submitted(first(desk, HERO))
    step = desk.step(HERO + SHOT, "hero")
    assert (step.decision, step.takes[0].task, step.cost, step.submissions) == (Decision.RESUME, task, Cost(), 0)
    assert desk.decisions(HERO + SHOT) == {"hero": "resume", "shot": "undecided"}


def test_resume_the_open_request_of_a_live_owner(desk):
    desk.intended(first(desk, HERO))
    step = desk.step(HERO, "hero")
    assert (step.decision, step.takes[0].task) == (Decision.RESUME, None)


def test_a_claim_alone_is_nothing(desk):
    desk.claimed(first(desk, HERO))
    assert desk.decisions(HERO) == {"hero": "run"}


def test_resume_counts_more_than_a_result(desk):
    """A forced generation was interrupted: the next apply collects it, and it flows on."""
    desk.apply(HERO)
    task = desk.submitted(first(desk, HERO), forced=True)
    take = first(desk, HERO)
    assert (take.decision, take.task, take.forced) == (Decision.RESUME, task, True)


def test_an_unforced_task_is_taken_up_as_what_it_is(desk):
    desk.submitted(first(desk, HERO))
    assert first(desk, HERO).forced is False
    assert first(desk, HERO, forced=["hero"]).forced is True


def test_an_open_forced_request_is_forced(desk):
    desk.intended(first(desk, HERO), forced=True)
    assert first(desk, HERO).forced is True


def test_a_collected_forced_take_flows_on_whatever_was_picked(desk):
    two = HERO.replace("}}\n", "}, takes: 2}\n")
    desk.apply(two)
    desk.submitted(desk.step(two, "hero").takes[1], forced=True)
    step = desk.step(two, "hero")
    assert (step.decision, step.pick) == (Decision.RESUME, 2)


# -- uncertain


def test_uncertain_stops_the_node_and_what_is_below(desk):
    desk.lost(first(desk, HERO))
    plan = desk.plan(HERO + SHOT)
    hero, shot = plan.steps.values()
    assert (hero.decision, hero.takes[0].uncertain.evidence, hero.cost) == (
        Decision.UNCERTAIN,
        {"why": "reset"},
        Cost(),
    )
    assert (shot.decision, shot.why.detail) == (Decision.BLOCKED, "hero is uncertain")
    assert not plan.is_done
    assert not plan.needs_provider


def test_force_does_not_send_what_is_uncertain(desk):
    desk.lost(first(desk, HERO))
    assert first(desk, HERO, forced=["hero"]).decision is Decision.UNCERTAIN


def test_uncertain_counts_more_than_a_result(desk):
    desk.apply(HERO)
    desk.lost(first(desk, HERO))
    assert desk.decisions(HERO) == {"hero": "uncertain"}


@pytest.mark.parametrize("named", ["hero", "hero#1"])
def test_resend_sends_it_again(desk, named):
    desk.lost(first(desk, HERO))
    take = first(desk, HERO, resend=[named])
    assert (take.decision, take.cost) == (Decision.RUN, Cost(8, 8))
    assert first(desk, HERO, resend=["hero#2"]).decision is Decision.UNCERTAIN


def test_resend_of_what_has_a_result_makes_one_more(desk):
    desk.apply(HERO)
    desk.lost(first(desk, HERO))
    take = first(desk, HERO, resend=["hero"])
    assert (take.decision, take.forced) == (Decision.RUN, True)


def test_resend_leaves_alone_what_is_not_uncertain(desk):
    desk.apply(HERO)
    assert desk.decisions(HERO, resend=["hero"]) == {"hero": "hit"}


# -- rejected


def test_rejected_hangs_on_the_key(desk):
    task = desk.settled(first(desk, HERO), REFUSED)
    step = desk.step(HERO, "hero")
    assert (step.decision, step.takes[0].task, step.cost) == (Decision.REJECTED, task, Cost())
    assert (step.why.reason, step.why.detail) == (Reason.PREVIOUSLY_FAILED, "SAFETY.OUTPUT: the output was refused")
    two = desk.step(HERO.replace("}}\n", "}, takes: 2}\n"), "hero")
    assert [take.decision for take in two.takes] == [Decision.REJECTED, Decision.RUN]


def test_a_refused_input_hangs_on_the_recipe(desk):
    desk.settled(first(desk, HERO), REFUSED_INPUT)
    two = HERO.replace("}}\n", "}, takes: 2}\n")
    assert [take.decision for take in desk.step(two, "hero").takes] == [Decision.REJECTED] * 2
    assert desk.decisions(HERO.replace("hero:", "heroine:")) == {"heroine": "rejected"}  # whatever its name
    assert desk.decisions(HERO.replace("red", "grey")) == {"hero": "run"}


def test_a_rejected_node_blocks_what_is_below(desk):
    desk.settled(first(desk, HERO), REFUSED)
    step = desk.step(HERO + SHOT, "shot")
    assert (step.decision, step.why.detail) == (Decision.BLOCKED, "hero was rejected")
    assert desk.decisions(HERO + NEEDY)["shot"] == "blocked"


@pytest.mark.parametrize("refusal", [REFUSED, REFUSED_INPUT])
def test_only_retry_rejected_sends_it_again(desk, refusal):
    desk.settled(first(desk, HERO), refusal)
    assert desk.decisions(HERO, forced=["hero"]) == {"hero": "rejected"}
    assert desk.decisions(HERO.replace("}}\n", "}, cache: false}\n")) == {"hero": "rejected"}
    assert desk.decisions(HERO, retry_rejected=True) == {"hero": "run"}


def test_a_failure_that_is_not_for_good_is_tried_again(desk):
    desk.settled(first(desk, HERO), BROKE)
    assert desk.decisions(HERO) == {"hero": "run"}


def test_a_rejection_does_not_take_a_result_away(desk):
    desk.apply(HERO)
    desk.settled(first(desk, HERO), REFUSED_INPUT)
    assert desk.decisions(HERO) == {"hero": "hit"}


def test_a_success_ends_the_refusal_of_an_input(desk):
    two = HERO.replace("}}\n", "}, takes: 2}\n")
    desk.settled(desk.step(two, "hero").takes[0], REFUSED_INPUT)
    desk.settled(desk.step(two, "hero").takes[1], Succeeded())
    assert desk.step(two, "hero").takes[1].decision is Decision.RUN


# -- what is wrong only now


def test_problems_that_only_the_upstream_brings_to_light(desk):
    """The recording turned out longer than the effect may be."""
    noise = '\n  noise: {uses: sound_effect, with: {model: eleven_text_to_sound_v2, promptText: wind, duration: "{{ N }}"}}\n'
    nodes = SPEECH + noise.replace("N", "nodes.line.output.duration * 3")
    assert desk.decisions(nodes) == {"line": "run", "noise": "undecided"}
    desk.apply(SPEECH)
    plan = desk.plan(nodes + NEEDY.replace("hero", "noise"))
    step = list(plan.steps.values())[1]
    assert (step.decision, step.cost, step.why) == (Decision.BLOCKED, Cost(), None)
    assert [problem.code for problem in plan.problems] == ["out-of-range"]
    assert plan.problems[0].span.line == 8
    assert list(plan.steps.values())[2].why.detail == "noise is blocked"


def test_a_fact_that_the_media_has_not_is_a_problem(desk):
    assert SOUND.width is None
    nodes = (
        SPEECH
        + '\n  hero: {uses: text_to_image, with: {model: gen4_image, promptText: "{{ X }}", ratio: "1920:1080"}}\n'
    )
    nodes = nodes.replace("X", "1 / (nodes.line.output.duration - 12)")
    assert desk.decisions(nodes)["hero"] == "undecided"
    desk.apply(SPEECH)
    step = desk.step(nodes, "hero")
    assert (step.decision, [problem.code for problem in step.problems]) == (Decision.BLOCKED, ["bad-operation"])


# -- salts


def test_a_salt_that_waits_is_undecided(desk):
    nodes = HERO + NEEDY.rstrip() + '\n    cache: "{{ nodes.hero.output.sha256 }}"\n'
    step = desk.step(nodes, "shot")
    assert (step.decision, step.why.detail) == (Decision.UNDECIDED, "'cache' waits for hero")
    desk.apply(HERO)
    salted = desk.step(nodes, "shot").takes[0].doc
    assert salted.ingredients["salt"] == desk.results.by_blob_of(1)


def test_twins_with_other_salts_are_two(desk):
    twins = HERO + HERO.replace("hero:", "twin:").replace("}}\n", "}, cache: mine}\n")
    assert desk.apply(twins) == ["hero#1", "twin#1"]


@pytest.mark.parametrize("written", ["false", '"{{ vars.keep }}"'])
def test_cache_off_makes_a_new_result_each_apply(desk, written):
    nodes = f"vars: {{keep: false}}\nnodes:{HERO}".replace("}}\n", f"}}, cache: {written}}}\n")
    for number in (1, 2, 3):
        step = desk.step(nodes, "hero")
        assert (step.decision, step.why.reason, step.takes[0].forced) == (Decision.RUN, Reason.CACHE_OFF, True)
        assert step.takes[0].doc.ingredients["salt"] is None
        desk.apply(nodes)
        assert desk.made == number
    assert desk.step(HERO, "hero").takes[0].result.id == "r3"  # the newest flows on, as a forced one


def test_cache_off_takes_up_what_is_in_flight(desk):
    nodes = HERO.replace("}}\n", "}, cache: false}\n")
    desk.submitted(first(desk, nodes))
    assert desk.decisions(nodes) == {"hero": "resume"}


@pytest.mark.parametrize("salt", ["{{ true }}", "{{ [1, 2] }}", "{{ {'a': 1} }}"])
def test_a_salt_is_a_text_or_a_number(desk, salt):
    step = desk.step(HERO.replace("}}\n", f'}}, cache: "{salt}"}}\n'), "hero")
    assert (step.decision, [problem.code for problem in step.problems]) == (Decision.BLOCKED, ["wrong-type"])


def test_an_empty_salt_is_none(desk):
    assert first(desk, HERO.replace("}}\n", "}, cache: null}\n")).doc.key == first(desk, HERO).doc.key
    given = f"vars: {{none: null}}\nnodes:{HERO}".replace("}}\n", '}, cache: "{{ vars.none }}"}\n')
    assert first(desk, given).doc.key == first(desk, HERO).doc.key


def test_a_salt_with_a_mistake_in_it_stops_the_node(desk):
    nodes = SPEECH + HERO.replace("}}\n", '}, cache: "{{ 1 / (nodes.line.output.duration - 12) }}"}\n')
    desk.apply(SPEECH)
    step = desk.step(nodes, "hero")
    assert (step.decision, [problem.code for problem in step.problems]) == (Decision.BLOCKED, ["bad-operation"])


# -- twins


def test_the_second_twin_is_shared_and_costs_nothing(desk):
    twins = HERO + HERO.replace("hero:", "twin:") + SHOT
    plan = desk.plan(twins)
    hero, twin, _ = plan.steps.values()
    assert (hero.cost, hero.submissions, hero.why.reason) == (Cost(8, 8), 1, Reason.NEW)
    assert (twin.decision, twin.cost, twin.submissions) == (Decision.RUN, Cost(), 0)
    assert (twin.why.reason, twin.why.detail) == (Reason.SHARED, "the same recipe as hero")
    assert (plan.submissions, plan.cost.low) == (1, 8)
    assert desk.apply(twins) == ["hero#1", "shot#1"]


def test_a_twin_further_down_is_one_too(desk):
    twins = HERO + HERO.replace("hero:", "twin:").replace("}}\n", "}, needs: [hero]}\n")
    assert desk.step(twins, "twin").why.reason is Reason.SHARED


def test_a_twin_pays_where_the_first_is_not_selected(desk):
    twins = HERO + HERO.replace("hero:", "twin:")
    plan = desk.plan(twins, selected=["twin"])
    hero, twin = plan.steps.values()
    assert hero.decision is Decision.EXCLUDED
    assert (twin.decision, twin.cost, twin.why.reason, plan.submissions) == (Decision.RUN, Cost(8, 8), Reason.NEW, 1)


def test_an_unselected_twin_is_not_generated_under_another_name(desk):
    twins = HERO + HERO.replace("hero:", "twin:")
    assert desk.decisions(twins, selected=["hero"]) == {"hero": "run", "twin": "excluded"}


def test_a_twin_of_more_takes_pays_for_its_own(desk):
    twins = HERO + HERO.replace("hero:", "twin:").replace("}}\n", "}, takes: 3}\n")
    plan = desk.plan(twins)
    twin = list(plan.steps.values())[1]
    assert [take.is_shared for take in twin.takes] == [True, False, False]
    assert (twin.submissions, twin.cost, twin.why.reason) == (2, Cost(16, 16), Reason.NEW)
    assert plan.submissions == 3


def test_a_planner_asked_again_does_not_take_a_node_for_its_own_twin(desk):
    planner = desk.planner(HERO)
    (address,) = planner.graph.instances
    assert planner.decide(address) == planner.decide(address)


# -- lookups


def test_lookups_come_in_batches_and_hits_ask_no_history(desk, monkeypatch):
    """One of each kind for a wave of the graph, however many nodes are in it."""
    fan = HERO.replace("hero: {", "hero: {foreach: 20, ").replace("a red fox", '"fox {{ each.key }}"')
    nodes = fan + SHOT.replace("shot:", "shot:\n    foreach: 20").replace("nodes.hero.", "nodes.hero[each.key].")
    desk.apply(nodes)
    asked: list[str] = []
    for owner, name in ((desk.results, "lookup"), (desk.ledger, "last"), (desk.ledger, "rejections")):
        method = getattr(owner, name)
        monkeypatch.setattr(
            owner, name, lambda keys, name=name, method=method: (asked.append((name, len(list(keys)))), method(keys))[1]
        )
    monkeypatch.setattr(desk.results, "last_at", None)
    assert desk.plan(nodes).counts == {Decision.HIT: 40}
    assert sorted(asked) == [("last", 20)] * 2 + [("lookup", 20)] * 2 + [("rejections", 20)] * 2


# -- totals


def test_counts_and_what_is_left_to_do(desk):
    nodes = HERO + SHOT + SPEECH
    plan = desk.plan(nodes)
    assert plan.counts == {Decision.RUN: 2, Decision.UNDECIDED: 1}
    assert (plan.is_done, plan.needs_provider) == (False, True)
    assert [str(address) for address in plan.steps] == ["hero", "shot", "line"]
    desk.apply(nodes)
    plan = desk.plan(nodes)
    assert (plan.counts, plan.is_done, plan.needs_provider) == ({Decision.HIT: 3}, True, False)
    assert plan.by_model == {}


def test_durations_are_learned_or_typical(desk):
    learned = desk.step(HERO, "hero", seconds={("text_to_image", "gen4_image"): 33.0})
    assert learned.seconds == 33.0
    assert desk.step(HERO, "hero").seconds > 0
