"""Fan-outs: every form of `foreach`, what rows may hold, and where their mistakes are shown."""

from __future__ import annotations

import pytest

from flowrun.diagnostics.model import Severity
from flowrun.graph.outcomes import AssetMedia
from flowrun.graph.values import SourcedText
from tests.graph.making import HERE, IMAGE, STILL, Mistakes, Project, built, made, refused, shot


def fanned(foreach: str, prompt: str = "a fox", **more: str) -> str:
    extra = "".join(f", {name}: {value}" for name, value in more.items())
    return (
        f"nodes:\n  still:\n    foreach: {foreach}\n    uses: text_to_image\n"
        f"    with: {{model: gen4_image, promptText: {prompt}, ratio: '1920:1080'{extra}}}\n"
    )


def rows(text: str, *cli_vars: str, project: Project | None = None) -> dict[str, object]:
    found = (project or Project()).built(text, *cli_vars)
    return {each.each.key: each.each.value for each in found.graph if each.each}


@pytest.mark.parametrize(
    ("foreach", "expected"),
    [
        ("[a, b]", {"a": "a", "b": "b"}),
        ("[3, 1]", {"3": 3, "1": 1}),
        ("{a: {p: 1}, b: x}", {"a": {"p": 1}, "b": "x"}),
        ("3", {"1": 1, "2": 2, "3": 3}),
        ("0", {}),
        ("'{{ vars.names }}'", {"x": "x", "y": "y"}),
        ("'{{ vars.count }}'", {"1": 1, "2": 2}),
        ("'{{ vars.table }}'", {"k": {"p": "v"}}),
        ("'{{ vars.names | map(\"upper\") | list }}'", {"X": "X", "Y": "Y"}),
        ("{items: '{{ vars.shots }}', key: no}", {"7": {"no": 7}, "8": {"no": 8}}),
        ("{items: {a: 1}}", {"a": 1}),
        ("['{{ vars.one }}', b]", {"fox": "fox", "b": "b"}),
        ("[{key: a, p: '{{ vars.one }}!'}]", {"a": {"key": "a", "p": "fox!"}}),
        ("{a: {p: ['{{ vars.count }}']}}", {"a": {"p": [2]}}),
        ("[{id: a}, {id: b}]", {"a": {"id": "a"}, "b": {"id": "b"}}),
    ],
)
def test_forms(foreach: str, expected: object) -> None:
    head = "vars: {names: [x, y], count: 2, table: {k: {p: v}}, shots: [{no: 7}, {no: 8}], one: fox}\n"
    assert rows(head + fanned(foreach)) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "id,p\na,x y\nb,{{ z }}\n"),
        ("rows.json", '[{"id": "a", "p": "x y"}, {"id": "b", "p": "{{ z }}"}]'),
        ("rows.yaml", "- {id: a, p: x y}\n- {id: b, p: '{{ z }}'}\n"),
        ("data/rows.CSV", "id,p\na,x y\n\nb,{{ z }}\n"),
    ],
)
def test_data_files(name: str, text: str) -> None:
    project = Project({name: text})
    expected = {"a": {"id": "a", "p": "x y"}, "b": {"id": "b", "p": "{{ z }}"}}
    assert rows(fanned(f"{{file: {name}}}"), project=project) == expected
    by_other = Project({name: text.replace("{{ z }}", "z")})
    assert rows(fanned(f"{{file: {name}, key: p}}"), project=by_other).keys() == {"x y", "z"}


def test_what_stands_in_a_row_is_never_rendered() -> None:
    found = Project({"rows.csv": "id,p\na,{{ vars.secret }}\n"}).built(
        fanned("{file: rows.csv}", "'{{ each.value.p }} {{ each.key }} {{ each.index }}'")
    )
    assert found.request("still[a]").value["promptText"] == "{{ vars.secret }} a 0"


def test_the_file_itself_may_be_a_template() -> None:
    head = "vars: {rows: {type: media, default: rows.csv}}\n"
    project = Project({"rows.csv": "id\na\n", "/cwd/mine.csv": "id\nb\n", "x/rows.json": '[{"id": "c"}]'})
    assert rows(head + fanned("{file: '{{ vars.rows }}'}"), project=project).keys() == {"a"}
    assert rows(head + fanned("{file: '{{ vars.rows }}'}"), "rows=mine.csv", project=project).keys() == {"b"}
    assert rows(head + fanned("{file: 'x/{{ vars.rows | stem }}.json'}"), project=project).keys() == {"c"}
    found = project.refused("vars: {rows: 5}\n" + fanned("{file: '{{ vars.rows }}'}"))
    assert (found.only.code, found.shown) == ("bad-foreach", "'{{ vars.rows }}'")


