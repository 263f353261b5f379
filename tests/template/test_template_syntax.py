import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import nodes

from flowrun.diagnostics.codes import explain
from flowrun.template import EvaluationError, TemplateError, operators, parse, textfilters
from flowrun.template.errors import RefusalError

from .scopes import failure


@pytest.mark.parametrize(
    ("text", "spelled", "message"),
    [
        ("a {{ vars.hero", "{{", "this `{{` is never closed"),
        ("a {{ vars.hero } {{ vars.b }}", "{{", "this `{{` is never closed"),
        ("a {% if x", "{%", "this `{%` is never closed"),
        ("{{ vars.a }} {{ 'text", "{{", "this `{{` is never closed"),
        ("a {# b", "{#", "this `{#` is never closed"),
        ("{% raw %} a", "{% raw %}", "this `{% raw %}` is never closed"),
        ("{{ 'abc }}", "'", "this text is never closed"),
        ("{{ (1 }}", "(", "this `(` is never closed"),
        ("{{ [(1] }}", "(", "this `(` is never closed"),
        ("{{ {'a': (1)] }}", "{", "this `{` is never closed"),
        ("{{ 1) }}", ")", "this `)` closes nothing"),
        ("{{ 1 & 2 }}", "&", "`&` means nothing in an expression"),
        ("{{ a ? b }}", "?", "`?` means nothing in an expression"),
        ("{{ }}", "}}", "the expression is missing or not complete"),
        ("{{ vars.a + }}", "}}", "the expression is missing or not complete"),
        ("{% if %}{% endif %}", "%}", "the expression is missing or not complete"),
        ("{{ vars.a vars.b }}", "vars", "the expression has ended before `vars`"),
        ("{{ * 2 }}", "*", "`*` cannot stand here"),
        ("{{ vars.* }}", "*", "`*` cannot stand here"),
        ("{% if 1 %}a", "{% if", "this `if` block is never closed"),
        ("{% if 1 %}{% set a = 1 %}{% for x in y %}{% endfor %}", "{% if", "this `if` block is never closed"),
        ("{% set a %}b", "{% set", "this `set` block is never closed"),
        ("{% for x in y %}{% endif %}", "endif", "`endif` cannot stand here: a `for` block is open"),
        ("{% endif %}", "endif", "this `endif` belongs to no open `if`"),
        ("{% else %}", "else", "this `else` belongs to no open `if`"),
        ("{% fro x in y %}", "fro", "there is no tag `fro`"),
        ("{% set 1 = 2 %}", "1", None),
        ("{% include 'a' %}", "include", "`include` is not available in a template"),
        ("{% import 'a' as b %}", "import", "`import` is not available in a template"),
        ("{% extends 'a' %}", "extends", "`extends` is not available in a template"),
        ("{% block a %}{% endblock %}", "block", "`block` is not available in a template"),
        ("{% autoescape true %}{% endautoescape %}", "autoescape", "`autoescape` is not available in a template"),
        ("{% for x in [1] recursive %}{% endfor %}", "for", "a loop cannot be recursive"),
        ("{{ range(*[1]) }}", "(", "arguments cannot be spread with `*` or `**`"),
        ("{{ 1 is eq(x=2) }}", "is", "a test takes no named arguments"),
        ("{{ vars.hero.upper() }}", "vars.hero.upper", "only functions and macros can be called"),
        ("{{ 'a'.join(['b']) }}", "'a'.join", "only functions and macros can be called"),
        ("{{ lipsum() }}", "lipsum", "there is no function `lipsum`"),
        ("{{ vars.a | uper }}", "uper", "there is no filter `uper`"),
        ("{{ vars.a | random }}", "random", "there is no filter `random`"),
        ("{{ vars.a | attr('x') }}", "attr", "there is no filter `attr`"),
        ("{{ vars.a is strng }}", "strng", "there is no test `strng`"),
        ("{{ vars.a is callable }}", "callable", "there is no test `callable`"),
        (r"{{ 'a\d' }}", r"\d", "this backslash begins no known escape"),
        (r"{{ 'a\ud800' }}", r"'", "this text holds half a character"),
        ("{{ 1e999 }}", "1e999", "this number is too large"),
    ],
)
def test_a_fault_is_shown_at_the_place_to_change(text, spelled, message):
    with pytest.raises(TemplateError) as caught:
        parse(text)
    error = caught.value
    assert text[error.offset : error.offset + error.length] == spelled
    assert message is None or error.message == message
    assert "Jinja" not in error.message
    assert explain(error.code)


def test_the_nearest_name_is_offered():
    for text, hint in [
        ("{{ vars.a | uper }}", "did you mean `upper`?"),
        ("{{ vars.a is strng }}", "did you mean `string`?"),
        ("{{ rang(3) }}", "did you mean `range`?"),
        ("{% fro x in y %}", "did you mean `for`?"),
        ("{{ a && b }}", "write `and`"),
        ("{{ (1 }}", "close it with `)`"),
    ]:
        with pytest.raises(TemplateError) as caught:
            parse(text)
        assert caught.value.hint == hint


def test_only_the_last_opening_is_blamed_when_it_has_no_end():
    text = "{{ vars.a }} and {{ vars.b"
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert caught.value.offset == text.rindex("{{")


