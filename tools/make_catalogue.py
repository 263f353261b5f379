"""Read the API's OpenAPI description, write its structure. Owns what of a description is kept and in which form.

    python tools/make_catalogue.py DESCRIPTION OUT [--check]

Kept: endpoints, operations, models, types, enums, bounds, patterns, defaults, media slots with their kind and the size
limit of a data URI. Left behind: every title, description, summary, example and code sample. A keyword that is neither
known structure nor known prose stops the tool, so that no new constraint is lost in silence. The output is a function
of the description's bytes alone; with `--check` nothing is written, and exit code 1 says that OUT is stale.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = 1
DISCRIMINATOR = "model"
METHODS = ("get", "put", "post", "delete", "patch")
PLAIN = frozenset(
    {"type", "required", "enum", "const", "default", "format", "pattern", "uniqueItems", "deprecated", "multipleOf"}
)
BOUNDS = frozenset(
    {f"{end}{thing}" for end in ("min", "max") for thing in ("imum", "Length", "Items", "Properties")}
    | {"exclusiveMinimum", "exclusiveMaximum"}
)
ONE_SCHEMA = frozenset({"items", "propertyNames", "additionalProperties"})
MANY_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf"})
PROSE = frozenset({"title", "description", "summary", "example", "examples", "$schema", "$comment", "externalDocs"})
DATA_URI = re.compile(r"\^data:(image|video|audio)\\?/")


class DescriptionError(ValueError):
    """The description holds something this tool does not know how to keep."""


def media_slot(branches: list[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What a union says of itself as a media slot, known by its branch for ``data:`` URIs; None where it has none."""
    for branch in branches:
        match = DATA_URI.match(str(branch.get("pattern", "")))
        if match and branch.get("type") == "string":
            return {"kind": match[1], "dataUriLimit": branch["maxLength"]}
    return None


def keep_keyword(name: str, value: Any, where: str) -> Any:
    """The structure in one keyword's value. Raises DescriptionError for a keyword that is not known."""
    here = f"{where}/{name}"
    if name in PLAIN or name in BOUNDS:
        return value
    if name == "discriminator":
        return {"propertyName": value["propertyName"]}
    if name == "properties":
        return {each: keep_schema(schema, f"{here}/{each}") for each, schema in value.items()}
    if name in ONE_SCHEMA:
        return value if isinstance(value, bool) else keep_schema(value, here)
    if name in MANY_SCHEMAS:
        return [keep_schema(schema, f"{here}/{index}") for index, schema in enumerate(value)]
    raise DescriptionError(
        f"{here}: keyword {name!r} is not known; decide in this tool whether it is structure or prose"
    )


def keep_schema(schema: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A JSON Schema without prose; unions of URIs are marked as the media slots they are."""
    names = [name for name in schema if name not in PROSE and not name.startswith("x-")]
    kept = {name: keep_keyword(name, schema[name], where) for name in names}
    slot = media_slot(kept.get("anyOf", []))
    return {"mediaSlot": slot, **kept} if slot else kept


def keep_content(holder: Mapping[str, Any], where: str) -> dict[str, Any] | None:
    """The schema of a request's or response's JSON body; None for no body."""
    content = holder.get("content")
    return keep_schema(content["application/json"]["schema"], where) if content else None


def resolve(description: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a ``$ref`` into the description's components."""
    if "$ref" not in node:
        return node
    target: Any = description
    for part in node["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return resolve(description, target)


def keep_parameter(parameter: Mapping[str, Any], where: str) -> dict[str, Any]:
    plain = {name: parameter[name] for name in ("name", "in", "required") if name in parameter}
    return {**plain, "schema": keep_schema(parameter["schema"], f"{where}/{parameter['name']}")}


def models_of(request: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The schemas of a generation request by model; None where the request is not told apart by a model."""
    if request is None or request.get("discriminator", {}).get("propertyName") != DISCRIMINATOR:
        return None
    return {branch["properties"][DISCRIMINATOR]["const"]: branch for branch in request["oneOf"]}


def keep_endpoint(description: Mapping[str, Any], path: str, method: str) -> dict[str, Any]:
    """One endpoint: its parameters, its request (by model, for a generation) and its responses by status."""
    endpoint, where = description["paths"][path][method], f"{method} {path}"
    request = keep_content(endpoint.get("requestBody", {}), where)
    models = models_of(request)
    parameters = [resolve(description, each) for each in endpoint.get("parameters", [])]
    return {
        "method": method.upper(),
        "path": path,
        "parameters": [keep_parameter(each, where) for each in parameters],
        **({"request": request} if models is None else {"discriminator": DISCRIMINATOR, "models": models}),
        "responses": {code: keep_content(each, f"{where} {code}") for code, each in endpoint["responses"].items()},
    }


def structure_of(source: bytes) -> dict[str, Any]:
    """The whole structure document. Raises DescriptionError, or KeyError for what is no OpenAPI description."""
    description = json.loads(source)
    kept = [
        keep_endpoint(description, path, method)
        for path, methods in description["paths"].items()
        for method in METHODS
        if method in methods
    ]
    return {
        "format": FORMAT,
        "api_version": description["info"]["version"],
        "source": {"sha256": hashlib.sha256(source).hexdigest()},
        "server": description["servers"][0]["url"],
        "operations": {each["path"].rsplit("/", 1)[-1]: each for each in kept if "models" in each},
        "endpoints": {f"{each['method']} {each['path']}": each for each in kept if "models" not in each},
    }


def render(structure: Mapping[str, Any]) -> str:
    return json.dumps(structure, indent=1, ensure_ascii=False) + "\n"


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write the structure of an OpenAPI description, without its prose.")
    parser.add_argument("description", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if OUT is stale")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    try:
        text = render(structure_of(options.description.read_bytes()))
    except DescriptionError as error:
        print(error, file=sys.stderr)
        return 2
    if not options.check:
        options.out.write_text(text, encoding="utf-8", newline="\n")
        return 0
    if options.out.is_file() and options.out.read_bytes() == text.encode():
        return 0
    print(f"{options.out} is stale: run this again without --check", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
