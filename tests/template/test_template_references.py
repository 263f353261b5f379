import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.template import ROOTS, WILDCARD, Dynamic, EvaluationError, Guard, Unresolved, parse

from .scopes import scope


def spelled(text):
    return [text[r.offset : r.offset + r.length] for r in parse(text).references]


def guards(text):
    return {text[r.offset : r.offset + r.length]: r.guard.value for r in parse(text).references if r.root == "nodes"}


def test_a_chain_is_as_long_as_it_goes():
    text = "x {{ nodes.hero.output.duration }} {{ nodes['hero'].outputs[0] }} {{ vars.items[-1] }} {{ flow }}"
    found = parse(text).references
    assert [(r.root, r.steps) for r in found] == [
        ("nodes", ("hero", "output", "duration")),
        ("nodes", ("hero", "outputs", 0)),
        ("vars", ("items", -1)),
        ("flow", ()),
    ]
    assert spelled(text) == ["nodes.hero.output.duration", "nodes['hero'].outputs[0]", "vars.items[-1]", "flow"]


def test_brackets_around_a_part_belong_to_the_chain():
    assert spelled("{{ (nodes.hero).output }}") == ["(nodes.hero).output"]
    assert spelled("{{ (nodes.hero.output) }}") == ["nodes.hero.output"]


def test_references_inside_a_subscript_are_references_too():
    text = "{{ nodes.shot[nodes.a[each.key].output.width].output }}"
    assert spelled(text) == [text[3:-3], "nodes.a[each.key].output.width", "each.key"]
    outer = parse(text).references[0]
    assert isinstance(outer.steps[1], Dynamic)
    assert outer.steps[1].text == "nodes.a[each.key].output.width"


@pytest.mark.parametrize(
    "text",
    [
        "{% for x in @ %}{% endfor %}",
        "{% for x in [1] if @ %}{% endfor %}",
        "{% for x in [1] %}{{ @ }}{% else %}{% endfor %}",
        "{% for x in [1] %}{% else %}{{ @ }}{% endfor %}",
        "{% if @ %}{% endif %}",
        "{% if 1 %}{% elif @ %}{% endif %}",
        "{% if 1 %}{% else %}{{ @ }}{% endif %}",
        "{% set x = @ %}",
        "{% set x %}{{ @ }}{% endset %}",
        "{% set x | replace('a', @) %}{% endset %}",
        "{% with x = @ %}{% endwith %}",
        "{% with %}{{ @ }}{% endwith %}",
        "{% macro m(a=@) %}{% endmacro %}",
        "{% macro m() %}{{ @ }}{% endmacro %}",
        "{% macro m(a) %}{% endmacro %}{{ m(@) }}{% call m(1) %}{% endcall %}",
        "{% macro m(a) %}{% endmacro %}{{ m(a=1) }}{% call m(a=@) %}{% endcall %}",
        "{% macro m() %}{% endmacro %}{% call m() %}{{ @ }}{% endcall %}",
        "{% filter replace('a', @) %}{% endfilter %}",
        "{% filter upper %}{{ @ }}{% endfilter %}",
        "{{ 'a' | replace(@, 'b') }}",
        "{{ @ | upper }}",
        "{{ 'a' is eq(@) }}",
        "{{ @ is string }}",
        "{{ 'a' ~ @ ~ 'b' }}",
        "{{ [1, {'k': @}] }}",
        "{{ 'abc'[@:2] }}",
        "{{ @[1:2] }}",
        "{{ (@ | first).width }}",
        "{{ -@ + 1 }}",
        "{{ 1 < @ }}",
        "{{ 1 if @ else 2 }}",
        "{{ not @ }}",
        "{{ range(@) }}",
    ],
)
def test_references_are_found_wherever_they_stand(text):
    text = text.replace("@", "nodes.hero.output")
    assert spelled(text) == ["nodes.hero.output"]
    assert parse(text).unknown_names == ()


