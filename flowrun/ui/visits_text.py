"""What a round over open tasks came to, as text and as Markdown: a row a task, what it cost, what to type next. Owns the words
for what became of a task; `collect` and `cancel` share them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowrun.diagnostics.escaping import code, markdown
from flowrun.engine.visited import Fate, Visited
from flowrun.ledger.protocol import IntentRow, TaskRow
from flowrun.ui.markdown import Part, fenced, listing, page
from flowrun.ui.markdown import table as markdown_table
from flowrun.ui.numbers import credits, number, plural
from flowrun.ui.paint import Paint, palette, safe
from flowrun.ui.runs_markdown import doubt_item
from flowrun.ui.runs_text import doubt_words, tasks_cells, uncertain_part
from flowrun.ui.summary_parts import NOT_DOCUMENTED
from flowrun.ui.tables import Cell, column_widths, cut_middle, hanging, padded, table
from flowrun.ui.typed import typed, ways_on

_KINDS = {
    Fate.COLLECTED: "good",
    Fate.CANCELLED: "warn",
    Fate.FAILED: "bad",
    Fate.GONE: "bad",
    Fate.RUNNING: "work",
    Fate.KEPT: "work",
    Fate.ELSEWHERE: "quiet",
    Fate.FOREIGN: "warn",
    Fate.NOT_COLLECTED: "bad",
    Fate.NOT_SEEN: "warn",
    Fate.SETTLED: "quiet",
}
_PLAIN = {
    Fate.KEPT: "another flowrun has it in hand, and collects it",
    Fate.ELSEWHERE: "ended; the project that it is of collects it",
    Fate.NOT_SEEN: "not looked at to the end; it stays on record",
    Fate.SETTLED: "another flowrun settled it meanwhile",
}
_WORDS = {Fate.KEPT: "in other hands", Fate.ELSEWHERE: "elsewhere", Fate.SETTLED: "settled elsewhere"}


def visits_text(
    verb: str,
    tasks: Sequence[Visited],
    uncertain: Sequence[IntentRow],
    *,
    flags: Sequence[str] = (),
    colour: bool = False,
    width: int = 80,
) -> str:
    """The whole text, without a line break at its end. `verb`: collect or cancel; `flags`: of the command, for the next one."""
    paint = palette(colour)
    lines = [paint(line, "bold") for line in hanging("", safe(head_words(verb, tasks, uncertain)), width)]
    if tasks:
        lines += ["", *_rows(tasks, paint, width)]
    for remark in remarks(verb, tasks):
        lines += ["", *hanging("", remark, width)]
    if ways := ways_after(verb, tasks, flags):
        lines += ["", *ways_on(ways, "")]
    return "\n".join([*lines, *_uncertain(verb, uncertain, flags, paint, width)])


def head_words(verb: str, tasks: Sequence[Visited], uncertain: Sequence[IntentRow] = ()) -> str:
    """Tasks counted by what became of them."""
    if not tasks:
        what = "Nothing is in flight" if verb == "collect" else "There is nothing to cancel"
        return f"{what}, and nothing is uncertain." if not uncertain else f"{what}."
    counts = {fate: sum(each.fate is fate for each in tasks) for fate in Fate}
    told = [f"{number(count)} {word_of(fate)}" for fate, count in counts.items() if count]
    return f"{plural(len(tasks), 'task')}: {', '.join(told)}."


def word_of(fate: Fate) -> str:
    return _WORDS.get(fate, fate.value.replace("-", " "))


def _rows(tasks: Sequence[Visited], paint: Paint, columns: int) -> Iterator[str]:
    """Two columns, and what is to know beside them, wrapped."""
    heads = [
        [Cell(word_of(each.fate), _KINDS[each.fate]), Cell(cut_middle(safe(each.row.origin.address), columns // 3))]
        for each in tasks
    ]
    widths = column_widths(heads)
    lead = 2 + sum(widths) + 4
    for each, cells in zip(tasks, heads, strict=True):
        first, *more = hanging(" " * lead, safe(what_words(each)), columns)
        shown = "  ".join(padded(cell, room, paint) for cell, room in zip(cells, widths, strict=True))
        yield f"  {shown}  {first[lead:]}".rstrip()
        yield from more
        if (hint := hint_of(each)) is not None:
            yield from hanging(" " * lead, safe(hint), columns)


def hint_of(each: Visited) -> str | None:
    """What to do about one task; about cancelled ones it is said once."""
    return None if each.fate is Fate.CANCELLED else each.hint


def what_words(each: Visited) -> str:
    """What is to know of one task: what it made, how far it is, what went wrong, what it cost."""
    if each.fate is Fate.COLLECTED:
        return ", ".join(filter(None, (_files(each.kinds), _cost(each))))
    if each.fate is Fate.CANCELLED:
        return _cost(each) if each.charged is not None else f"about {_cost(each)}"
    if each.fate is Fate.RUNNING:
        return progress_words(each)
    if each.fate in _PLAIN:
        return _PLAIN[each.fate]
    paid = f" It cost {_cost(each)}." if each.fate is Fate.FAILED and each.charged is not None else ""
    return f"{each.message or ''} [{each.code}]{paid}".strip()


def progress_words(each: Visited) -> str:
    """``RUNNING, 39%``"""
    done = "" if each.progress is None else f", {round(each.progress * 100)}%"
    return f"{each.status.lower()}{done}"


def _files(kinds: Sequence[str]) -> str:
    counted = {kind: list(kinds).count(kind) for kind in dict.fromkeys(kinds)}
    return ", ".join(kind if count == 1 else f"{count} x {kind}" for kind, count in counted.items())


def _cost(each: Visited) -> str:
    return "an unknown price" if each.credits is None else credits(each.credits)


def remarks(verb: str, tasks: Sequence[Visited]) -> Iterator[str]:
    """What holds for several."""
    if any(each.fate is Fate.CANCELLED for each in tasks):
        yield "The next apply generates anew what was cancelled, where it is still wanted."
    if any(each.fate is Fate.CANCELLED and each.charged is None for each in tasks):
        known = "the estimate counts as spent, and flowrun cost shows what the API counts"
        yield f"{NOT_DOCUMENTED[0].upper()}{NOT_DOCUMENTED[1:]}: {known}."
    if verb == "cancel" and any(each.fate is Fate.RUNNING for each in tasks):
        yield "What still runs was to be cancelled, and the API goes on with it or did not answer in time; nothing is lost."


def ways_after(verb: str, tasks: Sequence[Visited], flags: Sequence[str]) -> list[tuple[str, str]]:
    """(what it means, command)"""
    fates = {each.fate for each in tasks}
    ways = []
    if verb == "collect" and fates & {Fate.RUNNING, Fate.NOT_SEEN, Fate.NOT_COLLECTED}:
        ways = [("collect the rest once it is done:", typed("collect", *flags))]
    if fates & {Fate.RUNNING, Fate.NOT_SEEN}:
        ways.append(("cancel it:" if verb == "collect" else "cancel the rest:", typed("cancel", *flags)))
    return ways


def stakes_text(tasks: Sequence[TaskRow], *, colour: bool, width: int) -> str:
    """What is about to be cancelled, before a person agrees."""
    cells = [row[:-1] for row in tasks_cells(tasks, max(18, width - 82))]
    spent = sum(row.credits or 0 for row in tasks)
    told = f"{plural(len(tasks), 'task')} would be cancelled, some {credits(spent)}; {NOT_DOCUMENTED}."
    told += " What has finished by now is collected instead."
    return "\n".join([*table(cells, palette(colour)), "", *hanging("", told, width)])


def _uncertain(verb: str, rows: Sequence[IntentRow], flags: Sequence[str], paint: Paint, columns: int) -> list[str]:
    if not rows:
        return []
    return ["", *hanging("", unsettled(verb, rows), columns), *uncertain_part(rows, flags, paint, columns)]


def unsettled(verb: str, rows: Sequence[IntentRow]) -> str:
    """Why the round did nothing about them."""
    done = "cancelled" if verb == "cancel" else "collected"
    one = len(rows) == 1
    whose = "its task's id, if it has one" if one else "their tasks' ids, if they have any"
    return f"{plural(len(rows), 'request')} without an answer cannot be {done}: nobody knows {whose}."


# -- Markdown


def visits_markdown(
    verb: str, tasks: Sequence[Visited], uncertain: Sequence[IntentRow], flags: Sequence[str] = ()
) -> str:
    """The same as a page."""
    heads = ("what became of it", "node", "what is to know")
    rows = ((markdown(word_of(each.fate)), code(each.row.origin.address), _told(each)) for each in tasks)
    parts: list[Part] = [markdown(head_words(verb, tasks, uncertain)), markdown_table(heads, rows, what="task")]
    parts += [listing(f"- {markdown(remark)}" for remark in remarks(verb, tasks))]
    ways = ways_after(verb, tasks, flags)
    if uncertain:
        parts += [markdown(unsettled(verb, uncertain)), listing(map(doubt_item, uncertain), "submission")]
        ways += [way for row in uncertain for way in doubt_words(row, flags)[1]]
    if ways:
        parts += ["To go on:", fenced(ways_on(ways, ""), "command")]
    return page(parts, more="`flowrun status` shows what is open.")


def _told(each: Visited) -> str:
    return markdown(" ".join(filter(None, (what_words(each), hint_of(each)))))
