"""The catalogue's inputs as an editor sees them in a manifest. Owns `with` and `defaults` in the editor's schema.

A manifest says more than a request does: a template stands for any value, a path for media, and null takes a default away.
It also says less: what a request needs may come from `defaults` or a profile, so a missing input is no error here;
`flowrun validate`, which knows where each input comes from, tells it. Inside of an input defaults are never merged, so
what a nested mapping needs is asked for. A name that a model does not have is an error even with null, which flowrun lets
pass: beside a model it is a slip.

Where an overlay changed a model, what the bare description takes is no error either: `flowrun plan` knows where the request
would go, and tells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flowrun.manifest.schema_words import INPUTS, OPERATIONS
from flowrun.operations.catalogue import Catalogue, Operation
from flowrun.operations.model import Schema
from flowrun.operations.spec import ModelSpec
from flowrun.operations.structure import branches
from flowrun.operations.wording import NO_LIMIT, listed, options_of, takes

TEMPLATE = r"\{[{%#]"  # the marks that `models.has_template` looks for
OPEN: Schema = {"type": "string", "pattern": TEMPLATE}
SECTION = ["object", "null"]  # of a mapping that may be left empty
TYPED = frozenset(("integer", "number", "boolean"))


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}


def definitions(catalogue: Catalogue) -> Iterator[tuple[str, Schema]]:
    """By name: what a `with` may hold, its model's name, and the inputs of any and of each model of an operation.

    The model is spoken of beside the inputs, not among them: so an editor offers all models while one is being typed.
    """
    yield "template", {"description": "A template, rendered when the graph is made.", **OPEN}
    for operation in catalogue.operations.values():
        yield operation.name, _by_model(operation)
        yield f"{operation.name}.model", _models_of(operation)
        yield f"{operation.name}.any", _any_model(operation)
        for spec in operation.models.values():
            yield f"{operation.name}.{spec.model}", _of_model(spec)


def by_operation(catalogue: Catalogue) -> Schema:
    """What holds of a node's `with`, once its operation is known."""
    return {
        "allOf": [
            {"if": _is("uses", name), "then": {"properties": {"with": ref(name)}}} for name in catalogue.operations
        ]
    }


def uses(catalogue: Catalogue) -> Schema:
    names = list(catalogue.operations)
    return {"enum": names, "enumDescriptions": [OPERATIONS.get(name, name) for name in names]}


def defaults(catalogue: Catalogue) -> Schema:
    """Inputs by operation and by operation/model."""
    sections: dict[str, Schema] = {}
    for operation in catalogue.operations.values():
        name = operation.name
        words = f"Inputs of every {name} node whose model has them."
        sections[name] = _section(words, ref(f"{name}.model"), ref(f"{name}.any"))
        for spec in operation.models.values():
            words, inputs = f"Inputs of every {name} node with {spec.model}.", ref(f"{name}.{spec.model}")
            sections[f"{name}/{spec.model}"] = _section(words, _or_open([_model(spec)], nullable=True), inputs)
    return {"type": SECTION, "properties": sections, "additionalProperties": False}


def _section(words: str, model: Schema, inputs: Schema) -> Schema:
    return {"description": words, "type": SECTION, "properties": {"model": model}, "allOf": [inputs]}


def models(catalogue: Catalogue) -> list[str]:
    """Every model's name, once."""
    return list(dict.fromkeys(name for each in catalogue.operations.values() for name in each.models))


def _is(key: str, value: str) -> dict[str, Any]:
    return {"type": "object", "required": [key], "properties": {key: {"const": value}}}


def _by_model(operation: Operation) -> Schema:
    """The inputs of the model that is named; of any while none is, or a template stands in its place."""
    names = list(operation.models)
    known = {"type": "object", "required": ["model"], "properties": {"model": {"enum": names}}}
    decisions = [{"if": _is("model", name), "then": ref(f"{operation.name}.{name}")} for name in names]
    decisions.append({"if": known, "else": ref(f"{operation.name}.any")})
    return {"type": SECTION, "properties": {"model": ref(f"{operation.name}.model")}, "allOf": decisions}


def _of_model(spec: ModelSpec) -> Schema:
    return _inputs({name: _input(name, forms, required=name in _always(spec)) for name, forms in _own(spec).items()})


def _any_model(operation: Operation) -> Schema:
    having: dict[str, list[Schema]] = {}
    for spec in operation.models.values():
        for name, forms in _own(spec).items():
            having.setdefault(name, []).extend(forms)
    return _inputs({name: _input(name, forms) for name, forms in having.items()})


