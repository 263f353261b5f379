"""Reading a manifest: what comes out, and every mistake with its code at its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flowrun.diagnostics.codes import registry
from flowrun.diagnostics.model import Diagnostic, DiagnosticError, Severity
from flowrun.manifest import Manifest, read
from flowrun.yaml_tree import Scalar, plain

GOOD = """\
flowrun: 1
name: fox-trailer
description: A teaser.
vars:
  hero: a red fox
  style: {type: string, default: soft, description: "{{ as it stands }}"}
  seed: {type: integer, default: 7.0, minimum: 0}
  client: {type: string, required: true}
assets:
  scarf: refs/scarf.png
  actor: {path: refs/actor.mp4, license: in-house, consent: signed, sha256: "sha256:SHA"}
  logo: {url: "https://example.com/{{ vars.client }}.png"}
defaults:
  image_to_video: {model: gen4_turbo, duration: 5}
  text_to_image:
profiles:
  draft: {defaults: {image_to_video: {duration: 2}}, vars: {seed: 1}}
  empty:
nodes:
  hero:
    uses: text_to_image
    with: {promptText: "{{ vars.hero }} of {{ env.NAME }}", seed: "{{ vars.seed }}"}
    cache: salt
    needs: [line]
    tags: [stills, key_frames]
    retry: 2
    timeout: 1.5m
    takes: 2.0
    when: true
    description: the look
  shot:
    foreach: {file: "{{ vars.style }}.csv", key: id}
    uses: image_to_video
    takes: "{{ each.value.takes }}"
    cache: false
    timeout: 90s
  line: {uses: text_to_speech, foreach: [a, b], when: "{{ each.key != 'a' }}", cache: "{{ vars.seed }}"}
  count: {uses: text_to_speech, foreach: 3, takes: }
  wide: {uses: text_to_speech, foreach: {file: {a: 1}, other: 2}}
outputs:
  still: "{{ nodes.hero.output }}"
  shots: {from: "{{ nodes.shot.outputs }}", path: "shots/{{ each.key }}.mp4"}
