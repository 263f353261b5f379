"""Values: defaults, variables with and without a value, conditions, and who is skipped before anything ran."""

from __future__ import annotations

import pytest

from flowrun.graph.outcomes import Pending, Skipped
from flowrun.graph.standing import settle
from flowrun.operations.model import UNKNOWN
from tests.graph.making import IMAGE, LINE, STILL, Built, Project, at, built, made, refused, shot

NODES = "nodes:\n  hero: " + STILL + "\n"


def value(text: str, address: str, **options: object) -> dict[str, object]:
    return built(text, **options).request(address).value


# -- defaults

PLAIN = "  film: {uses: image_to_video, with: {promptImage: a.png, promptText: x%s}}\n"


def test_defaults_merge_input_by_input() -> None:
    head = (
        "defaults:\n  image_to_video:\n"
        "    {model: gen4_turbo, ratio: '1280:720', duration: 5, contentModeration: {publicFigureThreshold: low}}\n"
        "  image_to_video/gen4_turbo: {duration: 10}\n"
    )
    got = value(head + "nodes:\n" + PLAIN % ", contentModeration: {}", "film")
    assert got["ratio"], got["duration"] == ("1280:720", 10)
    assert got["contentModeration"] == {}
    assert value(head + "nodes:\n" + PLAIN % ", duration: 4", "film")["duration"] == 4
    assert "duration" not in value(head + "nodes:\n" + PLAIN % ", duration: null", "film")


def test_a_default_is_offered_only_to_models_that_have_the_input() -> None:
    head = "defaults: {image_to_video: {contentModeration: {publicFigureThreshold: low}, audio: false}}\n"
    film = shot("a.png", ratio="'1280:720'")
    assert "contentModeration" in value(head + "nodes: {film: " + film + "}", "film")
    veo = film.replace("gen4_turbo", "veo3.1_fast").replace("duration: 5", "duration: 4")
    got = value(head + "nodes: {film: " + veo + "}", "film")
    assert "contentModeration" not in got
    assert got["audio"] is False


def test_a_wrong_default_is_shown_there_with_the_node() -> None:
    head = "defaults: {text_to_image: {ratio: '4:5'}}\n"
    still = STILL.replace(", ratio: '1920:1080'", "")
    found = refused(head + f"nodes: {{one: {still}, two: {still}}}")
    assert (found.only.code, found.shown) == ("not-allowed", "'4:5'")
    assert found.noted == ["one", "two"]


def test_many_notes_are_cut() -> None:
    still = STILL.replace(", ratio: '1920:1080'", "")
    many = "".join(f"  n{number}: {still}\n" for number in range(12))
    found = refused("defaults: {text_to_image: {ratio: '4:5'}}\nnodes:\n" + many)
    assert [note.message for note in found.only.notes][-1] == "and in 4 more places"
    assert len(found.only.notes) == 9


@pytest.mark.parametrize(
    ("model", "hint"), [("gen4_trbo", "did you mean `gen4_turbo`?"), ("x" * 30, "name a model as nodes do")]
)
def test_a_limit_of_a_model_that_nobody_has(model: str, hint: str) -> None:
    found = refused(f"limits: {{credits: 5, concurrency: {{gen4_image: 1, {model}: 2}}}}\nnodes: {{a: {STILL}}}")
    assert (found.only.code, found.shown, found.only.hint) == ("unknown-model", model, hint)


def test_a_wrong_model_in_defaults_is_shown_there_with_the_node() -> None:
    found = refused("defaults: {text_to_image: {model: gen9}}\n" + NODES.replace("model: gen4_image, ", ""))
    assert (found.only.code, found.shown, found.noted) == ("unknown-model", "gen9", ["hero"])
    assert refused("defaults: {text_to_image: {model: gen4_image}}\n" + NODES.replace("gen4_image", "null")).codes == [
        "missing-input"
    ]