def test_local_names_are_no_references():
    text = "{% set vars = 1 %}{{ vars.x }}{% for nodes in [1] %}{{ nodes.a }}{% endfor %}{{ nodes.b }}"
    assert spelled(text) == ["nodes.b"]


def test_names_that_nobody_binds_are_told():
    text = "{{ foo.bar }} {% for x in xs %}{{ x }}{{ loop.index }}{% endfor %}{{ x }}{{ loop }}{% set ns.a = 1 %}"
    names = parse(text).unknown_names
    assert [name for name, _, _ in names] == ["foo", "xs", "x", "loop", "ns"]
    assert all(text[offset : offset + length].startswith(name) for name, offset, length in names)
    assert parse("{% if 1 %}{% set y = 1 %}{% endif %}{{ y }}").unknown_names == ()
    assert [name for name, _, _ in parse("{% for i in [1] %}{% set y = 1 %}{% endfor %}{{ y }}").unknown_names] == ["y"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ nodes.a.output }}", {"nodes.a.output": "none"}),
        ("{{ nodes.a is defined }}", {"nodes.a": "defined"}),
        ("{{ nodes.a.output is not defined }}", {"nodes.a.output": "defined"}),
        ("{{ nodes.a is undefined }}", {"nodes.a": "defined"}),
        ("{{ nodes.a.output | default(nodes.b.output) }}", {"nodes.a.output": "default", "nodes.b.output": "none"}),
        ("{{ nodes.a.output | upper | d('') }}", {"nodes.a.output": "none"}),
        ("{{ nodes.a[nodes.k.output] | d }}", {"nodes.a[nodes.k.output]": "default", "nodes.k.output": "none"}),
        (
            "{{ nodes.a.output if nodes.a is defined else nodes.b.output }}",
            {"nodes.a.output": "default", "nodes.a": "defined", "nodes.b.output": "none"},
        ),
        (
            "{{ nodes.b.output if nodes.a is not defined else nodes.a.output }}",
            {"nodes.a.output": "default", "nodes.a": "defined", "nodes.b.output": "none"},
        ),
        ("{{ nodes.a is defined and nodes.a.output }}", {"nodes.a": "defined", "nodes.a.output": "default"}),
        ("{{ nodes.a is undefined or nodes.a.output }}", {"nodes.a": "defined", "nodes.a.output": "default"}),
        ("{{ nodes.a is defined or nodes.a.output }}", {"nodes.a": "defined", "nodes.a.output": "none"}),
        (
            "{{ nodes.a.output if nodes.a is defined and vars.x else nodes.a.outputs }}",
            {"nodes.a.output": "default", "nodes.a": "defined", "nodes.a.outputs": "none"},
        ),
        (
            "{{ nodes.a.output if nodes.a is defined or vars.x else nodes.a.outputs }}",
            {"nodes.a.output": "none", "nodes.a": "defined", "nodes.a.outputs": "none"},
        ),
        (
            "{{ nodes.a.outputs if not (nodes.a is defined and vars.x) }}{{ nodes.a.output.width }}",
            {"nodes.a.outputs": "none", "nodes.a": "defined", "nodes.a.output.width": "none"},
        ),
        (
            "{% if nodes.a is undefined %}{% elif nodes.b.output %}{{ nodes.a.output }}{% else %}{{ nodes.a.x }}{% endif %}",
            {"nodes.a": "defined", "nodes.b.output": "none", "nodes.a.output": "default", "nodes.a.x": "default"},
        ),
        (
            "{% for k in vars.ks if nodes.a[k] is defined %}{{ nodes.a[k].output }}{{ nodes.a.outputs }}{% endfor %}",
            {"nodes.a[k]": "defined", "nodes.a[k].output": "default", "nodes.a.outputs": "none"},
        ),
        (
            "{% if nodes.a is defined %}{% macro m() %}{{ nodes.a.output }}{% endmacro %}{% endif %}",
            {"nodes.a": "defined", "nodes.a.output": "none"},
        ),
        (
            "{{ nodes.a['k'].output if nodes.a is defined else nodes.a['k'].outputs }}",
            {"nodes.a['k'].output": "default", "nodes.a": "defined", "nodes.a['k'].outputs": "none"},
        ),
        ("{% set nodes = 1 %}{{ nodes.a is defined and 1 }}", {}),
        ("{{ range is defined }}{{ 'a' is defined and nodes.a.output }}", {"nodes.a.output": "none"}),
    ],
)
def test_guards(text, expected):
    assert guards(text) == expected


