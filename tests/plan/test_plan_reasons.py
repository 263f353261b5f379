"""Why something would run: every reason, with the fields that changed and their values before and after."""

import pytest

from flowrun.ledger.protocol import Resend
from flowrun.plan.model import Change, Decision, Reason
from flowrun.plan.reasons import LONGEST, changes_between, cut, explain, some
from flowrun.store.protocol import Pick

from .fakes import BROKE, REFUSED, REFUSED_INPUT, Desk

HERO = """
  hero:
    uses: text_to_image
    with: {model: gen4_image, promptText: a red fox, ratio: "1920:1080", referenceImages: [{uri: scarf.png, tag: scarf}]}
"""
SHOT = """
  shot:
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "{{ nodes.hero.output }}", ratio: "1280:720", duration: 5}
"""


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.inputs.put("scarf.png", "a scarf")
    made.inputs.put("hat.png", "a hat")
    return made


def sha(desk: Desk, name: str) -> str:
    from .fakes import HERE

    return f"sha256:{desk.inputs.file(HERE / name).digest.sha256}"


def why(desk: Desk, nodes: str, address: str = "hero", **wishes):
    step = desk.step(nodes, address, **wishes)
    return step.why.reason, step.why.changes


def test_new(desk):
    assert why(desk, HERO) == (Reason.NEW, ())


def test_a_renamed_node_is_new_only_where_its_recipe_is(desk):
    desk.apply(HERO)
    assert desk.decisions(HERO.replace("hero:", "heroine:")) == {"heroine": "hit"}
    assert why(desk, HERO.replace("hero:", "heroine:").replace("red", "grey"), "heroine") == (Reason.NEW, ())


def test_input_changed_shows_the_whole_prompts(desk):
    desk.apply(HERO)
    change = Change("promptText", "a red fox", "a grey fox")
    assert why(desk, HERO.replace("red", "grey")) == (Reason.INPUT_CHANGED, (change,))


def test_inputs_that_come_and_go_have_one_side(desk):
    desk.apply(HERO)
    seeded = HERO.replace("a red fox", "a red fox, seed: 7")
    assert why(desk, seeded) == (Reason.INPUT_CHANGED, (Change("seed", None, 7),))
    desk.apply(seeded)
    assert why(desk, HERO.replace("red", "grey")) == (
        Reason.INPUT_CHANGED,
        (Change("promptText", "a red fox", "a grey fox"), Change("seed", 7, None)),
    )


def test_a_reference_added_is_an_edit_and_shown_by_its_digest(desk):
    desk.apply(HERO)
    more = HERO.replace("tag: scarf}]", "tag: scarf}, {uri: hat.png, tag: hat}]")
    added = Change("referenceImages[1]", None, {"uri": sha(desk, "hat.png"), "tag": "hat"})
    assert why(desk, more) == (Reason.INPUT_CHANGED, (added,))


def test_file_changed(desk):
    desk.apply(HERO)
    old = sha(desk, "scarf.png")
    desk.inputs.put("scarf.png", "a green scarf")
    changes = (Change("referenceImages[0].uri", old, sha(desk, "scarf.png")),)
    assert why(desk, HERO) == (Reason.FILE_CHANGED, changes)


def test_upstream_changed(desk):
    desk.apply(HERO + SHOT)
    grey = HERO.replace("red", "grey")
    desk.apply(grey)
    reason, (change,) = why(desk, grey + SHOT, "shot")
    assert (reason, change.path) == (Reason.UPSTREAM_CHANGED, "promptImage")
    assert change.old != change.new
    assert change.old.startswith("sha256:")


def test_upstream_in_a_list_is_upstream(desk):
    nodes = HERO + HERO.replace("hero:", "still:").replace("a red fox", "a den").replace(
        "scarf.png", '"{{ nodes.hero.output }}"'
    )
    desk.apply(nodes)
    desk.apply(HERO.replace("red", "grey"))
    reason, changes = why(desk, nodes.replace("red", "grey"), "still")
    assert (reason, [change.path for change in changes]) == (Reason.UPSTREAM_CHANGED, ["referenceImages[0].uri"])


def test_model_changed_tells_more_than_all_else(desk):
    desk.apply(HERO)
    other = HERO.replace("gen4_image", "gemini_2.5_flash").replace("1920:1080", "1344:768").replace("red", "grey")
    reason, changes = why(desk, f"{other}    cache: v2\n")
    assert reason is Reason.MODEL_CHANGED
    assert changes == (
        Change("model", "gen4_image", "gemini_2.5_flash"),
        Change("promptText", "a red fox", "a grey fox"),
        Change("ratio", "1920:1080", "1344:768"),
        Change("salt", None, "v2"),
    )


