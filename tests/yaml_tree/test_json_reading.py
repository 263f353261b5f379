"""JSON files: what the standard library reads, with places; what it refuses, refused at a place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.diagnostics.model import DiagnosticError
from flowrun.yaml_tree import Mapping, Scalar, Tree, parse, plain

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x7f\ufffe\uffff"), max_size=8).filter(
    lambda text: not any(0x80 <= ord(character) < 0xA0 for character in text)
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans(), st.sampled_from([None, "\t", 2]))
def test_reads_what_the_standard_library_writes(value: object, ascii_only: bool, indent: str | int | None) -> None:
    assert plain(parse(json.dumps(value, ensure_ascii=ascii_only, indent=indent), "f.json")) == value


@given(TEXT, st.booleans())
def test_each_character_is_located(value: str, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    tree = parse(text, "f.json")
    assert isinstance(tree, Scalar)
    for at, character in enumerate(value):
        span = tree.locate(at, 1)
        assert json.loads(f'"{text[span.column - 1 : span.end_column - 1]}"') == character


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ('{"a":1,}', 8), ("[1 2]", 4), ("", 1), ("[1] x", 5), ("{a:1}", 2), ('"abc', 1), ('["\\x"]', 3), ("01", 1), ("NaN", 1),
        ('["\\ud83e"]', 3), ('{"a" 1}', 6), ("[1,]", 4), ("tru", 1), ("1.", 1), ("-", 1), ("[1", 3), ("{", 2), ('"a\tb"', 1),
    ],
)  # fmt: skip
def test_refused(text: str, column: int) -> None:
    with pytest.raises(DiagnosticError) as caught:
        parse(text, "f.JSON")
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert (found.code, found.span.line, found.span.column) == ("json-syntax", 1, column)


def test_repeated_names_are_refused() -> None:
    with pytest.raises(DiagnosticError) as caught:
        parse('{"a": 1,\n "a": 2}', "f.json")
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span), str(found.notes[0].span)) == ("duplicate-key", "f.json:2:2", "f.json:1:2")


def test_spans() -> None:
    tree: Tree = parse('\t{"🦊":\t[1, {}], "b": 2}', "f.json")
    assert isinstance(tree, Mapping)
    assert str(tree.span) == "f.json:1:2"
    assert [str(entry.value.span) for entry in tree.entries] == ["f.json:1:8", "f.json:1:22"]
    assert plain(tree) == {"🦊": [1, {}], "b": 2}