def _own(spec: ModelSpec) -> dict[str, list[Schema]]:
    """What the model takes today, and what it took by the description alone, by input, without its name."""
    having: dict[str, list[Schema]] = {}
    for each in (spec, spec.described):
        for name, known in each.inputs.items() if each else ():
            having.setdefault(name, []).append(known.schema)
    del having["model"]
    return having


def _always(spec: ModelSpec) -> frozenset[str]:
    """The inputs that no request of it may lack."""
    return spec.required & spec.described.required if spec.described else spec.required


def _inputs(properties: Mapping[str, Schema]) -> Schema:
    return {"type": SECTION, "properties": {"model": {}, **properties}, "additionalProperties": False}


def _models_of(operation: Operation) -> Schema:
    specs = list(operation.models.values())
    current = [spec.model for spec in specs if spec.retired is None]
    forms = [{"enum": current}, *(_model(spec) for spec in specs if spec.retired is not None)]
    return {"description": INPUTS["model"], **_or_open(forms if current else forms[1:], nullable=True)}


def _model(spec: ModelSpec) -> Schema:
    """One model's name. A retired one is known, and struck through."""
    if spec.retired is None:
        return {"const": spec.model}
    successor = f": its successor is {spec.retired.successor}" if spec.retired.successor else ""
    return {"const": spec.model, "deprecationMessage": f"{spec.model} is retired{successor}"}


def _input(name: str, schemas: list[Schema], *, required: bool = False) -> Schema:
    """An input by what one or several models say of it; null takes a default away."""
    words = _words(name, schemas) + (" Required, here or in `defaults`." if required else "")
    forms = _merged(map(_literal, schemas))
    return {"description": words, **_known_default(schemas), **_or_open(forms, nullable=True)}


def _words(name: str, schemas: Sequence[Schema]) -> str:
    """What is said of an input: in words of ours, or by what it takes where it is too new for them."""
    if name in INPUTS:
        return INPUTS[name]
    forms = (form for each in schemas for form in branches(each) or [each])
    return f"It takes {listed(list(dict.fromkeys(map(takes, forms))))}."


def _known_default(schemas: list[Schema]) -> Schema:
    """What the API takes where nothing is given, if all models agree."""
    known = [each.get("default") for each in schemas]
    return {"default": known[0]} if known[0] is not None and known.count(known[0]) == len(known) else {}


def _merged(forms: Iterable[Schema]) -> list[Schema]:
    """Alternatives, each once; plain choices become one."""
    found: list[Schema] = []
    choices: list[Any] = []
    for form in (part for each in forms for part in each.get("anyOf", [each])):
        if form.keys() == {"enum"}:
            choices += [value for value in form["enum"] if value not in choices]
        elif form not in found:
            found.append(form)
    return [{"enum": choices}, *found] if choices else found


def _or_open(forms: list[Schema], *, nullable: bool = False) -> Schema:
    """The forms, or a template in their place. A number or boolean stays one flat form: errors in it are told as they are."""
    if len(forms) == 1 and forms[0].get("type") in TYPED:
        types = [forms[0]["type"], "string", *(["null"] if nullable else [])]
        return {**forms[0], "type": types, "pattern": TEMPLATE}
    anything = any(form == {"type": "string", "minLength": 1} for form in forms)
    more = [*([] if anything else [ref("template")]), *([{"type": "null"}] if nullable else [])]
    both = [*forms, *more]
    return {"anyOf": both} if len(both) > 1 else both[0]


def _literal(node: Schema) -> Schema:
    """What may be written out in a place of a request; alternatives as `anyOf`."""
    if "mediaSlot" in node:
        return {"type": "string", "minLength": 1}
    if forms := branches(node):
        return {"anyOf": _merged(map(_literal, forms))}
    if options := options_of(node):
        return {"enum": options}
    if "properties" in node:
        return _mapping(node)
    kept = ("type", "minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "pattern")
    form = {name: node[name] for name in (*kept, "minItems", "maxItems") if node.get(name) not in (None, NO_LIMIT)}
    if "pattern" in form:
        form["patternErrorMessage"] = f"It takes {takes(node)} of the form {form['pattern']}, or a template."
    if "items" in node:
        form["items"] = _or_open(_merged([_literal(node["items"])]))
    elif form.get("type") in TYPED:
        form["patternErrorMessage"] = f"It takes {takes(node)}, without quotes, or a template."
    return form


def _mapping(node: Schema) -> Schema:
    properties = {}
    for name, each in node["properties"].items():
        properties[name] = {"description": _words(name, [each]), **_or_open(_merged([_literal(each)]))}
    required = {"required": list(node["required"])} if node.get("required") else {}
    return {
        "type": "object",
        "properties": properties,
        **required,
        "additionalProperties": node.get("additionalProperties", False),
    }
