"""One thing with all that is known of it (a run, a node's result, a media file) as an indented list of names and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowrun.ui.paint import Paint, palette, safe
from flowrun.ui.tables import hanging

_STEP = "  "


def shown_text(title: str, document: Mapping[str, Any], *, colour: bool = False, width: int = 80) -> str:
    """The title, then the document as it stands in JSON, without what is empty."""
    paint = palette(colour)
    return "\n".join([paint(safe(title), "bold"), *_mapping(document, _STEP, paint, width)])


def _mapping(values: Mapping[str, Any], indent: str, paint: Paint, columns: int) -> Iterator[str]:
    for name, value in values.items():
        if not _is_empty(value):
            yield from _entry(f"{safe(name)}:", value, indent, paint, columns)


def _entry(label: str, value: Any, indent: str, paint: Paint, columns: int) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield indent + paint(label, "quiet")
        yield from _mapping(value, indent + _STEP, paint, columns)
    elif isinstance(value, list | tuple):
        yield indent + paint(label, "quiet")
        for each in value:
            yield from _entry("-", each, indent + _STEP, paint, columns)
    else:
        first, *more = hanging(f"{indent}{label} ", _scalar(value), columns)
        yield indent + paint(label, "quiet") + first[len(indent) + len(label) :]
        yield from more


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping | list | tuple | str) and not value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return safe(value) if value is not None else "(none)"
