"""Every operation with every model, from a manifest through client and sandbox to media that decode, and the table of it:
`docs/reference/coverage.md` is what these tests saw.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flowrun.ids import TaskId
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.media.picture import tiny_size
from flowrun.operations.catalogue import Catalogue, catalogue, described
from flowrun.operations.data import document
from flowrun.runway.errors import GoneError
from tests.sandbox.asking import NUMBERS, TEXTS
from tests.support.coverage_page import Row, asked_size, page, rows
from tests.support.golden import check_golden
from tests.support.schema_places import UNDESCRIBED, requests, used
from tests.support.virtual_time import VirtualClock, run_virtual
from tests.support.whole_api import SECONDS, Call, Ran, Whole, complaints, pairs, with_outputs

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "coverage.md"
BY_HAND = (Path(__file__).parent / "every_model.yaml").read_text(encoding="utf-8")
BARE = "catalogue.overlays = []\n"
OVER = {  # nodes of it that make something as long as what they are given
    "restyled": "street",
    "acted": "actor",
    "acted_in_a_film": "actor",
    "revoiced": "speech",
    "revoiced_film": "actor",
    "dubbed": "speech",
    "isolated": "interview",
}
QUICK = (
    "still_gen4_image_turbo",
    "still_gen4_image",
    "still_gemini",
    "shot_gen4_turbo",
    "restyled",
    "effect",
    "spoken",
)
CLOSE = 0.15  # seconds: a packet of sound, or a frame of a small film


def staged(root: Path, manifest: str, settings: str = "", *, real: bool = False) -> Whole:
    stage = Whole(root, with_outputs(manifest), real=real)
    (root / "flowrun.toml").write_text(settings, encoding="utf-8")
    return stage


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran.of(staged(tmp_path_factory.mktemp("described") / "flow", BY_HAND, BARE))


# -- a manifest from a catalogue's schemas

FILES = {"image": "media/meadow.webp", "video": "media/street.mp4", "audio": "media/speech.mp3"}


def from_schemas(served: Catalogue) -> str:
    nodes = {}
    for operation, model in pairs(served):
        asked = requests(served.operations[operation].models[model].schema, fill)
        for number, request in enumerate(asked):
            nodes[re.sub(r"\W", "_", f"{operation}_{model}_{number}")] = {"uses": operation, "with": request}
    return f"flowrun: 1\nname: today\nassets: {json.dumps(FILES)}\nnodes: {json.dumps(nodes)}\n"


def fill(name: str, node: Mapping[str, Any]) -> Any:
    """A value of an input, media as references to assets."""
    if "mediaSlot" in node:
        return f"{{{{ assets.{node['mediaSlot']['kind']} }}}}"
    if "enum" in node:
        return node["enum"][0]
    if node["type"] == "boolean":
        return True
    if node["type"] == "string":
        return TEXTS.get(name, "some words")
    low = max(node.get("minimum", 0), node.get("exclusiveMinimum", -1) + 1)
    return max(low, min(NUMBERS.get(name, low), node.get("maximum", 100)))


# -- what holds of every request


def check_inputs(row: Row) -> None:
    """Every input in every form, and the first request has all that there are at once."""
    assert row.used == row.there, f"{row.spec.operation} {row.spec.model}: {row.used ^ row.there}"
    assert set(row.calls[0].body) == set(row.spec.inputs)
    assert [complaint for call in row.calls for complaint in complaints(row.spec.schema, call.body)] == []


def check_price(row: Row) -> None:
    for call in row.calls:
        assert call.cost.unknown == (row.spec.price is None)
        assert call.cost.low <= call.charged <= call.cost.high


def check_output(call: Call, makes: MediaKind, *, real: bool = False) -> None:
    assert len(call.files) == call.body.get("outputCount", call.body.get("numVariants", 1))
    seconds = call.body.get("duration")
    for facts in call.files:
        assert facts.kind is makes
        assert (facts.duration is None) is (makes is MediaKind.IMAGE)
        if isinstance(seconds, int | float):
            assert facts.duration == pytest.approx(seconds, abs=CLOSE)
        check_size(facts, asked_size(call.body), real=real)


def check_size(facts: MediaFacts, asked: tuple[int, int] | None, *, real: bool) -> None:
    if facts.kind is MediaKind.AUDIO:
        assert (facts.width, facts.height) == (None, None)
    elif asked is not None:
        assert (facts.width, facts.height) == (asked if real else tiny_size(*asked))


def check_by_hand(ran: Ran, *, real: bool = False) -> None:
    served = described()
    for node, call in ran.calls.items():
        check_output(call, served.operations[call.operation].produces, real=real)
        if node in OVER:
            assert call.files[0].duration == pytest.approx(SECONDS[OVER[node]], abs=CLOSE)


# -- the API's description


def test_every_input_of_the_description_is_sent(by_hand: Ran) -> None:
    found = rows(described(), by_hand.calls.values(), size=True)
    assert [(each.spec.operation, each.spec.model) for each in found] == pairs(described())
    raw = document("runway-2024-11-06.json")["operations"]
    for row in found:
        check_inputs(row)
        for call in row.calls:
            assert call.path == raw[call.operation]["path"]
            assert complaints(raw[call.operation]["models"][call.model], call.body) == []


def test_every_price_of_the_description_is_known_before(by_hand: Ran) -> None:
    for row in rows(described(), by_hand.calls.values(), size=True):
        check_price(row)
        assert row.spec.price is not None
        assert all(call.cost.low > 0 for call in row.calls)
    assert by_hand.plan.cost.high >= by_hand.stage.sandbox["charges"]["spent"] >= by_hand.plan.cost.low
    assert (by_hand.plan.warnings, by_hand.plan.problems) == ((), ())


def test_every_output_decodes_as_asked(by_hand: Ran) -> None:
    check_by_hand(by_hand)
    assert len(by_hand.calls) == len(by_hand.plan.steps) == by_hand.stage.submissions


def test_outputs_that_are_quick_to_make_have_the_size_asked_for(tmp_path: Path) -> None:
    ran = Ran.of(staged(tmp_path / "flow", BY_HAND, BARE, real=True), select=QUICK)
    assert set(ran.calls) == set(QUICK)
    check_by_hand(ran, real=True)


@pytest.mark.long
def test_every_output_has_the_size_asked_for(tmp_path: Path) -> None:
    ran = Ran.of(staged(tmp_path / "flow", BY_HAND, BARE, real=True))
    check_by_hand(ran, real=True)


def test_an_input_left_out_is_missed(by_hand: Ran) -> None:
    """So the count of the table can fall."""
    for row in rows(described(), by_hand.calls.values(), size=True):
        body = dict(row.calls[0].body)
        for name in body:
            fewer = {each: value for each, value in body.items() if each != name}
            assert set(used(row.spec.schema, fewer)) < set(used(row.spec.schema, body))
        assert f"{UNDESCRIBED}glow" in set(used(row.spec.schema, {**body, "glow": 1}))


# -- everything beside generations

OTHERS = {
    "GET /v1/tasks/{id}": "following a task to its end",
    "DELETE /v1/tasks/{id}": "cancelling a task; a finished one is destroyed",
    "GET /v1/organization": "limits, the day's generations and the balance, before anything is spent",
    "POST /v1/organization/usage": "what the API says was spent, beside what the ledger says",
    "POST /v1/uploads": "media that are too large for a request",
}


def test_the_other_endpoints_are_asked(by_hand: Ran) -> None:
    assert set(OTHERS) == set(described().endpoints)
    stage = by_hand.stage
    assert by_hand.calls["isolated"].body["audioUri"].startswith("runway://")
    spent, tasks = stage.sandbox["charges"]["spent"], list(stage.sandbox["tasks"])

    async def ask(clock: VirtualClock) -> tuple[int, int]:
        with stage.production(clock).open() as at:
            client = at.client()
            balance = (await client.organization()).balance
            day = datetime.fromtimestamp(clock.now(), UTC).date()
            usage = await client.usage(day - timedelta(days=1), day + timedelta(days=1))
            fresh = await client.submit("/v1/text_to_video", by_hand.calls["film_veo3"].body)
            for task in (fresh.task, TaskId(tasks[0])):
                assert (await client.task(task)).id == task
                await client.delete(task)
                with pytest.raises(GoneError):
                    await client.task(task)
            await at.close_client()
            return balance, sum(each.credits for each in usage)

    balance, told = run_virtual(ask, start=stage.now)
    assert told == spent
    assert balance == 100_000 - spent
    asked = stage.sandbox["requests"]
    assert all(asked[each] >= 1 for each in ("tasks", "cancel", "organization", "usage", "uploads", "storage"))


# -- the API today, and the page


def test_every_model_of_today_and_the_table_of_all(by_hand: Ran, tmp_path: Path) -> None:
    served = catalogue()
    ran = Ran.of(staged(tmp_path / "flow", from_schemas(served)))
    found = rows(served, ran.calls.values(), size=False)
    assert [(each.spec.operation, each.spec.model) for each in found] == pairs(served)
    for row in found:
        check_inputs(row)
        check_price(row)
        for call in row.calls:
            check_output(call, served.operations[call.operation].produces)
    retired = [call.model for row in found for call in row.calls if row.spec.retired]
    assert {each.code for each in ran.plan.warnings} == {"retired-model"}
    assert sorted(each.message.split()[0] for each in ran.plan.warnings) == sorted(retired)
    described_rows = rows(described(), by_hand.calls.values(), size=True)
    check_golden(PAGE, page(described_rows, found, OTHERS))
