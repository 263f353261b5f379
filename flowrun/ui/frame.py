"""The live view as lines that fit: a board, a moment and a size make a text, and always the same.

Three parts, of which the lower ones give way: the run, its models, its nodes. No line is wider than the terminal less one
column, the whole leaves its last line free, and no meaning hangs on colour. Owns the first part and the room of all; bars
are ASCII, for block characters are two columns wide on some terminals.
"""

from __future__ import annotations

from collections.abc import Sequence

from flowrun.diagnostics.visible import width as columns_of
from flowrun.ui.board import Board
from flowrun.ui.frame_models import model_rows
from flowrun.ui.frame_nodes import node_rows
from flowrun.ui.numbers import credits, duration, elapsed, number, plural
from flowrun.ui.paint import Paint, safe
from flowrun.ui.rows import set_rows
from flowrun.ui.tables import GAP, cut
from flowrun.ui.typed import listed

ROOMY = 16  # lines from which on blank ones set the parts apart
_BARS = (12, 24)  # columns, on a narrow and on a wide terminal
_WIDE = 100
_WORDS = {"succeeded": "made", "excluded": "not selected"}
_ORDER = (
    "succeeded",
    "reused",
    "running",
    "retrying",
    "uploading",
    "queued",
    "waiting",
    "sharing",
    "over the cap",
    "left at the API",
    "cancelled at the API",
    "ended at the API",
    "collected",
    "failed",
    "rejected",
    "uncertain",
    "blocked",
    "cancelled",
    "skipped",
    "excluded",
)
_STOPS = {"credits": "the credits are used up", "surroundings": "the surroundings fail, as told above"}


def frame(board: Board, now: float, width: int, height: int, paint: Paint, left: float | None = None) -> list[str]:
    """At most `height` - 1 lines of at most `width` - 1 columns, without line breaks. `left`: seconds that the run still
    takes, None: not known."""
    room, lines = max(1, width - 1), max(1, height - 1)
    gap = [""] if height >= ROOMY else []
    head = [*_head(board, now, room, paint, left), *(_ways(board, room) if gap else [])]
    spare = lines - len(head) - 2 * len(gap)
    models = set_rows(model_rows(board, max(1, spare // 3)), room, paint) if spare > 2 else []
    rest = spare - len(models)
    nodes = set_rows(node_rows(board, now, room, rest), room, paint) if rest > 0 else []
    body = [*(gap if models else []), *models, *(gap if nodes else []), *nodes]
    return [*head, *body][:lines]


def _head(board: Board, now: float, room: int, paint: Paint, left: float | None) -> list[str]:
    bar = _bar(board.done, len(board.nodes), _BARS[room >= _WIDE])
    done = f"{number(board.done)} of {plural(len(board.nodes), 'node')}; {_spent(board)}"
    whole = done + _balance(board)
    told = whole if columns_of(f"{bar}  {whole}") <= room else done  # half a number would lie
    return [
        _beside([(_title(board), "bold"), (_times(board, now, left), "")], room, paint),
        _beside([(bar, ""), (told, "")], room, paint),
        *_counts(board, room),
        *_warning(board, room, paint),
    ]


def _title(board: Board) -> str:
    started = board.started
    if started is None:
        return "flowrun"
    profile = f" ({started.profile})" if started.profile else ""
    return safe(f"{started.flow}{profile} on {'the sandbox' if started.provider == 'sandbox' else started.provider}")


def _times(board: Board, now: float, left: float | None) -> str:
    spent = elapsed(board.elapsed(now)).strip()
    if board.ended is not None or left is None:
        return spent
    return f"{spent}, about {duration(left)} left" if left >= 1 else f"{spent}, done any moment"


def _spent(board: Board) -> str:
    """Spent, of how much. What has no known price is told, never counted as nothing."""
    summary, cap = board.summary, board.started.cap if board.started else None
    most = "" if cap is None else f" of at most {number(cap)}"
    unknown = f" and {plural(summary.unpriced, 'generation')} of unknown price" if summary.unpriced else ""
    return f"{credits(summary.credits)}{most}{unknown}"


def _balance(board: Board) -> str:
    return "" if board.balance is None else f"; balance {number(board.balance)}"


def _counts(board: Board, room: int) -> list[str]:
    """Every node, once; on two lines at most, broken between counts."""
    lines = [""]
    for kind in _ORDER:
        if count := board.counts[kind]:
            part = f"{number(count)} {_WORDS.get(kind, kind)}"
            joined = f"{lines[-1]}, {part}" if lines[-1] else part
            if columns_of(joined) < room or not lines[-1]:  # a comma may follow
                lines[-1] = joined
            else:
                lines[-1] += ","
                lines.append(part)
    shown = [*lines[:1], ", ".join(line.rstrip(",") for line in lines[1:])]
    return [cut(line, room) for line in shown if line]


def _warning(board: Board, room: int, paint: Paint) -> list[str]:
    if board.stopping is None or board.ended is not None:
        return []
    if board.stopping == "interrupted":
        again = "" if board.interrupts > 1 else " (Ctrl-C again: at once)"
        one = board.at_api == 1
        stay = "1 task stays" if one else f"{number(board.at_api)} tasks stay"
        if board.cancels:
            stay = "cancelling 1 task" if one else f"cancelling {number(board.at_api)} tasks"
        text = f"stopping: nothing new starts; {stay} at the API{again}"
    else:
        text = f"stopping: {_STOPS.get(board.stopping, board.stopping)}; nothing new starts"
    return [paint(cut(text, room), "warn")]


def _ways(board: Board, room: int) -> list[str]:
    """Of a run that stops: what stays at the API, and the two ways on."""
    if board.stopping != "interrupted" or board.cancels or not board.there or board.started is None:
        return []
    them = "it" if len(board.there) == 1 else "them"
    run = safe(board.started.run)
    return [
        cut(f"at the API: {listed(board.there)}", room),
        cut(f"apply again takes {them} up; flowrun cancel {run} ends {them}", room),
    ]


def _bar(done: int, whole: int, columns: int) -> str:
    full = columns * done // whole if whole else 0
    return f"[{'#' * full}{'.' * (columns - full)}]"


def _beside(parts: Sequence[tuple[str, str]], room: int, paint: Paint) -> str:
    """Parts side by side, as far as there is room; what is cut says so."""
    shown: list[str] = []
    used = 0
    for text, kind in parts:
        free = room - used - len(GAP) * bool(shown)
        if free <= 1:
            break
        own = cut(text, free)
        shown.append(paint(own, kind))
        used += columns_of(own) + len(GAP) * (len(shown) > 1)
    return GAP.join(shown)
