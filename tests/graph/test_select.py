"""The language of selections."""

from __future__ import annotations

import pytest

from flowrun.graph.select import SelectionError, select
from tests.graph.making import LINE, STILL, built, shot

TURBO = STILL.replace("gen4_image,", "gen4_image_turbo, referenceImages: [{uri: x.png, tag: fox}],")
FLOW = built(
    f"""nodes:
  hero: {STILL.replace("uses:", "tags: [art, main], uses:")}
  still: {TURBO.replace("uses:", "foreach: [a, b], tags: [art], uses:")}
  shot: {shot("{{ nodes.still[each.key].output }}", foreach="[a, b]")}
  line: {LINE.replace("uses:", "needs: [hero], when: '{{ nodes.still is defined }}', uses:")}
  none: {STILL.replace("uses:", "foreach: 0, tags: [none], uses:")}
"""
)


def chosen(*include: str, exclude: tuple[str, ...] = ()) -> str:
    found = {str(at) for at in select(FLOW.graph, include, exclude)}
    return " ".join(name for name in FLOW.addresses if name in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hero", "hero"),
        ("shot", "shot[a] shot[b]"),
        ("shot[b]", "shot[b]"),
        ("+shot[b]", "still[b] shot[b]"),
        ("still[a]+", "still[a] shot[a]"),
        ("+shot+", "still[a] still[b] shot[a] shot[b]"),
        ("+line", "hero line"),
        ("hero+", "hero line"),
        ("tag:art", "hero still[a] still[b]"),
        ("tag:ma*", "hero"),
        ("+tag:main+", "hero line"),
        ("model:gen4_turbo", "shot[a] shot[b]"),
        ("model:gen4_image*", "hero still[a] still[b]"),
        ("hero,line", "hero line"),
        (" hero , line ", "hero line"),
        ("tag:art&model:gen4_image", "hero"),
        ("hero,tag:art & still[a]", "hero still[a]"),
        ("hero&line", ""),
        ("none", ""),
    ],
)
def test_selecting(text: str, expected: str) -> None:
    assert chosen(text) == expected


def test_several_and_excluding() -> None:
    everything = "hero still[a] still[b] shot[a] shot[b] line"
    assert chosen() == everything
    assert chosen("hero", "line") == "hero line"
    assert chosen(exclude=("hero+", "tag:art")) == "shot[a] shot[b]"
    assert chosen("tag:art", exclude=("still[a]",)) == "hero still[b]"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("hreo", "there is no node 'hreo'", "did you mean hero?"),
        ("xyzzy", "there is no node 'xyzzy'", "there are hero, line, none, shot, still"),
        ("shot[c]", "fan-out 'shot' has no instance 'c'", "its keys are a, b"),
        ("hero[a]", "'hero' is no fan-out, so it has no instance 'a'", "write hero"),
        ("ep.hero", "there is no node 'ep.hero'", "there are hero"),
        ("ep.hero[a]", "there is no node 'ep.hero[a]'", "there are hero"),
        ("shot[a]#2", "'shot[a]#2' is one take, and instances are selected", "write shot[a]"),
        ("shot[a,b]", "'shot[a,b]' is no address: write node, node[key] or node[key]#take", "select node"),
        ("tag:atr", "no node has the tag 'atr'", "did you mean tag:art?"),
        ("tag:xyzzy", "no node has the tag 'xyzzy'", "there are art, main"),
        ("model:gen4_turbi", "no node has the model 'gen4_turbi'", "did you mean model:gen4_turbo?"),
        ("hero,", "a selector is empty", "select node, node[key]"),
        ("", "a selector is empty", "select node"),
        ("+", "a selector is empty", "select node"),
        ("hero&&line", "a selector is empty", "select node"),
        ("color:red", "'color:red' is no address", "tag:NAME or model:NAME"),
    ],
)
def test_selectors_that_mean_nothing(text: str, message: str, hint: str) -> None:
    with pytest.raises(SelectionError) as caught:
        select(FLOW.graph, [text], [])
    assert str(caught.value).startswith(message)
    assert hint in caught.value.hint


def test_a_graph_without_tags() -> None:
    with pytest.raises(SelectionError) as caught:
        select(built(f"nodes: {{a: {STILL}}}").graph, ["tag:x"], [])
    assert caught.value.hint == "there are none"


def test_long_lists_are_cut() -> None:
    many = built("nodes:\n" + "".join(f"  node_number_{n}: {STILL}\n" for n in range(30)))
    with pytest.raises(SelectionError) as caught:
        select(many.graph, ["q"], [])
    assert caught.value.hint.endswith("and 10 more")
    assert many.graph.of_node("q") == ()


def test_nodes_and_their_instances() -> None:
    graph = FLOW.graph
    assert [str(at) for at in graph.of_node("shot")] == ["shot[a]", "shot[b]"]
    assert [str(at) for at in graph.of_node("hero")] == ["hero"]
    assert graph.of_node("none") == ()
