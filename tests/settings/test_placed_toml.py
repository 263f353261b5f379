"""TOML read with places: every key and value is where it is said to be, and what is no TOML is told at its own place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tomlkit.exceptions import KeyAlreadyPresent, ParseError

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.diagnostics.span import Span
from flowrun.settings import toml
from flowrun.settings.toml import read_toml

EVERYTHING = """\
# account = "not this"
project.name = "x" # name = "x"
provider."base_url" = 'y # no comment'
[limits] # limits
queue_ahead = 1
[limits.concurrency]
"gen4.5" = 2
gen4_turbo=3
[notify]
command = [ # "a"
 "a", "b",
]
[x.y.z]
[[q]]
a=1
[[q]]
a=2
[a]
c = {d = 1, e.f = 2, "g h" = [true, {i = 3}]}
m = \"\"\"two # lines
"quoted\"\"\"\"
[b]
[a.d]
"é" = 1979-05-27
"""


def cut(text: str, span: Span | None) -> str:
    assert span is not None
    lines = text.split("\n")
    if span.line == span.end_line:
        return lines[span.line - 1][span.column - 1 : span.end_column - 1]
    middle = lines[span.line : span.end_line - 1]
    return "\n".join(
        [lines[span.line - 1][span.column - 1 :], *middle, lines[span.end_line - 1][: span.end_column - 1]]
    )


def test_every_form_of_toml_is_found_where_it_stands() -> None:
    placed = read_toml(EVERYTHING, "f.toml")
    values = {way: cut(EVERYTHING, span) for way, span in placed.spans.items()}
    assert values[("project", "name")] == '"x"'
    assert str(placed.spans[("project", "name")]) == "f.toml:2:16"
    assert values[("provider", "base_url")] == "'y # no comment'"
    assert values[("limits", "concurrency", "gen4.5")] == "2"
    assert values[("notify", "command", 1)] == '"b"'
    assert placed.spans[("notify", "command")].end_line == 12
    assert [str(placed.spans[("q", at, "a")]) for at in (0, 1)] == ["f.toml:15:3", "f.toml:17:3"]
    assert values[("a", "c", "g h", 0)] == "true"
    assert values[("a", "c", "g h", 1, "i")] == "3"
    assert str(placed.spans[("a", "m")]) == "f.toml:20:5"
    assert str(placed.keys[("a", "d", "é")]) == "f.toml:24:1"


def test_every_key_is_found_where_it_stands() -> None:
    placed = read_toml(EVERYTHING, "f.toml")
    for way, span in placed.keys.items():
        assert cut(EVERYTHING, span).strip('"') == str(way[-1])
    assert str(placed.key(("limits", "concurrency"))) == "f.toml:6:9"
    assert str(placed.key(("provider", "base_url"))) == "f.toml:3:10"


def test_a_table_stands_at_its_heading_and_an_unknown_way_at_what_is_above_it() -> None:
    placed = read_toml(EVERYTHING, "f.toml")
    assert str(placed.value(("limits",))) == "f.toml:4:2"
    assert str(placed.value(("project", "name", "beyond"))) == "f.toml:2:16"
    assert placed.value(("nowhere",)) is None


KEYS = st.sampled_from(["a", "b", "ab", "a-b", '"a b"', "'c.d'", '"#"', "x1"])
VALUES = st.sampled_from(
    [
        "1",
        "true",
        '"a"',
        "'a = 1'",
        '"# no"',
        "[1, 2]",
        '[ # a = 1\n  "a",\n]',
        "{ a = 1, b.c = 'a' }",
        '"""a\n# b = 1"""',
    ]
)
COMMENTS = st.sampled_from(["", " # a", ' # "a" = 1', " # [a]"])


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, st.tuples(VALUES, COMMENTS), max_size=4), max_size=4), COMMENTS)
def test_whatever_is_written_is_found_again(document: dict[str, dict[str, tuple[str, str]]], comment: str) -> None:
    text, places = comment.strip() + "\n", {}
    for section, entries in document.items():
        text += f"\n[{section}]{comment}\n"
        for key, (value, remark) in entries.items():
            text += f"  {key} ="
            places[section.strip("\"'"), key.strip("\"'")] = (len(text) + 1, value)
            text += f" {value}{remark}\n"
    placed = read_toml(text, "f.toml")
    for way, (offset, value) in places.items():
        before = text[:offset]
        span = placed.spans[way]
        assert (span.line, span.column) == (before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)
        assert cut(text, span) == value
        assert cut(text, placed.keys[way]).strip("\"'") == way[1]