MARKS = """
{{ }} {% %} {# #} {%- -%} if endif for endfor in set raw endraw vars.a nodes['b'] ( ) [ ] { } | upper default is defined not
and ' " \\ 1 1.5 , : . = == ~ + * é x loop macro endmacro else
"""


@given(st.lists(st.sampled_from([*MARKS.split(), "\n", "\r\n"]), max_size=25))
def test_any_text_is_a_template_or_a_template_error_inside_it(parts):
    text = " ".join(parts)
    found = _outcome(text)
    if isinstance(found, Exception):
        assert explain(found.code)
        assert min(found.offset, found.length) >= 0
        assert found.offset + found.length <= len(text)


def _outcome(text):
    try:
        return parse(text).evaluate({"vars": {"a": 1}})
    except (TemplateError, EvaluationError) as error:
        return error


BOMBS = [
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% set n = namespace(a='x') %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}",
    "{% set n = namespace(a='x') %}{% for i in range(99) %}{% set n.a = n.a + n.a %}{% endfor %}",
    "{% set n = namespace(a=[1]) %}{% for i in range(99) %}{% set n.a = [n.a, n.a] %}{% endfor %}",
    "{% set n = namespace(a=[1]) %}{% for i in range(99999) %}{% set n.a = [n.a] %}{% endfor %}",
    "{% set n = namespace(a={}) %}{% for i in range(99) %}{% set n.a = {'x': n.a, 'y': n.a} %}{% endfor %}",
    "{% set n = namespace(a=2) %}{% for i in range(99) %}{% set n.a = n.a * n.a %}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% for i in range(9999) %}{{ 'x' * 1000 }}{% endfor %}",
    "{% set x = 'x' * 1000000 %}{% for i in range(9999) %}{{ x | upper | length }}{% endfor %}",
    "{{ 'a' * 10 ** 9 }}",
    "{{ 10 ** 9 * 'a' }}",
    "{{ [1] * 10 ** 9 }}",
    "{{ 10 ** 100000 }}",
    "{{ range(10 ** 12) }}",
    "{{ range(10 ** 30) }}",
    "{{ 'x' | center(10 ** 9) }}",
    "{{ 'x' | indent(10 ** 9) }}",
    "{{ 'x' | indent('y' * 1000000) }}",
    "{{ ('x\n' * 1000) | indent(9999) }}",
    "{{ ('x' * 9999) | replace('x', 'y' * 9999) }}",
    "{{ ('x ' * 9999) | wordwrap(1, wrapstring='y' * 9999) }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ '%*d' | format(999999999, 1) }}",
    "{{ '%.*f' | format(999999999, 1.5) }}",
    "{{ '%.99999f' | format(1.5) }}",
    "{{ '%((a)9999999d' | format(a=1) }}",
    "{{ ('%(a)s' * 9999) | format(a='x' * 9999) }}",
    "{{ [1] | batch(10 ** 9, 0) }}",
    "{{ [1] | slice(10 ** 9, 0) }}",
    "{{ (['x' * 999] * 9999) | join }}",
    "{{ range(99999) | map('string') | map('center', 99) | join }}",
    "{{ ('1' * 4000) | int }}",
    "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
    "{{ " + "-" * 500 + "1 }}",
    "{{ " + "not " * 9000 + "1 }}",
    "{{ 1" + "+1" * 500 + " }}",
    "{{ vars" + ".a" * 500 + " }}",
    "{% if 1 %}" * 90 + "{% endif %}" * 90,
    "{{ vars.a }}" * 9999,
    "{{ " + "9" * 5000 + " }}",
    "{{ 1 }}" + "x" * 1_000_000,
]


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_bombs_are_refused(text):
    error, _ = failure(text)
    assert error.code == "template-too-large"


@pytest.mark.parametrize(
    "grow",
    [
        lambda: textfilters.center("x", 10**9),
        lambda: textfilters.indent("x", 10**9),
        lambda: textfilters.replace("x" * 9999, "x", "y" * 9999),
        lambda: textfilters.replace("x" * 9999, "", "y" * 9999, 9999),
        lambda: textfilters.wordwrap("x " * 9999, 1, True, "y" * 9999),
        lambda: textfilters.formatted("%(a)s" * 9999, a="y" * 9999),
        lambda: textfilters.formatted("%999d" * 9999, *range(9999)),
        lambda: operators.combine(nodes.Mul, 9999 * "x", 9999),
        lambda: operators.combine(nodes.Mul, 2**4000, 2**4000),
        lambda: operators.combine(nodes.Pow, 2, 10**9),
        lambda: operators.combine(nodes.Add, "x" * 600_000, "x" * 600_000),
    ],
)
def test_sizes_are_known_before_anything_is_made(grow):
    tracemalloc.start()
    try:
        with pytest.raises(RefusalError):
            grow()
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_recursion_of_values_is_refused():
    deep, other = [1], [2]
    for _ in range(100_000):  # more than any Python's limit
        deep, other = [deep], [other]
    error, _ = failure("{{ vars.a == vars.b }}", vars={"a": deep, "b": other})
    assert error.code == "template-too-large"


def test_what_is_within_the_limits_passes():
    assert len(parse("{{ 'x' * 1000000 }}").evaluate({})) == 1_000_000
    assert parse("{% for i in range(20000) %}x{% endfor %}").evaluate({}) == "x" * 20_000
    assert parse("{{ (-1) ** 99999 }}").evaluate({}) == -1