@pytest.mark.parametrize(
    ("defaults", "code", "shown", "hint"),
    [
        ("{text_to_imgae: {ratio: x}}", "unknown-operation", "text_to_imgae", "text_to_image"),
        ("{text_to_image/gen9: {ratio: x}}", "unknown-model", "text_to_image/gen9", "gen4_image"),
        ("{text_to_image: {ratoi: x}}", "unknown-input", "ratoi", "did you mean ratio?"),
        ("{text_to_image/gemini_2.5_flash: {seed: 5}}", "unknown-input", "seed", "text_to_image/gemini_2.5_flash has"),
        ("{text_to_image: {ratio: '{{ vars.nope }}'}}", "unknown-reference", "vars.nope", "declare it under 'vars:'"),
        ("{text_to_image: {ratio: '{{ nope }}'}}", "unknown-name", "nope", "names start with flow, vars"),
        ("{text_to_image: {ratio: '{{ nodes.hero.output }}'}}", "out-of-scope", "nodes.hero.output", "`flow`, `vars`"),
    ],
)
def test_defaults_that_lead_nowhere(defaults: str, code: str, shown: str, hint: str) -> None:
    found = refused(f"defaults: {defaults}\n" + NODES)
    assert (found.only.code, found.shown) == (code, shown)
    assert hint in str(found.only.hint)


def test_defaults_see_vars_and_flow() -> None:
    inputs = "{ratio: '{{ vars.r }}', seed: '{{ flow.name | length }}'}"
    head = f"name: fox\nvars: {{r: '1280:720'}}\ndefaults: {{text_to_image: {inputs}}}\n"
    got = value(head + NODES.replace(", ratio: '1920:1080'", ""), "hero")
    assert (got["ratio"], got["seed"]) == ("1280:720", 3)


def test_profiles() -> None:
    head = "defaults: {text_to_image: {seed: 1}}\nprofiles: {draft: {defaults: {text_to_image: {seed: 2}}}}\n"
    assert value(head + NODES, "hero")["seed"] == 1
    assert value(head + NODES, "hero", profile="draft")["seed"] == 2
    wrong = "profiles: {draft: {defaults: {text_to_imgae: {seed: 2}}}}\n"
    found = refused(wrong + NODES, profile="draft")
    assert (found.only.code, found.shown) == ("unknown-operation", "text_to_imgae")


def test_what_a_request_lacks_is_shown_at_its_with() -> None:
    found = refused(NODES.replace("promptText: a fox, ", ""))
    assert (found.only.code, found.shown) == ("missing-input", "with")
    found = refused("defaults: {text_to_image: {model: gen4_image}}\nnodes: {hero: {uses: text_to_image}}\n")
    assert {found.at(each.span) for each in found.found} == {"hero"}
    found = refused(NODES.replace("ratio:", "referenceImages: [{tag: fox}], ratio:"))
    assert found.codes == ["missing-input"]


def test_unknown_inputs_are_shown_at_their_key() -> None:
    found = refused(NODES.replace("promptText", "prompt_text"))
    assert sorted(found.codes) == ["missing-input", "unknown-input"]
    unknown = next(each for each in found.found if each.code == "unknown-input")
    assert found.at(unknown.span) == "prompt_text"
    assert "promptText" in str(unknown.hint)


def test_a_duplicate_notes_the_earlier_one() -> None:
    images = "[{uri: a.png, tag: fox}, {uri: b.png, tag: fox}]"
    found = refused(NODES.replace("ratio:", f"referenceImages: {images}, ratio:"))
    assert found.codes == ["duplicate-tag"]
    assert (found.shown, found.noted) == ("fox", ["fox"])
    assert found.only.span.column > found.only.notes[0].span.column


# -- variables


def test_a_lone_expression_keeps_its_type() -> None:
    head = "vars: {seed: 7, flag: true, refs: [{uri: a.png, tag: fox}]}\n"
    got = value(
        head + NODES.replace("ratio:", "seed: '{{ vars.seed }}', referenceImages: '{{ vars.refs }}', ratio:"), "hero"
    )
    assert got["seed"] == 7
    assert got["referenceImages"][0]["tag"] == "fox"


