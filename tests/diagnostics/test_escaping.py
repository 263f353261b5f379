"""Foreign text in Markdown and in GitHub's logs: whatever stands in it, it stays text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from flowrun.diagnostics.escaping import code, defused, inline, markdown, safe
from flowrun.diagnostics.github import annotation, commands
from flowrun.diagnostics.markdown import items
from flowrun.diagnostics.model import Diagnostic, Note, Severity
from flowrun.diagnostics.span import Span

KEY = "key_" + "0f" * 64
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NOTHING = "\u200b"  # what parts a sign from a name
SIGNS = [
    *"aZ_ 01.-+=#@|`\\<>&*[]()!~$:;/'\"{}^?\n\r\t",
    "GH-",
    "GH-1",
    "<b>",
    "<a href=x>",
    "<!--",
    "[x](y)",
    "://",
    "🦊",
    "é",
    "\u2028",
]
EVIL = st.lists(st.sampled_from(SIGNS), max_size=30).map("".join)
TEXT = EVIL | st.text(max_size=60)


def words(tokens: list[Token]) -> str:
    """The text that a reader sees."""
    return "".join(each.content if each.type in ("text", "code_inline") else "" for each in tokens)


def squeezed(text: str) -> str:
    return " ".join(text.replace(NOTHING, "").split())


def inside(line: str) -> list[Token]:
    """What one paragraph holds; nothing but one paragraph may come of it."""
    blocks = READER.parse(line)
    assert [each.type for each in blocks] == ["paragraph_open", "inline", "paragraph_close"], line
    return blocks[1].children or []


@settings(deadline=None)
@given(TEXT)
def test_running_words_are_nothing_but_words(text: str) -> None:
    shown = markdown(text)
    if not shown:
        assert not safe(text).strip()
        return
    tokens = inside(shown)
    if "<code>" not in shown:
        assert {each.type for each in tokens} <= {"text", "code_inline"}
    assert {each.content for each in tokens if each.type == "html_inline"} <= {"<code>", "</code>"}
    assert squeezed(words(tokens).replace("`", "")) == squeezed(safe(text).replace("`", ""))


@settings(deadline=None)
@given(TEXT)
def test_a_stretch_of_a_prompt_is_nothing_but_words(text: str) -> None:
    tokens = inside(f"x<del>{inline(safe(text))}</del>x")
    assert [each.content for each in tokens if each.type != "text"] == ["<del>", "</del>"]
    assert squeezed(words(tokens)) == squeezed(f"x{safe(text)}x")


@settings(deadline=None)
@given(TEXT)
def test_code_is_the_text_as_it_is(text: str) -> None:
    if not safe(text):
        assert code(text) == ""
        return
    tokens = inside(f"x{code(text)}x")
    assert {each.type for each in tokens} <= {"text", "code_inline", "html_inline"}
    assert "".join(words(tokens).split()) == "x" + "".join(safe(text).split()) + "x"


@settings(deadline=None)
@given(TEXT)
def test_a_cell_stays_a_cell(text: str) -> None:
    cells = f"| a | b |\n| --- | --- |\n| {markdown(text)} | {code(text)} |\n| c | d |"
    blocks = READER.parse(cells)
    assert [each.type for each in blocks].count("table_open") == 1
    assert [each.type for each in blocks].count("tr_open") == 3
    assert [each.type for each in blocks].count("td_open") == 4
    assert blocks[-1].type == "table_close"


@settings(deadline=None)
@given(TEXT)
def test_nobody_is_pinged_but_from_code(text: str) -> None:
    for each in inside(f"x {markdown(text)}"):
        if each.type == "text":
            assert not re.search(
                r"[@#][^\u200b]|://|(?<!\w)GH-\d", each.content, re.IGNORECASE
            ) or "<code>" in markdown(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ask @user about #12", "ask &#64;&#8203;user about &#35;&#8203;12"),
        ("gh-12 is of high-end", "gh-&#8203;12 is of high-end"),
        ("see https://github.com/a/b/issues/1", "see https:&#8203;//github.com/a/b/issues/1"),
        ("image_to_video, _this_", "image_to_video, &#95;this&#95;"),
        ("1. first", "1&#46; first"),
        ("- item", "&#45; item"),
        ("gen4 needs `ratio`: <b>", "gen4 needs `ratio`: &#60;b&#62;"),
        ("a ` alone", "a &#96; alone"),
        ("`` two", "&#96;&#96; two"),
        (f"x {KEY}", "x key&#95;&#42;&#42;&#42;&#42;&#42;&#42;&#42;&#42;"),
        ("a\nb", "a␊b"),
    ],
)
def test_running_words(text: str, shown: str) -> None:
    assert markdown(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("shot[intro]#2", "`shot[intro]#2`"),
        ("", ""),
        ("a|b", "<code>a&#124;b</code>"),
        ("`", "<code>&#96;</code>"),
        (" a", "<code> a</code>"),
        ("##[error]x", "<code>&#35;&#35;&#91;error&#93;x</code>"),
        ("C:\\x", "<code>C&#58;&#92;x</code>"),
    ],
)
def test_code(text: str, shown: str) -> None:
    assert code(text) == shown


# -- GitHub's runner


def is_command(line: str) -> bool:
    """As the runner reads a line of the log (actions/runner, ActionCommand.cs)."""
    return line.lstrip().startswith("::") or "##[" in line


@settings(deadline=None)
@given(TEXT | st.text(alphabet=" :#[a\n\t", max_size=20))
def test_defused_lines_are_no_commands(text: str) -> None:
    assert not any(map(is_command, re.split(r"\r\n|\n|\r", defused(text))))


def test_harmless_lines_stay_as_they_are() -> None:
    text = "a :: b\n  std::vector\n## [x]\n: x"
    assert defused(text) == text


@settings(deadline=None)
@given(TEXT, TEXT, TEXT)
def test_an_annotation_is_one_line_and_one_command(title: str, text: str, file: str) -> None:
    line = annotation("error", title or "x", [text, text], Span(file, 1, 2, 1, 5), lambda name: name)
    assert len(line.splitlines()) == 1
    assert re.fullmatch(r"::error file=([^:,]*),line=1,col=2,endLine=1,endColumn=5,title=([^:,]*)::(.*)", line)


def diagnostic(**fields: object) -> Diagnostic:
    known = {"code": "wrong-value", "message": "100% wrong: `a`,\nb", "span": Span("sub/a,b.yaml", 3, 5, 3, 9)}
    return Diagnostic(**{**known, **fields})


def test_an_annotation_says_all_of_a_diagnostic_at_its_place() -> None:
    note = Note("declared here", Span("flow.yaml", 1, 1, 1, 2))
    [line] = commands([diagnostic(hint="write 5", notes=(note, Note("and so")))], lambda name: name)
    assert line == (
        "::error file=sub/a%2Cb.yaml,line=3,col=5,endLine=3,endColumn=9,title=wrong-value"
        "::100%25 wrong: `a`,␊b%0Anote: declared here (flow.yaml:1:1)%0Anote: and so%0Ahint: write 5"
    )


def test_columns_are_told_within_one_line_only() -> None:
    [line] = commands([diagnostic(span=Span("a.yaml", 3, 5, 4, 2), severity=Severity.WARNING)], lambda name: name)
    assert line.startswith("::warning file=a.yaml,line=3,endLine=4,title=wrong-value::")


def test_what_has_no_place_has_none() -> None:
    [lost, none] = commands([diagnostic(), diagnostic(span=None)], lambda name: None)
    assert lost == none == "::error title=wrong-value::100%25 wrong: `a`,␊b"


def test_no_key_is_annotated() -> None:
    found = diagnostic(message=KEY, hint=KEY, notes=(Note(KEY),), span=Span(f"{KEY}.yaml", 1, 1, 1, 2))
    for text in (*commands([found], lambda name: name), *items([found])):
        assert KEY[:60] not in text


# -- the list in Markdown


def test_a_list_of_diagnostics() -> None:
    note = Note("declared here", Span("flow.yaml", 1, 1, 1, 2))
    found = [diagnostic(hint="write `5`", notes=(note,)), diagnostic(severity=Severity.WARNING, span=None)]
    assert "\n".join(items(found)) == (
        "- ❌ **error** at `sub/a,b.yaml:3:5`: 100% wrong: `a`,␊b (`wrong-value`)\n"
        "  - note at `flow.yaml:1:1`: declared here\n"
        "  - 💡 write `5`\n"
        "- ⚠️ **warning**: 100% wrong: `a`,␊b (`wrong-value`)"
    )
