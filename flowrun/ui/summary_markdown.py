"""What a run came to, as Markdown: how it ended, troubles, what to type next, exports. Owns the order of parts."""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.diagnostics.escaping import code, markdown
from flowrun.engine.summary import Summary
from flowrun.ui.ending import Ending
from flowrun.ui.markdown import Part, Rows, fenced, folded, listing, page, table
from flowrun.ui.plan_stops import uncertain_ways
from flowrun.ui.summary_parts import Kind, alike, kind_of, left_parts, ways_for, what_happened
from flowrun.ui.summary_text import count_words, head_words, spent_words
from flowrun.ui.typed import listed, ways_on

_NAMES = 6
_SIGNS = {"good": "✅", "warn": "⏸️", "bad": "❌"}


def summary_markdown(summary: Summary, ending: Ending) -> str:
    """The whole page, without a line break at its end."""
    head, kind = head_words(ending.exit_code, ending.elapsed)
    parts: list[Part] = [
        f"### {_SIGNS[kind]} {code(ending.file)}: {markdown(head)}",
        markdown(f"{count_words(summary)}. {spent_words(summary, ending.provider)}"),
        table(("what", "node", "what happened", "hint"), _troubles(summary), what="trouble"),
        listing((f"- {markdown(text)}" for text, _ in left_parts(summary, ending)), "remark"),
    ]
    if ways := _ways(summary, ending):
        parts += ["To go on:", fenced(ways_on(ways, ""))]
    return page([*parts, _exports(summary)], more=f"{code(ending.typed.outputs())} lists the files.")


def _troubles(summary: Summary) -> Iterator[tuple[str, ...]]:
    for kind in Kind:
        for group in alike(each for each in summary.troubles.values() if kind_of(each, summary) is kind):
            first, names = group[0], listed([each.address for each in group], _NAMES)
            told = what_happened(first, len(group))
            yield markdown(kind.value), code(names), markdown(told), markdown(first.hint or "")


def _ways(summary: Summary, ending: Ending) -> list[tuple[str, str]]:
    """Every command that leads on, each once."""
    found: list[tuple[str, str]] = []
    typed = ending.typed
    for trouble in summary.troubles.values():
        kind = kind_of(trouble, summary)
        if kind is not None:
            found += uncertain_ways(trouble.address, typed) if kind is Kind.UNCERTAIN else ways_for(kind, typed)
    found += [way for _, ways in left_parts(summary, ending) for way in ways]
    return list({command: (meaning, command) for meaning, command in reversed(found)}.values())[::-1]


def _exports(summary: Summary) -> Rows:
    rows = [(markdown(status), code(output), code(path)) for output, path, status in summary.exports]
    return folded(f"Exports ({len(rows):,})", table(("status", "output", "file"), rows, what="export"))
