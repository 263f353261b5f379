"""Instances and edges: what each form of reference makes, and what is said of those that lead nowhere."""

from __future__ import annotations

import pytest

from tests.graph.making import LINE, STILL, Project, built, refused, shot

ROWS = "[{key: a, prompt: one}, {key: b, prompt: two}]"
STILLS = STILL.replace("uses:", f"foreach: {ROWS}, uses:")
HERO = "  hero: " + STILL


def nodes(**written: str) -> str:
    return "nodes:\n" + "".join(f"  {name}: {text}\n" for name, text in written.items())


def edges(**written: str) -> set[tuple[str, str, str]]:
    return built(nodes(**written)).edges()


def test_a_reference_is_an_edge() -> None:
    found = built(nodes(film=shot("{{ nodes.hero.output }}"), hero=STILL))
    assert found.edges() == {("hero", "data", "film")}
    assert found.addresses == ["film", "hero"]
    assert [str(each.address) for each in found.graph] == ["hero", "film"]
    assert found.instance("film").waits_for == (found.instance("hero").address,)
    assert found.graph.downstream(found.instance("hero").address) == (found.instance("film").address,)
    assert found.graph.downstream(found.instance("film").address) == ()


def test_each_instance_depends_on_its_own() -> None:
    found = edges(still=STILLS, film=shot("{{ nodes.still[each.key].output }}", foreach=ROWS))
    assert found == {("still[a]", "data", "film[a]"), ("still[b]", "data", "film[b]")}


def test_one_instance_by_its_key() -> None:
    assert edges(still=STILLS, film=shot("{{ nodes.still['b'].output }}")) == {("still[b]", "data", "film")}
    assert edges(still=STILL.replace("uses:", "foreach: 3, uses:"), film=shot("{{ nodes.still[2].output }}")) == {
        ("still[2]", "data", "film")
    }


def test_gathering_depends_on_all() -> None:
    found = built(nodes(still=STILLS, film=shot("{{ nodes.still.outputs[0] }}", needs="[line]"), line=LINE))
    assert found.edges() == {("still[a]", "data", "film"), ("still[b]", "data", "film"), ("line", "order", "film")}
    assert [edge.gather for edge in found.instance("film").edges] == [True, True, False]


def test_a_loop_over_names_of_the_template_depends_on_all() -> None:
    text = "{% for k in ['a', 'b'] %}{{ nodes.still[k].output.width }} {% endfor %}"
    found = edges(still=STILLS, line=LINE.replace("promptText: hi", f'promptText: "{text}"'))
    assert found == {("still[a]", "fact", "line"), ("still[b]", "fact", "line")}


def test_needs_on_a_fan_out_and_on_one_instance() -> None:
    assert edges(still=STILLS, line=LINE.replace("uses:", "needs: [still], uses:")) == {
        ("still[a]", "order", "line"), ("still[b]", "order", "line"),
    }  # fmt: skip
    assert edges(still=STILLS, line=LINE.replace("uses:", "needs: ['still[b]'], uses:")) == {
        ("still[b]", "order", "line")
    }


def test_guards() -> None:
    found = built(
        nodes(
            a=STILL, b=STILL,
            film=shot("{{ nodes.a.output if nodes.a is defined else nodes.b.output }}"),
            other=shot("{{ nodes.a.output | default(nodes.b.output) }}"),
        )
    )  # fmt: skip
    film = {(str(e.source), e.kind.value, e.guarded) for e in found.instance("film").edges}
    assert film == {("a", "presence", True), ("a", "data", True), ("b", "data", False)}
    other = {(str(e.source), e.kind.value, e.guarded, e.passes_skip) for e in found.instance("other").edges}
    assert other == {("a", "data", True, False), ("b", "data", False, True)}


def test_presence_waits_for_nothing() -> None:
    line = LINE.replace("uses:", "when: '{{ nodes.a is defined }}', uses:")
    found = built(nodes(a=STILL, line=line))
    assert found.edges() == {("a", "presence", "line")}
    assert found.instance("line").waits_for == ()