def test_a_data_file_that_is_not_there() -> None:
    found = refused(fanned("{file: nowhere.csv}"))
    assert (found.only.code, found.shown) == ("missing-file", "nowhere.csv")
    assert found.only.message == "cannot read 'nowhere.csv': no such file or directory"


def test_mistakes_in_a_data_file_are_shown_there() -> None:
    found = Project({"rows.csv": "id,p\na,x\na,y\n"}).refused(fanned("{file: rows.csv}"))
    assert (found.only.code, found.shown, found.only.span.line) == ("repeated-key", "a", 3)
    assert found.noted == ["a"]


def test_warnings_of_reading_rows_are_kept() -> None:
    found = built(fanned("[{p: a}, {p: b}]"))
    assert [each.code for each in found.graph.warnings] == ["numbered-items"]


@pytest.mark.parametrize(
    ("foreach", "shown"),
    [("[]", "[]"), ("{}", "{}"), ("{items: []}", "[]"), ("'{{ vars.none }}'", "vars.none"), ("{file: r.csv}", "r.csv"),
     ("{file: '{{ vars.file }}'}", "vars.file")],
)  # fmt: skip
def test_a_fan_out_of_nothing_says_so(foreach: str, shown: str) -> None:
    text = "vars: {none: [], file: r.csv}\n" + fanned(foreach)
    found = Project({"r.csv": "id,p\n"}).built(text)
    (warning,) = found.graph.warnings
    assert (warning.code, warning.severity) == ("empty-fan-out", Severity.WARNING)
    assert "so node still makes nothing" in warning.message
    assert Mistakes(f"flowrun: 1\n{text}", {}, (warning,)).shown == shown


def test_a_count_of_nothing_is_meant() -> None:
    assert built(fanned("0")).graph.warnings == ()


def test_a_table_without_the_column_of_the_key_is_one_mistake() -> None:
    table = "idd,prompt\n" + "".join(f"{number},x\n" for number in range(500))
    found = Project({"rows.csv": table}).refused(fanned("{file: rows.csv, key: id}"))
    assert (found.only.code, found.shown, found.noted) == ("missing-key-field", "idd,prompt", ["id"])
    assert found.only.hint == "did you mean `idd`? its columns: idd, prompt"
    far = Project({"rows.csv": table}).refused(fanned("{file: rows.csv, key: nowhere}"))
    assert far.only.hint == "its columns: idd, prompt"


def test_rows_may_hold_assets() -> None:
    head = "assets: {one: one.png, two: two.png}\n"
    film = (
        head
        + "nodes: {film: "
        + shot("{{ each.value.still }}", foreach="{a: {still: '{{ assets.one }}'}, b: {still: '{{ assets.two }}'}}")
        + "}"
    )
    found = built(film)
    assert [found.request(f"film[{key}]").media[0].source.text for key in "ab"] == ["one.png", "two.png"]
    listed = rows(head + fanned("'{{ [assets.one, assets.two] }}'"))
    assert list(listed) == ["one", "two"]
    assert all(isinstance(each, AssetMedia) for each in listed.values())


@pytest.mark.parametrize(
    "foreach", ["'{{ nodes.hero.outputs }}'", "'{{ [nodes.hero.output] }}'", "{a: {p: '{{ nodes.hero.output }}'}}",
                "'{{ nodes.hero.output.width }}'"]
)  # fmt: skip
def test_rows_may_not_hold_what_nodes_make(foreach: str) -> None:
    found = refused(fanned(foreach) + "  hero: " + STILL)
    assert found.codes == ["not-known-yet"]
    assert found.only.hint


@pytest.mark.parametrize(
    ("foreach", "code"),
    [
        ("'{{ vars }}'", "bad-foreach"),
        ("'{{ vars.text }}'", "bad-foreach"),
        ("'{{ vars.nope }}'", "unknown-reference"),
        ("'{{ vars.text.x }}'", "undefined-reference"),
    ],
)
def test_what_nothing_can_fan_out_over(foreach: str, code: str) -> None:
    assert refused("vars: {text: abc}\n" + fanned(foreach)).codes == [code]


def test_a_row_has_no_each_and_no_secrets() -> None:
    assert refused(fanned("['{{ each.key }}']")).codes == ["out-of-scope"]
    assert refused("env: [T]\n" + fanned("['{{ env.T }}']")).codes == ["out-of-scope"]
    found = refused("assets: {a: a.png}\n" + fanned("{file: '{{ assets.a }}'}"))
    assert found.only.code == "misplaced-reference"


