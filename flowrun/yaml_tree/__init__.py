"""YAML and JSON text to values that know where they stand. Owns pyyaml; what values mean is their readers' matter."""

from __future__ import annotations

from flowrun.yaml_tree.tree import Entry, Mapping, Scalar, Sequence, Tree, describe, follow, from_plain, plain

__all__ = [
    "Entry",
    "Mapping",
    "Scalar",
    "Sequence",
    "Tree",
    "decode",
    "describe",
    "follow",
    "from_plain",
    "parse",
    "plain",
]


def parse(text: str, file: str) -> Tree:
    """The one document in `text`; a `file` that ends in ``.json`` is read as JSON. An empty document is a null scalar.

    Raises DiagnosticError with everything found.
    """
    from flowrun.yaml_tree import reading  # late: pyyaml is loaded by the first text that is read

    return reading.parse(text, file)


def decode(data: bytes, file: str) -> str:
    """The text of a UTF-8 file, a byte order mark left out. Raises DiagnosticError at the first byte that is none."""
    from flowrun.yaml_tree import characters  # as above

    return characters.decode(data, file)
