"""Read the typed parameters of the official Python SDK, write an overlay of the catalogue. Owns what of the types is kept.

    python tools/make_overlay.py SDK_FOLDER BASE FACTS OUT [--check]

SDK_FOLDER is the unpacked package `runwayml` (the folder that holds `types/`), BASE the structure of the API's description,
FACTS the hand-kept part (retired models, prices, limits, each with its source). The types are read as syntax, never run.
Kept: models, inputs, types, enums, which inputs are required, and which texts are media, told by the forms that their
documentation names, by the media that stand in a text's place as a list, or by an input's name; where the description has
the same input of the same model, its bounds too. No prose is kept.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
LISTS = frozenset({"Iterable", "SequenceNotStr", "List", "Sequence"})
MEDIA = re.compile(r"`data:(image|video|audio)/")
MEDIA_NAMES = re.compile(
    r"(?:prompt|reference)(Audio|Image|Video)s?"
)  # inputs whose texts are media, documented or not
TEXT = {"type": "string"}
DATA_URI_LIMIT = 5_242_880  # characters: "up to 5MB" in the SDK's own documentation of every media input
UTF16 = re.compile(r"up\s+to\s+([\d,]+)\s+characters\s+\(measured\s+in\s+UTF-16")
INTEGERS = re.compile(r"integer\s+(?:from|between)\s+(\d+)\s+(?:to|and)\s+(\d+)")


class TypesError(ValueError):
    """The types hold something this tool does not know how to keep."""


def media_slot(kind: str) -> dict[str, Any]:
    """Text that is media: an address, an upload, or the bytes themselves."""
    forms = (("^https:\\/\\/.*", 2048), ("^runway:\\/\\/.*", 5000), (f"^data:{kind}\\/.*", DATA_URI_LIMIT))
    texts = [{"type": "string", "minLength": 13, "maxLength": most, "pattern": pattern} for pattern, most in forms]
    return {"mediaSlot": {"kind": kind, "dataUriLimit": DATA_URI_LIMIT}, "anyOf": texts}


@dataclass(frozen=True)
class Field:
    """One input of a TypedDict: the API's own name, its type as syntax, its documentation."""

    name: str
    type: ast.expr
    required: bool
    documentation: str


@dataclass
class Types:
    """The classes and aliases of one file of the SDK."""

    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    aliases: dict[str, ast.expr] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Types:
        found = cls()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                found.classes[node.name] = node
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                found.aliases[node.target.id] = node.value
        return found

    def variants(self, root: str) -> list[str]:
        """The classes of a request: one for each model."""
        if root in self.classes:
            return [root]
        union = self.aliases[root]
        if not isinstance(union, ast.Subscript):
            raise TypesError(f"{root} is no union")
        return [_name(each) for each in _arguments(union)]

    def schema_of_class(self, name: str) -> dict[str, Any]:
        fields = [_field(*pair) for pair in _annotated(self.classes[name])]
        required = [each.name for each in fields if each.required]
        made: dict[str, Any] = {
            "type": "object",
            "properties": {
                each.name: _named_media(each.name, self.schema(each.type, each.documentation)) for each in fields
            },
        }
        return {**made, "required": required} if required else made

    def schema(self, node: ast.expr, documentation: str = "") -> dict[str, Any]:
        """A JSON Schema of a type. Raises TypesError."""
        if isinstance(node, ast.Name):
            return self._named(node.id, documentation)
        if not isinstance(node, ast.Subscript):
            raise TypesError(ast.unparse(node))
        kind, arguments = _name(node.value), _arguments(node)
        if kind == "Literal":
            return _literal(arguments)
        if kind in LISTS:
            return {"type": "array", "items": self.schema(arguments[0], documentation)}
        if kind == "Union":
            return _union(_media_beside([self.schema(each, documentation) for each in arguments]))
        if kind == "Dict":
            return {"type": "object", "additionalProperties": self.schema(arguments[1])}
        raise TypesError(ast.unparse(node))

    def _named(self, name: str, documentation: str) -> dict[str, Any]:
        if name in PLAIN:
            slot = MEDIA.search(documentation) if name == "str" else None
            return media_slot(slot[1]) if slot else {"type": PLAIN[name], **_bounds(name, documentation)}
        if name == "object":
            return {}
        if name in self.classes:
            return self.schema_of_class(name)
        return self.schema(self.aliases[name], documentation)


