"""Values, word by word differences, columns and numbers: the small parts of every text."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrun.diagnostics.visible import width
from flowrun.plan.model import Change, Cost
from flowrun.ui import numbers
from flowrun.ui.changes import change_lines, field_names, shown, word_diff
from flowrun.ui.paint import palette
from flowrun.ui.tables import Cell, Piece, cut, cut_middle, hanging, table, wrapped
from flowrun.ui.typed import listed, quoted

PLAIN = palette(False)


def told(old: object, new: object, path: str = "promptText", *, whole: bool = False) -> str:
    return "\n".join(change_lines(Change(path, old, new), PLAIN, 200, whole=whole))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (5, 10, "5 -> 10"),
        (None, 7, "(none) -> 7"),
        (True, False, "true -> false"),
        ("1280:720", "720:1280", '"1280:720" -> "720:1280"'),
        ("sha256:" + "ab" * 32, "sha256:" + "cd" * 32, "sha256:abababab… -> sha256:cdcdcdcd…"),
        ("a red fox", "a blue fox", "a [-red-]{+blue+} fox"),
        ("a b c d", "x y z w", "[-a b c d-]{+x y z w+}"),
        ("same words", "same words and more", "same words {+and more+}"),
        ("same words and more", "same words", "same words [-and more-]"),
        ("one more word", "one more word  ", "one more word{+  +}"),
        ("two  blanks here", "two blanks here", "two[-  -]{+ +}blanks here"),
        ("赤い狐が走る" * 6, "青" + ("赤い狐が走る" * 6)[1:], "[-赤-]{+青+}" + ("赤い狐が走る" * 6)[1:]),
        ({"$text": ["made for ", {"$env": "CLIENT"}]}, "made for Bob", "made for [-$CLIENT-]{+Bob+}"),
        ({"$media": "ab" * 32}, {"$uri": "runway://abcdefghij"}, "sha256:abababab… -> runway://…efghij"),
        ([{"uri": {"$media": "ab" * 32}}], {}, '[{"uri": "sha256:abababab…"}] -> {}'),
    ],
)
def test_how_a_change_is_told(old: object, new: object, text: str) -> None:
    assert told(old, new) == f"promptText: {text}"


def test_a_long_value_is_cut_and_whole_when_asked() -> None:
    assert told(list(range(50)), None).endswith("… -> (none)")
    assert "48,\n49] -> (none)" in told(list(range(50)), None, whole=True)


def test_long_unchanged_stretches_are_cut_and_whole_when_asked() -> None:
    old = " ".join(f"w{number}" for number in range(60))
    new = old.replace("w30", "X")
    assert told(old, new) == "promptText: … w25 w26 w27 w28 w29 [-w30-]{+X+} w31 w32 w33 w34 w35 …"
    assert "w0 w1" in told(old, new, whole=True)


def test_a_text_too_long_to_compare_is_shown_as_two() -> None:
    old = "a b " * 2000
    assert word_diff(old, old + "c") == [("removed", old), ("added", old + "c")]


def test_marks_of_an_action_document_are_no_fields() -> None:
    changes = [
        Change("promptText.$text[0]", "a", "b"),
        Change("promptText.$text[1].$env", "A", "B"),
        Change("x[0].y", 1, 2),
    ]
    assert field_names(changes) == ["promptText", "x[0].y"]


TEXTS = st.text(alphabet="ab c.,\t狐é", max_size=60)


@settings(deadline=None)
@given(old=TEXTS, new=TEXTS)
def test_a_difference_loses_nothing(old: str, new: str) -> None:
    parts = word_diff(old, new)
    assert "".join(text for kind, text in parts if kind != "added") == old
    assert "".join(text for kind, text in parts if kind != "removed") == new
    assert all(one[0] != other[0] for one, other in pairwise(parts))


@settings(deadline=None)
@given(
    value=st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_value_is_one_harmless_line(value: object) -> None:
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u202e]", shown(value))


@settings(deadline=None)
@given(text=st.text(alphabet="abc 狐🦊é", max_size=200), columns=st.integers(8, 60))
def test_wrapping_fits_and_loses_only_blanks(text: str, columns: int) -> None:
    lines = wrapped([Piece(text)], columns, PLAIN)
    assert all(width(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@settings(deadline=None)
@given(text=st.text(alphabet="abc狐🦊é", max_size=60), columns=st.integers(1, 30))
def test_cuts_fit(text: str, columns: int) -> None:
    for shorter in (cut(text, columns), cut_middle(text, columns)):
        assert width(shorter) <= columns
        assert shorter == text if width(text) <= columns else "…" in shorter


def test_a_cut_in_the_middle_keeps_both_ends() -> None:
    assert cut_middle("shot[introduction]", 9) == "shot…ion]"


def test_columns_are_as_wide_as_they_look() -> None:
    rows = [[Cell("狐"), Cell("7", right=True)], [Cell("狐狐狐"), Cell("700", right=True)], [Cell("one")]]
    assert table(rows, PLAIN) == ["狐        7", "狐狐狐  700", "one"]
    assert table([[Cell("a", "bad"), Cell("b")]], palette(True)) == ["\x1b[1;31ma\x1b[0m  b"]


def test_further_lines_hang_below_the_first() -> None:
    assert hanging("head: ", "one two three", 14) == ["head: one two", "      three"]
    assert hanging("head: ", "", 14) == ["head:"]


def test_an_unknown_kind_paints_nothing() -> None:
    assert palette(True)("x", "") == "x"
    assert palette(True)("", "bad") == ""


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (Cost(), ""),
        (Cost(25, 25), "25 credits"),
        (Cost(1, 1), "1 credit"),
        (Cost(25, 1080), "25–1,080 credits"),
        (Cost(0, 25), "up to 25 credits"),
        (Cost(0, 0, 2), "unknown price"),
        (Cost(5, 5, 2), "5 credits + unknown"),
    ],
)
def test_costs(cost: Cost, text: str) -> None:
    assert numbers.cost(cost) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (42.4, "42 s"),
        (89, "89 s"),
        (90, "2 min"),
        (243, "4 min"),
        (3599, "1 h"),
        (4800, "1 h 20 min"),
        (7200, "2 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_money_and_counts() -> None:
    assert numbers.priced(25) == "25 credits ($0.25)"
    assert numbers.priced(25, 123456) == "25–123,456 credits ($0.25–$1,234.56)"
    assert numbers.plural(1, "node") == "1 node"
    assert numbers.plural(2000, "entry", "entries") == "2,000 entries"


def test_words_for_a_shell() -> None:
    assert [quoted(word) for word in ("hero", "shot[intro]", "shot#2", "it's")] == [
        "hero", "'shot[intro]'", "'shot#2'", "'it'\"'\"'s'",
    ]  # fmt: skip
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c", "d"]) == "a, b … 2 more"