limits: {credits: 400, concurrency: {gen4_turbo: 2}, queue_ahead: 1}
env: [NAME]
""".replace("SHA", "0f" * 32)


def manifest(text: str, name: str = "flow.yaml") -> Manifest:
    return read(Path(name), text=text)


def refused(text: str, name: str = "flow.yaml") -> list[Diagnostic]:
    with pytest.raises(DiagnosticError) as caught:
        manifest(text, name)
    for each in caught.value.diagnostics:
        assert each.code in registry() or each.code in ("template-syntax", "unknown-filter")
        assert each.hint
        assert each.span
    return list(caught.value.diagnostics)


def test_everything_is_where_it_belongs() -> None:
    found = manifest(GOOD)
    assert (found.name, found.description, found.env) == ("fox-trailer", "A teaser.", ("NAME",))
    assert found.warnings == ()
    assert found.limits.credits == 400
    assert found.limits.concurrency == {"gen4_turbo": 2}
    assert found.limits.queue_ahead == 1
    assert list(found.nodes) == ["hero", "shot", "line", "count", "wide"]
    assert list(found.defaults) == ["image_to_video"]
    assert str(found.vars["seed"].span) == "flow.yaml:7:3"
    assert (found.vars["client"].required, found.vars["client"].default) == (True, None)
    assert (found.vars["hero"].type, found.vars["style"].type) == (None, "string")


def test_a_node_keeps_its_places() -> None:
    hero = manifest(GOOD).nodes["hero"]
    assert (hero.uses, str(hero.uses_span), str(hero.key_span)) == (
        "text_to_image",
        "flow.yaml:21:11",
        "flow.yaml:20:3",
    )
    assert hero.inputs is not None
    assert hero.inputs.keys == ("promptText", "seed")
    assert [(text, span.column) for text, span in hero.needs] == [("line", 13)]
    assert (hero.tags, hero.retry, hero.timeout, hero.description) == (("stills", "key_frames"), 2, 90.0, "the look")
    assert isinstance(hero.cache, Scalar)
    assert isinstance(hero.takes, Scalar)
    assert (hero.cache.value, hero.takes.value) == ("salt", 2.0)
    assert isinstance(hero.when, Scalar)


def test_the_forms_of_foreach_and_cache() -> None:
    nodes = manifest(GOOD).nodes
    shot, wide = nodes["shot"], nodes["wide"]
    assert shot.cache is False
    assert shot.foreach is not None
    assert shot.foreach.file is not None
    assert shot.foreach.key is not None
    assert (shot.foreach.file.value, shot.foreach.key.value, shot.foreach.source) == (
        "{{ vars.style }}.csv",
        "id",
        None,
    )
    assert wide.foreach is not None
    assert wide.foreach.source is not None
    assert plain(wide.foreach.source) == {"file": {"a": 1}, "other": 2}
    assert nodes["hero"].foreach is None
    assert nodes["count"].takes is None
    assert nodes["count"].cache is None


def test_assets_and_outputs() -> None:
    found = manifest(GOOD)
    scarf, actor, logo = (found.assets[name] for name in ("scarf", "actor", "logo"))
    assert (scarf.path_or_url.value, scarf.sha256, scarf.is_url) == ("refs/scarf.png", None, None)
    assert (actor.license, actor.consent, actor.sha256) == ("in-house", "signed", "0f" * 32)
    assert logo.is_url
    assert found.outputs["still"].path is None
    path = found.outputs["shots"].path
    assert path is not None
    assert path.value == "shots/{{ each.key }}.mp4"


BASE = "flowrun: 1\nnodes: {a: {uses: x}}\n"


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("nodes: {a: {uses: x}}", "missing-key", 1, 1),
        ("[]", "wrong-kind", 1, 1),
        ("", "wrong-kind", 1, 1),
        ('flowrun: "1"\nnodes: {a: {uses: x}}', "wrong-kind", 1, 10),
        ("flowrun: 2\nnodes: {a: {uses: x}}", "wrong-kind", 1, 10),
        (BASE + "nme: x", "unknown-key", 3, 1),
        (BASE + "name: Bad Name", "bad-name", 3, 7),
        (BASE + "name: 5", "wrong-kind", 3, 7),
        (BASE + "vars: []", "wrong-kind", 3, 7),
        (BASE + "vars: {a-b: 1}", "bad-id", 3, 8),
        (BASE + "vars: {c: {type: strng}}", "wrong-kind", 3, 18),
        (BASE + "vars: {c: {type: string, dflt: x}}", "unknown-key", 3, 26),
        (BASE + "vars: {c: {type: string, enum: []}}", "wrong-kind", 3, 32),
        (BASE + "vars: {c: {type: integer, default: x}}", "wrong-value", 3, 36),
        (BASE + "vars: {c: {type: boolean, default: 1}}", "wrong-value", 3, 36),
        (BASE + "vars: {c: {type: integer, default: 1.5}}", "wrong-value", 3, 36),
        (BASE + "vars: {c: {type: integer, default: 1, minimum: 2}}", "wrong-value", 3, 36),
        (BASE + "vars: {c: {type: number, default: 1.5, maximum: 1}}", "wrong-value", 3, 35),
        (BASE + "vars: {c: {type: number, minimum: 2, maximum: 1}}", "wrong-value", 3, 8),
        (BASE + "vars: {c: {type: string, minimum: 2}}", "wrong-value", 3, 8),
        (BASE + "vars: {c: {type: string, enum: [a, 1]}}", "wrong-value", 3, 8),
        (BASE + "vars: {c: {type: string, enum: [a, b], default: c}}", "wrong-value", 3, 49),
        (BASE + "assets: {x: {license: foo}}", "bad-asset", 3, 10),
        (BASE + "assets: {x: {path: a, url: b}}", "bad-asset", 3, 23),
        (BASE + "assets: {x: 5}", "wrong-kind", 3, 13),
        (BASE + "assets: {x: {path: a, sha256: zz}}", "wrong-kind", 3, 31),
        (BASE + 'assets: {x: "{{ nodes.a.output }}"}', "out-of-scope", 3, 17),
        (BASE + 'defaults: {x: {y: ["{{ env.X }}"]}}', "out-of-scope", 3, 24),
        (BASE + "defaults: {x: [1]}", "wrong-kind", 3, 15),
        (BASE + 'profiles: {p: {defaults: {x: {y: "{{ each.key }}"}}}}', "out-of-scope", 3, 38),
        (BASE + "profiles: {p: {nodes: {}}}", "unknown-key", 3, 16),
        (BASE + "profiles: {P: {}}", "bad-name", 3, 12),
        (BASE + "profiles: {p: {vars: {zz: 1}}}", "unknown-variable", 3, 23),
        (BASE + "vars: {c: {type: integer}}\nprofiles: {p: {vars: {c: x}}}", "wrong-value", 4, 26),
        (
            BASE + "vars: {c: {type: integer, default: 2}}\nprofiles: {p: {vars: {c: {minimum: x}}}}",
            "wrong-kind",
            4,
            36,
        ),
        (BASE + "outputs: {x: {path: y}}", "missing-key", 3, 11),
        (BASE + "outputs: {x: [1]}", "wrong-kind", 3, 14),
        (BASE + 'outputs: {x: "{{ env.X }}"}', "out-of-scope", 3, 18),
        (BASE + "limits: {credits: -1}", "wrong-kind", 3, 19),
        (BASE + 'limits: {credits: "5"}', "wrong-kind", 3, 19),
        (BASE + "limits: {concurrency: {gen4: 0}}", "wrong-kind", 3, 30),
        (BASE + "limits: {queueAhead: 1}", "unknown-key", 3, 10),
        (BASE + "env: [A-B]", "bad-id", 3, 7),
        (BASE + "env: A", "wrong-kind", 3, 6),
    ],
)
def test_mistakes_outside_nodes(text: str, code: str, line: int, column: int) -> None:
    (found,) = refused(text)
    assert found.span is not None
    assert (found.code, found.span.line, found.span.column) == (code, line, column)


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("{with: {}}", "missing-key", 1),
        ("5", "wrong-kind", 4),
        ("{uses: 5}", "wrong-kind", 11),
        ("{uses: '{{ vars.x }}'}", "template-not-here", 11),
        ("{uses: ./m.yaml}", "not-supported-yet", 11),
        ("{uses: m.yml}", "not-supported-yet", 11),
        ("{uses: media/concat}", "not-supported-yet", 11),
        ("{uses: x, matrix: {}}", "not-supported-yet", 14),
        ("{uses: x, hold: true}", "not-supported-yet", 14),
        ("{uses: x, gate: {}}", "not-supported-yet", 14),
        ("{uses: x, wth: {}}", "unknown-key", 14),
        ("{uses: x, with: []}", "wrong-kind", 20),
        ("{uses: x, takes: 0}", "wrong-kind", 21),
        ("{uses: x, takes: true}", "wrong-kind", 21),
        ("{uses: x, takes: three}", "wrong-kind", 21),
        ("{uses: x, takes: '{{ nodes.a.output }}'}", "out-of-scope", 25),
        ("{uses: x, retry: -1}", "wrong-kind", 21),
        ("{uses: x, retry: 1.5}", "wrong-kind", 21),
        ("{uses: x, timeout: 90}", "wrong-kind", 23),
        ("{uses: x, timeout: 0s}", "wrong-kind", 23),
        ("{uses: x, timeout: 5d}", "wrong-kind", 23),
        ("{uses: x, when: vars.x}", "wrong-kind", 20),
        ("{uses: x, when: '{{ env.A }}'}", "out-of-scope", 24),
        ("{uses: x, cache: true}", "wrong-kind", 21),
        ("{uses: x, cache: [1]}", "wrong-kind", 21),
        ("{uses: x, tags: [a-b]}", "bad-id", 21),
        ("{uses: x, tags: a}", "wrong-kind", 20),
        ("{uses: x, needs: [5]}", "wrong-kind", 22),
        ("{uses: x, needs: ['{{ a }}']}", "template-not-here", 22),
        ("{uses: x, foreach: true}", "wrong-kind", 23),
        ("{uses: x, foreach: -1}", "wrong-kind", 23),
        ("{uses: x, foreach: shots.csv}", "wrong-kind", 23),
        ("{uses: x, foreach: {key: id}}", "bad-foreach", 14),
        ("{uses: x, foreach: {file: a, items: [1]}}", "bad-foreach", 33),
        ("{uses: x, foreach: {file: a.csv, key: '{{ vars.x }}'}}", "template-not-here", 42),
        ("{uses: x, foreach: '{{ each.key }}'}", "out-of-scope", 27),
        ("{uses: x, with: {p: '🦊 {{ vars.x'}}", "template-syntax", 27),
        ("{uses: x, with: {p: '🦊 {{ vars.x | nofilter }}'}}", "unknown-filter", 39),
    ],
)
def test_mistakes_in_a_node(text: str, code: str, column: int) -> None:
    (found,) = refused(f"flowrun: 1\nnodes:\n n: {text}\n")
    assert found.span is not None
    assert (found.code, found.span.line, found.span.column) == (code, 3, column + 1)


def test_all_errors_of_a_pass_come_at_once() -> None:
    text = "flowrun: 1\nnodes:\n  a-b: {uses: x}\n  c: {takes: 0}\n  d: {uses: ./x.yaml}\n"
    text += "vars: {v: {type: integer, default: x}}\nnme: 1\n"
    assert [each.code for each in refused(text)] == [
        "bad-id", "missing-key", "wrong-kind", "not-supported-yet", "wrong-value", "unknown-key",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nme: x", "`name`"),
        ("variables: {}", "`vars`"),
        ("qqqqqq: {}", "known here"),
        ("limits: {queueAhead: 1}", "`queue_ahead`"),
        ("profiles: {p: {nodes: {}}}", "`vars` and `defaults` alone"),
        ("name: Bad Name", "`bad-name`"),
        ("name: '!'", "choose another"),
        ("vars: {a-b: 1}", "`a_b`"),
        ("vars: {a: {type: strng}}", "`string`"),
        ("limits: {credits: '5'}", "quotes away"),
        ("description: 5", "in quotes"),
    ],
)
def test_hints(text: str, part: str) -> None:
    (found,) = refused(BASE + text)
    assert part in str(found.hint)


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("depends_on", "`needs`"),
        ("if", "`when`"),
        ("For-Each", "`foreach`"),
        ("promptText", "under `with`"),
        ("matrx", "under `with`"),
        ("tagz", "`tags`"),
    ],
)
def test_hints_for_a_node(key: str, part: str) -> None:
    (found,) = refused(f"flowrun: 1\nnodes: {{a: {{uses: x, {key}: 1}}}}")
    assert part in str(found.hint)
    assert "matrix" not in str(found.hint)


def test_a_broken_declaration_is_reported_once() -> None:
    (found,) = refused(BASE + "vars: {c: {type: integer, minimum: x, default: 1}}\nprofiles: {p: {vars: {c: y}}}")
    assert (found.code, str(found.span)) == ("wrong-kind", "flow.yaml:3:36")


def test_types_are_named() -> None:
    messages = [each.message for each in refused(BASE + "description: true\nlimits: {credits: 1.5}")]
    assert messages == [
        "`description` must be text, and this is a boolean: true",
        "`limits.credits` must be an integer, and this is a number: 1.5",
    ]


def test_what_a_foreach_may_be_is_told_as_it_is_typed() -> None:
    (found,) = refused("flowrun: 1\nnodes: {a: {uses: x, foreach: shots.csv}}")
    told = f"{found.message} {found.hint}"
    assert "{file: …}" in told
    assert "{{" not in told


def test_a_template_in_a_variable_is_a_warning() -> None:
    text = (
        BASE + 'vars: {a: "{{ vars.b }}", b: {type: list, default: ["{% x %}"]}}\nprofiles: {p: {vars: {a: "{# x #}"}}}'
    )
    found = manifest(text).warnings
    assert [each.span and each.span.line for each in found] == [3, 3, 4]
    assert {(each.code, each.severity) for each in found} == {("literal-template", Severity.WARNING)}


@pytest.mark.parametrize("text", ["flowrun: 1", "flowrun: 1\nnodes: {}", "flowrun: 1\nnodes:\n"])
def test_no_nodes_is_a_warning(text: str) -> None:
    assert [each.code for each in manifest(text).warnings] == ["no-nodes"]


def test_the_stem_is_the_name_if_it_can_be() -> None:
    assert manifest(BASE, "dir/fox_1.yaml").name == "fox_1"
    (found,) = refused(BASE, "Fox Trailer.yaml")
    assert (found.code, found.hint) == ("bad-name", "add `name: fox-trailer`")
    assert refused(BASE, "Ж.yaml")[0].hint == "add `name: my-flow`"
    assert manifest(BASE + "name: x", "Fox Trailer.yaml").name == "x"


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    assert read(path).file == str(path)
    with pytest.raises(DiagnosticError) as caught:
        read(tmp_path / "none.yaml")
    assert [each.code for each in caught.value.diagnostics] == ["file-unreadable"]
    with path.open("wb") as stream:
        stream.truncate((16 << 20) + 1)
    with pytest.raises(DiagnosticError, match="larger than 16 MiB"):
        read(path)


def test_yaml_is_a_pass_of_its_own() -> None:
    assert [each.code for each in refused("flowrun: 1\nnme: 1\nnme: 2")] == ["duplicate-key"]


def test_every_code_used_by_these_packages_is_registered() -> None:
    root = Path(__file__).parents[2] / "flowrun"
    sources = [path.read_text("utf-8") for name in ("manifest", "yaml_tree") for path in (root / name).glob("*.py")]
    used = {code for text in sources for code in re.findall(r'(?:Diagnostic|_error|_stop)\(\s*"([a-z0-9-]+)"', text)}
    assert len(used) > 30
    assert used <= set(registry())
