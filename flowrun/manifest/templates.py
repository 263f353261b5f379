"""Where templates may stand and what they may speak of. Owns that table; whether a reference leads anywhere is graph's.

Only what can be said without a value: syntax, names of filters, and roots of the scope that a place does not have.
"""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.diagnostics.model import Diagnostic, Severity
from flowrun.manifest.building import entries
from flowrun.manifest.models import has_template
from flowrun.template import TemplateError, parse
from flowrun.yaml_tree import Mapping, Scalar, Sequence, Tree

_ALL = frozenset(("vars", "assets", "nodes", "each", "flow", "env"))
_EARLY = frozenset(("vars", "flow"))
_PUBLIC = _ALL - {"env"}
_SCOPES = {  # of a node's keys
    "with": _ALL,
    "when": _PUBLIC,
    "foreach": _PUBLIC - {"each"},
    "takes": frozenset(("vars", "each")),
    "cache": _PUBLIC,
}


def problems(tree: Mapping) -> Iterator[Diagnostic]:
    """Every template of a manifest that cannot be right, and every one that stands where none is rendered."""
    for name in ("assets", "defaults"):
        yield from _section(tree.get(name), _EARLY, f"`{name}`")
    for profile in entries(tree.get("profiles")):
        parts = profile.value if isinstance(profile.value, Mapping) else None
        yield from _section(parts.get("defaults") if parts else None, _EARLY, "`defaults`")
        yield from _literal(parts.get("vars") if parts else None)
    yield from _literal(tree.get("vars"))
    for node in entries(tree.get("nodes")):
        yield from _node(node.value)
    yield from _section(tree.get("outputs"), _PUBLIC, "`outputs`")


def _node(tree: Tree) -> Iterator[Diagnostic]:
    for entry in entries(tree):
        if entry.name in _SCOPES:
            skip = ("key",) if entry.name == "foreach" else ()
            yield from _section(entry.value, _SCOPES[entry.name], f"`{entry.name}`", skip)
        elif entry.name in ("uses", "needs"):
            yield from _forbidden(entry.value, f"`{entry.name}`")
    foreach = tree.get("foreach") if isinstance(tree, Mapping) else None
    if isinstance(foreach, Mapping) and {"file", "items"} & set(foreach.keys):
        yield from _forbidden(foreach.get("key"), "the `key` of a foreach")


def _section(tree: Tree | None, scope: frozenset[str], where: str, skip: tuple[str, ...] = ()) -> Iterator[Diagnostic]:
    for scalar in scalars(tree, skip):
        if has_template(scalar.value) and not scalar.literal:
            yield from _template(scalar, scope, where)


def scalars(tree: Tree | None, skip: tuple[str, ...] = ()) -> Iterator[Scalar]:
    """Every value below `tree`, in order; not below the entries of `tree` itself that are to be skipped."""
    if isinstance(tree, Scalar):
        yield tree
    elif isinstance(tree, Sequence):
        for item in tree.items:
            yield from scalars(item)
    for entry in entries(tree):
        if entry.name not in skip:
            yield from scalars(entry.value)


def _template(scalar: Scalar, scope: frozenset[str], where: str) -> Iterator[Diagnostic]:
    try:
        template = parse(str(scalar.value))
    except TemplateError as error:
        span = scalar.locate(error.offset, error.length)
        yield Diagnostic(error.code, error.message, span, error.hint or "see the guide on templates")
        return
    for reference in template.references:
        if reference.root in _ALL - scope:
            names = ", ".join(f"`{name}`" for name in sorted(scope))
            hint = f"a template here may speak of {names}"
            if reference.root == "env":
                hint = "secrets may stand in a node's `with` alone, so that they decide nothing and name nothing"
            span = scalar.locate(reference.offset, reference.length)
            yield Diagnostic("out-of-scope", f"`{reference.root}` is not known in {where}", span, hint)


def _literal(section: Tree | None) -> Iterator[Diagnostic]:
    """Variables are taken as they stand; a template in one is most likely a mistake."""
    for variable in entries(section):
        tree = variable.value
        declared = isinstance(tree, Mapping) and tree.get("type") is not None
        for scalar in scalars(tree, ("description",) if declared else ()):
            if has_template(scalar.value):
                message = "variables are not rendered: this text is used as it stands, braces and all"
                hint = "put the template where the variable is used, or leave it if the braces are meant"
                yield Diagnostic("literal-template", message, scalar.span, hint, severity=Severity.WARNING)


def _forbidden(tree: Tree | None, where: str) -> Iterator[Diagnostic]:
    for scalar in scalars(tree):
        if has_template(scalar.value):
            hint = "write it out: the graph's nodes and their kinds do not depend on values"
            yield Diagnostic("template-not-here", f"{where} takes no template", scalar.span, hint)
