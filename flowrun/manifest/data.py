"""Data files of a foreach: CSV, JSON and YAML. Owns the choice of reader; what becomes an instance is `fanout`'s."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.diagnostics.span import Span
from flowrun.manifest import csv_text
from flowrun.yaml_tree import Entry, Mapping, Scalar, Sequence, Tree, decode, parse


@dataclass(frozen=True, slots=True)
class Rows:
    """What stands in a data file. `tree`: a sequence (of mappings, for a CSV), or what JSON or YAML had.

    Every scalar is literal: data is never rendered.
    """

    tree: Tree
    columns: tuple[Scalar, ...] = ()  # a CSV's headings
    warnings: tuple[Diagnostic, ...] = ()


def read_rows(path: Path, data: bytes) -> Rows:
    """The content of a ``.csv``, ``.json``, ``.yaml`` or ``.yml`` file; spans bear `path` as it is written.

    Raises DiagnosticError with everything wrong in the file.
    """
    file, kind = str(path), path.suffix.lower()
    if kind == ".csv":
        return _table(decode(data, file), file)
    if kind in (".json", ".yaml", ".yml"):
        return Rows(literal(parse(decode(data, file), file)))
    hint = "a foreach reads .csv, .json, .yaml and .yml"
    message = f"`{file}` is no data file: its name ends in none of the known ways"
    raise DiagnosticError([Diagnostic("unknown-data-file", message, Span(file, 1, 1, 1, 1), hint)])


def _table(text: str, file: str) -> Rows:
    table = csv_text.read(text, file)
    tree = table.records(Span(file, 1, 1, 1, 1))
    return Rows(tree, tuple(table.headings), tuple(table.problems))


def literal(tree: Tree) -> Tree:
    """The same tree as data."""
    if isinstance(tree, Scalar):
        return replace(tree, literal=True)
    if isinstance(tree, Sequence):
        return Sequence(tuple(map(literal, tree.items)), tree.span)
    return Mapping(tuple(Entry(entry.key, literal(entry.value)) for entry in tree.entries), tree.span)
