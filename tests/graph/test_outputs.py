"""Outputs: what may be exported, under which path, and what is said of what is not there."""

from __future__ import annotations

import pytest

from flowrun.diagnostics.model import Diagnostic
from flowrun.graph.outcomes import Barred, Made, Outcomes, Skipped
from flowrun.graph.outputs import Export, NoExport, exports
from flowrun.media.facts import MediaKind
from tests.graph.making import IMAGE, LINE, STILL, at, built, made, refused, shot

STILLS = STILL.replace("uses:", "foreach: [a, b], uses:")
NODES = f"vars: {{dir: stills, n: 5}}\nassets: {{ref: ref.png}}\nnodes:\n  hero: {STILL}\n  still: {STILLS}\n  line: {LINE}\n"


def found(output: str, **outcomes: object) -> list[Export | NoExport | Diagnostic]:
    flow = built(NODES + f"outputs: {{out: {output}}}\n")
    world = Outcomes({at(name): outcome for name, outcome in outcomes.items()})  # type: ignore[misc]
    return list(exports(flow.graph, flow.source, world))


def names(output: str, **outcomes: object) -> list[tuple[str, str | None, int | None, str | None]]:
    return [(str(e.address), e.key, e.number, e.path) for e in found(output, **outcomes) if isinstance(e, Export)]


def test_one_file() -> None:
    (export,) = found("'{{ nodes.hero.output }}'")
    assert (str(export.address), export.kind, export.file, export.path) == ("hero", MediaKind.IMAGE, None, None)
    (export,) = found("'{{ nodes.hero.output }}'", hero=made("x", IMAGE))
    assert export.file == made("x", IMAGE).files[0]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("'{{ nodes.still.outputs }}'", [("still[a]", "a", None, None), ("still[b]", "b", None, None)]),
        ("\"{{ nodes.still['b'].output }}\"", [("still[b]", "b", None, None)]),
        ("{from: '{{ nodes.still.outputs }}', path: '{{ vars.dir }}/{{ each.key }}-{{ each.index }}'}",
         [("still[a]", "a", None, "stills/a-0"), ("still[b]", "b", None, "stills/b-1")]),
        ("{from: '{{ nodes.hero.output }}', path: x.png}", [("hero", None, None, "x.png")]),
        ("{from: '{{ nodes.hero.output }}', path: '{{ vars.n }}'}", [("hero", None, None, "5")]),
        ("'{{ nodes.still.outputs | reverse | list }}'", [("still[b]", "b", None, None), ("still[a]", "a", None, None)]),
    ],
)  # fmt: skip
def test_paths(output: str, expected: object) -> None:
    assert names(output) == expected


def test_several_files_of_one_task() -> None:
    many = made("x", IMAGE, "y")
    assert names("'{{ nodes.hero.outputs }}'", hero=many) == [("hero", None, 1, None), ("hero", None, 2, None)]
    path = "{from: '{{ nodes.hero.outputs }}', path: 'h{{ each.key }}'}"
    assert [each[3] for each in names(path, hero=many)] == ["h1", "h2"]
    assert [each[1] for each in names("\"{{ nodes.still['a'].outputs }}\"", **{"still[a]": many})] == ["a", "a-2"]


def test_takes() -> None:
    both = Made(made("x", IMAGE).files, (made("x", IMAGE).files, made("y", IMAGE).files))
    assert names("'{{ nodes.hero.takes }}'", hero=both) == [("hero#1", None, 1, None), ("hero#2", None, 2, None)]
    outcomes = {"still[a]": both, "still[b]": both}
    assert [each[1] for each in names("'{{ nodes.still.takes }}'", **outcomes)] == ["a-1", "a-2", "b-1", "b-2"]


def test_what_is_not_there() -> None:
    assert found("'{{ nodes.hero.output }}'", hero=Skipped()) == [NoExport("out", "skipped", at("hero"))]
    assert found("'{{ nodes.hero.output }}'", hero=Barred("failed")) == [NoExport("out", "missing", at("hero"))]
    assert found("'{{ nodes.hero.outputs }}'") == [NoExport("out", "missing", at("hero"))]
    gathered = found("'{{ nodes.still.outputs }}'", **{"still[a]": Skipped(), "still[b]": Barred("failed")})
    assert gathered == [NoExport("out", "skipped", at("still[a]")), NoExport("out", "missing", at("still[b]"))]
    both = {"still[a]": Skipped(), "still[b]": Skipped()}
    assert [each.why for each in found("'{{ nodes.still.outputs }}'", **both)] == ["skipped", "skipped"]
    assert found("'{{ nodes.hero.output | default(none) }}'", hero=Skipped()) == [
        NoExport("out", "skipped", at("hero"))
    ]


def test_one_or_the_other() -> None:
    either = "'{{ nodes.hero.output | default(nodes.line.output) }}'"
    assert names(either, hero=Skipped()) == [("line", None, None, None)]
    assert len(found(either, hero=Skipped())) == 1
    assert names(either) == [("hero", None, None, None)]


