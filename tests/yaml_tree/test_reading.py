"""What YAML text means, and what is refused: each mistake with its code at its place."""

from __future__ import annotations

import math
import time

import pytest

from flowrun.diagnostics.codes import registry
from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.yaml_tree import Mapping, Scalar, Sequence, decode, parse, plain

KEY = "key_" + "0a" * 64


def refused(text: str, file: str = "f.yaml") -> list[Diagnostic]:
    with pytest.raises(DiagnosticError) as caught:
        parse(text, file)
    assert all(each.code in registry() and each.hint and each.span for each in caught.value.diagnostics)
    return list(caught.value.diagnostics)


def places(text: str, file: str = "f.yaml") -> list[tuple[str, int, int]]:
    return [(each.code, each.span.line, each.span.column) for each in refused(text, file) if each.span]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("yes", "yes"), ("y", "y"), ("12:30", "12:30"), ("2024-01-01", "2024-01-01"),
        ("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None), ("0o17", 15), ("0x1F", 31),
        ("010", 10), ("+1", 1), ("-7", -7), ("1_000", "1_000"), (".5", 0.5), ("1e3", 1000.0), ("1.", 1.0), (".", "."),
        (".inf", math.inf), ("-.INF", -math.inf), ("0b1", "0b1"), ("1.2.3", "1.2.3"), ("'5'", "5"), ('"true"', "true"),
        ("! 5", "5"), ("!!str 5", "5"), ("!!float 5", 5.0), ("!!null ~", None), ("!!bool true", True), ("!!int 5", 5),
        ("!!seq [1]", [1]), ("!!map {a: 1}", {"a": 1}), ("{a, b: [c]}", {"a": None, "b": ["c"]}), ('"\\x41\\L"', "A\u2028"),
    ],
)  # fmt: skip
def test_core_schema(text: str, value: object) -> None:
    tree = parse(f"k: {text}\n", "f.yaml")
    found = plain(tree)["k"]
    assert (found, type(found)) == (value, type(value))


def test_not_a_number_is_read() -> None:
    assert math.isnan(plain(parse(".nan", "f.yaml")))


