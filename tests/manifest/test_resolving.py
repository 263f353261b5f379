"""Values from flags, files and profiles: who overrides whom, how they are read, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowrun.diagnostics.codes import registry
from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.manifest import Flow, Given, read, resolve
from flowrun.yaml_tree import plain

TEXT = """\
flowrun: 1
vars:
  text: a
  number: 5
  ratio: 1.5
  flag: false
  names: [a]
  look: {light: soft, lens: 35mm, grade: {warm: 1, cold: 2}}
  nothing:
  count: {type: integer, default: 7, minimum: 0, maximum: 9}
  size: {type: string, enum: [small, large], default: small}
  scale: {type: number, default: 1}
  refs: {type: list, default: [x]}
  tone: {type: mapping, default: {a: 1, b: 2}}
  still: {type: media, default: refs/a.png}
  client: {type: string, required: true}
  spare: {type: boolean}
defaults:
  text_to_image: {model: m, ratio: r, style: {a: 1, b: 2}}
profiles:
  draft:
    vars: {text: b, look: {lens: 50mm, grade: {cold: 3}}, count: 3, tone: {b: 3}, scale: {minimum: 0}, spare: true, flag: true}
    defaults:
      text_to_image: {ratio: s, style: {c: 3}}
      image_to_video: {model: n}
  bare:
