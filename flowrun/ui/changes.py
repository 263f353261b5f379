"""What changed since the last result, field by field. Owns how values are shown and the word by word difference of texts."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from flowrun.action import ENV, MEDIA, TEXT, URI
from flowrun.plan.model import Change
from flowrun.ui.paint import Paint, safe
from flowrun.ui.tables import Piece, cut, wrapped

_TOKENS = re.compile(r"\s+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+|.", re.DOTALL)  # each CJK sign is a word
_MARKS = re.compile(r"\.\$(?:text(?:\[\d+\])?|uri|env)")  # of an action document, which no manifest has
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_MOST_TOKENS = 2000  # the difference of longer texts would cost seconds and help nobody
_VALUE = 60  # columns of a value that is no prompt
_CONTEXT = 5  # words kept on each side of a change

Diff = Sequence[tuple[str, str]]  # (same | removed | added, text)


def field_names(changes: Sequence[Change]) -> list[str]:
    """The changed fields, as in the manifest."""
    return list(dict.fromkeys(field_name(change) for change in changes))


def field_name(change: Change) -> str:
    return safe(_MARKS.sub("", change.path))


def change_lines(change: Change, paint: Paint, columns: int, *, whole: bool = False) -> list[str]:
    """One change as lines: the field, then old -> new, or for texts what left and what came. `whole`: no ellipsis."""
    lead = [Piece(f"{field_name(change)}:", "bold"), Piece(" ")]
    parts = prose_diff(change, whole=whole)
    if parts is not None:
        return wrapped([*lead, *_pieces(parts)], columns, paint)
    old, new = sides(change, whole=whole)
    return wrapped([*lead, Piece(old, "removed"), Piece(" -> "), Piece(new, "added")], columns, paint)


def prose_diff(change: Change, *, whole: bool = False) -> Diff | None:
    """What left and what came, word by word; None where the two are not texts that are read so."""
    old, new = text_of(change.old), text_of(change.new)
    if old is None or new is None or not _is_prose(old, new):
        return None
    parts = word_diff(safe(old), safe(new))
    return parts if whole else _shortened(parts)


def sides(change: Change, *, whole: bool = False) -> tuple[str, str]:
    """The two values on a line each, cut unless `whole`."""
    room = 10**6 if whole else _VALUE
    return cut(shown(change.old), room), cut(shown(change.new), room)


# -- values


def shown(value: Any) -> str:
    """A value on one line: media as the beginning of its digest, environment variables by name, None as nothing."""
    if value is None:
        return "(none)"
    if isinstance(value, str):
        short = _DIGEST.fullmatch(value)
        return f"sha256:{short[1][:8]}…" if short else safe(json.dumps(value, ensure_ascii=False))
    if isinstance(value, Mapping) and not isinstance(_marked(value), Mapping):
        return str(_marked(value))
    return safe(json.dumps(_plain(value), ensure_ascii=False, default=str))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        marked = _marked(value)
        return {name: _plain(each) for name, each in marked.items()} if isinstance(marked, Mapping) else marked
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _marked(value: Mapping[str, Any]) -> Any:
    """What a mark of an action document stands for, in words; any other mapping as it is."""
    if MEDIA in value:
        return f"sha256:{str(value[MEDIA])[:8]}…"
    if URI in value:
        return f"runway://…{safe(value[URI])[-6:]}"
    if ENV in value:
        return f"${safe(value[ENV])}"
    text = text_of(value)
    return value if text is None else safe(text)


def text_of(value: Any) -> str | None:
    """The text that a value is, with ``$NAME`` where an environment variable's value goes; None for what is no text."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and isinstance(value.get(TEXT), list):
        return "".join(part if isinstance(part, str) else str(_marked(part)) for part in value[TEXT])
    return None


# -- texts


def _is_prose(old: str, new: str) -> bool:
    if _DIGEST.fullmatch(old) or _DIGEST.fullmatch(new):
        return False
    return (" " in old.strip() and " " in new.strip()) or min(len(old), len(new)) > _VALUE // 2


def word_diff(old: str, new: str) -> Diff:
    """From `old` to `new` in stretches; a lone space between two changes belongs to both."""
    left, right = _TOKENS.findall(old), _TOKENS.findall(new)
    if max(len(left), len(right)) > _MOST_TOKENS:
        return [("removed", old), ("added", new)]
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    runs = [("".join(left[a:b]), "".join(right[c:d])) for _tag, a, b, c, d in matcher.get_opcodes()]
    return list(_stretches(_joined(runs)))


def _joined(runs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Runs of (old, new), changes merged across what is blank in both; one that is the same has equal sides."""

    def is_change(at: int) -> bool:
        old, new = runs[at]
        return old != new or (old.isspace() and 0 < at < len(runs) - 1)

    for _changed, group in groupby(range(len(runs)), is_change):
        members = [runs[at] for at in group]
        yield "".join(old for old, _ in members), "".join(new for _, new in members)


def _stretches(runs: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for old, new in runs:
        if old == new:
            yield "same", old
            continue
        yield from (("removed", old),) if old else ()
        yield from (("added", new),) if new else ()


def _shortened(parts: Diff) -> Diff:
    """The same with long unchanged stretches cut down to what stands beside the changes."""
    last = len(parts) - 1
    return [
        (kind, _ends(text, at > 0, at < last)) if kind == "same" else (kind, text)
        for at, (kind, text) in enumerate(parts)
    ]


def _ends(text: str, after_change: bool, before_change: bool) -> str:
    words = re.findall(r"\s*\S+\s*", text)
    head, tail = _CONTEXT * after_change, _CONTEXT * before_change
    if len(words) <= head + tail + 1:
        return text
    start, end = "".join(words[:head]).rstrip(), "".join(words[len(words) - tail :]).lstrip() if tail else ""
    return f"{start} … {end}" if start else f"… {end}"


_SIGNS = {"removed": ("[-", "-]"), "added": ("{+", "+}")}


def _pieces(parts: Diff) -> Iterator[Piece]:
    for at, (kind, text) in enumerate(parts):
        if kind == "same":
            yield Piece(text)
            continue
        around = {parts[near][0] for near in (at - 1, at + 1) if 0 <= near < len(parts)}
        alone = not around & _SIGNS.keys()
        lead, core, trail = _trimmed(text) if alone else ("", text, "")
        yield from (Piece(lead), Piece(core.join(_SIGNS[kind]), kind), Piece(trail))


def _trimmed(text: str) -> tuple[str, str, str]:
    """What came or went alone, the blanks at its ends outside the signs."""
    core = text.strip()
    if not core:
        return "", text, ""
    before, _, after = text.partition(core)
    return before, core, after
