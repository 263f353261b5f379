"""From a file to a checked manifest. Owns the order of the passes: characters and YAML first, then everything else at once."""

from __future__ import annotations

import re
from pathlib import Path

from flowrun.diagnostics.model import Diagnostic, DiagnosticError, in_order
from flowrun.diagnostics.span import Span
from flowrun.manifest import building, checks, profiles, shape, templates
from flowrun.manifest.building import entries
from flowrun.manifest.declared import LimitsDecl, Manifest, VarDecl
from flowrun.manifest.models import NAME, Document
from flowrun.manifest.variables import declaration_problems
from flowrun.yaml_tree import Entry, Mapping, Tree, decode, parse

MAX_BYTES = 16 << 20  # far beyond what a person writes; a media file given by mistake stops here


def read(path: Path, *, text: str | None = None) -> Manifest:
    """See `flowrun.manifest.read`."""
    file = str(path)
    text = load(path, file) if text is None else text
    tree = parse(text, file)
    found = list(shape.problems(tree, Document))
    problems = [each for _, each in found]
    if not isinstance(tree, Mapping):
        raise DiagnosticError(problems)
    reader = _Reader(tree, {tuple(map(str, loc[:2])) for loc, _ in found})
    problems += [
        *checks.problems(tree),
        *templates.problems(tree),
        *reader.variable_problems(),
        *_name_problems(tree, path),
    ]
    if any(each.is_error for each in problems):
        raise DiagnosticError(problems)
    return reader.manifest(path, file, text, in_order(problems))


def load(path: Path, file: str) -> str:
    """The text of a file, bounded. Raises DiagnosticError."""
    try:
        data = load_bytes(path)
    except OSError as error:
        raise DiagnosticError([unreadable(file, error)]) from error
    return decode(data, file)


def load_bytes(path: Path) -> bytes:
    """Raises OSError, also for a file beyond the bound."""
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise OSError(f"it is larger than {MAX_BYTES >> 20} MiB")
    return data


def unreadable(file: str, error: OSError, span: Span | None = None) -> Diagnostic:
    """`span`: where the file is named, if it is named in one."""
    reason = (error.strerror or "").lower() or str(error)
    message = f"`{file}` cannot be read: {reason}"
    return Diagnostic("file-unreadable", message, span, "check the path and the permissions")


def _name_problems(tree: Mapping, path: Path) -> list[Diagnostic]:
    """The file's stem stands in for a missing name, if it can be one."""
    if building.written(tree, "name") is not None or re.fullmatch(NAME, path.stem):
        return []
    better = "-".join(re.findall(r"[a-z0-9_]+", path.stem.lower())).lstrip("_-") or "my-flow"
    message = f"the manifest has no `name`, and its file's stem `{path.stem}` cannot be one"
    return [Diagnostic("bad-name", message, tree.span.start(), f"add `name: {better}`")]


class _Reader:
    """Declarations from a tree. `bad`: the beginnings of the ways to shape problems; what lies there is not built."""

    def __init__(self, tree: Mapping, bad: set[tuple[str, ...]]) -> None:
        self.tree, self._bad = tree, bad

    def _good(self, section: str) -> list[Entry]:
        if (section,) in self._bad:
            return []
        return [entry for entry in entries(self.tree.get(section)) if (section, entry.name) not in self._bad]

    def _variables(self) -> dict[str, VarDecl]:
        return {entry.name: building.variable(entry) for entry in self._good("vars")}

    def variable_problems(self) -> list[Diagnostic]:
        """Of the declarations, and of every profile's overlay on them."""
        declared = self._variables()
        problems = [each for decl in declared.values() for each in declaration_problems(decl)]
        section: Tree | None = self.tree.get("vars")
        for entry in entries(self.tree.get("profiles")):
            problems += profiles.problems(section, declared, building.profile(entry))
        return list(dict.fromkeys(problems))

    def manifest(self, path: Path, file: str, text: str, warnings: tuple[Diagnostic, ...]) -> Manifest:
        """Of a tree without errors."""
        tree, limits = self.tree, building.written(self.tree, "limits")
        return Manifest(
            path=path,
            file=file,
            text=text,
            tree=tree,
            name=building.value_of(tree, "name") or path.stem,
            description=building.value_of(tree, "description"),
            vars=self._variables(),
            assets={each.name: each for each in map(building.asset, self._good("assets")) if each},
            defaults=building.defaults(tree.get("defaults")),
            profiles={entry.name: building.profile(entry) for entry in self._good("profiles")},
            nodes={each.id: each for each in map(building.node, self._good("nodes")) if each},
            outputs={each.name: each for each in map(building.output, self._good("outputs")) if each},
            limits=building.limits(limits) if limits else LimitsDecl(),
            env=tuple(building.value_of(tree, "env") or ()),
            warnings=warnings,
        )