def test_paths_in_rows_count_from_their_file() -> None:
    project = Project({"data/rows.csv": "id,ref\na,still.png\n", "data/rows.json": '{"a": {"ref": "still.png"}}'})
    film = "nodes: {film: " + shot("{{ each.value.ref }}", foreach="{file: data/%s}") + "}"
    project.built(film % "rows.csv")
    project.built(film % "rows.json")
    project.built("nodes: {film: " + shot("{{ each.value.ref }}", foreach="[{key: a, ref: still.png}]") + "}")
    project.built("nodes: {film: " + shot("stills/{{ each.key }}.png", foreach="{file: data/rows.csv}") + "}")
    folder = "/project/data/still.png"
    assert project.inputs.asked == [folder, folder, "/project/still.png", "/project/stills/a.png"]


# -- cells

CELLS = "id,duration,ratio\na,5,1280:720\nb,%s,%s\n"
FILM = (
    "assets: {still: still.png}\nnodes: {film: "
    + shot(
        "{{ assets.still }}",
        foreach="{file: rows.csv}",
        duration='"{{ each.value.duration }}"',
        ratio='"{{ each.value.ratio }}"',
    )
    + "}"
)


def test_a_cell_is_read_as_a_number_where_only_that_fits() -> None:
    found = Project({"rows.csv": CELLS % ("10", "1280:720")}).built(FILM)
    assert found.request("film[b]").value["duration"] == 10
    assert type(found.request("film[a]").value["duration"]) is int
    text = STILL.replace("a fox", "'{{ each.value.duration }}'").replace("uses:", "foreach: {file: rows.csv}, uses:")
    assert (
        Project({"rows.csv": CELLS % (10, "x")}).built("nodes: {a: " + text + "}").request("a[b]").value["promptText"]
        == "10"
    )


@pytest.mark.parametrize("cell", ["ten", "", "NaN", "Infinity", "1e999", "0x5", "5s", '"[5]"', "null"])
def test_a_cell_that_is_no_number(cell: str) -> None:
    found = Project({"rows.csv": CELLS % (cell, "1280:720")}).refused(FILM)
    assert (found.only.code, found.shown) == ("bad-cell", cell)
    assert found.only.span.file == "/project/rows.csv"
    assert found.noted == ["each.value.duration", None]
    assert found.only.notes[1].message == "in instance film[b]"


def test_a_boolean_cell() -> None:
    sound = (
        "nodes: {s: {uses: sound_effect, foreach: {file: rows.csv}, with: {model: eleven_text_to_sound_v2, "
        'promptText: wind, loop: "{{ each.value.loop }}"}}}'
    )
    found = Project({"rows.csv": "id,loop\na,true\nb,false\n"}).built(sound)
    assert [found.request(f"s[{key}]").value["loop"] for key in "ab"] == [True, False]
    assert Project({"rows.csv": "id,loop\na,yes\n"}).refused(sound).shown == "yes"


def test_a_cell_that_the_model_refuses_is_shown_at_the_cell() -> None:
    found = Project({"rows.csv": CELLS % ("99", "4:3")}).refused(FILM)
    assert [found.at(each.span) for each in found.found] == ["99", "4:3"]
    assert [found.at(each.notes[0].span) for each in found.found] == ["each.value.duration", "each.value.ratio"]


def test_a_row_in_the_manifest_is_shown_at_its_value() -> None:
    foreach = "[{key: a, film: {duration: 99}}]"
    text = shot("{{ assets.s }}", foreach=foreach, duration='"{{ each.value.film.duration }}"')
    found = refused("assets: {s: s.png}\nnodes: {film: " + text + "}")
    assert (found.shown, found.noted[0]) == ("99", "each.value.film.duration")


def test_below_a_part_of_a_row_that_is_taken_whole() -> None:
    project = Project(
        {"rows.json": '{"a": {"refs": [{"uri": "x.png", "tag": "ok1"}, {"uri": "missing.png", "tag": "ok2"}]}}'}
    )
    found = project.refused(fanned("{file: rows.json}", referenceImages='"{{ each.value.refs }}"'))
    assert (found.only.code, found.shown) == ("missing-file", '"missing.png"')
    assert found.noted[0] == "each.value.refs"


def test_a_computed_value_is_shown_at_its_expression() -> None:
    found = Project({"rows.csv": CELLS % ("10", "x")}).refused(
        FILM.replace("{{ each.value.ratio }}", "{{ each.value.ratio ~ '0' }}")
    )
    assert found.found[0].span.file == "/project/flow.yaml"
    values = "'{{ vars.rows }}'"
    text = shot("{{ assets.s }}", foreach=values, duration='"{{ each.value.d }}"')
    found = refused("vars: {rows: [{key: a, d: 99}]}\nassets: {s: s.png}\nnodes: {film: " + text + "}")
    assert found.shown == "each.value.d"


