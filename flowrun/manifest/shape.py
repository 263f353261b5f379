"""Whether a tree has the shape of a model, and if not, where and why. Owns the way from pydantic's errors to our words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.diagnostics.suggest import did_you_mean
from flowrun.manifest.models import ID, NAME
from flowrun.yaml_tree import Entry, Mapping, Scalar, Sequence, Tree, describe, plain

_EXPECTED = {
    "string_type": "text",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "union_tag_not_found": "another form",
}
_PATTERNS = {
    ID: "letters, digits and `_`, not beginning with a digit",
    NAME: "small letters, digits, `_` and `-`, beginning with a letter or digit",
}
_ELSEWHERE = {  # what people bring along from other tools, and what it is called here
    "variables": "vars",
    "params": "with",
    "inputs": "with",
    "model": "with",
    "depends_on": "needs",
    "if": "when",
    "for_each": "foreach",
    "count": "takes",
}
Loc = tuple[int | str, ...]


def problems(tree: Tree, model: type[BaseModel]) -> Iterator[tuple[Loc, Diagnostic]]:
    """Everything in `tree` that is not as `model` has it, with the keys and indices that lead to it."""
    try:
        model.model_validate(plain(tree))
    except ValidationError as error:
        for each in error.errors(include_url=False):
            yield each["loc"], _diagnostic(tree, model, each)


class _Place:
    """The way down to an error: the value found there, the entry it stands in, and the names passed."""

    def __init__(self, tree: Tree, loc: Loc) -> None:
        self.value: Tree = tree
        self.entry: Entry | None = None
        self.path: list[str] = []
        self.at_key = bool(loc) and loc[-1] == "[key]"
        for step in loc[:-1] if self.at_key else loc:
            self._down(step)

    def _down(self, step: int | str) -> None:
        if isinstance(self.value, Sequence) and isinstance(step, int):
            self.value = self.value.items[step]
            self.path.append(str(step + 1))
        elif isinstance(self.value, Mapping) and (entry := self.value.entry(str(step))):
            self.entry, self.value = entry, entry.value
            self.path.append(entry.name)

    def name(self) -> str:
        return ".".join(self.path)

    def key_span(self, tree: Tree) -> Span:
        """Where something missing is missing: the key of the mapping that lacks it."""
        return self.entry.key.span if self.entry else tree.span.start()


def _diagnostic(tree: Tree, model: type[BaseModel], error: Any) -> Diagnostic:
    place = _Place(tree, error["loc"])
    kind = error["type"]
    special: dict[str, Callable[[], Diagnostic]] = {
        "missing": lambda: _missing(tree, place, str(error["loc"][-1])),
        "extra_forbidden": lambda: _unknown(place, _siblings(model, error["loc"])),
        "string_pattern_mismatch": lambda: _bad_text(place, error["ctx"]["pattern"]),
    }
    return special[kind]() if kind in special else _wrong(place, _words(kind, error))


def _words(kind: str, error: Any) -> str:
    context = error.get("ctx", {})
    if kind == "literal_error":
        return (
            "one of " + ", ".join(re.findall(r"'([^']+)'", context["expected"])) if "'" in context["expected"] else "1"
        )
    if kind == "greater_than_equal":
        return f"{context['ge']} or more"
    return _EXPECTED.get(kind) or str(error["msg"])


def _wrong(place: _Place, words: str) -> Diagnostic:
    found, hint = describe(place.value), None
    if isinstance(place.value, Scalar) and words.startswith("one of ") and isinstance(place.value.value, str):
        found = f"`{place.value.value}`"
        hint = did_you_mean(str(place.value.value), words.removeprefix("one of ").split(", "))
    if (
        isinstance(place.value, Scalar)
        and isinstance(place.value.value, str)
        and words in ("an integer", "a number", "1")
    ):
        hint = "take the quotes away"
    if isinstance(place.value, Scalar) and words == "text" and place.value.value is not None:
        hint = "put it in quotes"
    where = f"`{place.name()}` " if place.path else "the manifest "
    message = f"{where}must be {words}, and this is {_found(place.value, found)}"
    return Diagnostic("wrong-kind", message, place.value.span, hint or f"write {words} here")


def _found(value: Tree, words: str) -> str:
    if isinstance(value, Scalar) and isinstance(value.value, bool | int | float):
        return f"{words}: {str(value.value).lower()}"
    return words


def _missing(tree: Tree, place: _Place, name: str) -> Diagnostic:
    key = name.rstrip("_")
    if key == "flowrun":
        hint = "begin the file with `flowrun: 1`, the version of the format"
        return Diagnostic("missing-key", "the manifest does not say `flowrun: 1`", place.key_span(tree), hint)
    message = f"`{place.name()}` has no `{key}`"
    return Diagnostic("missing-key", message, place.key_span(tree), f"add `{key}:` to it")


def _unknown(place: _Place, known: Iterable[str]) -> Diagnostic:
    name, names = place.path[-1], list(known)
    where = f" in `{'.'.join(place.path[:-1])}`" if place.path[:-1] else ""
    meant = _ELSEWHERE.get(name.lower().replace("-", "_"), "")
    hint = did_you_mean(name, names) or (f"did you mean `{meant}`?" if meant in names else None)
    if {"vars", "defaults"} == set(names):
        hint = hint or "a profile overlays `vars` and `defaults` alone"
    if "with" in names:
        hint = hint or "inputs of the operation go under `with`"
    message = f"there is no key `{name}`{where}"
    span = place.entry.key.span if place.entry else place.value.span
    return Diagnostic("unknown-key", message, span, hint or f"known here: {', '.join(names)}")


def _siblings(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that the mapping around an unknown key may have. `matrix`, `hold` and `gate` are offered to nobody."""
    models = [model, *_inside(model, loc[:-1])]
    fields = models[-1].model_fields.items()
    return [field.alias or name for name, field in fields if name not in ("matrix", "hold", "gate")]


def _inside(model: type[BaseModel], loc: Loc) -> Iterator[type[BaseModel]]:
    """The models passed on the way down."""
    for step in loc:
        names = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        found = _models(names.get(str(step)))
        if len(found) == 1:
            model = found[0]
            yield model


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _bad_text(place: _Place, pattern: str) -> Diagnostic:
    span = place.value.span
    if place.at_key and place.entry:
        span = place.entry.key.span
    text = place.path[-1] if place.at_key else str(plain(place.value))
    rule = _PATTERNS.get(pattern)
    if rule is None:
        return Diagnostic(
            "wrong-kind", f"`{place.name()}` must be 64 hexadecimal digits", span, "run sha256sum on the file"
        )
    code = "bad-id" if pattern == ID else "bad-name"
    better = _repaired(text, pattern)
    hint = f"write `{better}`" if better else "choose another"
    return Diagnostic(code, f"`{text}` is no {code[4:]}: {rule}", span, hint)


def _repaired(text: str, pattern: str) -> str | None:
    """What was probably meant, in allowed letters."""
    join = "_" if pattern == ID else "-"
    parts = re.findall(r"[A-Za-z0-9_]+", text if pattern == ID else text.lower())
    better = join.join(parts)
    return better if re.fullmatch(pattern, better) else None
