import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, StrictUndefined

from flowrun.template import EnvValue, SecretText, Unresolved, parse

from .scopes import HERO, OTHER, evaluate, failure, scope


@pytest.mark.parametrize("text", ["", "plain", "100% {braces} }} %} #}", "line\r\nends\rkept\n", "a { b", "é 中 🦊"])
def test_text_without_syntax_is_literal(text):
    template = parse(text)
    assert template.is_literal
    assert not template.is_lone
    assert template.text == text
    assert template.evaluate({}) == text


def test_a_lone_expression_keeps_its_type():
    assert evaluate("{{ vars.seed }}") == 7
    assert evaluate(" \n{{ vars.on }}\t") is True
    assert evaluate("{{- vars.nothing -}}") is None
    assert evaluate("{{ vars.items }}") == ["b", "a", "c"]
    assert evaluate("{# why #}{{ vars.five }}") == 5.0
    assert evaluate("{{ nodes.hero.output }}") is HERO
    assert evaluate("{{ nodes.hero.outputs }}") == [HERO, OTHER]
    assert parse("{{ vars.seed }}").is_lone
    assert not parse("{{ vars.seed }}.").is_lone
    assert not parse("{{ vars.seed }}{{ vars.seed }}").is_lone
    assert not parse("{% if true %}{{ vars.seed }}{% endif %}").is_lone


def test_text_around_makes_text():
    assert evaluate("{{ vars.hero }} at {{ vars.seed }}") == "a red fox at 7"
    assert evaluate("{{ vars.on }} {{ vars.five }} {{ vars.ratio }}") == "true 5.0 1.5"
    assert evaluate("x{{ vars.seed }}{% if vars.on %}!{% endif %}\n") == "x7!\n"
    assert evaluate("{% raw %}{{ vars.hero }}{% endraw %}") == "{{ vars.hero }}"


def test_what_arrives_as_data_is_never_rendered_again():
    assert evaluate("{{ vars.evil }}") == "{{ vars.hero }}"
    assert evaluate("<{{ vars.evil }}>") == "<{{ vars.hero }}>"


def test_a_dot_is_a_key_and_never_a_method():
    assert evaluate("{{ vars.items[0] }}") == "b"
    assert evaluate("{{ vars.map.deep.er.1 }}") == 2
    assert evaluate("{{ vars['map']['k'] }}") == "v"
    assert evaluate("{{ vars.items[1:] }}") == ["a", "c"]
    assert evaluate("{{ vars.items[-1] }}") == "c"
    assert evaluate("{{ vars.items[1.0] }}") == "a"
    assert evaluate("{{ vars.hero[2:5] }}") == "red"
    assert evaluate("{{ vars.pair[:1] }}", vars={"pair": (1, 2)}) == [1]
    for text in ("{{ vars.hero.upper }}", "{{ vars.items.append }}", "{{ vars.seed.real }}", "{{ vars.map.keys }}"):
        error, spelled = failure(text)
        assert error.code == "undefined-reference"
        assert spelled == text[3:-3]
    assert failure("{{ vars.hero.upper }}")[0].hint == "values have no methods; use a filter: `| upper`"
    assert failure("{{ ''.__class__ }}")[0].code == "undefined-reference"


def test_line_ends_of_literal_text_are_kept_and_offsets_still_fit():
    text = "a\r\nb\r{{ vars.hero }}\r\n{{ vars.nope }}"
    assert failure(text)[1] == "vars.nope"
    assert [text[r.offset : r.offset + r.length] for r in parse(text).references] == ["vars.hero", "vars.nope"]
    assert evaluate("a\r\nb\r{{ vars.seed }}\r\n") == "a\r\nb\r7\r\n"
    assert failure("\r\n\r\n{{ 'a }}")[1] == "'"


def test_secrets_are_put_out_and_nothing_else():
    assert evaluate("{{ env.TOKEN }}") == EnvValue("TOKEN")
    assert evaluate("{{ [env.TOKEN] }}") == [EnvValue("TOKEN")]
    assert evaluate("k={{ env.TOKEN }}&{{ vars.seed }}") == SecretText(("k=", EnvValue("TOKEN"), "&7"))
    assert evaluate("{{ env.TOKEN }}{{ env.TOKEN }}") == SecretText((EnvValue("TOKEN"), EnvValue("TOKEN")))
    assert evaluate("{{ env.TOKEN if vars.on else '' }}") == EnvValue("TOKEN")
    assert evaluate("{% set t %}<{{ env.TOKEN }}>{% endset %}{{ t }}") == SecretText(("<", EnvValue("TOKEN"), ">"))


