"""Where a stretch of a value stands in its file, for every way YAML has to write a text."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flowrun.diagnostics.span import Span
from flowrun.yaml_tree import Mapping, Scalar, from_plain, parse
from flowrun.yaml_tree.written import Style, Written


def scalar(text: str, key: str = "k") -> Scalar:
    tree = parse(text, "f.yaml")
    found = tree.get(key) if isinstance(tree, Mapping) else tree
    assert isinstance(found, Scalar)
    return found


def at(text: str, part: str) -> tuple[int, int, int, int]:
    found = scalar(text)
    span = found.locate(str(found.value).index(part), len(part))
    return span.line, span.column, span.end_line, span.end_column


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k: 🦊 {{ v }} end", (1, 6, 1, 13)),
        ("k: &a !!str 🦊 {{ v }}", (1, 15, 1, 22)),
        ("k: plain\n  next\n\n  {{ v }}\n", (4, 3, 4, 10)),
        ("k: '🦊''s {{ v }}'", (1, 10, 1, 17)),
        ("k: 'a\n\n\n  b {{ v }}'", (4, 5, 4, 12)),
        ('k: "\\U0001F98A\\n\\" {{ v }}"', (1, 20, 1, 27)),
        ('k: "a \\\n   b\\t\n\n {{ v }}"', (4, 2, 4, 9)),
        ('k: "a\\\n\n\n  {{ v }}"', (4, 3, 4, 10)),
        ("k: |\n  🦊\n    {{ v }}\n", (3, 5, 3, 12)),
        ("k: |-\n\n\n  x {{ v }}", (4, 5, 4, 12)),
        ("k: |2 # why\n   🦊 {{ v }}\n", (2, 6, 2, 13)),
        ("k: |+\n  a\n\n  {{ v }}\n\n", (4, 3, 4, 10)),
        ("k: >\n  a\n  b\n\n  c\n    d\n\n  e {{ v }}\n", (8, 5, 8, 12)),
        ("k: >-\r\n  a\r\n  {{ v }}\r\n", (3, 3, 3, 10)),
        ("k: [x,\n '{{ v }}']\n", (2, 3, 2, 10)),
    ],
)
def test_a_template_is_found_where_it_stands(text: str, expected: tuple[int, int, int, int]) -> None:
    if "[" in text:
        tree = parse(text, "f.yaml")
        item = tree.get("k").items[1]  # type: ignore[union-attr]
        span = item.locate(0, 7)
        assert (span.line, span.column, span.end_line, span.end_column) == expected
    else:
        assert at(text, "{{ v }}") == expected


def test_a_template_over_two_lines() -> None:
    assert at("k: 'a {{ v\n    | upper }} b'", "{{ v | upper }}") == (1, 7, 2, 15)


def test_a_folded_line_feed_is_the_break_that_is_kept() -> None:
    found = scalar("k: 'a\n\n\n  b'")
    assert found.value == "a\n\nb"
    assert [(found.locate(place, 1).line, found.locate(place, 1).end_line) for place in (1, 2)] == [(2, 3), (3, 4)]


def test_no_length_is_an_empty_span() -> None:
    found = scalar("k: 'ab'")
    assert [found.locate(place).column for place in (0, 1, 2)] == [5, 6, 7]
    assert found.locate(1) == found.locate(1).start()
    assert scalar("k: ''").locate(0) == scalar("k: ''").span


def test_what_cannot_be_said_is_the_whole_scalar() -> None:
    found = scalar("k: ab")
    assert found.locate(1, 5) == found.span == found.locate(-1)
    assert scalar("k: 5").locate(0, 1) == scalar("k: 5").span
    given_by_hand = from_plain("ab", Span("--var", 1, 1, 1, 1))
    assert isinstance(given_by_hand, Scalar)
    assert given_by_hand.locate(1, 1) == given_by_hand.span


@pytest.mark.parametrize(
    ("style", "raw"),
    [(Style.PLAIN, "x"), (Style.DOUBLE, '"\\U00110000"'), (Style.DOUBLE, '"\\'), (Style.DOUBLE, '"\\xZZ"'),
        (Style.LITERAL, "x"), (Style.FOLDED, ">\n  x")],
)  # fmt: skip
def test_raw_text_that_reads_otherwise_is_not_trusted(style: Style, raw: str) -> None:
    span = Span("f", 3, 1, 3, 9)
    assert Written(style, raw).locate("ab", span, 0, 1) == span


TEXT = st.text(st.sampled_from("ab🦊é\n\t '\"\\{}:#-|>\x07"), max_size=24)


@given(TEXT, st.sampled_from(["'", '"', "|", ">", ""]), st.integers(1, 4), st.sampled_from([10, 1000]))
def test_every_code_point_is_located(value: str, style: str, indent: int, fold_at: int) -> None:
    """What PyYAML writes in any style reads back, and each printable stretch of the value stands where it is said to."""
    written = yaml.dump(
        {"o": {"k": value}, "z": 1}, default_style=style, allow_unicode=True, indent=indent, width=fold_at
    )
    tree = parse(written, "f.yaml")
    assert isinstance(tree, Mapping)
    outer = tree.get("o")
    assert isinstance(outer, Mapping)
    found = outer.get("k")
    assert isinstance(found, Scalar)
    assert found.value == value
    lines = written.split("\n")
    for place, character in enumerate(value):
        span = found.locate(place, 1)
        if character in "ab🦊é" and found.written and found.written.style is not Style.DOUBLE:
            assert lines[span.line - 1][span.column - 1 : span.end_column - 1] == character
        assert (span != found.span) or len(value) == 1
        assert (span.line, span.column) <= (span.end_line, span.end_column)


LINE = st.text(st.sampled_from("ab🦊 \t{#"), max_size=6)


@given(
    st.lists(LINE, max_size=6), st.sampled_from("|>"), st.sampled_from(["", "-", "+"]), st.integers(1, 3), st.booleans()
)
def test_every_block_scalar_reads_back(lines: list[str], sign: str, chomp: str, indent: int, explicit: bool) -> None:
    """Hand-written blocks, with odd blank lines and more-indented ones: never the fallback to the whole scalar."""
    indicator = str(indent) if explicit else ""
    body = "".join(" " * indent + line + "\n" for line in ([] if explicit else ["x"]) + lines)
    text = f"o:\n k: {sign}{indicator}{chomp}\n" + "".join(f" {line}\n" for line in body.splitlines()) + "z: 1\n"
    tree = parse(text, "f.yaml")
    assert isinstance(tree, Mapping)
    outer = tree.get("o")
    assert isinstance(outer, Mapping)
    found = outer.get("k")
    assert isinstance(found, Scalar)
    value = str(found.value)
    shown = text.split("\n")
    for place, character in enumerate(value):
        span = found.locate(place, 1)
        assert span != found.span
        if character in "ab🦊":
            assert shown[span.line - 1][span.column - 1 : span.end_column - 1] == character
