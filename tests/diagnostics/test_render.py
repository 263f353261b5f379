"""How diagnostics are shown: aligned, masked, harmless to a terminal, and the same without colour."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from flowrun.diagnostics.model import Diagnostic, Note, Severity
from flowrun.diagnostics.render import to_json, to_text
from flowrun.diagnostics.span import Span
from flowrun.diagnostics.visible import visible, width

KEY = "key_" + "0f" * 64


def show(line: str, start: int, end: int, *, message: str = "m", colour: bool = False) -> list[str]:
    found = Diagnostic("some-code", message, Span("f.yaml", 1, start, 1, end))
    return to_text([found], lambda _file: line, colour).split("\n")


def under(line: str, start: int, end: int) -> tuple[str, str]:
    """What stands above the signs, column for column of the terminal, and the signs."""
    shown, signs = show(line, start, end)[2:4]
    cells = "".join(character + "\0" * (width(character) - 1) for character in shown if width(character))
    first, last = signs.index("^"), len(signs)
    return cells[first:last].replace("\0", ""), signs[first:last]


def test_a_whole_diagnostic() -> None:
    text = "nodes:\n  hero: {}\n  hero: {}\n"
    notes = (Note("first here", Span("f.yaml", 2, 3, 2, 7)), Note("so it is"))
    found = Diagnostic("duplicate-key", "twice", Span("f.yaml", 3, 3, 3, 7), "rename it", notes)
    assert to_text([found], lambda _file: text, False) == (
        "error[duplicate-key]: twice\n"
        "  --> f.yaml:3:3\n"
        " 3 |   hero: {}\n"
        "   |   ^^^^\n"
        "   = note: first here\n"
        "  --> f.yaml:2:3\n"
        " 2 |   hero: {}\n"
        "   |   ----\n"
        "   = note: so it is\n"
        "   = hint: rename it\n"
    )


def test_colour_adds_nothing_but_colour() -> None:
    plain, coloured = show("a: b", 1, 2), show("a: b", 1, 2, colour=True)
    assert plain == re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(coloured)).split("\n")
    assert plain != coloured


def test_several_are_set_apart_and_warnings_say_so() -> None:
    both = [Diagnostic("a", "x"), Diagnostic("b", "y", severity=Severity.WARNING)]
    assert to_text(both, lambda _file: None, False) == "error[a]: x\n\nwarning[b]: y\n"


def test_signs_stand_under_their_text() -> None:
    assert under("é🦊漢: [x]", 3, 4) == ("漢", "^^")
    assert under("🦊\t👩‍👧: 'e\u0301x'", 11, 12) == ("x", "^")
    assert under("a:\tb", 4, 5) == ("b", "^")
    assert under("ab", 3, 3) == ("", "^")
    assert under("ab", 9, 12) == ("", "^")


def test_a_place_over_lines_goes_to_the_end_of_its_first() -> None:
    found = Diagnostic("a", "x", Span("f", 1, 3, 2, 2))
    assert to_text([found], lambda _file: "ab cd\nef", False).split("\n")[3] == "   |   ^^^ … to line 2"


def test_files_that_cannot_be_read_are_named_alone() -> None:
    found = Diagnostic("a", "x", Span("--var", 1, 1, 1, 2))
    assert to_text([found], lambda _file: None, False) == "error[a]: x\n  --> --var:1:1\n"
    assert to_text([found], lambda _file: "", False).count("\n") == 4
    beyond = Diagnostic("a", "x", Span("f", 5, 1, 5, 2))
    assert to_text([beyond], lambda _file: "one\n", False) == "error[a]: x\n  --> f:5:1\n"


def test_long_lines_are_cut_around_the_place() -> None:
    line = "a" * 500_000 + "HERE" + "b" * 500_000
    shown = show(line, 500_001, 500_005)
    assert max(map(len, shown)) < 200
    assert under(line, 500_001, 500_005) == ("HERE", "^^^^")
    wide = show("x" * 1000, 1, 1001)
    assert max(map(len, wide)) < 200


def test_keys_and_tokens_are_masked_and_signs_move_along() -> None:
    line = f"k: {KEY} HERE"
    assert under(line, 137, 141) == ("HERE", "^^^^")
    assert KEY[4:] not in "\n".join(show(line, 4, 136, message=KEY))
    assert KEY[4:] not in "\n".join(show(line, 70, 80))
    assert under(line, 70, 140)[0].endswith("HER")
    assert "secret1" not in "\n".join(show("u: https://h/x?_jwt=secret1", 4, 6))
    value = to_json([Diagnostic("a", KEY, None, KEY, (Note(KEY),))])
    assert KEY[4:] not in repr(value)


def test_the_line_of_a_secret_is_not_shown() -> None:
    found = Diagnostic("secret-in-file", "x", Span("f", 1, 1, 1, 3), notes=(Note("y", Span("f", 1, 1, 1, 2)),))
    assert "half a key" not in to_text([found], lambda _file: "half a key", False)


def test_controls_become_signs() -> None:
    assert visible("a\x1b[31m\x7f\x9b\u202e\u2028\ud800\t\n") == "a␛[31m␡<U+009B><U+202E><U+2028><U+D800>    ␊"
    assert visible("👩‍👧 é漢") == "👩‍👧 é漢"
    text = "\n".join(show("a: \x1b]0;x\x07", 1, 2, message="\x1b[2J"))
    assert "\x1b" not in text
    assert "\x07" not in text


@given(st.text(max_size=40), st.integers(1, 45), st.integers(0, 10), st.text(max_size=10))
def test_nothing_breaks_the_renderer(line: str, start: int, length: int, message: str) -> None:
    lines = show(line, start, start + length, message=message)
    assert len(lines) == 5
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for shown in lines for character in shown)


def test_json_has_the_documented_names() -> None:
    span = Span("f.yaml", 1, 2, 3, 4)
    found = Diagnostic("a", "m", span, "h", (Note("n", span), Note("o")), Severity.WARNING)
    place = {"file": "f.yaml", "line": 1, "column": 2, "end_line": 3, "end_column": 4}
    assert to_json([found, Diagnostic("b", "c")]) == [
        {"code": "a", "severity": "warning", "message": "m", "hint": "h", "span": place,
         "notes": [{"message": "n", "span": place}, {"message": "o", "span": None}]},
        {"code": "b", "severity": "error", "message": "c", "hint": None, "span": None, "notes": []},
    ]  # fmt: skip
