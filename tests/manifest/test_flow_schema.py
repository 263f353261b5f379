"""The editor's schema of manifests: what flowrun accepts it accepts, and most of what flowrun refuses it refuses."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowrun.diagnostics.model import DiagnosticError
from flowrun.graph.expand import MOST_TAKES as GRAPHS_MOST
from flowrun.manifest import json_schema, models, schema_inputs
from flowrun.manifest.checks import LATER
from flowrun.manifest.json_schema import MOST_TAKES, flow_schema
from flowrun.manifest.schema_inputs import ref
from flowrun.manifest.schema_sharing import LEAST, shared
from flowrun.manifest.schema_words import INPUTS, KEYS, OPERATIONS
from flowrun.operations.catalogue import Catalogue, catalogue
from flowrun.operations.data import schema_file
from flowrun.operations.structure import branches
from flowrun.yaml_tree import parse, plain
from tests.docs.blocks import ROOT, all_blocks
from tests.graph.making import Project
from tests.manifest.test_manifest_reading import GOOD as READ
from tests.operations import requests
from tests.operations.requests import IMAGE, VOICE

SCHEMA = flow_schema(catalogue())
CHECK = jsonschema_rs.Draft7Validator(SCHEMA)
PAIRS = [(name, model) for name, each in catalogue().operations.items() for model in each.models]
ADDRESS = {"image": IMAGE, "video": "https://media.example/a.mp4", "audio": "https://media.example/a.mp3"}
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*/*.yaml") if path.parent.name != "scenarios")


def good(operation: str, model: str) -> dict[str, Any]:
    """A good request of any model: a written one, or, for one that an overlay added, one made from its schema."""
    if (operation, model) in requests.PAIRS:
        return requests.good(operation, model)
    spec = catalogue().find(operation, model)
    assert spec is not None
    made = {"model": model, **{name: sample(each.schema) for name, each in spec.inputs.items() if each.required}}
    assert not [each for each in spec.check(made) if each.is_error], made
    return made


def sample(form: Any) -> Any:
    """A value that the form takes."""
    if "mediaSlot" in form:
        return ADDRESS[form["mediaSlot"]["kind"]]
    if forms := branches(form):
        return sample(forms[0])
    if "enum" in form or "const" in form:
        return form["enum"][0] if "enum" in form else form["const"]
    if form["type"] == "object":
        return {name: sample(form["properties"][name]) for name in form.get("required", ())}
    if form["type"] == "array":
        return [sample(form["items"])] * max(1, form.get("minItems", 1))
    return {"string": "a fox", "boolean": True}.get(form["type"], form.get("minimum", 1))


def errors(document: Any) -> list[Any]:
    return list(CHECK.iter_errors(document))


def errors_in(text: str) -> list[Any]:
    """Of a text, read as flowrun reads it."""
    return errors(plain(parse(text, "flow.yaml")))


def node(operation: str, inputs: Any, **keys: Any) -> dict[str, Any]:
    return {"flowrun": 1, "nodes": {"it": {"uses": operation, "with": inputs, **keys}}}


def with_key(name: str, value: Any) -> dict[str, Any]:
    return node("text_to_image", {}, **{name: value})


# -- the file


def test_the_file_is_current_small_and_a_schema() -> None:
    text = schema_file("flow-1.json").read_text(encoding="utf-8")
    assert text == json.dumps(SCHEMA, ensure_ascii=False, indent=2) + "\n", "run python tools/make_schemas.py"
    assert len(text) < 400_000
    jsonschema_rs.meta.validate(SCHEMA)
    assert SCHEMA["$schema"] == json_schema.DRAFT
    assert json.dumps(flow_schema(catalogue())) == json.dumps(SCHEMA)


def test_the_tool_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("make_schemas", ROOT / "tools" / "make_schemas.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, "FOLDER", tmp_path)
    assert tool.main(["--check"]) == 1
    assert not list(tmp_path.iterdir())
    assert tool.main([]) == tool.main(["--check"]) == 0
    assert json.loads((tmp_path / "flow-1.json").read_text(encoding="utf-8")) == SCHEMA


def test_every_key_operation_and_input_is_described() -> None:
    shapes = {name: getattr(models, name) for name in KEYS}
    for name, shape in shapes.items():
        keys = {field.alias or key for key, field in shape.model_fields.items()}
        assert keys - set(LATER) == set(KEYS[name])
    assert set(OPERATIONS) == set(catalogue().operations)
    specs = [spec for operation in catalogue().operations.values() for spec in operation.models.values()]
    assert {name for spec in specs for name in input_names(spec.schema)} == set(INPUTS)


def test_an_input_without_words_is_told_by_what_it_takes() -> None:
    takes = {"glow": {"type": "integer", "minimum": 0, "maximum": 3}, "mood": {"anyOf": [{"enum": ["mild", "wild"]}]}}
    takes |= {"length": {"anyOf": [{"type": "integer"}, {"const": "auto"}]}}
    model = {"like": "gen4_image", "properties": takes}
    made = flow_schema(Catalogue.load([{"operations": {"text_to_image": {"models": {"gen9": model}}}}]))
    inputs = made["definitions"]["text_to_image.gen9"]["properties"]
    inputs = {
        name: made["definitions"].get(each.get("$ref", "").rpartition("/")[2], each) for name, each in inputs.items()
    }
    assert inputs["glow"]["description"] == "It takes a whole number, 0 to 3."
    assert inputs["mood"]["description"] == "It takes mild or wild."
    assert inputs["length"]["description"] == "It takes a whole number or auto."
    jsonschema_rs.meta.validate(made)


def test_what_only_an_overlay_refuses_is_no_error_of_a_manifest() -> None:
    limit = {"like": "gen4_turbo", "properties": {"duration": {"maximum": 8}, "seed": None}}
    overlays = [{"operations": {"image_to_video": {"models": {"gen4_turbo": limit}}}}]
    check = jsonschema_rs.Draft7Validator(flow_schema(Catalogue.load(overlays)))
    request = good("image_to_video", "gen4_turbo")
    assert check.is_valid(node("image_to_video", {**request, "duration": 9, "seed": 7}))
    assert not check.is_valid(node("image_to_video", {**request, "duration": 99}))


def test_what_several_inputs_take_alike_is_written_once() -> None:
    form = {"description": "x" * LEAST}
    inner = {"type": "object", "properties": {"low": form, "high": {"description": "short"}}}
    one, two = {"properties": {"a": inner, "b": form}}, {"anyOf": [{"properties": {"a": inner, "c": {"type": "null"}}}]}
    assert shared({"one": one, "two": two}) == {
        "one": {"properties": {"a": ref("input.a.1"), "b": ref("input.low.1")}},
        "two": {"anyOf": [{"properties": {"a": ref("input.a.1"), "c": {"type": "null"}}}]},
        "input.a.1": {"type": "object", "properties": {"low": ref("input.low.1"), "high": {"description": "short"}}},
        "input.low.1": form,
    }
    references = re.findall(r'"#/definitions/([^"]+)"', json.dumps(SCHEMA))
    assert set(references) <= set(SCHEMA["definitions"])
    assert all(references.count(name) > 1 for name in SCHEMA["definitions"] if name.startswith("input."))


def input_names(schema: Any) -> Iterator[str]:
    for form in branches(schema):
        yield from input_names(form)
    for name, each in schema.get("properties", {}).items():
        yield name
        yield from input_names(each)
    if "items" in schema:
        yield from input_names(schema["items"])


def test_numbers_and_marks_are_those_of_the_reader() -> None:
    assert MOST_TAKES == GRAPHS_MOST
    for text in ("{{ x }}", "{% if x %}", "{# x #}", "{ x }", "x", "{{", "a {{ b"):
        assert bool(re.search(schema_inputs.TEMPLATE, text)) == models.has_template(text)


# -- what is accepted


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_accepted_and_names_the_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert errors_in(text) == []
    first, _, _ = text.partition("\n")
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == ROOT / "schemas" / "flow-1.json"


@pytest.mark.parametrize("block", [each for each in all_blocks("yaml") if "fragment" not in each.info], ids=str)
def test_a_manifest_of_the_docs_is_accepted(block: Any) -> None:
    assert errors_in(block.text) == []


@pytest.mark.parametrize("block", [each for each in all_blocks("yaml") if "fragment" in each.info], ids=str)
def test_a_fragment_of_the_docs_is_accepted_with_its_first_line(block: Any) -> None:
    fragment = plain(parse(block.text, "flow.yaml"))
    if set(fragment) <= set(KEYS["Document"]):
        assert errors({"flowrun": 1, **fragment}) == []


def test_what_the_reader_reads_is_accepted() -> None:
    assert errors_in(READ) == []


@pytest.mark.parametrize(("operation", "model"), PAIRS)
def test_a_full_request_is_accepted(operation: str, model: str) -> None:
    request = good(operation, model)
    assert errors(node(operation, request)) == []
    assert errors(node(operation, {name: value for name, value in request.items() if name != "model"})) == []
    assert errors(node(operation, {**request, "model": "{{ vars.model }}"})) == []
    assert errors(node(operation, dict.fromkeys(request))) == []
    assert errors(node(operation, dict.fromkeys(request, "{{ vars.all }}"))) == []
    assert errors(node(operation, {"model": model, **{name: "{{ x }}" for name in request if name != "model"}})) == []
    own = {name: value for name, value in request.items() if name != "model"}
    assert errors({"flowrun": 1, "defaults": {operation: request, f"{operation}/{model}": own}}) == []


ACCEPTED = [
    with_key("foreach", each)
    for each in (None, 0, 3.0, [], [1, {"a": 2}], {}, {"a": 1, "file": 2}, "{{ vars.x }}", {"file": "{{ vars.f }}"})
]
ACCEPTED += [with_key("foreach", each) for each in ({"items": [1], "key": None, "file": None}, {"items": "{{ x }}"})]
ACCEPTED += [with_key("when", each) for each in (True, False, None, "{{ vars.x }}", "{% if x %}true{% endif %}")]
ACCEPTED += [with_key("takes", each) for each in (None, 1, 2.0, 100, "{{ each.value.n }}")]
ACCEPTED += [with_key("cache", each) for each in (None, False, "salt", 3, 2.5, "{{ vars.x }}")]
ACCEPTED += [with_key("timeout", each) for each in (None, "90s", "1.5m", "1h")]
ACCEPTED += [with_key("needs", each) for each in (None, [], ["a", "shot[intro two]"])]
ACCEPTED += [with_key("with", each) for each in (None, {}, {"model": None})]
ACCEPTED += [{"flowrun": 1, "vars": {"x": each}} for each in (None, 1, [1], {}, {"a": {"type": 5}}, {"type": "media"})]
ACCEPTED += [{"flowrun": 1, "vars": {"x": {"type": "integer", "default": 7.0, "enum": [7, 8], "minimum": 0}}}]
ACCEPTED += [{"flowrun": 1, "assets": {"x": each}} for each in ("a.png", {"path": "a", "url": None, "license": None})]
ACCEPTED += [{"flowrun": 1, name: None} for name in KEYS["Document"] if name != "flowrun"]
ACCEPTED += [{"flowrun": 1, "profiles": {"a-b": None, "c": {"vars": None, "defaults": {"text_to_image": None}}}}]


@pytest.mark.parametrize("document", ACCEPTED, ids=json.dumps)
def test_forms_that_flowrun_takes_are_accepted(document: Any) -> None:
    assert errors(document) == []


# -- what is refused


@pytest.mark.parametrize(("operation", "model"), PAIRS)
def test_a_wrong_request_is_refused(operation: str, model: str) -> None:
    request = good(operation, model)
    for name, value in request.items():
        snake = re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)
        if snake != name:
            assert errors(node(operation, {**request, snake: value}))
        assert errors(node(operation, {**request, name: [[7]]})), name
    assert errors(node(operation, {**request, "unknown": 1}))
    assert errors(node(operation, {**request, "model": "gen99"}))
    assert errors(node("text_to_song", request))
    for other in {name for name, _ in PAIRS if model not in catalogue().operations[name].models}:
        assert errors(node(other, {"model": model}))
        assert errors({"flowrun": 1, "defaults": {f"{other}/{model}": {}}})


@pytest.mark.parametrize(("operation", "model"), PAIRS)
def test_values_outside_of_the_lists_and_bounds_of_a_model_are_refused(operation: str, model: str) -> None:
    spec = catalogue().find(operation, model)
    assert spec is not None
    for name, each in spec.inputs.items():
        wrong: list[Any] = ["another"] if each.enum else []
        if each.types & schema_inputs.TYPED:
            wrong += ["1", *([each.minimum - 1] if each.minimum is not None else [])]
            wrong += [each.maximum + 1] if each.maximum and each.maximum < 2**40 else []
        if each.types == {"string"} and not each.enum and not each.is_media:
            wrong += [""] if each.minimum else []
            wrong += ["x" * (int(each.maximum) + 1)] if each.maximum else []
        for value in wrong:
            assert errors(node(operation, {"model": model, name: value})), (name, value)
            if name != "model":
                assert errors({"flowrun": 1, "defaults": {f"{operation}/{model}": {name: value}}}), (name, value)


@pytest.mark.parametrize(
    ("inputs", "operation"),
    [
        ({"model": "gen4_turbo", "audio": True}, "image_to_video"),  # of another model
        ({"model": "gen4_turbo", "duration": 11}, "image_to_video"),
        ({"model": "veo3.1", "duration": 5}, "image_to_video"),
        ({"duration": "long"}, "image_to_video"),  # of no model at all
        ({"ratio": "9:9"}, "image_to_video"),
        ({"model": "gen4_turbo", "promptImage": [{"uri": IMAGE, "position": "last"}]}, "image_to_video"),
        ({"model": "gen4_turbo", "promptImage": [{"uri": IMAGE}]}, "image_to_video"),
        ({"model": "veo3.1", "promptImage": [{"uri": IMAGE, "position": None}]}, "image_to_video"),
        ({"promptImage": [{"position": "first"}]}, "image_to_video"),
        ({"model": "gen4_image", "referenceImages": [{"uri": IMAGE, "tag": "Fox"}]}, "text_to_image"),
        ({"referenceImages": [{"uri": IMAGE, "label": "fox"}]}, "text_to_image"),
        ({"model": "gen4_image", "referenceImages": [{"uri": IMAGE}] * 4}, "text_to_image"),
        ({"contentModeration": {"publicFigureThreshold": "high"}}, "text_to_image"),
        ({"voice": {**VOICE, "presetId": "Myaa"}}, "text_to_speech"),
        ({"voice": {"presetId": "Maya"}}, "text_to_speech"),
        ({"voice": "Maya"}, "text_to_speech"),
        ({"numSpeakers": 0}, "voice_dubbing"),
    ],
)
def test_what_no_request_may_have_is_refused(inputs: Any, operation: str) -> None:
    assert errors(node(operation, inputs))
    assert all(is_accepted(node(operation, {**good(*pair), **inputs})) is False for pair in pairs_of(operation))


def pairs_of(operation: str) -> list[tuple[str, str]]:
    return [pair for pair in PAIRS if pair[0] == operation]


REFUSED = [with_key(name, {}) for name in LATER]
REFUSED += [with_key("foreach", each) for each in ("text", -1, True, {"file": "a", "items": [1]}, {"key": "id"})]
REFUSED += [with_key("when", each) for each in ("yes", 1, [])]
REFUSED += [with_key("takes", each) for each in (0, "2", True, 1.5, 101)]
REFUSED += [with_key("cache", each) for each in (True, [], {})]
REFUSED += [with_key("timeout", each) for each in ("5", 5, "1d", "x90s")]
REFUSED += [with_key("needs", each) for each in ("a", ["a.b"], ["{{ x }}"], [""])]
REFUSED += [with_key("tags", ["a-b"]), with_key("retry", -1), with_key("retry", "1"), with_key("notes", "x")]
REFUSED += [node(each, {}) for each in ("media/concat", "./other.yaml", "{{ vars.x }}", None)]
REFUSED += [{}, {"flowrun": 2}, {"flowrun": "1"}, {"flowrun": 1, "node": {}}, {"flowrun": 1, "name": "A b"}]
REFUSED += [{"flowrun": 1, each: {"a-b": "x"}} for each in ("vars", "assets", "outputs", "nodes")]
REFUSED += [{"flowrun": 1, "nodes": {"a": each}} for each in (None, "x", {}, {"with": {}})]
REFUSED += [{"flowrun": 1, "assets": {"x": each}} for each in (None, 5, {}, {"path": "a", "url": "b"}, {"file": "a"})]
REFUSED += [{"flowrun": 1, "outputs": {"x": each}} for each in (None, "a.png", {"path": "a"}, {"from": "a.png"})]
REFUSED += [
    {"flowrun": 1, "vars": {"x": each}}
    for each in ({"type": "text"}, {"type": "integer", "default": "7"}, {"type": "string", "enum": [1]})
]
REFUSED += [{"flowrun": 1, "vars": {"x": {"type": "string", "minimun": 1}}}]
REFUSED += [{"flowrun": 1, "limits": each} for each in ({"credits": -1}, {"concurrency": {"gen99": 1}}, {"money": 1})]
REFUSED += [{"flowrun": 1, "defaults": {each: {}}} for each in ("text_to_song", "text_to_image/gen99")]
REFUSED += [{"flowrun": 1, "defaults": {"text_to_image": each}} for each in ({"audio": True}, 5)]
REFUSED += [{"flowrun": 1, "profiles": {"a": {"nodes": {}}}}, {"flowrun": 1, "env": ["A-B"]}]


@pytest.mark.parametrize("document", REFUSED, ids=json.dumps)
def test_forms_that_flowrun_refuses_are_refused(document: Any) -> None:
    assert errors(document)
    assert not is_accepted(document)


def test_a_default_is_judged_although_no_node_uses_it() -> None:
    for inputs in ({"model": "gen99"}, {"ratio": 9}, {"seed": "7"}):
        document = {"flowrun": 1, "defaults": {"text_to_image": inputs}}
        assert errors(document)
        assert is_accepted(document)


# -- nothing that flowrun accepts is refused


def is_accepted(document: Any) -> bool:
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return accepts(text)


def accepts(text: str, files: dict[str, str] | None = None) -> bool:
    """Whether flowrun reads the manifest and builds its graph, with each of its profiles."""
    profiles = (plain(parse(text, "flow.yaml")) or {}).get("profiles")
    try:
        for profile in (None, *(profiles if isinstance(profiles, dict) else ())):
            Project(files or {}).built(text, whole=True, demand=False, profile=profile)
    except DiagnosticError:
        return False
    return True


PLAIN = [None, True, False, 0, 1, 2, 3, 5.0, 8, 2.5, -1, 101, "", "x", "1", "90s"]
CHOICES = ["1280:720", "768:1280", "1920:1080", "first", "gen4_turbo", "veo3.1", "gen4_image", "Maya", "de", "auto"]
TEMPLATES = ["{{ vars.n }}", "{{ vars.t }}", "{{ vars.v }}", "{{ vars.l }}", "{# no #}", "{% if vars.n %}a{% endif %}"]
SCALARS = st.sampled_from([*PLAIN, *CHOICES, *TEMPLATES, "{{ nodes.still.output }}", IMAGE, "a.png"])
NAMES = st.sampled_from(
    ["model", "seed", "duration", "audio", "ratio", "promptText", "file", "items", "key", "type", "uri"]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2), max_leaves=4
)
KEY_VALUES: dict[str, list[Any]] = {
    "foreach": [1, 2.0, ["a"], [{"id": "x"}], {"a": 1}, {"items": ["a"]}, {"items": 2, "key": None}, "{{ vars.l }}"],
    "needs": [["still"], [], None],
    "when": [True, None, "{{ vars.n == 3 }}"],
    "takes": [2, "{{ vars.n }}", 2.0],
    "tags": [["a"], None],
    "retry": [0, 2.0],
    "timeout": ["90s", "1.5h"],
    "cache": ["salt", 3, False, "{{ vars.t }}"],
    "description": ["x", None],
}
SECTIONS: dict[str, list[Any]] = {
    "name": ["a-b", None],
    "limits": [{"credits": 5.0, "concurrency": {"gen4_turbo": 2}}, {"queue_ahead": 0}, None],
    "assets": [{"a": "a.png"}, {"a": {"path": "a.png", "url": None}}, None],
    "env": [["NAME"], None],
    "profiles": [{"p": None}, {"p": {"vars": {"n": 4}}}, {"p": {"defaults": {"text_to_image": None}}}],
    "outputs": [{"o": "{{ nodes.it.outputs }}"}, {"o": {"from": "{{ nodes.still.output }}", "path": None}}],
}


def varied(choices: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(choices) | VALUES


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    """A manifest of one good request, spread over `with` and the defaults, in which some values were altered.

    No node is skipped and no fan-out is empty, and no default stands below another: all that is written is looked at.
    """
    operation, model = draw(st.sampled_from(PAIRS))
    request = good(operation, model)
    for name in draw(st.lists(st.sampled_from(list(request)), max_size=2)):
        request[name] = draw(altered(request.get(name)))
    for name in draw(st.lists(NAMES, max_size=1)):
        request[name] = draw(VALUES)
    places: dict[str, dict[str, Any]] = {"with": {}, operation: {}, f"{operation}/{model}": {}}
    for name, value in request.items():
        where = ["with", operation] if name == "model" else list(places)
        places[draw(st.sampled_from(where))][name] = value
    inputs = places.pop("with")
    keys = {name: draw(varied(KEY_VALUES[name])) for name in draw(st.lists(st.sampled_from([*KEY_VALUES]), max_size=2))}
    document = composed(operation, inputs, {name: section for name, section in places.items() if section}, keys)
    for name in draw(st.lists(st.sampled_from([*SECTIONS]), max_size=2)):
        document[name] = draw(varied(SECTIONS[name]))
    return document


def composed(operation: str, inputs: Any, defaults: Any, keys: Any) -> dict[str, Any]:
    """A manifest with one node to look at and one to refer to."""
    still = {"uses": "text_to_image", "with": good("text_to_image", "gen4_image")}
    others = {"still": still} if operation != "text_to_image" else {}  # which the defaults of an image would reach
    return {
        "flowrun": 1,
        "vars": {"n": 3, "t": "text", "v": {"type": "mapping", "default": VOICE}, "l": ["a", "b"]},
        "nodes": {"it": {"uses": operation, "with": inputs, **keys}, **others},
        "defaults": defaults,
    }


@pytest.mark.parametrize(("operation", "model"), PAIRS)
def test_what_is_altered_below_is_good(operation: str, model: str) -> None:
    request = good(operation, model)
    for inputs, defaults in ((request, {}), ({}, {operation: request})):
        document = composed(operation, inputs, defaults, {})
        assert errors(document) == []
        assert is_accepted(document)


@st.composite
def altered(draw: st.DrawFn, value: Any) -> Any:
    """Something else in place of the value, or of something within it."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        name = draw(st.sampled_from([*value]))
        return {**value, name: draw(altered(value[name]))}
    if isinstance(value, list) and value and draw(st.booleans()):
        return [draw(altered(value[0])), *value[1:]]
    return draw(VALUES)


