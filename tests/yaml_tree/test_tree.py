"""The tree's own small questions."""

from __future__ import annotations

import pytest

from flowrun.diagnostics.span import Span
from flowrun.yaml_tree import Mapping, Scalar, describe, from_plain, plain

HERE = Span("--var", 1, 1, 1, 4)


def test_plain_values_go_in_and_out() -> None:
    value = {"a": [1, 2.5, None, True, "x"], "b": {"c": []}}
    tree = from_plain(value, HERE, literal=True)
    assert plain(tree) == value
    assert isinstance(tree, Mapping)
    assert tree.keys == ("a", "b")
    assert tree.get("z") is None
    assert tree.entry("z") is None
    entry = tree.entry("a")
    assert entry is not None
    assert (entry.name, entry.key.span) == ("a", HERE)
    assert from_plain("x", HERE, literal=True) == Scalar("x", HERE, True)
    assert from_plain((1,), HERE) == from_plain([1], HERE)


def test_other_types_have_no_tree() -> None:
    with pytest.raises(TypeError, match="bytes"):
        from_plain(b"x", HERE)


def test_descriptions() -> None:
    named = [describe(from_plain(value, HERE)) for value in ("x", 1, 1.5, True, None, [], {})]
    assert named == ["text", "an integer", "a number", "a boolean", "nothing (null)", "a list", "a mapping"]
