"""Forms that many models have, written once. Owns which parts of the editor's schema become definitions of their own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from flowrun.operations.model import Schema

LEAST = 80  # characters: what is shorter is as easily read where it stands


def shared(definitions: Mapping[str, Schema]) -> dict[str, Any]:
    """The same definitions; what an input takes, where several say it alike, is one that they refer to.

    Whole values of a name, with their words: a form beside a `$ref` would count for nothing in draft 7.
    """
    counts: Counter[str] = Counter()
    for each in definitions.values():
        _count(each, counts)
    writing = _Writing({text for text, count in counts.items() if count > 1 and len(text) >= LEAST})
    made = {name: writing.without_repetition(each) for name, each in definitions.items()}
    return {**made, **writing.definitions}


def _text(form: Schema) -> str:
    return json.dumps(form, sort_keys=True)


def _count(form: Any, counts: Counter[str]) -> None:
    """How often each form will stand written: what is inside of a repeated one stands there once."""
    for key, each in form.items() if isinstance(form, Mapping) else ():
        if _holds_names(key, each):
            for value in each.values():
                counts[_text(value)] += 1
                if counts[_text(value)] == 1:
                    _count(value, counts)
        else:
            _count(each, counts)
    for each in form if isinstance(form, list) else ():
        _count(each, counts)


def _holds_names(key: str, value: Any) -> bool:
    return key == "properties" and isinstance(value, Mapping)


class _Writing:
    """Collects the shared definitions: named after the input, numbered as they are met."""

    def __init__(self, often: set[str]) -> None:
        self.often = often
        self.names: dict[str, str] = {}
        self.definitions: dict[str, Any] = {}

    def without_repetition(self, form: Any) -> Any:
        if isinstance(form, list):
            return [self.without_repetition(each) for each in form]
        if not isinstance(form, Mapping):
            return form
        return {
            key: {name: self._value(name, value) for name, value in each.items()}
            if _holds_names(key, each)
            else self.without_repetition(each)
            for key, each in form.items()
        }

    def _value(self, name: str, form: Schema) -> Any:
        text = _text(form)
        if text not in self.often:
            return self.without_repetition(form)
        if text not in self.names:
            number = sum(known.startswith(f"input.{name}.") for known in self.definitions) + 1
            self.names[text] = f"input.{name}.{number}"
            self.definitions[self.names[text]] = {}  # its place, before those within
            self.definitions[self.names[text]] = self.without_repetition(form)
        return {"$ref": f"#/definitions/{self.names[text]}"}