@pytest.mark.parametrize(
    ("expression", "spelled"),
    [
        ("env.TOKEN | upper", "upper"),
        ("env.TOKEN | default('x')", "default"),
        ("[env.TOKEN] | join", "join"),
        ("env | tojson", "tojson"),
        ("[env.TOKEN] | length", "length"),
        ("[[env.TOKEN]] | first", "first"),
        ("{'a': env.TOKEN} is mapping", "{'a': env.TOKEN} is mapping"),
        ("vars.hero | replace('a', env.TOKEN)", "replace"),
        ("env.TOKEN ~ 'x'", "env.TOKEN"),
        ("'x' + env.TOKEN", "env.TOKEN"),
        ("-env.TOKEN", "env.TOKEN"),
        ("env.TOKEN == 'x'", "env.TOKEN"),
        ("'x' in env.TOKEN", "env.TOKEN"),
        ("env.TOKEN is defined", "env.TOKEN is defined"),
        ("env.TOKEN is string", "env.TOKEN is string"),
        ("env.TOKEN and 1", "env.TOKEN"),
        ("not env.TOKEN", "env.TOKEN"),
        ("1 if env.TOKEN else 2", "env.TOKEN"),
        ("env.TOKEN[0]", "env.TOKEN[0]"),
        ("env.TOKEN[:1]", "env.TOKEN[:1]"),
        ("vars.map[env.TOKEN]", "vars.map[env.TOKEN]"),
        ("range(env.TOKEN)", "range(env.TOKEN)"),
    ],
)
def test_a_secret_is_no_operand(expression, spelled):
    error, found = failure("{{ " + expression + " }}")
    assert (error.code, found) == ("secret-in-expression", spelled)
    assert "env.NAME" in error.hint


def test_a_secret_steers_no_block():
    assert failure("{% if env.TOKEN %}{% endif %}")[0].code == "secret-in-expression"
    assert failure("{% for c in env.TOKEN %}{% endfor %}")[1] == "env.TOKEN"
    assert failure("{% filter upper %}{{ env.TOKEN }}{% endfilter %}")[0].code == "secret-in-expression"


@pytest.mark.parametrize(
    ("expression", "spelled"),
    [
        ("nodes.hero.output ~ ''", "nodes.hero.output"),
        ("'a' + nodes.hero.output", "'a' + nodes.hero.output"),
        ("nodes.hero.outputs | join(' ')", "join"),
        ("nodes.hero.output | upper", "upper"),
        ("nodes.hero.output | tojson", "tojson"),
        ("'%s' | format(nodes.hero.output)", "format"),
        ("nodes.hero.outputs | map('string')", "map"),
    ],
)
def test_an_artifact_does_not_become_text(expression, spelled):
    error, found = failure("{{ " + expression + " }}")
    assert (error.code, found) == ("artifact-in-text", spelled)
    assert "an artifact (image)" in error.message


def test_an_artifact_beside_text_is_refused_where_it_stands():
    error, found = failure("look: {{ nodes.hero.output }}")
    assert (error.code, found) == ("artifact-in-text", "nodes.hero.output")
    assert evaluate("{{ nodes.hero.output.width }} px") == "1920 px"
    assert evaluate("{{ nodes.hero.outputs | first }}") is HERO
    assert evaluate("{{ nodes.hero.outputs | map(attribute='width') | sum }}") == 2560


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("vars.nothing", "null-in-text"),
        ("vars.items", "structure-in-text"),
        ("vars.map", "structure-in-text"),
        ("nodes.hero", "structure-in-text"),
        ("vars.huge", "template-too-large"),
        ("vars.endless", "bad-operation"),
    ],
)
def test_what_has_no_text_is_refused_in_text(expression, code):
    values = {**scope()["vars"], "huge": 10**5000, "endless": math.inf}
    error, found = failure("x {{ " + expression + " }}", vars=values)
    assert (error.code, found) == (code, expression)


def test_what_is_not_known_yet_passes_through_everything():
    for text in (
        "{{ nodes.late.output }}",
        "x {{ nodes.late.output }}",
        "{{ nodes.late.output | default('x') }}",
        "{{ nodes.late.outputs | first | upper }}",
        "{{ nodes.unknown is defined }}",
        "{{ nodes.unknown.output is defined }}",
        "{% for one in nodes.late.outputs %}{% endfor %}",
        "{{ vars.items[nodes.late.output.width] }}",
    ):
        with pytest.raises(Unresolved):
            evaluate(text)