def is_looked_at(document: dict[str, Any]) -> bool:
    """Whether flowrun judges all that is written: the node is not skipped, it has an instance, its model has every default,
    and no name that it does not have stands with null."""
    it, sections = document["nodes"]["it"], document["defaults"] or {}
    inputs, general = it["with"] or {}, sections.get(it["uses"]) or {}
    known = catalogue().operations[it["uses"]].models
    model = inputs.get("model") or general.get("model")
    specs = [known[name] for name in known if name == model] or [*known.values()]
    names = {name for spec in specs for name in spec.inputs}
    if it.get("when") is False or not names.issuperset(general):
        return False
    if any(value is None and name not in names for name, value in inputs.items()):
        return False
    return it.get("foreach") not in (0, [], {}, {"items": []}, {"items": 0}, {"items": {}})


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(manifests())
def test_whatever_flowrun_accepts_the_schema_accepts(document: dict[str, Any]) -> None:
    if errors(document) and is_looked_at(document):
        assert not is_accepted(document), errors(document)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_an_altered_example_that_flowrun_accepts_is_accepted(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(EXAMPLES))
    files = {each.name: each.read_text() for each in path.parent.iterdir() if each.suffix in (".csv", ".json")}
    document = copy.deepcopy(plain(parse(path.read_text(encoding="utf-8"), path.name)))
    holders = list(inner(document["nodes"]))
    holder = data.draw(st.sampled_from(range(len(holders))))
    mapping = holders[holder]
    name = data.draw(st.sampled_from([*mapping]))
    if data.draw(st.booleans()):
        del mapping[name]
    else:
        mapping[name] = data.draw(VALUES)
    if errors(document) and not any(
        each.get("when") is False for each in document["nodes"].values() if isinstance(each, dict)
    ):
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        assert not accepts(text, files), errors(document)


def inner(value: Any) -> Iterator[dict[str, Any]]:
    """The mappings in a value that are not empty."""
    if isinstance(value, dict):
        if value:
            yield value
        for each in value.values():
            yield from inner(each)
    for each in value if isinstance(value, list) else ():
        yield from inner(each)
