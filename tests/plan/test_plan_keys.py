"""What an action key is made of. The digests are literals on purpose: a key that moves makes people pay again."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrun import canonical
from flowrun.action import ActionDoc
from flowrun.graph.address import parse
from flowrun.plan.action import ActionError

from .fakes import FILM, PICTURE, SOUND, Desk

IMAGE = """
  x:
    uses: text_to_image
    with: {model: gen4_image, promptText: a red fox, ratio: "1920:1080"}
"""
REFERENCES = """
  x:
    uses: text_to_image
    with:
      model: gen4_image
      promptText: "@scarf and @hat"
      ratio: "1920:1080"
      seed: 7
      referenceImages: [{uri: scarf.png, tag: scarf}, {uri: "data:image/png;base64,SEFU", tag: hat}]
"""
UPLOADED = """
  x:
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "runway://a-file", ratio: "1280:720", duration: 5}
"""
SECRET = """env: [CLIENT]
nodes:
  x:
    uses: text_to_speech
    with: {model: eleven_multilingual_v2, promptText: "For {{ env.CLIENT }}!", voice: {type: runway-preset, presetId: Maya}}
"""


def desk() -> Desk:
    made = Desk()
    made.inputs.put("scarf.png", "a scarf")
    return made


def doc(nodes: str, take: int = 1, at: Desk | None = None, name: str = "x", **wishes) -> ActionDoc:
    step = (at or desk()).plan(nodes, **wishes).steps[parse(name)]
    assert step.takes, step
    return step.takes[take - 1].doc


GOLDEN = {
    "image": (IMAGE, "bae265278378aae14a5b5f90c6aaeddc84261eea20cbd64b65c0d7a761d3cdba"),
    "references": (REFERENCES, "0ab7d2880e797c67586300ba79b0e4b3fb99e4aedf8de24f6055ce947c4c25c8"),
    "uploaded": (UPLOADED, "9b2821ac592fde84af7fa57c4a2c57db86d7c43c9d76e27251d0be4388a1cc83"),
    "secret": (SECRET, "096c7804cf0ec7e54919ea7362d85d4a9a881c96954085e5d8baf057977e4013"),
    "salted": (f"{IMAGE}    cache: winter\n", "f27eb686f776a91b4291f755fe769656ba3711f54edb620853c36e072449ad29"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_keys(name):
    nodes, key = GOLDEN[name]
    assert doc(nodes).key == key


def test_golden_key_of_another_take_and_provider():
    assert (
        doc(f"{IMAGE}    takes: 2\n", take=2).key == "77d0ea24c61062670a1a0a8abb4fe497f731158b4d2add9c3670a84922d6be43"
    )
    assert doc(IMAGE, provider="sandbox").key == "0d620b1fea93c7bef8bbbe7dd9b0ec1f53a4486c3bc0363122d359c22686c12a"


def test_the_ingredients_are_all_there_is():
    made = doc(REFERENCES)
    assert made.ingredients == {
        "schema": 1,
        "provider": "runway",
        "api_version": "2024-11-06",
        "operation": "text_to_image",
        "request": {
            "model": "gen4_image",
            "promptText": "@scarf and @hat",
            "ratio": "1920:1080",
            "seed": 7,
            "referenceImages": [
                {"uri": {"$media": "d6855646a1b818993c3cb687bec21e61081926b2f1eb98fef4a985fdaf8b7f70"}, "tag": "scarf"},
                {"uri": {"$media": "b4f06ff5439208dcd54ddc8f29730384e6ddf2db819252b3fcf74be2444f9f70"}, "tag": "hat"},
            ],
        },
        "salt": None,
        "take": 1,
    }
    assert made.key == canonical.sha256(made.ingredients)
    assert made.recipe == canonical.sha256({name: each for name, each in made.ingredients.items() if name != "take"})


@pytest.mark.parametrize(
    "edited",
    [
        IMAGE.replace("  x:", "  # a comment\n  x:"),
        f"{IMAGE}    tags: [shots]\n",
        f"{IMAGE}    retry: 5\n",
        f"{IMAGE}    timeout: 20m\n",
        f"{IMAGE}    description: The fox\n",
        f"{IMAGE}    takes: 3\n",
        f"{IMAGE}    cache: false\n",
        IMAGE.replace("{model: gen4_image, promptText: a red fox", "{promptText: a red fox, model: gen4_image"),
        f"limits: {{credits: 3, concurrency: {{gen4_image: 1}}}}\nnodes:{IMAGE}",
        f"name: another\nvars: {{hero: red fox}}\nnodes:{IMAGE}".replace("a red fox", '"a {{ vars.hero }}"'),
        f'defaults: {{text_to_image: {{ratio: "1920:1080"}}}}\nnodes:{IMAGE}'.replace(', ratio: "1920:1080"}\n', "}\n"),
    ],
)  # fmt: skip
def test_what_changes_only_when_or_how_is_not_in_the_key(edited):
    assert doc(edited).key == doc(IMAGE).key


def test_neither_the_name_of_a_node_nor_the_file_of_its_input_is_in_the_key():
    before = doc(REFERENCES).key
    at = desk()
    at.inputs.put("moved/shawl.png", "a scarf")
    at.inputs.put("https://example.com/scarf.png", "a scarf")
    assert doc(REFERENCES.replace("  x:", "  other:"), name="other").key == before
    for place in ("moved/shawl.png", "https://example.com/scarf.png"):
        assert doc(REFERENCES.replace("uri: scarf.png", f'uri: "{place}"'), at=at).key == before


def test_the_same_bytes_are_the_same_input_whatever_looking_at_them_found():
    at = desk()
    at.inputs.put("scarf.png", "a scarf", replace(PICTURE, media_type="image/webp"))
    assert doc(REFERENCES, at=at).key == doc(REFERENCES).key


def test_where_an_input_comes_from_is_not_in_the_key():
    """A still that a node makes, then the same bytes as a file."""
    at = desk()
    shot = '  x:\n    uses: image_to_video\n    with: {model: gen4_turbo, promptImage: "@", ratio: "1280:720", duration: 5}\n'
    still = IMAGE.replace("  x:", "  still:")
    at.apply(still)
    at.inputs.put("still.png", "file 1")
    made = doc(still + shot.replace("@", "{{ nodes.still.output }}"), at=at)
    assert made.key == doc(shot.replace("@", "still.png"), at=at).key


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gen4_image", "gemini_2.5_flash"),
        ("@hat", "@cap"),
        ("tag: hat", "tag: cap"),
        ("seed: 7", "seed: 8"),
        ("      seed: 7\n", ""),
        ("SEFU", "SEFT"),
        ("1920:1080", "1080:1080"),
    ],
)
def test_what_changes_the_request_changes_the_key(old, new):
    edited = REFERENCES.replace(old, new)
    if "gemini" in new:
        edited = edited.replace('"1920:1080"', '"1344:768"').replace("      seed: 7\n", "")
    assert doc(edited).key != doc(REFERENCES).key


def test_bytes_take_salt_and_provider_change_the_key():
    at = desk()
    at.inputs.put("scarf.png", "another scarf")
    two = f"{REFERENCES}    takes: 2\n"
    keys = {
        doc(REFERENCES).key,
        doc(REFERENCES, at=at).key,
        doc(two, take=2).key,
        doc(f"{REFERENCES}    cache: v2\n").key,
        doc(f"{REFERENCES}    cache: v3\n").key,
        doc(REFERENCES, provider="sandbox").key,
    }
    assert len(keys) == 6
    assert doc(two, take=2).recipe == doc(REFERENCES).recipe
    assert doc(REFERENCES, provider="sandbox").recipe != doc(REFERENCES).recipe


def test_numbers_count_by_value():
    film = '  x:\n    uses: image_to_video\n    with: {model: gen4_turbo, promptImage: a.png, ratio: "1280:720", duration: N}\n'
    at = desk()
    at.inputs.put("a.png", "a")
    keys = {doc(film.replace("N", number), at=at).key for number in ("5", "5.0", "5e0")}
    assert len(keys) == 1
    assert doc(film.replace("N", "6"), at=at).key not in keys


def test_a_salt_counts_by_its_value_wherever_it_comes_from():
    keys = {doc(f"{IMAGE}    cache: {salt}\n").key for salt in ("2", "2.0", "'{{ 1 + 1 }}'")}
    assert len(keys) == 1
    assert doc(f"{IMAGE}    cache: '2'\n").key not in keys


def test_secrets_are_in_the_key_by_name():
    made = doc(SECRET)
    assert made.request["promptText"] == {"$text": ["For ", {"$env": "CLIENT"}, "!"]}
    alone = doc(SECRET.replace('"For {{ env.CLIENT }}!"', '"{{ env.CLIENT }}"'))
    assert alone.request["promptText"] == {"$text": [{"$env": "CLIENT"}]}
    assert len({made.key, alone.key}) == 2


def test_a_hand_written_upload_is_keyed_by_its_text():
    made = doc(UPLOADED)
    assert made.request["promptImage"] == {"$uri": "runway://a-file"}
    assert made.inputs == {}
    assert doc(UPLOADED.replace("a-file", "b-file")).key != made.key


def test_media_inputs_keep_the_address_that_serves_them():
    at = desk()
    url = "https://example.com/scarf.png"
    at.inputs.put(url, "a scarf")
    twice = REFERENCES.replace('"data:image/png;base64,SEFU"', f'"{url}"')
    swapped = REFERENCES.replace("scarf.png", f'"{url}"').replace('"data:image/png;base64,SEFU"', "scarf.png")
    for nodes in (twice, swapped):
        (known,) = doc(nodes, at=at).inputs.values()
        assert (known.url, known.media_type) == (url, "image/png")


def test_a_derived_seed_is_the_first_32_bits_of_the_key_and_not_in_it():
    two = f"{IMAGE}    takes: 2\n"
    first, second = doc(two), doc(two, take=2)
    assert [each.seed for each in (first, second)] == [int(each.key[:8], 16) for each in (first, second)]
    assert first.seed != second.seed
    assert "seed" not in first.request


def test_a_given_seed_is_sent_as_it_stands_with_every_take():
    two = f"{REFERENCES}    takes: 2\n"
    assert [doc(two, take=take).seed for take in (1, 2)] == [7, 7]


def test_a_model_without_seed_gets_none():
    assert doc(SECRET).seed is None


def test_what_the_document_says_beside_the_key():
    made = doc(f"{IMAGE}    timeout: 90s\n")
    told = (made.provider, made.operation, made.model, made.path, made.produces, made.credits, made.timeout, made.take)
    assert told == ("runway", "text_to_image", "gen4_image", "/v1/text_to_image", "image", 8, 90.0, 1)
    assert ActionDoc.from_json(made.to_json()) == made


def test_a_request_without_canonical_form_has_no_key():
    nodes = f"{IMAGE}    cache: 9007199254740993\n"
    step = desk().step(nodes, "x")
    assert step.decision == "blocked"
    assert [problem.code for problem in step.problems] == ["no-key"]
    assert step.problems[0].span.line == 4
    assert issubclass(ActionError, ValueError)


INPUTS = {
    "model": "act_two",
    "character": '{type: image, uri: face.png}',
    "reference": '{type: video, uri: act.mp4}',
    "ratio": '"1280:720"',
    "expressionIntensity": "3",
    "bodyControl": "true",
    "contentModeration": "{publicFigureThreshold: auto}",
    "seed": "11",
}  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_inputs_means_nothing(shuffler: random.Random):
    def key(names: list[str]) -> str:
        at = desk()
        at.inputs.put("face.png", "a face")
        at.inputs.put("act.mp4", "an act", FILM)
        lines = "".join(f"      {name}: {INPUTS[name]}\n" for name in names)
        return doc(f"  x:\n    uses: character_performance\n    with:\n{lines}", at=at).key

    names = list(INPUTS)
    shuffler.shuffle(names)
    assert key(names) == key(list(INPUTS))


def test_sound_is_media_too():
    at = desk()
    at.inputs.put("line.mp3", "words", SOUND)
    nodes = '  x: {uses: voice_isolation, with: {model: eleven_voice_isolation, audioUri: "line.mp3"}}\n'
    assert (
        doc(nodes, at=at).inputs["dba36bffa5cab0f922d087a3aeb179f9d4e745df40b323e1b1471402848c8a3e"].media_type
        == "audio/mpeg"
    )