def test_operation_changed_counts_as_model_changed():
    old = {"operation": "text_to_video", "request": {"model": "veo3.1"}, "take": 1}
    new = {"operation": "image_to_video", "request": {"model": "veo3.1"}, "take": 2}
    assert explain(old, new, frozenset()).reason is Reason.MODEL_CHANGED


def test_salt_changed(desk):
    desk.apply(HERO)
    assert why(desk, f"{HERO}    cache: v2\n") == (Reason.SALT_CHANGED, (Change("salt", None, "v2"),))


def test_the_order_in_which_reasons_tell():
    """Each pair of changes at once: the more telling one names the reason."""
    media = {"model": "m", "promptText": "a", "file": {"$media": "1"}, "up": {"$media": "1"}}
    base = {"operation": "o", "salt": None, "request": media}
    edits = {
        Reason.MODEL_CHANGED: {"request": {"model": "n"}},
        Reason.INPUT_CHANGED: {"request": {"promptText": "b"}},
        Reason.FILE_CHANGED: {"request": {"file": {"$media": "2"}}},
        Reason.SALT_CHANGED: {"salt": "s"},
        Reason.UPSTREAM_CHANGED: {"request": {"up": {"$media": "2"}}},
    }
    order = list(edits)
    for place, reason in enumerate(order):
        for below in order[place:]:
            new = {**base, **edits[below], **edits[reason]}
            new["request"] = {**media, **edits[below].get("request", {}), **edits[reason].get("request", {})}
            assert explain(base, new, frozenset({"up"})).reason is reason, (reason, below)


def test_retake_when_takes_are_raised(desk):
    desk.apply(HERO)
    step = desk.step(f"{HERO}    takes: 3\n", "hero")
    assert [take.decision for take in step.takes] == [Decision.HIT, Decision.RUN, Decision.RUN]
    assert [take.why and take.why.reason for take in step.takes] == [None, Reason.RETAKE, Reason.RETAKE]
    assert (step.decision, step.why.reason, step.pick, step.submissions) == (Decision.RUN, Reason.RETAKE, 1, 2)


def test_result_missing_and_damaged(desk):
    desk.apply(HERO)
    (result,) = desk.results.by_recipe(desk.step(HERO, "hero").takes[0].doc.recipe)
    desk.damage(result)
    step = desk.step(HERO, "hero")
    assert (step.decision, step.why.reason, step.why.detail) == (Decision.RUN, Reason.RESULT_DAMAGED, result.id)
    desk.lose(result)
    step = desk.step(HERO, "hero")
    assert (step.decision, step.why.reason, step.why.detail) == (Decision.RUN, Reason.RESULT_MISSING, result.id)


def test_of_several_defects_the_damaged_one_is_told(desk):
    take = desk.step(HERO, "hero").takes[0]
    planner = desk.planner(HERO)
    first, second = (desk.make(take, planner, "hero") for _ in range(2))
    desk.lose(first)
    desk.damage(second)
    step = desk.step(HERO, "hero")
    assert (step.why.reason, step.why.detail) == (Reason.RESULT_DAMAGED, second.id)


def test_forced_and_cache_off(desk):
    desk.apply(HERO)
    assert why(desk, HERO, forced=["hero"]) == (Reason.FORCED, ())
    off = f"{HERO}    cache: false\n"
    assert why(desk, off) == (Reason.CACHE_OFF, ())
    assert why(desk, off, forced=["hero"]) == (Reason.FORCED, ())


def test_takes_that_are_not_the_forced_one_keep_their_own_reason(desk):
    desk.apply(HERO)
    for nodes, wishes in ((HERO, {"forced": ["hero"]}), (f"{HERO}    cache: false\n", {})):
        step = desk.step(f"{nodes}    takes: 2\n", "hero", **wishes)
        assert [take.forced for take in step.takes] == [True, False]
        assert step.takes[1].why.reason is Reason.RETAKE


def test_input_unread(desk):
    nodes = HERO.replace("scarf.png", '"https://example.com/scarf.png"')
    step = desk.step(nodes, "hero")
    assert (step.decision, step.why.reason) == (Decision.UNDECIDED, Reason.INPUT_UNREAD)
    assert step.why.detail == "1 https input was not fetched yet"
    assert step.unread == ("https://example.com/scarf.png",)
    two = nodes.replace("tag: scarf}]", 'tag: scarf}, {uri: "https://example.com/hat.png", tag: hat}]')
    assert desk.step(two, "hero").why.detail == "2 https inputs were not fetched yet"