def test_is_defined_waits_for_nothing_but_the_node():
    assert evaluate("{{ nodes.late is defined }}") is True
    assert evaluate("{{ nodes.late.output is defined }}") is True
    assert evaluate("{{ nodes.late.output.width is undefined }}") is False
    assert evaluate("{{ nodes.gone.output is defined }}") is False
    assert evaluate("{{ nodes.shot['intro'].output is defined }}") is True
    assert evaluate("{{ nodes.shot['gone'].output is not defined }}") is True
    assert evaluate("{{ vars.map.deep.nope is defined }}") is False
    assert evaluate("{% set n = nodes.late %}{{ n.output is defined }}") == "true"
    assert evaluate("{{ ('a' if false) is defined }}") is False


def test_default_answers_for_what_is_missing_anywhere_in_its_chain():
    assert evaluate("{{ nodes.gone.output.width | default(3) }}") == 3
    assert evaluate("{{ vars.nope | d }}") == ""
    assert evaluate("{{ vars.nothing | default('x') }}") is None
    assert evaluate("{{ vars.nothing | default('x', true) }}") == "x"
    assert evaluate("{{ vars.nothing | default(default_value='x', boolean=true) }}") == "x"
    assert evaluate("{{ vars.hero | default(vars.nope) }}") == "a red fox"
    assert evaluate("{{ [] | first | default('none') }}") == "none"
    assert evaluate("{{ [none, 1] | map('default', 'x', true) }}") == ["x", 1]
    assert failure("{{ vars.nope | default(1, 2, 3) }}")[0].code == "bad-operation"
    assert failure("{{ vars.nope | default(1, other=2) }}")[0].code == "bad-operation"
    assert failure("{{ vars.nope | default(vars.neither) }}")[1] == "vars.neither"


def test_a_missing_value_is_an_error_with_the_nearest_name():
    error, spelled = failure("so {{ vars.heros }}")
    assert (error.code, spelled, error.hint) == ("undefined-reference", "vars.heros", "did you mean `hero`?")
    error, spelled = failure("{{ nodes.heroo.output.width }}")
    assert (spelled, error.hint) == ("nodes.heroo", "did you mean `hero`?")
    error, spelled = failure("{{ vars.map\n  .deep . nope.x }}")
    assert spelled == "vars.map\n  .deep . nope"
    assert "`vars.map .deep . nope`" in error.message
    assert failure("{{ vars.items[9] }}")[1] == "vars.items[9]"
    assert failure("{{ nowhere.x }}")[1] == "nowhere"
    assert failure("{{ 'a' if false }}")[0].hint == "add an `else`"
    assert failure("{{ [] | last }}")[1] == "last"
    assert failure("{{ [] | max }}")[1] == "max"


SAME = [
    "{% for i in items %}{{ loop.index }}{{ i }}{% if not loop.last %}, {% endif %}{% else %}none{% endfor %}",
    "{% for i in [] %}x{% else %}none{% endfor %}",
    "{% for k, v in pairs %}{{ k }}={{ v }};{% endfor %}",
    "{% for i in items if i != 'a' %}{{ loop.index0 }}{{ i }}{{ loop.revindex }}{{ loop.revindex0 }}{% endfor %}",
    "{% for i in items %}{{ loop.first }}{% endfor %}".replace("{{ loop.first }}", "{{ 1 if loop.first else 2 }}"),
    "{% set x = 1 %}{% for i in items %}{% set x = 2 %}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% if x %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set a, b = [1, 2] %}{{ a }}{{ b }}",
    "{% set ns = namespace(n=0) %}{% for i in items %}{% set ns.n = ns.n + loop.index %}{% endfor %}{{ ns.n }}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}",
    "{% macro m(a, b='z') %}<{{ a }}{{ b }}>{% endmacro %}{{ m(1) }}{{ m('x', b='y') }}",
    "{% macro m(n) %}({{ caller(n) }}){% endmacro %}{% call(q) m(3) %}[{{ q }}]{% endcall %}",
    "{% filter upper | replace('A', 'o') %}abc{% endfilter %}",
    "{% set t | upper %}abc{% endset %}{{ t }}",
    "{% if n > 3 %}big{% elif n %}small{% else %}zero{% endif %}",
    "  {%- if true -%}  x  {%- endif -%}  y",
    "{{ n + 1 }} {{ n - 1 }} {{ n * 2 }} {{ n / 2 }} {{ n // 2 }} {{ n % 2 }} {{ n ** 2 }} {{ -n }} {{ +n }}",
    "{{ 'a' ~ n ~ 'b' }} {{ 'a' + 'b' }} {{ 'ab' * 2 }} {{ 'a' 'b' }}",
    "{{ 1 if 1 < 2 < 3 else 2 }} {{ 1 if 'a' in items and 'z' not in items else 2 }} {{ n or 5 }} {{ n and 5 }}",
    "{{ 1 if not (n == 3) else 0 }} {{ 1 if n >= 3 else 0 }} {{ 1 if n <= 3 and n != 4 else 0 }}",
    "{{ {'a': 1}['a'] }} {{ [1, 2][0] }} {{ (1, 2)[1] }} {{ 'abc'[::-1] }} {{ items[0:2] | join }}",
    "{{ dict(a=1).a }} {{ range(3) | join }} {{ [3, 1] | sort | join(',') }}",
    "{{ (items + ['d']) | join('-') }} {{ ([1] * 3) | join }}",
    "{# gone #}{% raw %}{{ raw }}{% endraw %}\n",
    "{{ 'x' is string }}".replace("{{", "{{ 1 if").replace("}}", "else 2 }}"),
    '{{ "q\\n\\u00e9\\\'" }}',
]


