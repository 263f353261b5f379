import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from flowrun.template import parse, slug

from .scopes import evaluate, failure

VALUES = {
    "text": "the Quick  brown-fox don't",
    "words": ["b", "A", "c", "a"],
    "numbers": [3, 1, 2],
    "rows": [{"k": "x", "n": 2, "d": {"e": 1}}, {"k": "Y", "n": 1, "d": {"e": 3}}, {"k": "x", "n": 0, "d": {"e": 2}}],
    "map": {"b": 1, "A": 3, "c": 2},
    "lines": "one\n\ntwo three four five\n",
}

AS_JINJA2 = """
text | upper | text | lower | text | capitalize | text | title | text | wordcount | text | length | text | count
text | replace('o', '0') | text | replace('o', '0', 1) | text | trim | ' x ' | trim | 'xax' | trim('x')
text | truncate(12) | text | truncate(12, true) | text | truncate(12, true, '…', 0) | text | truncate(99)
text | center(40) | lines | indent | lines | indent(2, true) | lines | indent(2, true, true) | lines | indent('> ')
text | wordwrap(9) | text | reverse | text | urlencode | text | string | '<b>x</b>  y' | striptags | 'a<b' | e
'%s-%03d' | format('a', 7) | '%(a)s' | format(a='z') | '%5.2f%%' | format(1.5) | 12345 | filesizeformat
'42' | int | 'x' | int | 'x' | int(7) | 'ff' | int(base=16) | '3.9' | int | 3.9 | int | '1.5' | float | 'x' | float
-3 | abs | 2.567 | round(2) | 2.5 | round | 2.1 | round(method='ceil') | 2.9 | round(0, 'floor')
words | first | words | last | words | join | words | join(', ') | rows | join(',', attribute='k')
words | sort | join | words | sort(case_sensitive=true) | join | numbers | sort(reverse=true) | join
rows | sort(attribute='n') | map(attribute='k') | join | rows | sort(attribute='k,n') | map(attribute='n') | join
words | unique | join | rows | unique(attribute='k') | map(attribute='n') | join
numbers | min | numbers | max | words | min | rows | max(attribute='n') | tojson
numbers | sum | rows | sum(attribute='d.e') | numbers | sum(start=10) | words | length | map | length
map | dictsort | map('first') | join | map | dictsort(by='value') | map('first') | join | map | items | map('last') | join
words | map('upper') | join | rows | map(attribute='z', default='-') | join | rows | map(attribute='d.e') | join
words | select('lower') | join | words | reject('lower') | join | [0, 1, ''] | select | list | length
[0, 1] | reject | list | length | rows | selectattr('n') | map(attribute='k') | join
rows | rejectattr('n') | map(attribute='k') | join | rows | selectattr('n', 'gt', 0) | map(attribute='k') | join
rows | selectattr('zz', 'defined') | list | length | rows | rejectattr('zz', 'undefined') | list | length
numbers | batch(2) | map('join') | join('/') | numbers | batch(2, 0) | map('join') | join('/')
numbers | slice(2) | map('join') | join('/') | words | list | join | words | reverse | join | map | list | join
rows | groupby('k') | map('first') | join | rows | groupby('k') | map(attribute='grouper') | join
rows | groupby('k') | map(attribute='list') | map('length') | join | rows | groupby('k') | map(attribute='1.0.n') | join
{'b': 1, 'a': [true, none, 'x']} | tojson | [1] | tojson(2) | 'x' | safe | 5 | string
"""


def _cases():
    for line in AS_JINJA2.strip().splitlines():
        pending = ""
        for part in line.split(" | "):
            starts = part in VALUES or not part[0].isalpha()
            if starts and pending:
                yield pending
                pending = ""
            pending = f"{pending} | {part}" if pending else part
        yield pending