def test_filling_slots_touches_no_variable() -> None:
    head = "vars: {refs: [{uri: a.png, tag: fox}]}\n"
    text = STILL.replace("ratio:", "referenceImages: '{{ vars.refs }}', ratio:")
    found = built(head + f"nodes: {{a: {text}, b: {text}}}")
    for name in "aab":
        assert [each.source.text for each in found.request(name).media] == ["a.png"]


OPTIONAL = "vars: {note: {type: string}, client: {type: string, required: true}}\n"


def test_a_variable_without_a_value_is_not_there() -> None:
    text = NODES.replace("a fox", "\"{{ vars.note | default('a fox') }}{{ ' x' if vars.note is defined else '' }}\"")
    assert built(OPTIONAL + text, "client=c").request("hero").value["promptText"] == "a fox"
    assert refused(OPTIONAL + NODES.replace("a fox", "'{{ vars.note }}'"), "client=c").codes == ["undefined-reference"]


def test_validating_without_values_checks_everything_else() -> None:
    text = NODES.replace("a fox", "'{{ vars.client }}'")
    assert refused(OPTIONAL + text).codes == ["unset-variable"]
    request = built(OPTIONAL + text, demand=False).request("hero")
    assert request.value["promptText"] is UNKNOWN
    assert [str(each) for each in request.waits] == ["vars.client"]
    found = refused(OPTIONAL + text.replace("1920:1080", "4:5"), demand=False)
    assert (found.codes, found.shown) == (["not-allowed"], "'4:5'")


@pytest.mark.parametrize(
    "text",
    [
        "nodes: {a: " + STILL.replace("uses:", "foreach: '{{ vars.client }}', uses:") + "}",
        "nodes: {a: " + STILL.replace("uses:", "foreach: {file: '{{ vars.client }}'}, uses:") + "}",
        "nodes: {a: " + STILL.replace("uses:", "foreach: ['{{ vars.client }}'], uses:") + "}",
        "nodes: {a: " + STILL.replace("gen4_image", "'{{ vars.client }}'") + "}",
    ],
)
def test_what_cannot_be_expanded_without_a_value_is_left_out(text: str) -> None:
    film = shot("{{ nodes.a['k'].output }}" if "foreach" in text else "{{ nodes.a.output }}", needs="[a]")
    gathered = LINE.replace("hi,", "'{{ nodes.a.outputs | length }} of {{ nodes.film.output.duration }}',")
    outputs = "outputs: {all: '{{ nodes.a.outputs }}', film: '{{ nodes.film.output }}'}\n"
    whole = text.removesuffix("}") + f", film: {film}, line: {gathered}}}\n{outputs}"
    found = built(OPTIONAL + whole, demand=False)
    assert found.addresses == ["film", "line"]
    assert found.edges() == {("film", "fact", "line")}
    assert found.graph.of_node("a") == ()
    assert refused(OPTIONAL + whole.replace("1280:720", "1:9"), demand=False).codes == ["not-allowed"]


def test_an_asset_and_takes_without_a_value() -> None:
    head = OPTIONAL + "assets: {ref: '{{ vars.client }}'}\n"
    found = built(head + "nodes: {film: " + shot("{{ assets.ref }}", takes="'{{ vars.client }}'") + "}", demand=False)
    assert found.instance("film").takes == 1
    assert [str(each) for each in found.request("film").waits] == ["assets.ref"]


# -- conditions


def standing(found: Built) -> dict[str, object]:
    world = settle(found.graph, found.source, [])
    return {str(each.address): world.outcome(each.address) for each in found.graph}


OPEN = Pending(may_skip=True)