nodes: {a: {uses: text_to_image}}
"""
CWD = Path("/work-dir")


def flow(*cli_vars: str, **options: Any) -> Flow:
    manifest = read(Path("/project/flow.yaml"), text=TEXT)
    return resolve(manifest, cli_vars=["client=c", *cli_vars], cwd=CWD, **options)


def value(name: str, *cli_vars: str, **options: Any) -> object:
    return flow(*cli_vars, **options).values[name].value


def refused(*cli_vars: str, **options: Any) -> list[Diagnostic]:
    with pytest.raises(DiagnosticError) as caught:
        flow(*cli_vars, **options)
    assert all(each.code in registry() and each.hint for each in caught.value.diagnostics)
    return list(caught.value.diagnostics)


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("text=5", "5"), ("text=", ""), ("text=a=b", "a=b"), ("text={{ x }}", "{{ x }}"), ("number=6", 6), ("number=6.0", 6),
        ("ratio=2", 2), ("ratio=2.5", 2.5), ("flag=true", True), ("names=[x, 1]", ["x", 1]), ("look={a: 1}", {"a": 1}),
        ("nothing=5", "5"), ("count=0", 0), ("count=0x9", 9), ("size=large", "large"), ("scale=3", 3), ("refs=[]", []),
        ("tone={}", {}), ("still=b.png", "b.png"), ("client=5", "5"), ("spare=false", False),
    ],
)  # fmt: skip
def test_flags_are_read_by_type(flag: str, expected: object) -> None:
    found = value(flag.partition("=")[0], flag)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("flag", "code", "words"),
    [
        ("number=x", "wrong-value", "must be an integer, and this is text"),
        ("number=2.5", "wrong-value", "must be an integer, and this is a number"),
        ("ratio=x", "wrong-value", "must be a number"),
        ("ratio=true", "wrong-value", "must be a number, and this is a boolean"),
        ("flag=yes", "wrong-value", "must be true or false"),
        ("names=a", "wrong-value", "must be a list, like [a, b]"),
        ("names=[a", "wrong-value", "must be a list as YAML, like [a, b]: the list opened here"),
        ("look=[a]", "wrong-value", "must be a mapping, like {a: 1}"),
        ("count=-1", "wrong-value", "must be 0 or more, and this is -1"),
        ("count=10", "wrong-value", "must be 9 or less, and this is 10"),
        ("size=medium", "wrong-value", "must be one of `small`, `large`, and this is `medium`"),
        ("contu=1", "unknown-variable", "no variable `contu`"),
        ("count", "bad-var-flag", "no name with a value"),
        ("=5", "bad-var-flag", "no name with a value"),
    ],
)
def test_wrong_flags_are_named(flag: str, code: str, words: str) -> None:
    (found,) = refused(flag)
    assert found.code == code
    assert f"`--var {flag}`" in found.message
    assert words in found.message
    assert found.span is not None
    assert (found.span.file, found.span.line, found.span.end_column) == ("--var", 1, len(flag) + 1)
    if code == "wrong-value":
        assert [note.span and note.span.file for note in found.notes] == ["/project/flow.yaml"]


def test_a_misspelt_flag_has_a_suggestion() -> None:
    assert refused("numbr=1")[0].hint == "did you mean `number`?"
    assert str(refused("qqqqqqq=1")[0].hint).startswith("known: text, number")
    empty = read(Path("f.yaml"), text="flowrun: 1\nnodes: {a: {uses: x}}")
    with pytest.raises(DiagnosticError) as caught:
        resolve(empty, cli_vars=["a=1"], cwd=CWD)
    assert caught.value.diagnostics[0].hint == "declare it under `vars`"


def test_all_wrong_values_come_at_once() -> None:
    assert [each.code for each in refused("count=-1", "nope=1", "flag=2", vars_files=[Path("none.yaml")])] == [
        "file-unreadable", "unknown-variable", "wrong-value", "wrong-value",
    ]  # fmt: skip


def test_where_values_come_from() -> None:
    found = flow("text=x").values
    declared = found["text"].declared
    assert (declared.line, declared.column) == (3, 3)
    assert (found["text"].base, found["text"].span.file) == (CWD, "--var")
    assert found["number"] == Given(5, found["number"].span, Path("/project"), None, found["number"].declared)
    assert str(found["number"].span) == "/project/flow.yaml:4:11"
    assert (found["still"].type, found["still"].base) == ("media", Path("/project"))


def test_what_nobody_gives_is_unset() -> None:
    found = flow().values
    assert (found["spare"].value, found["spare"].is_set) == (None, False)
    assert (found["nothing"].value, found["nothing"].is_set) == (None, True)


def test_required_variables_are_demanded() -> None:
    manifest = read(Path("flow.yaml"), text=TEXT)
    with pytest.raises(DiagnosticError) as caught:
        resolve(manifest, cwd=CWD)
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span)) == ("unset-variable", "flow.yaml:16:3")
    assert not resolve(manifest, cwd=CWD, demand=False).values["client"].is_set


def test_a_profile_is_laid_over() -> None:
    found = flow(profile="draft")
    values = {name: given.value for name, given in found.values.items()}
    assert found.profile == "draft"
    assert (values["text"], values["count"], values["spare"], values["flag"]) == ("b", 3, True, True)
    assert values["look"] == {"light": "soft", "lens": "50mm", "grade": {"warm": 1, "cold": 3}}
    assert values["tone"] == {"a": 1, "b": 3}
    assert values["scale"] == 1
    assert found.values["count"].type == "integer"
    assert plain(found.defaults["text_to_image"]) == {"model": "m", "ratio": "s", "style": {"c": 3}}
    assert plain(found.defaults["image_to_video"]) == {"model": "n"}


def test_an_overlay_keeps_its_places() -> None:
    inputs = flow(profile="draft").defaults["text_to_image"]
    spans = {entry.name: entry.value.span.line for entry in inputs.entries}
    assert spans == {"model": 19, "ratio": 24, "style": 24}
    assert flow(profile="draft").values["count"].span.line == 22


def test_a_profile_may_change_a_declaration() -> None:
    assert refused("scale=-1", profile="draft")[0].code == "wrong-value"
    assert value("scale", "scale=-1") == -1


def test_no_profile_and_an_empty_one_change_nothing() -> None:
    assert flow().profile == ""
    assert flow(profile="").values == flow().values == flow(profile="bare").values


def test_flags_go_over_a_profile_and_the_last_one_counts() -> None:
    assert value("text", "text=1", "text=2", profile="draft") == "2"


def test_an_unknown_profile_has_a_suggestion() -> None:
    (found,) = refused(profile="darft")
    assert (found.code, found.hint) == ("unknown-profile", "did you mean `draft`?")
    assert found.span is not None
    assert found.span.file == "--profile"
    assert refused(profile="qqqqqq")[0].hint == "known: draft, bare"
    manifest = read(Path("f.yaml"), text="flowrun: 1\nnodes: {a: {uses: x}}")
    with pytest.raises(DiagnosticError, match="no profile"):
        resolve(manifest, profile="x", cwd=CWD)


def test_vars_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text("text: x\nstill: s.png\ncount: 4.0\n", "utf-8")
    (tmp_path / "b.json").write_text('{"text": "\\ud83e\\udd8a", "tone": {"z": 1}}', "utf-8")
    (tmp_path / "empty.yaml").write_text("", "utf-8")
    files = [Path("sub/a.yaml"), Path("b.json"), Path("empty.yaml")]
    found = resolve(read(Path("flow.yaml"), text=TEXT), vars_files=files, cli_vars=["client=c"], cwd=tmp_path).values
    assert (found["text"].value, found["count"].value, found["tone"].value) == ("🦊", 4, {"z": 1})
    assert (found["still"].base, str(found["still"].span)) == (tmp_path / "sub", "sub/a.yaml:2:8")


def test_mistakes_in_a_vars_file_are_shown_there(tmp_path: Path) -> None:
    path = tmp_path / "v.yaml"
    path.write_text("txt: x\ncount: '4'\nsize: huge\n", "utf-8")
    found = refused(vars_files=[path])
    assert [(each.code, each.span and each.span.line, each.span and each.span.column) for each in found] == [
        ("unknown-variable", 1, 1), ("wrong-value", 2, 8), ("wrong-value", 3, 7),
    ]  # fmt: skip
    assert found[1].notes[0].span is not None
    path.write_text("[1]", "utf-8")
    assert [each.code for each in refused(vars_files=[path])] == ["wrong-kind"]
    path.write_text("a: b: c", "utf-8")
    assert [each.code for each in refused(vars_files=[path])] == ["yaml-syntax"]


def test_choices_do_not_take_a_boolean_for_a_number() -> None:
    text = "flowrun: 1\nnodes: {a: {uses: x}}\nvars: {v: {type: integer, enum: [1, 2], default: %s}}"
    assert resolve(read(Path("f.yaml"), text=text % 2), cwd=CWD).values["v"].value == 2
    for wrong in ("true", "3"):
        with pytest.raises(DiagnosticError):
            read(Path("f.yaml"), text=text % wrong)
