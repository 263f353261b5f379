"""Data files: every cell unchanged and with its place, every mistake at its own line and column."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.diagnostics.codes import registry
from flowrun.diagnostics.model import Diagnostic, DiagnosticError, Severity
from flowrun.manifest.data import read_rows
from flowrun.yaml_tree import Mapping, Scalar, Sequence, plain


def table(text: str, name: str = "shots.csv") -> object:
    return plain(read_rows(Path(name), text.encode()).tree)


def refused(text: str, name: str = "shots.csv") -> list[tuple[str, int, int]]:
    with pytest.raises(DiagnosticError) as caught:
        read_rows(Path(name), text.encode())
    assert all(each.code in registry() and each.hint for each in caught.value.diagnostics)
    return [(each.code, each.span.line, each.span.column) for each in caught.value.diagnostics if each.span]


def test_cells_are_their_text() -> None:
    text = '\ufeffid,prompt,n\r\n\r\na," x, ""y""\r\nz",007\r\n   \nb,{{ vars.x }}, \n"",,'
    assert table(text) == [
        {"id": "a", "prompt": ' x, "y"\r\nz', "n": "007"},
        {"id": "b", "prompt": "{{ vars.x }}", "n": " "},
        {"id": "", "prompt": "", "n": ""},
    ]


def test_cells_are_literal_and_placed() -> None:
    rows = read_rows(Path("d/shots.csv"), 'id,p\n"🦊","a\nb"\nx,y\n'.encode())
    assert isinstance(rows.tree, Sequence)
    first, second = rows.tree.items
    assert isinstance(first, Mapping)
    cells = [entry.value for entry in first.entries]
    assert all(isinstance(cell, Scalar) and cell.literal for cell in cells)
    assert [(c.span.line, c.span.column, c.span.end_line, c.span.end_column) for c in cells] == [
        (2, 1, 2, 4),
        (2, 5, 3, 3),
    ]
    assert (str(first.span), str(second.span)) == ("d/shots.csv:2:1", "d/shots.csv:4:1")
    assert [str(column.span) for column in rows.columns] == ["d/shots.csv:1:1", "d/shots.csv:1:4"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("bad-csv", 1, 1)]),
        ("\n \n", [("bad-csv", 1, 1)]),
        ("a,b\n1\n\n1,2,3,4\n1,2\n", [("ragged-row", 2, 2), ("ragged-row", 4, 5)]),
        ('a,b\n"x\ny"\n', [("ragged-row", 3, 3)]),
        ("a,b,a\n", [("repeated-heading", 1, 5)]),
        ("a,,b\n", [("bad-csv", 1, 3)]),
        ('a\n"x\n', [("bad-csv", 2, 1)]),
        ('a,b\n"x" y,2\n', [("bad-csv", 2, 4)]),
        ("a\nx\x00\n", [("control-character", 2, 2)]),
        ("a\nkey_" + "0a" * 64, [("secret-in-file", 2, 1)]),
    ],
)
def test_mistakes(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert refused(text) == expected


def test_other_encodings_and_names() -> None:
    with pytest.raises(DiagnosticError) as caught:
        read_rows(Path("a.csv"), "a,b\né,x".encode("latin-1"))
    assert [(each.code, str(each.span)) for each in caught.value.diagnostics] == [("not-utf8", "a.csv:2:1")]
    assert refused("x", "a.txt") == [("unknown-data-file", 1, 1)]


@pytest.mark.parametrize(("heading", "word"), [("a;b", "semicolons"), ("a\tb", "tabs")])
def test_another_separator_is_a_warning(heading: str, word: str) -> None:
    rows = read_rows(Path("a.csv"), f"{heading}\n1;2\n".encode())
    found: Diagnostic
    (found,) = rows.warnings
    assert (found.code, found.severity) == ("csv-separator", Severity.WARNING)
    assert word in found.message


def test_a_semicolon_in_one_of_two_columns_is_nothing() -> None:
    assert read_rows(Path("a.csv"), b"a;b,c\n1,2").warnings == ()


def test_json_and_yaml_are_data_too() -> None:
    for name, text in (
        ("a.json", '{"a": [1, {"b": "{{ x }}"}]}'),
        ("a.YML", "a: [1, {b: '{{ x }}'}]"),
        ("a.yaml", "a: [1, {b: '{{ x }}'}]"),
    ):
        rows = read_rows(Path(name), text.encode())
        assert plain(rows.tree) == {"a": [1, {"b": "{{ x }}"}]}
        assert isinstance(rows.tree, Mapping)
        inner = rows.tree.get("a")
        assert isinstance(inner, Sequence)
        record = inner.items[1]
        assert isinstance(record, Mapping)
        cell = record.get("b")
        assert isinstance(cell, Scalar)
        assert cell.literal
    assert refused("[1,", "a.json") == [("json-syntax", 1, 4)]


CELL = st.text(st.sampled_from('ab🦊é,"\n \t;{'), max_size=6)


@given(
    st.lists(st.tuples(CELL, CELL, st.sampled_from("xyz")), max_size=6), st.sampled_from(["\r\n", "\n"]), st.booleans()
)
def test_reads_what_the_standard_library_writes(
    rows: list[tuple[str, str, str]], newline: str, quote_all: bool
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator=newline, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL)
    writer.writerows([("one", "two", "three"), *rows])
    found = table(stream.getvalue())
    assert found == [{"one": a, "two": b, "three": c} for a, b, c in rows]
