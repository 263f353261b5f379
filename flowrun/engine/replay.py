"""A run again, from what was written of it: `--events` files and stored journals. Owns reading them; an event's form is
`events`', what it comes to is `summary`'s.

    with open("events.ndjson", encoding="utf-8") as lines:
        summary = replay(lines)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from flowrun.engine.events import Event, from_json
from flowrun.engine.summary import Summary


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """Each line of NDJSON as the event it is; blank lines are none. Raises ValueError, which names the line."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _read(line, number)


def read_journal(entries: Iterable[Mapping[str, Any]]) -> Iterator[Event]:
    """As `read_events`, from a run's stored journal. Raises ValueError, which names the entry."""
    for number, entry in enumerate(entries, 1):
        try:
            event = from_json(entry)
        except ValueError as error:
            raise ValueError(f"entry {number}: {error}") from None
        yield event


def summary_of(events: Iterable[Event]) -> Summary:
    """What the events come to: the same as when they happened."""
    summary = Summary()
    for event in events:
        summary.take_in(event)
    return summary


def replay(lines: Iterable[str]) -> Summary:
    """What a run came to, from its events as NDJSON. Raises ValueError, which names the line."""
    return summary_of(read_events(lines))


def _read(line: str, number: int) -> Event:
    try:
        value = json.loads(line, parse_constant=_no_number)
        if not isinstance(value, dict):
            raise ValueError("an event is a JSON object")
        return from_json(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number}: not JSON, column {error.colno}: {error.msg}") from None
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")
