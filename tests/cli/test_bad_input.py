"""What a person gets for each mistake: a code, the place, the span underlined, a hint; exit 2, nothing spent. Golden files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.console import Console
from tests.support.golden import check_golden

HEAD = "flowrun: 1\nname: bad\n"
STILL = """  hero:
    uses: text_to_image
    with:
      model: gen4_image
      promptText: a fox
      ratio: "1280:720"
"""
SPEECH = """  line:
    uses: text_to_speech
    with: {model: eleven_multilingual_v2, promptText: hello, voice: {type: runway-preset, presetId: Maya}}
"""
FILM = """  film:
    uses: image_to_video
    with:
      model: gen4_turbo
      promptImage: "{{ nodes.hero.output }}"
      ratio: "1280:720"
      duration: 5
"""

CASES = {
    "broken-yaml": HEAD + "nodes:\n  hero: {uses: text_to_image\n",
    "tab": HEAD + "nodes:\n\thero: 1\n",
    "wrong-type": HEAD + "vars: 3\nnodes:\n" + STILL + "    tags: shots\n",
    "unknown-key": HEAD + "nods: {}\nnodes:\n" + STILL.replace("uses:", "use:"),
    "duplicate-key": HEAD + "nodes:\n" + STILL + STILL,
    "merge-key": HEAD + "x: &x {a: 1}\nnodes:\n  hero:\n    <<: *x\n    uses: text_to_image\n",
    "unknown-operation": HEAD + "nodes:\n" + STILL.replace("text_to_image", "text_to_imge"),
    "unknown-model": HEAD + "nodes:\n" + STILL.replace("gen4_image", "gen4_imgae"),
    "model-of-another-operation": HEAD + "nodes:\n" + STILL.replace("gen4_image", "gen4_turbo"),
    "unknown-input": HEAD + "nodes:\n" + STILL.replace("promptText", "prompt_text"),
    "outside-enum": HEAD + "nodes:\n" + STILL.replace("1280:720", "1280:721"),
    "outside-bounds": HEAD + "nodes:\n" + STILL + FILM.replace("duration: 5", "duration: 11"),
    "missing-input": HEAD + "nodes:\n" + STILL.replace("      promptText: a fox\n", ""),
    "prompt-too-long": HEAD + "nodes:\n" + STILL.replace("a fox", "🦊" * 501),
    "unknown-reference": HEAD + "nodes:\n" + STILL + FILM.replace("hero", "her0"),
    "unknown-variable": HEAD + "nodes:\n" + STILL.replace("a fox", '"a {{ vars.animal }}"'),
    "cycle": HEAD + "nodes:\n" + STILL.replace("a fox", '"{{ nodes.film.output.width }}"') + FILM,
    "wrong-media-kind": HEAD + "nodes:\n" + SPEECH + FILM.replace("hero", "line"),
    "artifact-in-text": HEAD + "nodes:\n" + STILL + FILM + '      promptText: "like {{ nodes.hero.output }}"\n',
    "missing-file": HEAD + "assets: {scarf: refs/scarf.png}\nnodes:\n" + STILL,
    "missing-column": HEAD
    + "nodes:\n"
    + STILL
    + FILM.replace("  film:\n", "  film:\n    foreach: {file: shots.csv, key: id}\n")
    + '      promptText: "{{ each.value.prompt }}"\n',
    "unset-variable": HEAD + "vars: {client: {type: string, required: true}}\nnodes:\n" + STILL,
    "secret-in-file": HEAD + "nodes:\n" + STILL.replace("a fox", "key_" + "0123456789abcdef" * 8),
    "alias-bomb": HEAD
    + "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n"
    + "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 8)),
    "template-bomb": HEAD + "nodes:\n" + STILL.replace("a fox", "\"{{ 'a' * 99999999 }}\""),
    "fan-out-bomb": HEAD + "nodes:\n" + STILL.replace("    uses", "    foreach: 99999999\n    uses", 1),
    "export-clash": HEAD
    + "nodes:\n"
    + STILL
    + 'outputs:\n  a: {from: "{{ nodes.hero.output }}", path: one}\n  b: {from: "{{ nodes.hero.output }}", path: ONE.png}\n',
    "unsafe-path": HEAD + "nodes:\n" + STILL + 'outputs: {a: {from: "{{ nodes.hero.output }}", path: ../../x}}\n',
    "several": HEAD
    + "nodes:\n"
    + STILL.replace("1280:720", "9:9").replace("promptText", "promptTxt")
    + FILM
    + SPEECH.replace("Maya", "Mia"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("command", ["validate", "apply"])
def test_bad_input(console: Console, name: str, command: str) -> None:
    console.file("shots.csv", "id,words\na,runs\n")
    console.file("bad.yaml", CASES[name])
    said = console(command, "bad.yaml")
    if name == "unset-variable" and command == "validate":
        assert said.code == 0
        return
    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    assert "bad.yaml:" in said.err or "shots.csv:" in said.err
    assert "0123456789abcdef0123456789abcdef" not in said.err
    if command == "apply":
        assert not list(console.root.glob(".flowrun/sandbox/api/*")), "nothing may be asked of the API"
        check_golden(Path(__file__).parent / f"golden/bad-input/{name}.txt", said.transcript)


def test_bad_flags_name_the_flag(console: Console) -> None:
    console.file("good.yaml", HEAD + "vars: {seed: {type: integer, default: 1}}\nnodes:\n" + STILL)
    for flags in (["--var", "seed=x"], ["--var", "sed=1"], ["--select", "her"], ["--force", "her"], ["--profile", "x"]):
        said = console("apply", "good.yaml", *flags)
        assert said.code == 2, said.err
        assert flags[0] in said.err
        assert "Traceback" not in said.err


def test_a_manifest_that_is_not_there(console: Console) -> None:
    said = console("apply", "nothing.yaml")
    assert said.code == 2
    assert "nothing.yaml" in said.err


def test_json_of_mistakes_has_their_places(console: Console) -> None:
    console.file("bad.yaml", CASES["outside-enum"])
    said = console("validate", "--json", "bad.yaml")
    assert said.code == 2
    [diagnostic] = said.document["diagnostics"]
    assert diagnostic["code"] == "not-allowed"
    assert (diagnostic["span"]["line"], diagnostic["span"]["column"]) == (9, 14)