def told(text: str) -> Diagnostic:
    with pytest.raises(DiagnosticError) as found:
        read_toml(text, "f.toml")
    (diagnostic,) = found.value.diagnostics
    return diagnostic


@pytest.mark.parametrize(
    ("text", "place", "earlier", "name"),
    [
        ("a=1\na=2\n", "f.toml:2:1", "f.toml:1:1", "a"),
        ("[a]\nx=1\n[a]\ny=2\n", "f.toml:3:2", "f.toml:1:2", "a"),
        ("a.b=1\na=2\n", "f.toml:2:1", "f.toml:1:1", "a"),
        ("[a]\nb=1\n[a.b]\nc=1\n", "f.toml:3:4", "f.toml:2:1", "a.b"),
        ("x=1\n[p]\nq=1\nq=[\n1]\nz=1", "f.toml:4:1", "f.toml:3:1", "p.q"),
        ('[p]\r\na.q=1\r\n a."q" = 2\r\n', "f.toml:3:4", "f.toml:2:3", "p.a.q"),
        ("a = {x=1}\na = {y=1}", "f.toml:2:1", "f.toml:1:1", "a"),
    ],
)
def test_a_repeated_key_is_told_with_the_earlier_one(text: str, place: str, earlier: str, name: str) -> None:
    diagnostic = told(text)
    assert (diagnostic.code, str(diagnostic.span)) == ("setting-twice", place)
    assert f"`{name}`" in diagnostic.message
    assert [str(note.span) for note in diagnostic.notes] == [earlier]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = \n", "f.toml:1:5"),
        ("[a\n", "f.toml:1:3"),
        ("x = 1\n\na = b\n", "f.toml:3:5"),
        ("a = {b=1,b=2}", "f.toml:1:13"),
        ('a="""\nfoo', "f.toml:2:4"),
        ("a = " + "[" * 5000 + "]" * 5000, "f.toml:1:1"),
    ],
)
def test_what_is_no_toml_is_told_at_its_place(text: str, place: str) -> None:
    diagnostic = told(text)
    assert (diagnostic.code, str(diagnostic.span)) == ("bad-toml", place)


def test_what_the_two_readers_disagree_on_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def older(text: str) -> object:
        raise ParseError(2, 3)

    def stricter(text: str) -> object:
        raise KeyAlreadyPresent("a")

    monkeypatch.setattr(toml.tomlkit, "parse", older)
    assert (told("a = 1\nb = 2\n").code, str(told("a = 1\nb = 2\n").span)) == ("bad-toml", "f.toml:2:4")
    monkeypatch.setattr(toml.tomlkit, "parse", stricter)
    assert "repeats a key" in told("a = 1\n").message


def test_a_statement_without_end_is_not_looked_for_from_its_beginning() -> None:
    found = told('a = """\n' + "x\n" * 300)
    assert (found.code, found.span and found.span.line) == ("bad-toml", 302)


def test_a_clash_within_one_statement_of_several_lines() -> None:
    found = told("a = 1\nb = [\n {c = 1, c = 2}\n]\n")
    assert (found.code, str(found.span)) == ("bad-toml", "f.toml:3:15")


def test_a_scattered_array_of_tables_loses_places_but_no_values() -> None:
    placed = read_toml("[[q]]\nx = 1\n[p]\ny = 2\n[[q]]\nx = 3\n", "f.toml")
    assert placed.values == {"q": [{"x": 1}, {"x": 3}], "p": {"y": 2}}
    assert placed.key(("p", "y")) is None
    assert str(placed.key(("q",))) == "f.toml:1:3"


def test_a_number_beyond_all_reason_is_told() -> None:
    assert told("a = " + "9" * 5000).code == "bad-toml"


def test_deep_nesting_is_told_or_read() -> None:
    assert told("a=" + "{a=" * 2000 + "1" + "}" * 2000).code == "bad-toml"
