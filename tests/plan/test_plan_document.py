"""The JSON of a plan: its shape, its schema, and what must not be in it."""

import json
import subprocess
import sys

import jsonschema_rs
import pytest
from pydantic import ValidationError

from flowrun.diagnostics.model import Diagnostic, Severity
from flowrun.diagnostics.span import Span
from flowrun.ledger.protocol import Failed
from flowrun.plan.document import PlanDocument, plan_document, plan_schema
from flowrun.plan.model import Decision, Reason
from flowrun.plan.whole import Plan

from .fakes import Desk

NODES = """
  hero:
    uses: text_to_image
    takes: 2
    with: {model: gen4_image, promptText: a red fox, ratio: "1920:1080", referenceImages: [{uri: scarf.png}]}
  twin:
    uses: text_to_image
    with: {model: gen4_image, promptText: a red fox, ratio: "1920:1080", referenceImages: [{uri: scarf.png}]}
  shot:
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "{{ nodes.hero.output }}", ratio: "1280:720", duration: 5}
  gone:
    uses: text_to_image
    when: false
    with: {model: gen4_image, promptText: nothing, ratio: "1920:1080"}
"""
KEY = "key_" + "ab" * 64


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.inputs.put("scarf.png", "a scarf")
    return made


def document(plan: Plan, **more) -> dict:
    facts = {"balance": None, "daily_left": {}, "seconds": None, "cap": None, **more}
    made = plan_document(plan, **facts)
    plain = made.model_dump(mode="json")
    jsonschema_rs.validate(plan_schema(), plain)
    assert PlanDocument.model_validate_json(json.dumps(plain)) == made
    return plain


def steps(plan: Plan) -> dict[str, dict]:
    return {step["address"]: step for step in document(plan)["steps"]}


def test_a_plan_is_known_by_its_first_key(desk):
    plain = document(desk.plan(NODES))
    assert next(iter(plain.items())) == ("flowrun_plan", 1)
    assert [plain[name] for name in ("flow", "profile", "provider", "cap", "warnings")] == [
        "flow",
        "",
        "runway",
        None,
        [],
    ]
    with pytest.raises(ValidationError):
        PlanDocument.model_validate({**plain, "flowrun_plan": 2})
    with pytest.raises(ValidationError):
        PlanDocument.model_validate({**plain, "more": 1})


def test_a_step_says_at_least_this(desk):
    plan = desk.plan(NODES)
    hero = steps(plan)["hero"]
    take = plan.steps[next(iter(plan.steps))].takes[0]
    none = {"low": 0, "high": 0, "unknown": 0}
    assert hero == {
        "address": "hero",
        "decision": "run",
        "reason": "new",
        "operation": "text_to_image",
        "model": "gen4_image",
        "credits": {"low": 16, "high": 16, "unknown": 0},
        "takes": [
            {
                "take": 1,
                "decision": "run",
                "reason": "new",
                "key": take.doc.key,
                "credits": {"low": 8, "high": 8, "unknown": 0},
                "result": None,
                "task": None,
                "forced": False,
                "detail": None,
            },
            hero["takes"][1],
        ],
        "changes": [],
        "detail": None,
        "pick": None,
        "upstream": [],
        "problems": [],
    }
    assert [each["take"] for each in hero["takes"]] == [1, 2]
    twin, shot, gone = (steps(plan)[name] for name in ("twin", "shot", "gone"))
    assert (twin["reason"], twin["detail"], twin["credits"]) == ("shared", "the same recipe as hero", none)
    assert (shot["decision"], shot["takes"], shot["upstream"]) == ("undecided", [], ["hero"])
    assert (gone["decision"], gone["reason"], gone["credits"]) == ("skip", "when-false", none)


def test_totals(desk):
    totals = document(desk.plan(NODES), balance=100, daily_left={"gen4_image": 7, "gen4_turbo": None}, seconds=61.5)
    assert totals["totals"] == {
        "nodes": {"run": 2, "undecided": 1, "skip": 1},
        "submissions": {"least": 2, "most": 3},
        "credits": {"low": 16, "high": 41, "unknown": 0},
        "by_model": {
            "gen4_image": {"low": 16, "high": 16, "unknown": 0},
            "gen4_turbo": {"low": 0, "high": 25, "unknown": 0},
        },
        "balance": 100,
        "balance_after": {"low": 59, "high": 84},
        "daily_left": {"gen4_image": 7, "gen4_turbo": None},
        "daily_next": {},
        "seconds": 61.5,
    }


def test_an_unknown_price_leaves_no_lower_bound_of_the_balance(desk):
    nodes = (
        NODES
        + """
  dub:
    uses: voice_dubbing
    with: {model: eleven_voice_dubbing, audioUri: "{{ nodes.line.output }}", targetLang: fr}
  line:
    uses: text_to_speech
    with: {model: eleven_multilingual_v2, promptText: some words, voice: {type: runway-preset, presetId: Maya}}
"""
    )
    totals = document(desk.plan(nodes), balance=100)["totals"]
    assert totals["credits"]["unknown"] == 1
    assert totals["balance_after"] == {"low": None, "high": 83}