def test_a_path_that_waits_for_a_fact() -> None:
    path = "{from: '{{ nodes.hero.output }}', path: 'x-{{ nodes.hero.output.width }}'}"
    assert found(path) == [NoExport("out", "missing", at("hero"))]
    assert names(path, hero=made("x", IMAGE))[0][3] == "x-1920"


def test_mistakes_that_only_values_bring_to_light() -> None:
    (wrong,) = found("'{{ nodes.hero.outputs[3] }}'", hero=made("x", IMAGE))
    assert wrong.code == "undefined-reference"
    (wrong,) = found("'{{ assets.ref }}'")
    assert wrong.code == "bad-output"
    (wrong,) = found("{from: '{{ nodes.hero.output }}', path: '{{ each.key }}'}")
    assert wrong.code == "undefined-reference"
    (wrong,) = found("{from: '{{ nodes.hero.output }}', path: '{{ vars }}'}")
    assert wrong.code == "wrong-type"
    (wrong,) = found("'{{ nodes.hero.output if vars.n > 9 }}'")
    assert wrong.code == "undefined-reference"


def test_a_subscript_that_is_computed() -> None:
    assert names('\'{{ nodes.still[vars.dir[3] | replace("l", "a")].output }}\'') == [("still[a]", "a", None, None)]


@pytest.mark.parametrize(
    ("output", "code", "shown"),
    [
        ("hero.png", "bad-output", "hero.png"),
        ("'a {{ nodes.hero.output }}'", "bad-output", "'a {{ nodes.hero.output }}'"),
        ("'{{ nodes.hero.output.width }}'", "bad-output", "nodes.hero.output.width"),
        ("'{{ nodes }}'", None, None),
        ("'{{ nodes.hreo.output }}'", "unknown-reference", "nodes.hreo.output"),
        ("'{{ nodes.still.output }}'", "fan-out-as-one", "nodes.still.output"),
        ("\"{{ nodes.still['c'].output }}\"", "unknown-reference", "nodes.still['c'].output"),
        ("'{{ nodes.hero }}'", "bare-node", "nodes.hero"),
        ("'{{ nodes[vars.dir].output }}'", "dynamic-node", "nodes[vars.dir].output"),
        ("'{{ each.value }}'", "misplaced-reference", "each.value"),
        ("'{{ env.X }}'", "out-of-scope", "env.X"),
        ("'{{ hero.output }}'", "unknown-name", "hero"),
        ("{from: '{{ nodes.hero.output }}', path: '{{ vars.dri }}'}", "unknown-reference", "vars.dri"),
        ("{from: '{{ nodes.hero.output }}', path: '{{ dir }}'}", "unknown-name", "dir"),
        ("{from: '{{ nodes.hero.output }}', path: '{{ each.kye }}'}", "unknown-reference", "each.kye"),
        ("{from: '{{ nodes.hero.output }}', path: '{{ nodes.still.output }}'}", "fan-out-as-one", "nodes.still.output"),
    ],
)  # fmt: skip
def test_mistakes_before_anything_ran(output: str, code: str | None, shown: str | None) -> None:
    if code is None:  # a lookup is no artifact, which is told once it is evaluated
        assert [each.code for each in found(output) if isinstance(each, Diagnostic)] == ["bad-output"]
        return
    wrong = refused(NODES + f"outputs: {{out: {output}}}\n")
    assert (wrong.only.code, wrong.shown) == (code, shown)


@pytest.mark.parametrize("path", ["../{{ each.key }}", "/{{ vars.dir }}/x", "a/../../{{ each.key }}.png", "/x", "a\\b"])
def test_a_path_that_leaves_the_folder_is_told_once(path: str) -> None:
    wrong = refused(NODES + f"outputs: {{out: {{from: '{{{{ nodes.still.outputs }}}}', path: '{path}'}}}}\n")
    assert (wrong.only.code, wrong.shown) == ("unsafe-path", f"'{path}'")


@pytest.mark.parametrize(
    "path", ["{{ each.key }}", "..{{ each.key }}", "{% if vars.n %}../{% endif %}x", "{{ '../' }}x"]
)
def test_what_only_expressions_give_is_left_to_their_values(path: str) -> None:
    assert len(names(f'{{from: "{{{{ nodes.still.outputs }}}}", path: "{path}"}}')) == 2


def test_all_outputs_are_told_at_once() -> None:
    text = NODES + "outputs: {a: '{{ nodes.x.output }}', b: {from: '{{ nodes.still.output }}', path: '{{ nope }}'}}\n"
    assert sorted(refused(text).codes) == ["fan-out-as-one", "unknown-name", "unknown-reference"]


def test_a_film_has_its_kind() -> None:
    flow = built(
        NODES + f"  film: {shot('{{ nodes.hero.output }}')}\noutputs: {{film: '{{{{ nodes.film.output }}}}'}}\n"
    )
    (export,) = exports(flow.graph, flow.source, Outcomes({}))
    assert export.kind is MediaKind.VIDEO