@pytest.mark.parametrize("text", ["", "---\n", "# only a comment\n", "\ufeff"])
def test_an_empty_document_is_null(text: str) -> None:
    tree = parse(text, "f.yaml")
    assert isinstance(tree, Scalar)
    assert tree.value is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n\tb: 1", [("tab-indent", 2, 1)]),
        ("a: |\n\tb", [("tab-indent", 2, 1)]),
        ("a: @x", [("yaml-syntax", 1, 4)]),
        ("a: `x", [("yaml-syntax", 1, 4)]),
        ("🦊: b: c", [("yaml-syntax", 1, 5)]),
        ("a: 'abc", [("yaml-syntax", 1, 4)]),
        ("a: [1,\n 2", [("yaml-syntax", 1, 4)]),
        ("a: {b: 1", [("yaml-syntax", 1, 4)]),
        ("- a\nb: 1", [("yaml-syntax", 2, 1)]),
        ("a: 1\n- b", [("yaml-syntax", 2, 1)]),
        ('a: "\\q"', [("yaml-syntax", 1, 5)]),
        ('a: "\\x4"', [("yaml-syntax", 1, 7)]),
        ('a: "\\ud83e"', [("yaml-syntax", 1, 7)]),
        ("a: - b", [("yaml-syntax", 1, 4)]),
        ("a: ]", [("yaml-syntax", 1, 4)]),
        ("[a]]", [("yaml-syntax", 1, 4)]),
        ("a: |0\n  x", [("yaml-syntax", 1, 5)]),
        ("a: |x\n  b", [("yaml-syntax", 1, 5)]),
        ("a: *", [("yaml-syntax", 1, 5)]),
        ("%FOO x\n---\na: 1", [("yaml-syntax", 1, 5)]),
        ("%YAML 2.0\n---\na: 1", [("yaml-syntax", 1, 1)]),
        ("'a\n---\nb'", [("yaml-syntax", 1, 1)]),
        ("a: !foo!x y", [("unknown-tag", 1, 4)]),
        ("a: !foo y", [("unknown-tag", 1, 4)]),
        ("a: !!seq {b: 1}", [("unknown-tag", 1, 4)]),
        ("a: !!binary x", [("unknown-tag", 1, 4)]),
        ("a: !!int x", [("bad-tag", 1, 10)]),
        ("a: !!float true", [("bad-tag", 1, 12)]),
        ("a: *x", [("unknown-alias", 1, 4)]),
        ("a: &x [*x]", [("recursive-alias", 1, 8)]),
        ("a: 1\n---\nb: 2", [("several-documents", 2, 1)]),
        ("? [a]\n: b", [("key-not-text", 1, 3)]),
        ("1: x\ntrue: y\n~: z", [("key-not-text", 1, 1), ("key-not-text", 2, 1), ("key-not-text", 3, 1)]),
        ("<<: {a: 1}", [("merge-key", 1, 1)]),
        ("a: {{ vars.x }}", [("unquoted-template", 1, 4)]),
        ("a: {{ vars.x }} and", [("unquoted-template", 1, 4)]),
        ("a: \x07\x1b", [("control-character", 1, 4), ("control-character", 1, 5)]),
        ("a: '\ud800'", [("control-character", 1, 5)]),
        ("a: 1\nb: {a: 1, a: 2}\na: 3", [("duplicate-key", 2, 11), ("duplicate-key", 3, 1)]),
    ],
)  # fmt: skip
def test_refused(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert places(text) == expected


def test_a_quoted_merge_key_is_a_text() -> None:
    assert plain(parse("'<<': 1", "f.yaml")) == {"<<": 1}


def test_a_merge_key_points_to_defaults() -> None:
    assert "defaults" in str(refused("<<: *x")[-1].hint) or "defaults" in str(refused("<<: 1")[0].hint)


def test_a_bare_template_in_broken_yaml_is_hinted() -> None:
    (found,) = refused("a: 1\nb: {{ vars['x'] }}")
    assert "quotes" in str(found.hint)
    assert [note.span.column for note in found.notes if note.span] == [11]


def test_a_duplicate_notes_the_earlier_key() -> None:
    (found,) = refused("a: 1\nb: 2\na: 3")
    assert [(note.span.line, note.span.column) for note in found.notes if note.span] == [(1, 1)]


def test_many_control_characters_are_reported_in_part() -> None:
    assert len(refused("\x01" * 1000)) == 20


@pytest.mark.parametrize(
    "text", [f"a: 1\nk: '{KEY}'", f"k: {KEY}\nb: 'broken", f'"x\\x6bey_{KEY[4:]}"', f'"key_\\\n  {KEY[4:]}"']
)
def test_a_key_is_found_and_not_echoed(text: str) -> None:
    found = refused(text)
    assert "secret-in-file" in [each.code for each in found]
    assert KEY[4:] not in repr(found)


def test_a_key_is_found_in_json() -> None:
    assert places(f'["key\\u005f{KEY[4:]}"]', "f.json") == [("secret-in-file", 1, 2)]


def test_aliases_share_their_value() -> None:
    tree = parse("a: &x {k: [1, 2]}\nb: *x\nc: &y v\nd: [*y, *y]", "f.yaml")
    assert plain(tree) == {"a": {"k": [1, 2]}, "b": {"k": [1, 2]}, "c": "v", "d": ["v", "v"]}


def test_an_alias_bomb_is_a_diagnostic() -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    started = time.perf_counter()
    assert [each.code for each in refused("\n".join(layers))] == ["alias-bomb"]
    assert time.perf_counter() - started < 5


def test_depth_by_aliases_is_bounded() -> None:
    nested = "[" * 60 + "]" * 60
    assert [each.code for each in refused(f"a: &a {nested}\nb: {'[' * 50}*a{']' * 50}")] == ["alias-bomb"]


def test_depth_is_bounded() -> None:
    assert plain(parse("[" * 100 + "]" * 100, "f.yaml"))
    assert places("[" * 101 + "]" * 101) == [("too-deep", 1, 101)]
    assert places("[" * 5000) == [("too-deep", 1, 101)]
    assert places("[" * 101 + "]" * 101, "f.json") == [("too-deep", 1, 101)]


def span_of(tree: object) -> tuple[int, int, int, int]:
    assert isinstance(tree, Scalar | Sequence | Mapping)
    return tree.span.line, tree.span.column, tree.span.end_line, tree.span.end_column


def test_spans_count_code_points_and_leave_anchors_and_tags_out() -> None:
    text = '"🦊": {é: [🦊, "b\\n"]}\nk: &a !!str 🦊x\nl: !!seq # why\n  - 1\nm: |\n  é\n\n  x\n\nn:\n  o: p # c\n'
    tree = parse(text, "f.yaml")
    assert isinstance(tree, Mapping)
    fox = tree.get("🦊")
    assert isinstance(fox, Mapping)
    assert span_of(fox) == (1, 6, 1, 21)
    assert span_of(fox.get("é")) == (1, 10, 1, 20)
    assert span_of(tree.get("k")) == (2, 13, 2, 15)
    assert span_of(tree.get("l")) == (4, 3, 4, 6)
    assert span_of(tree.get("m")) == (5, 4, 8, 4)
    assert span_of(tree.get("n")) == (11, 3, 11, 7)
    assert span_of(tree) == (1, 1, 11, 7)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_break_counts(newline: str) -> None:
    tree = parse(f"\ufeffa: 1{newline}b: |{newline}  x{newline}c: 3{newline}", "f.yaml")
    assert isinstance(tree, Mapping)
    assert plain(tree) == {"a": 1, "b": "x\n", "c": 3}
    assert span_of(tree.get("c")) == (4, 4, 4, 5)


@pytest.mark.parametrize("foreign", ["\x85", "\u2028", "\u2029"])
def test_line_breaks_of_yaml_1_1_are_plain_characters(foreign: str) -> None:
    tree = parse(f"a: x{foreign}y\nb: 'p{foreign} q'", "f.yaml")
    assert isinstance(tree, Mapping)
    assert plain(tree) == {"a": f"x{foreign}y", "b": f"p{foreign} q"}
    assert span_of(tree.get("b")) == (2, 4, 2, 10)


def test_a_large_manifest_is_read_fast() -> None:
    node = (
        "  n{0}:\n    uses: text_to_image\n    with:\n      model: gen4_image\n      promptText: '{{{{ vars.hero }}}} 🦊'\n"
        "      ratio: '1920:1080'\n      seed: 5\n    takes: 2\n    tags: [a, b]\n"
    )
    text = "nodes:\n" + "".join(node.format(number) for number in range(2000))
    started = time.perf_counter()
    tree = parse(text, "f.yaml")
    assert time.perf_counter() - started < 10
    assert len(plain(tree)["nodes"]) == 2000


def test_decoding() -> None:
    assert decode("\ufeffé".encode(), "f") == "é"
    with pytest.raises(DiagnosticError) as caught:
        decode("é\n🦊".encode() + b"\xff", "f")
    (found,) = caught.value.diagnostics
    assert found.code == "not-utf8"
    assert found.span is not None
    assert (found.span.line, found.span.column) == (2, 2)
    with pytest.raises(DiagnosticError) as caught:
        decode("é".encode("utf-16"), "f")
    assert "UTF-16" in str(caught.value.diagnostics[0].hint)