def test_a_guarded_reference_may_name_an_instance_that_is_not_there() -> None:
    other = "[{key: a}, {key: z}]"
    film = shot("{{ nodes.still[each.key].output | default(nodes.hero.output) }}", foreach=other)
    found = edges(hero=STILL, still=STILLS, film=film)
    assert found == {("still[a]", "data", "film[a]"), ("hero", "data", "film[a]"), ("hero", "data", "film[z]")}


def test_a_fan_out_asked_whether_it_is_there() -> None:
    line = LINE.replace("uses:", "when: '{{ nodes.still is defined }}', uses:")
    assert edges(still=STILLS, line=line) == {("still[a]", "presence", "line"), ("still[b]", "presence", "line")}


@pytest.mark.parametrize(
    ("expression", "code", "shown", "hint"),
    [
        ("nodes.stil.outputs[0]", "unknown-reference", "nodes.stil.outputs[0]", "did you mean nodes.still?"),
        ("nodes.xyzzy.output", "unknown-reference", "nodes.xyzzy.output", "declare it under 'nodes:'"),
        ("vars.heroo", "unknown-reference", "vars.heroo", "did you mean vars.hero?"),
        ("assets.scraf", "unknown-reference", "assets.scraf", "did you mean assets.scarf?"),
        ("nodes.still.output", "fan-out-as-one", "nodes.still.output",
         "write nodes.still['a'].output for one, or nodes.still.outputs for all"),
        ("nodes.still", "fan-out-as-one", "nodes.still", "write nodes.still['a'].output for one"),
        ("nodes.still['c'].output", "unknown-reference", "nodes.still['c'].output", "its keys are a, b"),
        ("nodes.still['a']", "bare-node", "nodes.still['a']", "write nodes.still['a'].output"),
        ("nodes.hero", "bare-node", "nodes.hero", "write nodes.hero.output"),
        ("nodes.hero.outptu", "unknown-reference", "nodes.hero.outptu", "did you mean .output?"),
        ("nodes.hero.file", "unknown-reference", "nodes.hero.file", "write nodes.hero.output"),
        ("nodes.hero.output.widht", "unknown-reference", "nodes.hero.output.widht", "did you mean .width?"),
        ("nodes.hero.output.duration", "unknown-reference", "nodes.hero.output.duration",
         "an image has width, height, media_type, sha256"),
        ("nodes.hero.outputs[0].colour", "unknown-reference", "nodes.hero.outputs[0].colour", "an image has"),
        ("nodes.still.outputs[0].colour", "unknown-reference", "nodes.still.outputs[0].colour", "an image has"),
        ("nodes[vars.hero].output", "dynamic-node", "nodes[vars.hero].output", "write its id"),
        ("nodes[0].output", "dynamic-node", "nodes[0].output", "write its id"),
        ("flow.nmae", "unknown-reference", "flow.nmae", "did you mean flow.name?"),
        ("each.key", "misplaced-reference", "each.key", "add foreach"),
        ("node.hero.output", "unknown-name", "node", "did you mean nodes?"),
        ("xyzzy", "unknown-name", "xyzzy", "names start with"),
        ("env.TOKEM", "unknown-reference", "env.TOKEM", "did you mean env.TOKEN?"),
    ],
)  # fmt: skip
def test_what_leads_nowhere(expression: str, code: str, shown: str, hint: str) -> None:
    head = "vars: {hero: fox}\nassets: {scarf: scarf.png}\nenv: [TOKEN]\n"
    found = refused(head + nodes(hero=STILL, still=STILLS, film=shot("{{ " + expression + " }}")))
    assert (found.only.code, found.shown) == (code, shown)
    assert hint in str(found.only.hint)


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("each.valeu", "unknown-reference"),
        ("each.xyzzy", "unknown-reference"),
        ("each.value.prmopt", "undefined-reference"),
    ],
)
def test_what_a_row_has_not(expression: str, code: str) -> None:
    found = refused(
        nodes(hero=STILL, film=shot("{{ nodes.hero.output }}", foreach=ROWS, promptText=f'"{{{{ {expression} }}}}"'))
    )
    assert found.only.code == code
    assert found.shown == expression
    assert "did you mean" in str(found.only.hint) or "each.key, each.value, each.index" in str(found.only.hint)


