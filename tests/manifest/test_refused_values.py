"""A wrong value is one mistake, not two; and `takes` speaks of the same names in every pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.diagnostics.model import DiagnosticError
from flowrun.manifest import read, resolve

TEXT = """\
flowrun: 1
vars:
  count: {type: integer, required: true}
  client: {type: string, required: true, enum: [acme, other]}
nodes: {a: {uses: text_to_image}}
"""


def codes(tmp_path: Path, *flags: str, file: str | None = None) -> list[str]:
    files = []
    if file is not None:
        files = [tmp_path / "vars.yaml"]
        files[0].write_text(file)
    manifest = read(tmp_path / "flow.yaml", text=TEXT)
    with pytest.raises(DiagnosticError) as caught:
        resolve(manifest, cli_vars=flags, vars_files=files, cwd=tmp_path)
    return [each.code for each in caught.value.diagnostics]


def test_a_wrong_value_is_not_missing_too(tmp_path: Path) -> None:
    assert codes(tmp_path, "count=many", "client=acme") == ["wrong-value"]
    assert codes(tmp_path, "count=many", "client=nobody") == ["wrong-value", "wrong-value"]
    assert codes(tmp_path, "count", "client=acme") == ["bad-var-flag"]
    assert codes(tmp_path, file="{count: many, client: acme}") == ["wrong-value"]


def test_what_is_missing_beside_a_wrong_value_is_still_told(tmp_path: Path) -> None:
    assert sorted(codes(tmp_path, "count=many")) == ["unset-variable", "wrong-value"]
    assert sorted(codes(tmp_path, "clint=acme", "count=3")) == ["unknown-variable", "unset-variable"]
    assert sorted(codes(tmp_path, file="{count: many}")) == ["unset-variable", "wrong-value"]


def test_a_vars_file_that_cannot_be_read_is_the_one_mistake(tmp_path: Path) -> None:
    assert codes(tmp_path, file="{count: 3, client: [") == ["yaml-syntax"]


def test_takes_speaks_of_variables_and_rows_alone() -> None:
    text = "flowrun: 1\nvars: {n: 2}\nnodes: {a: {uses: text_to_image, takes: '{{ %s }}'}}\n"
    assert read(Path("/p/flow.yaml"), text=text % "vars.n").nodes["a"].takes is not None
    for root in ("flow.name", "nodes.b.output", "env.X"):
        with pytest.raises(DiagnosticError) as caught:
            read(Path("/p/flow.yaml"), text=text % root)
        assert [each.span.line for each in caught.value.diagnostics if each.span] == [3]