# -- takes


def takes(written: str, foreach: str = "{file: rows.csv}") -> list[int]:
    text = fanned(foreach) + f"    takes: {written}\n"
    found = Project({"rows.csv": "id,n\na,2\nb,3.0\n"}).built("vars: {n: 4, f: 2.0}\n" + text)
    return [each.takes for each in found.graph]


def test_takes() -> None:
    assert takes("2") == [2, 2]
    assert takes("'{{ vars.n }}'") == [4, 4]
    assert takes("'{{ vars.f }}'") == [2, 2]
    assert takes("'{{ each.value.n }}'") == [2, 3]
    assert takes("'{{ each.index + 1 }}'") == [1, 2]


@pytest.mark.parametrize(
    ("written", "shown"),
    [("'{{ vars.n }}'", "vars.n"), ("'{{ each.value.n }}'", "none"), ("101", "101"), ("'{{ vars.b }}'", "vars.b"),
     ("'{{ vars.h }}'", "vars.h")],
)  # fmt: skip
def test_bad_takes(written: str, shown: str) -> None:
    project = Project({"rows.csv": "id,n\na,none\n"})
    found = project.refused("vars: {n: 0, b: true, h: 1.5}\n" + fanned("{file: rows.csv}") + f"    takes: {written}\n")
    assert (found.only.code, found.shown) == ("wrong-type", shown)


def test_takes_see_vars_and_each_alone() -> None:
    assert refused(fanned("2") + "    takes: '{{ flow.name | length }}'\n").codes == ["out-of-scope"]
    assert refused(fanned("2") + "    takes: '{{ nodes.still.outputs | length }}'\n").codes == ["out-of-scope"]


# -- models


def test_the_model_by_template() -> None:
    text = STILL.replace("gen4_image", "'{{ each.value }}'").replace(
        "uses:", "foreach: [gen4_image, gen4_image_turbo], uses:"
    )
    found = refused("nodes: {a: " + text + "}")
    assert found.codes == ["missing-input"]  # the turbo model wants a reference image
    text = text.replace("ratio:", "referenceImages: [{uri: x.png, tag: fox}], ratio:")
    assert [each.model for each in built("nodes: {a: " + text + "}").graph] == ["gen4_image", "gen4_image_turbo"]


def test_a_model_in_a_cell_that_nobody_has() -> None:
    text = STILL.replace("gen4_image", "'{{ each.value.model }}'").replace("uses:", "foreach: {file: rows.csv}, uses:")
    found = Project({"rows.csv": "id,model\na,gen4_imgae\n"}).refused("nodes: {a: " + text + "}")
    assert (found.only.code, found.shown, found.noted) == ("unknown-model", "gen4_imgae", ["each.value.model"])
    assert "did you mean gen4_image?" in str(found.only.hint)


def test_the_model_may_not_hang_on_what_a_node_makes() -> None:
    text = STILL.replace("gen4_image", "'{{ \"gen4_image\" if nodes.b.output.width > 5 else 0 }}'")
    found = refused("nodes: {a: " + text + ", b: " + STILL + "}")
    assert found.codes == ["not-known-yet"]
    assert "depends on b" in found.only.message


# -- many


def test_one_mistake_of_many_instances_is_told_once() -> None:
    found = refused(fanned("30", ratio="'4:5'").replace("ratio: '1920:1080', ", ""))
    assert found.codes == ["not-allowed"]
    assert [note.message for note in found.only.notes] == ["in instance still[1]", "and in 29 more instances"]


def test_a_fact_of_a_gathered_file() -> None:
    film = shot("{{ nodes.still.outputs[1] }}", promptText="\"{{ nodes.still['b'].output.width }} px\"")
    found = built("nodes: {still: " + STILL.replace("uses:", "foreach: [a, b], uses:") + ", film: " + film + "}")
    assert not found.request("film").is_known
    world = {"still[a]": made("a", IMAGE), "still[b]": made("b", IMAGE)}
    request = found.request("film", **world)
    assert request.value["promptText"] == "1920 px"
    assert request.media[0].source.address.key == "b"
    assert request.is_known


def test_texts_know_where_they_come_from() -> None:
    value = rows(fanned("[{key: a, p: [x]}]"))["a"]["p"][0]
    assert isinstance(value, SourcedText)
    assert value.base == HERE
