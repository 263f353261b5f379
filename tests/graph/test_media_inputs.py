"""Media across edges and in slots: kinds, addresses, paths, pins, artifacts that are no text, facts known and unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.diagnostics.model import Severity
from flowrun.digest import of_bytes
from flowrun.graph.check import check_request, look_at_media
from flowrun.graph.inputs import InputError, KnownMedia, PendingMedia, UnreadMedia, UploadedMedia, look, look_written
from flowrun.graph.outcomes import Artifact, Made, Outcomes, Skipped
from flowrun.graph.request import WrittenMedia, secrets_in
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.template import EnvValue, SecretText
from tests.graph.making import HERE, IMAGE, LINE, SOUND, STILL, VIDEO, Inputs, Project, at, built, made, refused, shot

HEAD = "assets: {still: still.png, sound: sound.mp3, web: 'https://example.com/a.png'}\n"


def film(image: str, **more: str) -> str:
    return HEAD + f"nodes:\n  film: {shot(image, **more)}\n  hero: {STILL}\n  line: {LINE}\n"


# -- kinds


def test_audio_does_not_go_into_an_image_slot() -> None:
    found = refused(film("{{ nodes.line.output }}"))
    assert (found.only.code, found.shown) == ("wrong-media-kind", "nodes.line.output")
    assert "an image, not audio" in found.only.message


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        ("{{ assets.sound }}", "assets.sound"),
        ("sound.mp3", '"sound.mp3"'),
        ("{{ nodes.line.output | default(nodes.hero.output) }}", "nodes.line.output"),
        ("{{ nodes.line.output if true else nodes.line.output }}", None),
        ("{{ 'sound' ~ '.mp3' }}", None),
        ("{{- nodes.line.output -}}", "nodes.line.output"),
    ],
)
def test_wrong_kinds_are_shown_at_what_gave_them(image: str, shown: str | None) -> None:
    found = refused(film(image))
    assert found.codes == ["wrong-media-kind"]
    assert found.shown == (shown or f'"{image}"')


def test_kinds_within_lists() -> None:
    images = '[{position: first, uri: "{{ nodes.hero.output }}"}, {position: last, uri: "{{ nodes.line.output }}"}]'
    found = refused(
        film("x.png").replace('promptImage: "x.png"', f"promptImage: {images}").replace("gen4_turbo", "gen3a_turbo")
    )
    assert "wrong-media-kind" in found.codes
    wrong = next(each for each in found.found if each.code == "wrong-media-kind")
    assert found.at(wrong.span) == "nodes.line.output"


def test_a_gathered_list_in_a_slot() -> None:
    still = STILL.replace("uses:", "foreach: [one, two], uses:")
    text = STILL.replace("ratio:", "referenceImages: '{{ nodes.a.outputs }}', ratio:")
    found = refused(f"nodes: {{a: {still}, b: {text}}}")
    assert found.codes  # a list of artifacts is no list of records
    records = "[{uri: \"{{ nodes.a['one'].output }}\", tag: one}]"
    assert built(f"nodes: {{a: {still}, b: {text.replace(chr(39) + '{{ nodes.a.outputs }}' + chr(39), records)}}}")


# -- artifacts are no text


@pytest.mark.parametrize(
    ("prompt", "code", "shown"),
    [
        ("'see {{ nodes.hero.output }}'", "artifact-in-text", "nodes.hero.output"),
        ("'{{ nodes.hero.output }}'", "artifact-in-text", "nodes.hero.output"),
        ("'see {{ assets.still }}'", "artifact-in-text", "assets.still"),
        ("'{{ assets.still }}'", "artifact-in-text", "assets.still"),
        ("'{{ nodes.hero.output | upper }}'", "artifact-in-text", None),
    ],
)
def test_an_artifact_is_no_text(prompt: str, code: str, shown: str | None) -> None:
    found = refused(film("{{ nodes.hero.output }}", promptText=prompt))
    assert found.codes == [code]
    assert shown is None or found.shown == shown


def test_an_artifact_is_no_salt() -> None:
    found = refused(film("{{ nodes.hero.output }}", cache="'{{ nodes.hero.output }}'"))
    assert (found.only.code, found.shown) == ("artifact-in-text", "nodes.hero.output")
    assert built(film("{{ nodes.hero.output }}", cache="'{{ nodes.hero.output.sha256 }}'"))
    assert refused(film("{{ nodes.hero.output }}", cache="'{{ 1 / 0 }}'")).codes == ["bad-operation"]


# -- facts


def test_facts_of_an_asset_are_known_at_once() -> None:
    text = (
        "'{{ assets.still.width }}x{{ assets.still.height }} {{ assets.sound.duration }} {{ assets.still.media_type }}'"
    )
    found = built(film("{{ nodes.hero.output }}", promptText=text))
    assert found.request("film").value["promptText"] == "1920x1080 12.5 image/png"
    sha = built(film("{{ nodes.hero.output }}", promptText="'{{ assets.still.sha256 }}'")).request("film")
    assert sha.value["promptText"] == of_bytes(b"still.png").sha256
    assert refused(film("{{ nodes.hero.output }}", promptText="'{{ assets.still.duration }} s'")).codes == [
        "undefined-reference"
    ]
    assert (
        refused(film("{{ nodes.hero.output }}", promptText="'{{ assets.still.widht }} s'")).only.hint
        == "did you mean `width`?"
    )


def test_facts_of_a_node_are_known_once_it_is_made() -> None:
    found = built(film("{{ nodes.hero.output }}", promptText="'{{ nodes.line.output.duration }} seconds'"))
    early = found.request("film")
    assert [str(each) for each in early.waits] == ["line"]
    assert not early.is_known
    later = found.request("film", line=made("line", SOUND), hero=made("hero", IMAGE))
    assert later.value["promptText"] == "12.5 seconds"
    assert later.is_known
    assert ("line", "fact", "film") in found.edges()


def test_a_fact_that_a_file_turns_out_to_lack() -> None:
    found = built(film("{{ nodes.hero.output }}", promptText="'{{ nodes.line.output.duration }} s'"))
    request = found.request("film", line=made("line", MediaFacts(MediaKind.AUDIO, "audio/mpeg")))
    assert [each.code for each in request.problems] == ["undefined-reference"]


def test_a_fact_of_an_address_not_fetched_yet() -> None:
    project = Project()
    text = film("{{ assets.web }}", promptText="'{{ assets.web.width }} wide'")
    found = project.built(text)
    assert found.request("film").waits == ["web"]
    project.inputs.urls["https://example.com/a.png"] = IMAGE
    assert found.request("film").value["promptText"] == "1920 wide"


def test_files_and_takes_of_one_node() -> None:
    text = "'{{ nodes.hero.outputs | length }} of {{ nodes.hero.takes | length }}'"
    found = built(film("{{ nodes.hero.output }}", promptText=text))
    assert len(found.request("film").waits) == 1
    files = made("a", IMAGE, "b").files
    world = {"hero": Made(files, (files, (), files))}
    assert found.request("film", **world).value["promptText"] == "2 of 2"
    assert found.request("film", hero=Made(files, None)).waits == [at("hero")]


def saying(text: str) -> str:
    return LINE.replace("hi,", f'"{text}",')


def test_takes_of_a_fan_out() -> None:
    still = STILL.replace("uses:", "foreach: [x], uses:")
    found = built(f"nodes:\n  a: {still}\n  line: {saying('{{ nodes.a.takes | length }} takes')}\n")
    request = found.request("line", **{"a[x]": Made(made("m", IMAGE).files, ((), made("m", IMAGE).files))})
    assert request.value["promptText"] == "1 takes"


def test_skipped_ones_are_not_there() -> None:
    found = built(film("{{ nodes.hero.output | default(assets.still) }}"))
    request = found.request("film", hero=Skipped())
    assert request.media[0].source == WrittenMedia("still.png", HERE, None, "still")
    assert isinstance(found.request("film").media[0].source, Artifact)


def test_gathered_lists_leave_skipped_ones_out() -> None:
    still = STILL.replace("uses:", "foreach: [x, y, z], uses:")
    found = built(f"nodes:\n  a: {still}\n  line: {saying('{{ nodes.a.outputs | length }} stills')}\n")
    assert found.request("line").value["promptText"] == "3 stills"
    assert found.request("line", **{"a[y]": Skipped()}).value["promptText"] == "2 stills"


def test_what_is_seen_of_media() -> None:
    found = built(film("{{ nodes.hero.output }}"))
    pending = found.request("film")
    seen, problems = look_at_media(pending, found.inputs)
    assert isinstance(seen["promptImage",], PendingMedia)
    assert not problems
    known = found.request("film", hero=made("hero", VIDEO))
    seen, _ = look_at_media(known, found.inputs)
    assert seen["promptImage",] == KnownMedia(of_bytes(b"hero"), VIDEO, "upstream")
    wrong = list(check_request(found.instance("film"), known, seen))
    assert [each.code for each in wrong] == ["wrong-media-kind"]  # it was to be an image, and came out as video


# -- addresses and paths


def written(text: str, pin: str | None = None, base: Path = HERE) -> object:
    return look_written(WrittenMedia(text, base, pin), Inputs())


def test_the_forms_of_a_text_in_a_slot() -> None:
    assert isinstance(written("a.png"), KnownMedia)
    assert written("https://example.com/a.png") == UnreadMedia("https://example.com/a.png")
    assert written("HTTPS://Example.com:443/a.png") == UnreadMedia("HTTPS://Example.com:443/a.png")
    assert written("runway://abc") == UploadedMedia("runway://abc")
    assert written("data:image/png;base64,AAAA").origin == "data"  # type: ignore[attr-defined]
    assert look(WrittenMedia("a.png", HERE), Inputs()).origin == "file"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    ["http://example.com/a.png", "s3://b/a.png", "file:///a.png", "FTP://x.y/z", "https://localhost/a.png", "https://127.0.0.1/a",
     "https://[::1]/a", "https://127.1/a", "https://2130706433/a", "https:///a.png", "https://[bad/a", "https://10.0.0.1./a"],
)  # fmt: skip
def test_addresses_that_cannot_be_used(text: str) -> None:
    with pytest.raises(InputError) as caught:
        written(text)
    assert (caught.value.code, bool(caught.value.hint)) == ("bad-media-url", True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "missing-file"),
        (" ", "missing-file"),
        ("a\0b.png", "missing-file"),
        ("missing.png", "missing-file"),
        ("../x.png", None),
        ("/etc/x.png", "outside-project"),
    ],
)
def test_paths(text: str, code: str | None) -> None:
    if code is None:
        assert isinstance(written(text, base=HERE / "data"), KnownMedia)
        return
    with pytest.raises(InputError) as caught:
        written(text)
    assert caught.value.code == code


def test_pins() -> None:
    right = of_bytes(b"a.png").sha256
    assert isinstance(written("a.png", right), KnownMedia)
    assert isinstance(written("a.png", f"sha256:{right}"), KnownMedia)
    for text in ("b.png", "data:image/png;base64," + "A" * 300, "runway://abc"):
        with pytest.raises(InputError) as caught:
            written(text, right)
        assert caught.value.code == "pin-mismatch"
        assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("image", "code", "shown"),
    [
        ("missing.png", "missing-file", '"missing.png"'),
        ("http://example.com/x.png", "bad-media-url", '"http://example.com/x.png"'),
        ("{{ vars.ref }}", "missing-file", "missing.png"),
        ("/elsewhere/x.png", "outside-project", '"/elsewhere/x.png"'),
        ("", "missing-file", '""'),
    ],
)
def test_mistakes_are_shown_where_they_are_written(image: str, code: str, shown: str) -> None:
    found = refused("vars: {ref: missing.png}\n" + film(image))
    assert (found.only.code, found.shown) == (code, shown)


def test_a_file_that_a_variable_names_is_missed_where_the_variable_got_it() -> None:
    head = "vars: {ref: {type: media, default: missing.png}}\n"
    found = refused(head + film("{{ vars.ref }}"))
    assert (found.shown, found.noted) == ("missing.png", ["vars.ref"])
    told = refused(head + film("{{ vars.ref }}"), "ref=gone.png")
    assert (str(told.only.span), told.noted) == ("--var:1:1", ["vars.ref"])
    assert refused(head + film("{{ vars.ref ~ '.gif' }}")).noted == []


def test_an_asset_that_a_variable_names_is_missed_where_the_variable_got_it() -> None:
    found = refused("vars: {ref: missing.png}\nassets: {a: '{{ vars.ref }}'}\nnodes: {h: " + STILL + "}")
    assert (found.shown, found.noted) == ("missing.png", ["'{{ vars.ref }}'"])


def test_a_hand_written_upload_is_a_warning() -> None:
    found = built(film("runway://0123-4567")).graph.warnings
    assert [(each.code, each.severity) for each in found] == [("upload-uri", Severity.WARNING)]
    asset = built("assets: {up: 'runway://0123-4567'}\nnodes: {film: " + shot("{{ assets.up }}") + "}").graph.warnings
    assert [(each.code, each.span.line) for each in asset] == [("upload-uri", 2)]


def test_texts_that_a_template_makes_are_media_too() -> None:
    listed = "{{ [{'uri': 'one.png', 'position': 'first'}] }}"
    project = Project()
    project.built(film(listed))
    assert "/project/one.png" in project.inputs.asked


def test_a_path_from_the_command_line_counts_from_there() -> None:
    project = Project()
    found = project.refused("vars: {ref: still.png}\n" + film("{{ vars.ref }}"), "ref=mine.png")
    assert found.codes == ["outside-project"]
    assert "/cwd/mine.png" in project.inputs.asked
    assert project.built("vars: {ref: still.png}\n" + film("{{ vars.ref }}"))
    assert "/project/still.png" in project.inputs.asked


# -- assets


def test_an_unusable_asset_is_shown_where_it_is_declared() -> None:
    pinned = "{path: d.png, sha256: '" + "0" * 64 + "'}"
    assets = f"{{a: missing.png, b: 'http://x.y/z', c: {{url: c.png}}, d: {pinned}}}"
    found = refused(f"assets: {assets}\nnodes: {{h: {STILL}}}")
    assert found.codes == ["missing-file", "bad-media-url", "bad-media-url", "pin-mismatch"]
    assert [found.at(each.span) for each in found.found] == ["missing.png", "'http://x.y/z'", "c.png", "d.png"]


def test_assets_by_template() -> None:
    head = "vars: {name: still, ref: {type: media, default: still.png}, n: 5}\n"
    project = Project()
    film = "nodes: {film: " + shot("{{ assets.b }}") + "}"
    found = project.built(head + "assets: {a: 'refs/{{ vars.name }}.png', b: '{{ vars.ref }}'}\n" + film)
    assert found.request("film").media[0].source == WrittenMedia("still.png", HERE, None, "b")
    assert project.inputs.asked[:2] == ["/project/refs/still.png", "/project/still.png"]
    project.refused(head + "assets: {b: '{{ vars.ref }}'}\nnodes: {film: " + shot("{{ assets.b }}") + "}", "ref=x.png")
    assert project.inputs.asked[-1] == "/cwd/x.png"


@pytest.mark.parametrize(
    ("asset", "code"),
    [("'{{ vars.n }}'", "wrong-type"), ("'{{ vars.nope }}'", "unknown-reference"), ("'{{ x }}'", "unknown-name"),
     ("'{{ vars.n / 0 }}'", "bad-operation"), ("'{{ none }}'", "wrong-type"), ("'{{ assets.a }}'", "out-of-scope")],
)  # fmt: skip
def test_assets_that_are_none(asset: str, code: str) -> None:
    assert refused(f"vars: {{n: 5}}\nassets: {{a: {asset}}}\nnodes: {{h: {STILL}}}").codes == [code]


# -- secrets


def test_secrets_stand_in_inputs() -> None:
    found = built("env: [TOKEN]\n" + film("{{ nodes.hero.output }}", promptText="'say {{ env.TOKEN }}'"))
    value = found.request("film").value
    assert value["promptText"] == SecretText(("say ", EnvValue("TOKEN")))
    assert list(secrets_in({**value, "more": [EnvValue("OTHER"), 5]})) == ["TOKEN", "OTHER"]


@pytest.mark.parametrize("key", ["when", "takes", "cache", "foreach"])
def test_secrets_stand_nowhere_else(key: str) -> None:
    text = film("{{ nodes.hero.output }}", **{key: "'{{ env.TOKEN }}'"})
    assert refused("env: [TOKEN]\n" + text).codes == ["out-of-scope"]


def test_where_a_value_stands() -> None:
    request = built(film("{{ nodes.hero.output }}")).request_in("film", Outcomes({}))
    assert request.span_at(("promptImage", "deeper")) == request.span_at(("promptImage",))
    assert request.span_at(("nothing",)).line == 4


def test_kinds_are_checked_though_the_source_may_yet_be_skipped() -> None:
    line = LINE.replace("uses:", "when: '{{ nodes.hero.output.width > 5 }}', uses:")
    found = refused(f"nodes:\n  film: {shot('{{ nodes.line.output }}')}\n  hero: {STILL}\n  line: {line}\n")
    assert (found.only.code, found.shown) == ("wrong-media-kind", "nodes.line.output")