def test_a_loop_is_checked_for_what_it_asks() -> None:
    text = "{% for k in ['a'] %}{{ nodes.still[k].outptu.width }}{% endfor %}"
    found = refused(nodes(still=STILLS, line=LINE.replace("promptText: hi", f'promptText: "{text}"')))
    assert found.only.code == "unknown-reference"
    assert found.only.hint == "did you mean .output?"


def test_a_missing_instance_is_told_once_for_many_rows() -> None:
    found = refused(nodes(still=STILLS, film=shot("{{ nodes.still[each.key].output }}", foreach="[x, y, z, a]")))
    assert found.only.message == "fan-out 'still' has no instance 'x'"
    assert [note.message for note in found.only.notes] == ["and so for 2 more instances of film"]


@pytest.mark.parametrize(
    ("need", "code", "hint"),
    [
        ("hreo", "unknown-reference", "did you mean hero?"),
        ("xyzzy", "unknown-reference", "name a node of this manifest"),
        ("still[c]", "unknown-reference", "its keys are a, b"),
        ("hero[a]", "unknown-reference", "write needs: [hero]"),
        ("hero#2", "bad-need", "write needs: [hero]"),
        ("still[", "bad-need", "write needs"),
    ],
)
def test_needs_that_lead_nowhere(need: str, code: str, hint: str) -> None:
    found = refused(nodes(hero=STILL, still=STILLS, line=LINE.replace("uses:", f"needs: ['{need}'], uses:")))
    assert (found.only.code, found.shown) == (code, f"'{need}'")
    assert hint in str(found.only.hint)


def test_a_cycle_is_shown_from_its_first_node() -> None:
    film, other = shot("{{ nodes.c.output }}"), shot("{{ nodes.b.output }}")
    found = refused(
        nodes(
            z=STILL, b=film, c=STILL.replace("promptText: a fox", "promptText: '{{ nodes.d.output.width }}'"), d=other
        )
    )
    assert found.only.code == "cycle"
    assert found.only.message == "nodes wait for each other: b -> c -> d -> b"
    assert found.shown == "nodes.c.output"
    assert found.noted == ["nodes.d.output.width", "nodes.b.output"]
    assert [note.message for note in found.only.notes] == ["c refers to d here", "d refers to b here"]


def test_a_node_that_waits_for_itself_and_every_knot() -> None:
    line = LINE.replace("uses:", "needs: [line], uses:")
    found = refused(nodes(a=shot("{{ nodes.b.output }}"), b=shot("{{ nodes.a.output }}"), line=line))
    assert found.codes == ["cycle", "cycle"]
    assert found.found[1].message == "node line waits for itself"
    assert found.at(found.found[1].span) == "line"


def test_a_cycle_by_presence_alone_is_one_too() -> None:
    line = LINE.replace("uses:", "when: '{{ nodes.b is not defined }}', uses:")
    assert refused(nodes(a=line, b=line.replace("nodes.b", "nodes.a"))).codes == ["cycle"]


def test_the_shortest_way_round_is_shown() -> None:
    two = "{{ nodes.c.output.width }} {{ nodes.a.output.width }}"
    three = "{{ nodes.a.output.width }}"
    found = refused(
        nodes(
            a=STILL.replace("a fox", "'{{ nodes.b.output.width }}'"),
            b=STILL.replace("a fox", f"'{two}'"),
            c=STILL.replace("a fox", f"'{three}'"),
        )
    )
    assert found.only.message == "nodes wait for each other: a -> b -> a"