def test_who_is_skipped_before_anything_ran() -> None:
    rows = STILL.replace(
        "uses:", "foreach: [{key: a, use: yes}, {key: b, use: no}], when: \"{{ each.value.use == 'yes' }}\", uses:"
    )
    text = f"""nodes:
  still: {rows}
  gone: {STILL.replace("uses:", "when: false, uses:")}
  open: {STILL.replace("uses:", "when: '{{ nodes.still.outputs[0].width > 5 }}', uses:")}
  below: {shot("{{ nodes.gone.output }}")}
  guarded: {shot("{{ nodes.gone.output | default(nodes.still['a'].output) }}")}
  under: {shot("{{ nodes.open.output }}")}
  needing: {LINE.replace("uses:", "needs: [gone], uses:")}
  gathering: {LINE.replace("hi,", "'{{ nodes.still.outputs | length }} stills',")}
  asking: {LINE.replace("uses:", "when: '{{ nodes.gone is not defined }}', uses:")}
  wondering: {LINE.replace("uses:", "when: '{{ nodes.open is defined }}', uses:")}
"""
    found = standing(built(text))
    skipped = {name for name, outcome in found.items() if outcome == Skipped()}
    assert skipped == {"still[b]", "gone", "below"}
    assert {name for name, outcome in found.items() if outcome == OPEN} == {"open", "under", "wondering"}


def test_what_is_skipped_is_not_checked() -> None:
    film = shot(
        "{{ nodes.hero.output }}",
        foreach="{file: rows.csv}",
        duration="'{{ each.value.d }}'",
        when="\"{{ each.value.d != '' }}\"",
    )
    project = Project({"rows.csv": "id,d\na,5\nb,\n"})
    assert project.built(NODES + f"  film: {film}\n")
    assert project.refused(NODES + f"  film: {film.replace('!=', '==')}\n").codes == ["bad-cell"]


def test_a_gathered_list_may_yet_be_shorter() -> None:
    """Five references are too many, but which of them are made is only known later."""
    still = STILL.replace("uses:", "foreach: 5, when: '{{ nodes.hero.output.width > 5 }}', uses:")
    gather = "[{% for a in nodes.still.outputs %}x{% endfor %}]"
    text = NODES + f"  still: {still}\n  line: {LINE.replace('hi,', chr(34) + gather + chr(34) + ',')}\n"
    found = built(text)
    assert found.request("line").value["promptText"] == "[xxxxx]"
    world = settle(found.graph, found.source, [])
    assert found.request_in("line", world).waits == [at("still[1]")]
    assert found.source.full(None, world, found.graph.fanouts)["nodes"].template_get("hero")


@pytest.mark.parametrize(
    ("when", "shown"),
    [("'{{ vars.text }}'", "vars.text"), ("'{{ each.value.use }}'", "yes"), ("'{{ vars.rows }}'", "vars.rows"),
     ("'{{ vars.n }}'", "vars.n")],
)  # fmt: skip
def test_a_condition_is_true_or_false(when: str, shown: str) -> None:
    project = Project({"rows.csv": "id,use\na,yes\n"})
    head = "vars: {text: 'true', rows: [1], n: 1}\n"
    still = STILL.replace("uses:", f"foreach: {{file: rows.csv}}, when: {when}, uses:")
    found = project.refused(head + f"nodes: {{a: {still}}}\n")
    assert (found.only.code, found.shown) == ("wrong-type", shown)
    assert "compare it" in str(found.only.hint)


def test_a_condition_that_has_no_value() -> None:
    found = refused("nodes: {a: " + STILL.replace("uses:", "when: '{{ vars.x.y }}', uses:") + "}")
    assert found.codes == ["unknown-reference"]
    found = refused("vars: {x: {a: 1}}\nnodes: {a: " + STILL.replace("uses:", "when: '{{ vars.x.y }}', uses:") + "}")
    assert (found.codes, found.shown) == (["undefined-reference"], "vars.x.y")


def test_made_ones_are_there() -> None:
    text = NODES + "  line: " + LINE.replace("hi,", "\"{{ 'yes' if nodes.hero is defined else 'no' }}\",")
    found = built(text)
    assert found.request("line", hero=made("x", IMAGE)).value["promptText"] == "yes"
    assert found.request("line", hero=Skipped()).value["promptText"] == "no"
    assert found.request("line", hero=OPEN).waits == [at("hero")]


def test_a_null_takes_no_input_away_that_there_is_not() -> None:
    found = refused("nodes: {one: " + STILL.replace("ratio:", "prompt_text: null, ratio:") + "}")
    assert found.only.code == "unknown-input"
    assert "promptText" in found.only.hint