@pytest.mark.parametrize("expression", list(_cases()))
def test_filters_do_what_jinja2s_do(expression):
    text = "{{ " + expression + " }}"
    expected = Environment().from_string(text).render(VALUES)
    found = parse(text).evaluate(VALUES)
    assert (found if isinstance(found, str) else str(found)) == expected


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("5 is odd", True),
        ("5 is even", False),
        ("6 is divisibleby(3)", True),
        ("none is none", True),
        ("true is boolean", True),
        ("true is true", True),
        ("false is false", True),
        ("1 is true", False),
        ("5 is integer", True),
        ("5.0 is integer", True),
        ("true is integer", False),
        ("5.0 is float", True),
        ("true is number", False),
        ("5 is number", True),
        ("'a' is lower", True),
        ("'a' is upper", False),
        ("'a' is string", True),
        ("{} is mapping", True),
        ("[] is sequence", True),
        ("5 is iterable", False),
        ("5 is eq 5", True),
        ("5 is ne 5", False),
        ("5 is lt 6", True),
        ("5 is in [5]", True),
        ("5 is not in [5]", False),
        ("'a' is defined", True),
        ("'a' is undefined", False),
    ],
)
def test_tests(test, expected):
    assert evaluate("{{ " + test + " }}") is expected


def test_files_and_keys():
    assert evaluate("{{ 'refs/a.tar.gz' | basename }}") == "a.tar.gz"
    assert evaluate("{{ 'refs/a.tar.gz' | stem }}") == "a.tar"
    assert evaluate("{{ 'https://h/x/fox.png?sig=1/2#f' | basename }}") == "fox.png"
    assert evaluate("{{ 'refs/dir/' | stem }}") == "dir"
    assert evaluate("{{ 'Ça va, Élan! [1] & 2/3' | slug }}") == "ca-va-elan-1-2-3"
    assert evaluate("{{ '狐 scene' | slug }}") == "狐-scene"


@given(st.text())
def test_a_slug_is_a_key(text):
    found = slug(text)
    assert len(found) <= 80
    assert not set(found) & set("'\"[]#,&/\\ \n\t")
    assert slug(found) == found


@pytest.mark.parametrize(
    "expression",
    [
        "5 | length",
        "5 | items",
        "5 | first",
        "5 | sort",
        "[1, 'a'] | sort",
        "[[]] | unique",
        "{} | dictsort(by='x')",
        "'a' | dictsort",
        "'x' | abs",
        "2.5 | round(99)",
        "2.5 | round(1, 'up')",
        "[1] | tojson(99)",
        "'a' | center('b')",
        "'a' | replace('b')",
        "'a' | upper(1)",
        "'abcdefghij' | truncate(2)",
        "'abc' | wordwrap(0)",
        "'%d' | format('a')",
        "'%s' | format",
        "'inf' | float",
        "['a'] | sum",
        "[1] | batch(0)",
        "[1] | map('nope')",
        "[1] | map(5)",
        "[1] | map",
        "[1] | map(attribute='a', other=1, default=2)",
        "[1] | select('nope')",
        "'%d' is even",
        "'a' is divisibleby(2)",
        "4 is divisibleby(0)",
        "5 is lower",
        "5 is in 5",
        "vars.map | tojson(indent=-1)",
    ],
)
def test_what_does_not_fit_is_refused_at_the_filter(expression):
    error, spelled = failure("{{ " + expression + " }}")
    assert error.code == "bad-operation"
    assert spelled in expression


def test_text_filters_want_what_has_text():
    assert failure("{{ vars.items | upper }}")[0].code == "structure-in-text"
    assert failure("{{ vars.nothing | trim }}")[0].code == "null-in-text"
    assert failure("{{ [none] | join }}")[0].code == "null-in-text"
    assert failure("{{ [1] | map(attribute='x') }}")[0].code == "undefined-reference"
    assert failure("{{ nodes.hero | tojson }}")[0].code == "structure-in-text"
    assert evaluate("{{ true | upper }}") == "TRUE"
    assert evaluate("{{ true | int }}") == 1
    assert evaluate("{{ 'abcdef ghi' | wordwrap(3) }}") == "abc\ndef\nghi"
    assert evaluate("{{ 'abcdef ghi' | wordwrap(3, false) }}") == "abcdef\nghi"
    assert evaluate("{{ [1, 2, 3] | slice(2, 0) | list }}") == [
        [1, 2],
        [3, 0],
    ]