def test_unknown_operations_and_models_are_told_together() -> None:
    found = refused(
        nodes(a=STILL.replace("text_to_image", "text_to_imgae"), b=STILL.replace("gen4_image", "gen5"), c=LINE)
    )
    assert found.codes == ["unknown-operation"]
    found = refused(nodes(b=STILL.replace("gen4_image", "gen5"), c=LINE.replace("model: eleven_multilingual_v2, ", "")))
    assert found.codes == ["unknown-model", "missing-input"]
    assert [found.at(each.span) for each in found.found] == ["gen5", "with"]


def test_no_further_complaint_about_a_fan_out_that_could_not_be_read() -> None:
    project = Project({"rows.csv": "id,p\na,b,c\n"})
    film = shot("{{ nodes.still['a'].output }}", needs="['still[b]']")
    still = STILL.replace("uses:", "foreach: {file: rows.csv}, uses:")
    found = project.refused(nodes(still=still, film=film) + "outputs: {x: '{{ nodes.still.outputs }}'}\n")
    assert found.codes == ["ragged-row"]


def test_a_key_that_cannot_be_computed() -> None:
    found = refused(nodes(still=STILLS, film=shot("{{ nodes.still[1 / 0].output }}", foreach="2")))
    assert (found.only.code, found.shown) == ("bad-operation", "1 / 0")
    assert [note.message for note in found.only.notes] == ["and so for 1 more instances of film"]
    found = refused(nodes(still=STILLS) + "outputs: {x: '{{ nodes.still[vars.nope].output }}'}\n")
    assert found.codes == ["unknown-reference"]


def test_a_key_that_is_not_known_yet_may_be_any() -> None:
    head = "vars: {key: {type: string, required: true}}\n"
    text = head + nodes(still=STILLS, film=shot("{{ nodes.still[vars.key].output }}"))
    assert built(text, demand=False).edges() == {("still[a]", "data", "film"), ("still[b]", "data", "film")}
    assert built(text, "key=b").edges() == {("still[b]", "data", "film")}
    assert refused(text, "key=c").codes == ["unknown-reference"]


def test_a_guarded_fact_need_not_be_one() -> None:
    line = LINE.replace("hi,", "\"{{ nodes.hero.output.duration | default('no') }} seconds\",")
    found = built(nodes(hero=STILL, line=line)).request("line")
    assert found.value["promptText"] == "no seconds"


def test_what_lookups_offer_where_a_name_is_wrong() -> None:
    """In a loop's own names nothing is known before, so evaluation has the last word, with a suggestion."""
    loop = "{% for f in nodes.still.outputs %}{{ f.widht }}{% endfor %}"
    found = refused(nodes(still=STILLS, line=LINE.replace("hi,", f'"{loop}",')))
    assert (found.codes, found.only.hint) == (["undefined-reference"], "did you mean `width`?")
    for text, hint in (
        ("{{ vars[each.value] }}", "did you mean `hero`?"),
        ("{{ assets[each.value] }}", None),
        ("{{ (nodes)['heor'].output.width }}", None),
    ):
        wrong = refused(
            "vars: {hero: fox}\n"
            + nodes(hero=STILL, line=LINE.replace("hi,", f'"{text}",').replace("uses:", "foreach: [heor], uses:"))
        )
        assert len(wrong.codes) == 1
        assert hint is None or wrong.only.hint == hint


def test_a_knot_with_very_many_ways_round() -> None:
    layers = 40
    many = {"a0": shot("{{ nodes.l0x.output }}")}
    for at in range(layers):
        after = ["a0"] if at == layers - 1 else [f"l{at + 1}x", f"l{at + 1}y"]
        many |= {f"l{at}{side}": LINE.replace("uses:", f"needs: [{', '.join(after)}], uses:") for side in "xy"}
    message = refused(nodes(**many)).only.message
    assert message.count(" -> ") == layers + 1
    assert message.startswith("nodes wait for each other: a0 -> l0x -> l1x -> ")
