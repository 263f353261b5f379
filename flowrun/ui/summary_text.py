"""What a run came to, as a person reads it: made, reused, failed, spent, and what to type next. Owns the order of parts."""

from __future__ import annotations

from collections.abc import Sequence

from flowrun.engine.failure import Verdict
from flowrun.engine.summary import Summary
from flowrun.ui.ending import Ending
from flowrun.ui.numbers import credits, duration, number, plural, priced
from flowrun.ui.paint import palette
from flowrun.ui.summary_parts import export_lines, left_lines, trouble_lines
from flowrun.ui.tables import hanging

NARROWEST = 40
LOST = "answer-lost"  # the code of a request that this run sent; older ones are no spending of its
_HEADS = {
    0: ("Done in {}", "good"),
    1: ("Ended after {}; not everything was made", "bad"),
    2: ("Ended after {}; the manifest or the command line is wrong", "bad"),
    3: ("Stopped by a limit after {}; apply again to go on", "warn"),
    4: ("Stopped after {}; with --locked nothing is generated", "bad"),
    5: ("Stopped after {}; the store or the ledger is damaged", "bad"),
    6: ("Ended after {}; an outcome at the API is unknown", "bad"),
    7: ("Stopped after {} by the surroundings; nothing is lost, apply again", "bad"),
    130: ("Interrupted after {}", "warn"),
    143: ("Terminated after {}", "warn"),
}
_WORDS = {"succeeded": "made", "excluded": "not selected", "left": "left at the API", "pending": "not reached"}
_ORDER = (
    "succeeded",
    "reused",
    "failed",
    "rejected",
    "uncertain",
    "blocked",
    "cancelled",
    "collected",
    "skipped",
    "excluded",
    "left",
    "pending",
)


def summary_text(
    summary: Summary,
    *,
    file: str,
    exit_code: int,
    elapsed: float,
    colour: bool,
    width: int,
    cap: int | None = None,
    provider: str = "runway",
    flags: Sequence[str] = (),
    again: Sequence[str] = (),
    written: int | None = None,
) -> str:
    """The whole text, without a line break at its end. What is told beside the summary is `Ending`'s."""
    ending = Ending(file, exit_code, elapsed, cap, provider, tuple(flags), tuple(again), written)
    paint, columns, typed = palette(colour), max(NARROWEST, width), ending.typed
    head, kind = head_words(exit_code, elapsed)
    lines = [
        paint(f"{head}.", kind),
        *hanging("", f"{count_words(summary)}. {spent_words(summary, provider)}", columns),
        *trouble_lines(summary, typed, paint, columns),
        *left_lines(summary, ending, columns),
        *export_lines(summary, typed, paint),
    ]
    return "\n".join(lines)


def head_words(exit_code: int, elapsed: float) -> tuple[str, str]:
    """How it ended after so many seconds, and the kind of that."""
    head, kind = _HEADS.get(exit_code, ("Ended after {}", "bad"))
    return head.format(duration(elapsed)) + (f" (exit {exit_code})" if exit_code else ""), kind


def count_words(summary: Summary) -> str:
    counts = summary.counts()
    rest, stopped = set(summary.pending), [("left", unit) for unit in summary.left]
    stopped += [(status, unit) for unit, status, _ in summary.withdrawn]
    for status in ("left", "cancelled", "collected"):
        found = rest & {unit.rpartition("#")[0] for became, unit in stopped if became == status}
        counts[status] = counts.get(status, 0) + len(found)
        rest -= found
    counts["pending"] = len(rest)
    words = [f"{number(counts[state])} {_WORDS.get(state, state)}" for state in _ORDER if counts.get(state)]
    return ", ".join(words) or "No nodes"


def spent_words(summary: Summary, provider: str) -> str:
    """What this run cost, never 0 where it is not known."""
    doubts = sum(each.verdict == Verdict.DOUBT.value and each.code == LOST for each in summary.troubles.values())
    beside = f", not counting {plural(doubts, 'request')} of unknown outcome" if doubts else ""
    unknown = f"{plural(summary.unpriced, 'generation')} of unknown price" if summary.unpriced else ""
    if not summary.credits and not unknown:
        return f"Nothing was paid{beside}."
    if provider == "sandbox":
        return f"{credits(summary.credits)} of the sandbox's; nothing was paid."
    paid = priced(summary.credits) if summary.credits else ""
    return f"Spent {' and '.join(filter(None, (paid, unknown)))}{beside}."