def test_previously_failed(desk):
    take = desk.step(HERO, "hero").takes[0]
    desk.settled(take, BROKE)
    step = desk.step(HERO, "hero")
    assert (step.decision, step.why.reason) == (Decision.RUN, Reason.PREVIOUSLY_FAILED)
    assert step.why.detail == "INTERNAL.BAD_OUTPUT: the model broke"


@pytest.mark.parametrize("refusal", [REFUSED, REFUSED_INPUT])
def test_what_was_rejected_and_is_sent_again_failed_before(desk, refusal):
    desk.settled(desk.step(HERO, "hero").takes[0], refusal)
    step = desk.step(HERO, "hero", retry_rejected=True)
    assert (step.decision, step.why.reason) == (Decision.RUN, Reason.PREVIOUSLY_FAILED)
    assert step.why.detail == f"{refusal.code}: {refusal.message}"


def test_another_take_of_a_refused_recipe_failed_before(desk):
    desk.settled(desk.step(HERO, "hero").takes[0], REFUSED_INPUT)
    step = desk.step(f"{HERO}    takes: 2\n", "hero", retry_rejected=True)
    assert [take.why.reason for take in step.takes] == [Reason.PREVIOUSLY_FAILED] * 2


def test_a_resend_says_so(desk):
    desk.lost(desk.step(HERO, "hero").takes[0])
    step = desk.step(HERO, "hero", resend=["hero"])
    assert step.decision is Decision.RUN
    assert step.why.reason is Reason.PREVIOUSLY_FAILED
    assert "sent again as asked" in step.why.detail


def test_a_resend_is_still_one_once_the_doubt_is_settled(desk):
    """Between plan and run the uncertain intent is given up; the decision must not change by that."""
    planner = desk.planner(HERO)
    desk.apply(HERO)
    (address,) = planner.graph.instances
    intent = desk.lost(planner.decide(address).takes[0], forced=True)
    again = desk.planner(HERO, resend=["hero"])
    before = again.decide(address)
    desk.ledger.decide(intent.intent, Resend())
    after = again.decide(address)
    for step in (before, after):
        assert (step.decision, step.takes[0].forced) == (Decision.RUN, True)
        assert step.why.reason is Reason.PREVIOUSLY_FAILED
    assert desk.decisions(HERO) == {"hero": "hit"}  # nobody asks for a resend any more


def test_when_false_and_upstream_skipped(desk):
    nodes = f"{HERO}    when: false\n{SHOT}"
    assert why(desk, nodes) == (Reason.WHEN_FALSE, ())
    step = desk.step(nodes, "shot")
    assert (step.decision, step.why.reason, step.why.detail) == (Decision.SKIP, Reason.UPSTREAM_SKIPPED, "hero")


def test_not_selected_and_upstream_blocked(desk):
    step = desk.step(HERO + SHOT, "hero", selected=["shot"])
    assert (step.decision, step.why.reason) == (Decision.EXCLUDED, Reason.NOT_SELECTED)
    step = desk.step(HERO + SHOT, "shot", selected=["shot"])
    assert (step.decision, step.why.reason) == (Decision.BLOCKED, Reason.UPSTREAM_BLOCKED)
    assert step.why.detail == "hero is not selected and was not made with these inputs; select +shot to make it too"


def test_lock_differs_when_the_picked_result_is_not_to_be_had(desk):
    desk.apply(HERO)
    desk.apply(HERO, forced=["hero"])
    old, new = desk.results.by_recipe(desk.step(HERO, "hero").takes[0].doc.recipe)
    assert desk.step(HERO, "hero").takes[0].result == new
    desk.lose(new)
    step = desk.step(HERO, "hero")
    assert (step.decision, step.why.reason, step.takes[0].result) == (Decision.HIT, Reason.LOCK_DIFFERS, old)
    assert step.why.detail == "the picked result r2 is not to be had; r1 of the same take is used"


def test_a_pick_made_for_another_recipe_is_told_of(desk):
    desk.apply(f"{HERO}    takes: 2\n")
    second = desk.step(f"{HERO}    takes: 2\n", "hero").takes[1].result
    grey = HERO.replace("red", "grey")
    assert desk.step(grey, "hero").why.detail is None  # a default pick is nobody's word
    desk.pick(second)
    step = desk.step(grey, "hero")
    assert step.why.reason is Reason.INPUT_CHANGED
    assert step.why.detail == "take 2 was picked for another recipe; that pick is kept and not used"


# -- which earlier result is held against today's


def test_old_is_what_flowed_here_last(desk):
    """Red, then grey, then red again (a hit): blue differs from red."""
    grey, blue = HERO.replace("red", "grey"), HERO.replace("red", "blue")
    for nodes in (HERO, grey, HERO):
        desk.apply(nodes)
    assert why(desk, blue) == (Reason.INPUT_CHANGED, (Change("promptText", "a red fox", "a blue fox"),))


