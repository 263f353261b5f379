"""Addresses: what they look like, what they are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.diagnostics.model import DiagnosticError
from flowrun.diagnostics.span import Span
from flowrun.graph.address import Address, Segment, address, parse
from flowrun.manifest.fanout import expand_items
from flowrun.yaml_tree import Scalar, Sequence


def test_parts() -> None:
    at = parse("ep[s1].shot[intro]#2")
    assert at == Address((Segment("ep", "s1"), Segment("shot", "intro")), 2)
    assert (at.node_id, at.key, at.take, str(at)) == ("shot", "intro", 2, "ep[s1].shot[intro]#2")
    assert at.without_take().take is None
    assert at.without_take().of_take(2) == at


def test_a_key_may_hold_what_names_may_not() -> None:
    assert parse("shot[a.b c:d+]") == address("shot", "a.b c:d+")


def test_a_decomposed_key_means_the_composed_one() -> None:
    assert parse("shot[e\u0301]") == address("shot", "\u00e9")


@pytest.mark.parametrize(
    "text",
    ["", "2a", "a-b", "a[", "a[]", "a[b", "a[b]c", "a.", "a[b,c]", 'a["b"]', "a['b']", "a[b#c]", f"a[{'x' * 81}]",
     "a[x\ny]"],
)  # fmt: skip
def test_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"no address|no take"):
        parse(text)


@pytest.mark.parametrize("take", ["", "0", "x", "-1", "1.0", "01", "٣", "9" * 5000])
def test_no_take(take: str) -> None:
    with pytest.raises(ValueError, match="is no take: write a number from 1"):
        parse(f"a#{take}")


def test_order_is_that_of_the_text() -> None:
    assert sorted([parse("b"), parse("a[2]"), parse("a")]) == [parse("a"), parse("a[2]"), parse("b")]


@given(st.text(max_size=90))
def test_every_key_of_a_fan_out_makes_an_address_that_reads_back(key: str) -> None:
    span = Span("f", 1, 1, 1, 1)
    try:
        items = expand_items(Sequence((Scalar(key, span),), span)).items
    except DiagnosticError:
        return
    at = address("shot", items[0].key)
    assert parse(str(at.of_take(3))) == at.of_take(3)