def test_the_guard_of_other_roots_is_what_was_tested_or_below():
    text = "{{ vars.a.b if vars.a is defined else vars.ab }}{{ vars.a }}"
    assert [(r.steps, r.guard) for r in parse(text).references] == [
        (("a", "b"), Guard.DEFAULT),
        (("a",), Guard.DEFINED),
        (("ab",), Guard.NONE),
        (("a",), Guard.NONE),
    ]


def test_resolve_evaluates_subscripts():
    def resolve(expression):
        return parse("{{ " + expression + " }}").references[0].resolve(scope())

    assert resolve("nodes.shot[each.key].output") == ("shot", "intro", "output")
    assert resolve("nodes.shot[each.index + 1]") == ("shot", 1)
    assert resolve("nodes.shot[vars.five]") == ("shot", 5)
    assert resolve("nodes.shot['a' ~ vars.seed].output") == ("shot", "a7", "output")
    assert resolve("nodes.shot[nodes.late.output].output") == ("shot", WILDCARD, "output")
    assert repr(WILDCARD) == "WILDCARD"


def test_a_subscript_that_depends_on_a_loop_is_a_wildcard():
    found = parse("{% for k in ['a'] %}{{ nodes.shot[k ~ vars.x].output }}{% endfor %}").references
    assert found[0].resolve({}) == ("shot", WILDCARD, "output")
    assert found[0].steps[1].local


def test_a_subscript_that_cannot_be_a_key_is_an_error_at_its_place():
    text = "{{ nodes.shot[vars.nothing].output }}"
    with pytest.raises(EvaluationError) as caught:
        parse(text).references[0].resolve(scope())
    assert text[caught.value.offset : caught.value.offset + caught.value.length] == "vars.nothing"
    with pytest.raises(EvaluationError):
        parse("{{ nodes.shot[vars.nope] }}").references[0].resolve(scope())


def test_unresolved_says_what():
    assert "late" in str(Unresolved("late"))
    assert Unresolved("late").what == "late"


CHAINS = st.builds(
    lambda root, steps: root + "".join(steps),
    st.sampled_from(ROOTS),
    st.lists(
        st.sampled_from(
            [".hero", ".output", "['é 🦊']", '["a]b"]', "[0]", "[-1]", " . x", "[ 'k' ]", ".items", "[1].z"]
        ),
        min_size=1,
        max_size=4,
    ),
)
FILL = st.text(st.sampled_from("ab é🦊\n\r\t%}#\"'.[]|-"), max_size=12)
FRAMES = st.sampled_from(
    [
        "{{ @ }}",
        "{{@}}",
        "{{- @ -}}",
        "{{ 'x' ~ @ | upper }}",
        "{% if @ %}y{% endif %}",
        "{%- for i in @ -%}\r\n{{ i }}{% endfor %}",
        "{# {{ vars.no }} #}{{ @ }}",
        "{% raw %}{{ vars.no }}{% endraw %}{{ @ }}",
        "{{ [1,\r\n @] }}",
        "{{ (@) }}",
    ]
)


@given(st.lists(st.tuples(FILL, FRAMES, CHAINS), min_size=1, max_size=6), FILL)
def test_every_reference_is_spelled_where_it_is_said_to_stand(parts, tail):
    text = "".join(fill + frame.replace("@", chain) for fill, frame, chain in parts) + tail
    assert spelled(text) == [chain for _, _, chain in parts]