def test_without_a_balance_there_is_none_after(desk):
    assert document(desk.plan(NODES), cap=400)["totals"]["balance_after"] is None
    assert document(desk.plan(NODES), cap=400)["cap"] == 400


def test_what_is_used_and_taken_up_is_named(desk):
    desk.apply(NODES)
    task = desk.submitted(desk.step(NODES.replace("red", "grey"), "twin").takes[0])
    plain = steps(desk.plan(NODES.replace("red", "grey")))
    assert (plain["twin"]["decision"], plain["twin"]["takes"][0]["task"]) == ("resume", task)
    plain = steps(desk.plan(NODES, forced=["hero#2"]))
    assert (plain["hero"]["pick"], [take["forced"] for take in plain["hero"]["takes"]]) == (2, [False, True])
    assert plain["hero"]["takes"][0]["result"] == "r1"


def test_changes_show_media_by_digest_and_secrets_by_name(desk):
    old = (
        NODES
        + """
  line:
    uses: text_to_speech
    with: {model: eleven_multilingual_v2, promptText: "for {{ env.CLIENT }}", voice: {type: runway-preset, presetId: Maya}}
  film:
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "runway://secret-place", ratio: "1280:720", duration: 5}
"""
    )
    old = f"env: [CLIENT]\nnodes:{old}"
    desk.apply(old)
    desk.inputs.put("scarf.png", "another scarf")
    new = (
        old.replace("for {{", "made for {{")
        .replace("secret-place", "other-place")
        .replace("scarf.png}]", "scarf.png, tag: scarf}]")
    )
    plain = steps(desk.plan(new))
    changes = {change["path"]: change for change in plain["hero"]["changes"]}
    assert changes["referenceImages[0].uri"]["new"].startswith("sha256:")
    assert changes["referenceImages[0].tag"] == {"path": "referenceImages[0].tag", "old": None, "new": "scarf"}
    assert plain["line"]["changes"] == [{"path": "promptText", "old": "for $CLIENT", "new": "made for $CLIENT"}]
    film = plain["film"]["changes"]
    assert film == [{"path": "promptImage", "old": "runway://********", "new": "runway://********"}]


def test_whole_branches_are_shown_too(desk):
    desk.apply(NODES)
    more = NODES.replace("scarf.png}]", "scarf.png}, {uri: scarf.png, tag: two}]")
    (change,) = steps(desk.plan(more))["hero"]["changes"]
    assert change["new"]["tag"] == "two"
    assert change["new"]["uri"].startswith("sha256:")
    settings = NODES.replace("a red fox,", "a red fox, contentModeration: {publicFigureThreshold: low},")
    (change,) = steps(desk.plan(settings))["hero"]["changes"]
    assert change == {"path": "contentModeration", "old": None, "new": {"publicFigureThreshold": "low"}}


def test_keys_and_tokens_are_masked_wherever_they_come_from(desk):
    take = desk.step(NODES, "hero").takes[0]
    desk.settled(take, Failed("X", f"https://e.example/a?_jwt=abcdef and {KEY}", rejected=True))
    where = Span("flow.yaml", 1, 1, 1, 2)
    warning = Diagnostic("upload-uri", f"beware of {KEY}", where, severity=Severity.WARNING)
    plan = desk.plan(NODES)
    plan = Plan(plan.flow, plan.profile, plan.provider, plan.steps, (warning,))
    text = json.dumps(document(plan))
    assert "ab" * 64 not in text
    assert "abcdef" not in text
    assert "upload-uri" in text
    prompt = NODES.replace("a red fox", f'"{KEY[:50]}"')
    desk.apply(prompt)
    assert KEY[:50] in json.dumps(document(desk.plan(NODES)))  # half a key is no key


def test_problems_are_told_with_their_place(desk):
    nodes = NODES.replace("    takes: 2\n", '    cache: "{{ [1] }}"\n')
    hero = steps(desk.plan(nodes))["hero"]
    assert (hero["decision"], hero["reason"]) == ("blocked", None)
    assert [problem["code"] for problem in hero["problems"]] == ["wrong-type"]
    assert hero["problems"][0]["span"]["line"] == 6
    assert hero["detail"] == hero["problems"][0]["message"]


def test_the_schema_describes_all_of_it():
    schema = plan_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert next(iter(schema["properties"])) == "flowrun_plan"
    assert set(schema["$defs"]["Decision"]["enum"]) == {decision.value for decision in Decision}
    assert set(schema["$defs"]["Reason"]["enum"]) == {reason.value for reason in Reason}
    assert json.loads(json.dumps(schema)) == schema
    jsonschema_rs.meta.validate(schema)


def test_planning_alone_does_not_load_pydantic():
    code = "import sys, flowrun.plan.whole; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