def test_old_is_of_the_same_provider_profile_and_flow(desk):
    grey = HERO.replace("red", "grey")
    desk.apply(HERO)
    assert why(desk, grey, provider="sandbox") == (Reason.NEW, ())
    assert why(desk, grey, name="another") == (Reason.NEW, ())
    assert why(desk, f"profiles: {{draft: {{}}}}\nnodes:{grey}", profile="draft") == (Reason.NEW, ())


def test_without_its_index_the_store_still_tells_what_was_made_here(desk):
    desk.apply(f"{HERO}    takes: 2\n")
    desk.results.lose_index()
    reason, (change,) = why(desk, HERO.replace("red", "grey"))
    assert (reason, change.old) == (Reason.INPUT_CHANGED, "a red fox")
    step = desk.step(f"{HERO}    takes: 3\n", "hero")
    assert step.takes[2].why.reason is Reason.RETAKE


# -- differences


def test_changes_come_in_the_order_of_their_paths():
    old = {"request": {"b": [0] * 11, "a": 1}, "salt": None}
    new = {"request": {"b": [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], "a": 2}, "salt": 1}
    assert [change.path for change in changes_between(old, new)] == ["a", "b[2]", "b[10]", "salt"]


def test_differences_count_as_in_canonical_json():
    def told(old, new):
        return changes_between({"request": {"x": old}}, {"request": {"x": new}})

    assert told(5, 5.0) == ()
    assert told(True, 1) == (Change("x", True, 1),)
    assert told(False, 0) == (Change("x", False, 0),)
    assert told([1, 2], {"a": 1}) == (Change("x", [1, 2], {"a": 1}),)
    assert told([{"$media": "1"}], "a") == (Change("x", ["sha256:1"], "a"),)


def test_texts_with_secrets_and_upload_uris_are_one_value_each():
    text = {"$text": ["for ", {"$env": "CLIENT"}]}
    old = {"request": {"promptText": text, "promptImage": {"$uri": "runway://a"}, "video": {"$media": "1"}}}
    new = {"request": {"promptText": "for you", "promptImage": {"$uri": "runway://b"}, "video": {"$uri": "runway://c"}}}
    why = explain(old, new, frozenset())
    assert why.reason is Reason.INPUT_CHANGED
    assert why.changes == (
        Change("promptImage", {"$uri": "runway://a"}, {"$uri": "runway://b"}),
        Change("promptText", text, "for you"),
        Change("video", "sha256:1", {"$uri": "runway://c"}),
    )


def test_media_that_comes_or_goes_is_an_edit():
    without, with_one = {"request": {}}, {"request": {"promptImage": {"$media": "1"}}}
    for old, new in ((without, with_one), (with_one, without)):
        assert explain(old, new, frozenset({"promptImage"})).reason is Reason.INPUT_CHANGED
    assert explain(without, with_one, frozenset()).changes == (Change("promptImage", None, "sha256:1"),)


def test_a_prompt_that_looks_like_a_digest_is_no_file():
    old, new = ({"request": {"promptText": f"sha256:{word}"}} for word in ("one", "two"))
    assert explain(old, new, frozenset()).reason is Reason.INPUT_CHANGED


# -- details


def test_details_are_cut_to_a_useful_length(desk):
    assert cut("one\n  line") == "one line"
    assert cut("x" * 1000) == "x" * (LONGEST - 1) + "…"
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some("abcde") == "a, b, c and 2 more"
    take = desk.step(HERO, "hero").takes[0]
    desk.settled(take, type(BROKE)("X", "long " * 200))
    assert len(desk.step(HERO, "hero").why.detail) <= LONGEST


def test_a_gather_over_many_names_a_few(desk):
    nodes = HERO.replace("  hero:", "  hero:\n    foreach: 9")
    film = SHOT.replace('"{{ nodes.hero.output }}"', '"{{ nodes.hero.outputs[0] }}"')
    step = desk.step(nodes + film, "shot")
    assert step.decision is Decision.UNDECIDED
    assert len(step.why.detail) < 100


def test_picks_by_default_never_move_a_person_s(desk):
    desk.apply(f"{HERO}    takes: 2\n")
    first, second = (take.result for take in desk.step(f"{HERO}    takes: 2\n", "hero").takes)
    desk.pick(second)
    desk.picks.set(Pick(first.recipe, 1, first.id, "default", 9e9))
    assert desk.step(f"{HERO}    takes: 2\n", "hero").pick == 2