def _bounds(name: str, documentation: str) -> dict[str, Any]:
    if name == "str" and (found := UTF16.search(documentation)):
        return {"minLength": 1, "maxLength": int(found[1].replace(",", ""))}
    if name == "int" and (found := INTEGERS.search(documentation)):
        return {"minimum": int(found[1]), "maximum": int(found[2])}
    return {}


def _literal(arguments: list[ast.expr]) -> dict[str, Any]:
    values = [ast.literal_eval(each) for each in arguments]
    kinds = sorted({PLAIN[type(value).__name__] for value in values})
    kind: Any = kinds[0] if len(kinds) == 1 else kinds
    return {"type": kind, "const": values[0]} if len(values) == 1 else {"type": kind, "enum": values}


def _union(forms: list[dict[str, Any]]) -> dict[str, Any]:
    if len(forms) == 1:
        return forms[0]
    tag = _tag(forms)
    return {"oneOf": forms, "discriminator": {"propertyName": tag}} if tag else {"anyOf": forms}


def _media_beside(forms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A text that stands for a list of media is media of that kind, though its documentation speaks of the list alone."""
    kinds = {kind for form in forms if form.get("type") == "array" for kind in _kinds(form["items"])}
    return [media_slot(next(iter(kinds))) if form == TEXT else form for form in forms] if len(kinds) == 1 else forms


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """Which kinds of media stand somewhere in a place."""
    if "mediaSlot" in schema:
        return {schema["mediaSlot"]["kind"]}
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return set().union(*map(_kinds, inner))


def _named_media(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """An input with bare texts, or entries of no type, whose name says that they are media."""
    found = MEDIA_NAMES.fullmatch(name)
    return _of_kind(found[1].lower(), schema) if found else schema


def _of_kind(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    if schema == TEXT:
        return media_slot(kind)
    if schema.get("type") == "array":
        return {**schema, "items": _of_kind(kind, schema["items"]) if schema["items"] else _entry(kind)}
    return {**schema, "anyOf": [_of_kind(kind, each) for each in schema["anyOf"]]} if "anyOf" in schema else schema


def _entry(kind: str) -> dict[str, Any]:
    """An entry that the types leave open. Media stands in its `uri`, as in every other model's; the rest is not known."""
    return {
        "type": "object",
        "properties": {"uri": media_slot(kind)},
        "required": ["uri"],
        "additionalProperties": True,
    }


def _tag(forms: list[dict[str, Any]]) -> str | None:
    """The input whose value tells the forms apart, where there is one."""
    constants = [{str(name) for name, each in form.get("properties", {}).items() if "const" in each} for form in forms]
    for name in sorted(set.intersection(*constants)):
        if len({form["properties"][name]["const"] for form in forms}) == len(forms):
            return name
    return None


def _annotated(node: ast.ClassDef) -> list[tuple[ast.AnnAssign, str]]:
    """Each annotation of a class with the documentation after it."""
    found: list[tuple[ast.AnnAssign, str]] = []
    for this, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(this, ast.AnnAssign):
            found.append((this, _text(following)))
    return found


def _text(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value)
    return ""


def _field(node: ast.AnnAssign, documentation: str) -> Field:
    kind, required, name = node.annotation, False, _name(node.target)
    while isinstance(kind, ast.Subscript) and _name(kind.value) in ("Required", "Annotated"):
        arguments = _arguments(kind)
        required = required or _name(kind.value) == "Required"
        for extra in arguments[1:]:
            name = next((str(ast.literal_eval(each.value)) for each in _keywords(extra) if each.arg == "alias"), name)
        kind = arguments[0]
    return Field(name, kind, required, documentation)


def _keywords(node: ast.expr) -> list[ast.keyword]:
    return node.keywords if isinstance(node, ast.Call) else []


def _name(node: ast.expr) -> str:
    if not isinstance(node, ast.Name):
        raise TypesError(ast.unparse(node))
    return node.id


def _arguments(node: ast.Subscript) -> list[ast.expr]:
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


# ---- with the description -------------------------------------------------------------------------------------------


def with_bounds(new: dict[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """The types' word on an input, with what only the description says of it."""
    if "mediaSlot" in new or "mediaSlot" in old:
        return new
    if new.get("type") == "object" and old.get("type") == "object":
        known = old["properties"]
        inner = {
            name: with_bounds(each, known[name]) if name in known else each for name, each in new["properties"].items()
        }
        return {**new, "properties": inner}
    if new.get("type") == "array" and old.get("type") == "array" and "items" in old:
        return {**_only_bounds(old), **new, "items": with_bounds(new["items"], old["items"])}
    if new.get("type") == old.get("type") and "enum" not in new and "const" not in new:
        return {**new, **_only_bounds(old)}
    return _union_with_bounds(new, old)


def _union_with_bounds(new: dict[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    for word in ("anyOf", "oneOf"):
        if word in new and len(new[word]) == len(old.get(word, ())):
            return {**new, word: [with_bounds(one, other) for one, other in zip(new[word], old[word], strict=True)]}
    return new


def _only_bounds(old: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds and forms; an enum of the description would refuse what the types have added."""
    return {name: value for name, value in old.items() if name not in ("type", "enum", "const", "items", "properties")}


def operation_models(text: str, root: str, base: Mapping[str, Any]) -> dict[str, Any]:
    """Request schemas by model. Raises TypesError."""
    types = Types.read(text)
    models: dict[str, Any] = {}
    for variant in types.variants(root):
        schema = types.schema_of_class(variant)
        model = schema["properties"]["model"]["const"]
        models[model] = _in_order_of(base[model], with_bounds(schema, base[model])) if model in base else schema
    return models


def _in_order_of(old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The same schema, listing inputs as the description does: what did not change is then equal."""
    known = [*old["properties"], *new["properties"]]
    required = [name for name in dict.fromkeys([*old.get("required", ()), *known]) if name in new.get("required", ())]
    return {
        **new,
        "properties": {name: new["properties"][name] for name in known if name in new["properties"]},
        "required": required,
    }


def overlay_of(sdk: Path, base: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The whole overlay: the types of the description's operations, and the hand-kept facts."""
    operations = {}
    for name, entry in base["operations"].items():
        text = (sdk / "types" / f"{name}_create_params.py").read_text(encoding="utf-8")
        root = "".join(part.capitalize() for part in name.split("_")) + "CreateParams"
        operations[name] = {"models": operation_models(text, root, entry["models"])}
    version = re.search(r'__version__ = "([^"]+)"', (sdk / "_version.py").read_text(encoding="utf-8"))
    source = {"package": "runwayml", "version": version[1] if version else "unknown"}
    return {"format": FORMAT, **facts, "source": source, "operations": operations}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write an overlay of the catalogue from the official SDK's types.")
    for name in ("sdk", "base", "facts", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if OUT is stale")
    options = parser.parse_args(argv)
    base, facts = (json.loads(path.read_text(encoding="utf-8")) for path in (options.base, options.facts))
    text = json.dumps(overlay_of(options.sdk, base, facts), indent=1, ensure_ascii=False) + "\n"
    if not options.check:
        options.out.write_text(text, encoding="utf-8", newline="\n")
        return 0
    if options.out.is_file() and options.out.read_text(encoding="utf-8") == text:
        return 0
    print(f"{options.out} is stale: run this again without --check", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
