"""Keys of instances: which there are, and which are refused, each at its row."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.diagnostics.codes import registry
from flowrun.diagnostics.model import DiagnosticError, Severity
from flowrun.diagnostics.span import Span
from flowrun.manifest.data import read_rows
from flowrun.manifest.fanout import MAX_ITEMS, Expansion, expand_items
from flowrun.yaml_tree import Scalar, from_plain, parse, plain

HERE = Span("f.yaml", 1, 1, 1, 2)


def expanded(text: str, field: str | None = None) -> Expansion:
    return expand_items(parse(text, "f.yaml"), Scalar(field, Span("f.yaml", 9, 9, 9, 11)) if field else None)


def keys(text: str, field: str | None = None) -> list[str]:
    return [item.key for item in expanded(text, field).items]


def refused(text: str, field: str | None = None) -> list[tuple[str, int, int]]:
    with pytest.raises(DiagnosticError) as caught:
        expanded(text, field)
    assert all(each.code in registry() and each.hint for each in caught.value.diagnostics)
    return [
        (each.code, each.span.line, each.span.column)
        for each in caught.value.diagnostics
        if each.span and each.is_error
    ]


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("{a: 1, b c: {x: 2}, é-1.5: 3}", None, ["a", "b c", "é-1.5"]),
        ("{}", None, []),
        ("[]", None, []),
        ("0", None, []),
        ("3", None, ["1", "2", "3"]),
        ("2.0", None, ["1", "2"]),
        ("[a, 5, 7.0, '🦊']", None, ["a", "5", "7", "🦊"]),
        ("[{key: a, id: x}, {key: 2}]", None, ["a", "2"]),
        ("[{id: x, n: 1}, {id: 3.0}]", None, ["x", "3"]),
        ("[{id: x, name: p}, {id: y, name: q}]", "name", ["p", "q"]),
        ("[{n: 1}, {n: 2}]", None, ["1", "2"]),
        ("[a, [1], 2.5]", None, ["a", "2", "3"]),
    ],
)
def test_keys(text: str, field: str | None, expected: list[str]) -> None:
    assert keys(text, field) == expected


def test_items_have_value_index_and_place() -> None:
    items = expanded("{a: 1,\n b: {x: 2}}").items
    assert [(item.index, plain(item.value), str(item.span)) for item in items] == [
        (0, 1, "f.yaml:1:2"),
        (1, {"x": 2}, "f.yaml:2:2"),
    ]
    counted = expanded("2").items
    assert [(item.index, plain(item.value)) for item in counted] == [(0, 1), (1, 2)]
    records = expanded("[{id: x}, {id: y}]").items
    assert [str(item.span) for item in records] == ["f.yaml:1:7", "f.yaml:1:16"]


@pytest.mark.parametrize("text", ["[{n: 1}]", "[true]", "[{n: 1}, a]"])
def test_numbered_items_are_a_warning(text: str) -> None:
    (found,) = expanded(text).warnings
    assert (found.code, found.severity) == ("numbered-items", Severity.WARNING)


def test_keys_need_no_warning() -> None:
    assert expanded("[a, 1, {id: x}]").warnings == ()


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("text", None, [("bad-foreach", 1, 1)]),
        ("-1", None, [("bad-foreach", 1, 1)]),
        ("true", None, [("bad-foreach", 1, 1)]),
        ("1.5", None, [("bad-foreach", 1, 1)]),
        ("", None, [("bad-foreach", 1, 1)]),
        ("{a: 1}", "id", [("bad-foreach", 9, 9)]),
        ("[a, b,\n a, A]", None, [("repeated-key", 2, 2), ("repeated-key", 2, 5)]),
        ("[straße, STRASSE]", None, [("repeated-key", 1, 10)]),
        ("['1', 1]", None, [("repeated-key", 1, 7)]),
        ("['', ' ', a]", None, [("bad-key", 1, 2), ("bad-key", 1, 6)]),
        ("[{id: a}, {n: 1}, {id: }]", None, [("missing-key-field", 1, 11), ("bad-key", 1, 24)]),
        ("[{id: a}, {id: [1]}, {id: true}]", "id", [("bad-key", 1, 16), ("bad-key", 1, 27)]),
        ("[{idd: a}]", "id", [("missing-key-field", 1, 2)]),
        ("[{}]", "id", [("missing-key-field", 1, 2)]),
        ("{'a/b': 1, 'c#d': 2}", None, [("bad-key", 1, 2), ("bad-key", 1, 12)]),
        ("100000000000", None, [("fan-out-too-large", 1, 1)]),
    ],
)
def test_refused(text: str, field: str | None, expected: list[tuple[str, int, int]]) -> None:
    assert refused(text, field) == expected


@pytest.mark.parametrize("bad", [*"'\"[]#,&/\\", "\n", "\t", "\x85", "\u2028", "e\u0301", "x" * 80])
def test_keys_with_bad_text_are_refused_with_slug_as_hint(bad: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        expand_items(from_plain([f"a{bad}"], HERE))
    (found,) = caught.value.diagnostics
    assert found.code == "bad-key"
    assert "slug" in str(found.hint)


def test_the_longest_key() -> None:
    assert keys(f"[{'x' * 80}]") == ["x" * 80]


def test_the_bound() -> None:
    assert len(expand_items(from_plain(MAX_ITEMS, HERE)).items) == MAX_ITEMS
    with pytest.raises(DiagnosticError, match="10,001 instances"):
        expand_items(from_plain(list(range(MAX_ITEMS + 1)), HERE))
    with pytest.raises(DiagnosticError, match="10,001 instances"):
        expand_items(from_plain({str(n): n for n in range(MAX_ITEMS + 1)}, HERE))


def test_a_bad_cell_is_shown_in_its_file() -> None:
    rows = read_rows(Path("s.csv"), b"id,p\na,1\n,2\nA,3\nb/c,4\n")
    with pytest.raises(DiagnosticError) as caught:
        expand_items(rows.tree)
    assert [(each.code, str(each.span)) for each in caught.value.diagnostics] == [
        ("bad-key", "s.csv:3:1"), ("repeated-key", "s.csv:4:1"), ("bad-key", "s.csv:5:1"),
    ]  # fmt: skip
    assert [str(note.span) for note in caught.value.diagnostics[1].notes] == ["s.csv:2:1"]


@given(st.lists(st.text(max_size=4) | st.integers(-3, 30), max_size=8))
def test_what_is_accepted_is_unique_and_in_order(values: list[str | int]) -> None:
    try:
        found = expand_items(from_plain(values, HERE))
    except DiagnosticError:
        return
    assert [item.key for item in found.items] == [str(value) for value in values]
    assert len({item.key.casefold() for item in found.items}) == len(values)