@pytest.mark.parametrize("text", SAME)
def test_the_language_is_jinja2s(text):
    values = {"items": ["b", "a", "c"], "pairs": [["k", 1], ["l", 2]], "n": 3}
    expected = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(text).render(values)
    assert str(parse(text).evaluate(values)) == expected


def test_operations_that_do_not_fit_are_refused():
    for expression in (
        "vars.hero + 1",
        "1 - 'a'",
        "'%s' % 'a'",
        "1 / 0",
        "(-8) ** 0.5",
        "1 < 'a'",
        "1 in 2",
        "-'a'",
        "vars.map[[]]",
        "vars.map[true]",
        "vars.seed[0:1]",
        "vars.items['a':]",
        "vars.items[::0]",
        "vars.items * 'a'",
        "[1] * 1.5",
        "{1: 2}",
        "range('a')",
        "range()",
        "2.0 ** 5000",
    ):
        error, spelled = failure("{{ " + expression + " }}")
        assert error.code == "bad-operation", expression
        assert spelled in expression
    assert "filter `int`" in failure("{{ vars.hero + 1 }}")[0].hint


def test_blocks_that_do_not_fit_are_refused():
    for text in (
        "{% for x in 3 %}{% endfor %}",
        "{% for a, b in [[1]] %}{% endfor %}",
        "{% set x = 1 %}{{ x() }}",
        "{% set x = 1 %}{% set x.y = 2 %}",
        "{% macro m(a) %}{% endmacro %}{{ m() }}",
        "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}",
        "{% macro m(a) %}{% endmacro %}{{ m(1, a=2) }}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% endmacro %}{{ [m] }}",
        "{% set n = namespace() %}{{ {'a': n} }}",
        "{% call range(3) %}{% endcall %}",
    ):
        assert failure(text)[0].code == "bad-operation", text
    assert failure("{{ namespace(a=1) }}")[0].code == "bad-operation"
    assert evaluate("{% set x = nodes.hero %}{{ x.output.width }}") == "1920"
    assert evaluate("{% macro m() %}{{ env.TOKEN }}{% endmacro %}{{ m() }}") == SecretText((EnvValue("TOKEN"),))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["{{ vars.x }}", " {{ vars['x'] }}\n", "{{- vars . x }}"]))
def test_any_json_value_stays_as_it_is_alone(value, text):
    found = parse(text).evaluate({"vars": {"x": value}})
    assert type(found) is type(value)
    assert found == value


@given(st.text().filter(lambda text: not any(mark in text for mark in ("{{", "{%", "{#"))))
def test_any_text_without_marks_stays_as_it_is(text):
    assert parse(text).evaluate({}) == text


@given(st.text(), st.text())
def test_any_text_in_a_variable_is_put_out_as_it_is(value, around):
    around = "|" + around.replace("{", "(")
    assert parse(around + "{{ vars.x }}" + around).evaluate({"vars": {"x": value}}) == around + value + around


@given(JSON)
def test_tojson_is_json(value):
    assert json.loads(parse("{{ vars.x | tojson }}").evaluate({"vars": {"x": value}})) == value


def test_one_template_serves_many_threads():
    template = parse(
        "{% set n = namespace(a=0) %}{% for i in range(50) %}{% set n.a = n.a + vars.x %}{% endfor %}{{ n.a }}"
    )
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: template.evaluate({"vars": {"x": x}}), range(40)))
    assert found == [str(50 * x) for x in range(40)]
    assert parse(template.text) is template
