"""The terminal in memory does what a terminal does."""

from __future__ import annotations

import pytest

from tests.support.screen import Screen


def test_text_wraps_and_scrolls() -> None:
    screen = Screen(4, 2)
    screen.feed("abcdef\n日本語\n".encode())
    assert screen.lines == ["abcd", "ef", "日本", "語", ""]
    assert screen.seen == ["語", ""]
    assert screen.wraps == 2


def test_a_full_line_does_not_wrap_before_more_comes() -> None:
    screen = Screen(3, 5)
    screen.feed(b"abc\r\x1b[2Kx\n")
    assert screen.text == "x"
    assert screen.wraps == 0


def test_going_up_stops_at_the_top_of_what_is_seen() -> None:
    screen = Screen(9, 2)
    screen.feed(b"one\ntwo\nthree\x1b[9A\rX")
    assert screen.lines == ["one", "Xwo", "three"]


def test_controls_that_come_in_pieces() -> None:
    screen = Screen(9, 2)
    for part in (b"\x1b", b"[?25", b"l\x1b[1;31mred\x1b[0m \xe6", b"\x97\xa5"):
        screen.feed(part)
    assert (screen.text, screen.cursor_shown) == ("red 日", False)
    screen.feed(b"\x1b[?25h")
    assert screen.cursor_shown


@pytest.mark.parametrize("unread", [b"\x1b[3J", b"\x1b]0;title of a window\x07", b"\x0b"])
def test_what_it_does_not_know_is_an_error(unread: bytes) -> None:
    with pytest.raises(AssertionError, match="unknown"):
        Screen(9, 2).feed(unread)


def test_narrower_folds_and_wider_unfolds() -> None:
    screen = Screen(8, 5)
    screen.feed(b"12345678\nabc")
    screen.resize(4, 5)
    assert screen.lines == ["1234", "5678", "abc"]
    assert (screen.row, screen.column) == (2, 3)
    screen.resize(8, 5)
    assert screen.lines == ["12345678", "abc"]
    screen.feed(b"d")
    assert screen.lines == ["12345678", "abcd"]


def test_without_reflow_tails_are_lost() -> None:
    screen = Screen(8, 5, reflows=False)
    screen.feed(b"12345678\nabc")
    screen.resize(4, 5)
    assert screen.lines == ["1234", "abc"]
