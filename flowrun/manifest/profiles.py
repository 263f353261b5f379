"""Profiles: overlays on variables and defaults. Owns the merge; nothing else of a manifest can be overlaid."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping

from flowrun.diagnostics.model import Diagnostic
from flowrun.manifest import shape
from flowrun.manifest.building import defaults as built_defaults
from flowrun.manifest.building import entries, variable
from flowrun.manifest.declared import ProfileDecl, VarDecl
from flowrun.manifest.models import Variable
from flowrun.manifest.variables import declaration_problems, unknown_variable
from flowrun.yaml_tree import Entry, Mapping, Scalar, Tree

_DECLARATION = frozenset(Variable.model_fields)


def merged(base: Mapping, over: Mapping, levels: int = 100) -> Mapping:
    """`over` laid on `base`: mappings are merged down to `levels`, anything else is replaced whole. Places are kept."""
    result = {entry.name: entry for entry in base.entries}
    for entry in over.entries:
        below = result.get(entry.name)
        if levels > 1 and below and isinstance(below.value, Mapping) and isinstance(entry.value, Mapping):
            result[entry.name] = Entry(entry.key, merged(below.value, entry.value, levels - 1))
        else:
            result[entry.name] = entry
    return Mapping(tuple(result.values()), over.span)


def overlaid_defaults(base: AnyMapping[str, Mapping], profile: ProfileDecl | None) -> dict[str, Mapping]:
    """Defaults by operation, a profile laid over them down to the single input."""
    result = dict(base)
    for name, inputs in built_defaults(profile.defaults if profile else None).items():
        result[name] = merged(base[name], inputs, 1) if name in base else inputs
    return result


def overlaid_variables(section: Tree | None, profile: ProfileDecl) -> dict[str, VarDecl]:
    """Declarations with a profile laid over them; what it names and nobody declared is left out."""
    over = {entry.name: entry.value for entry in entries(profile.vars)}
    found = {}
    for entry in entries(section):
        tree = _overlaid(entry.value, over[entry.name]) if entry.name in over else entry.value
        found[entry.name] = variable(Entry(entry.key, tree))
    return found


def _overlaid(base: Tree, over: Tree) -> Tree:
    """A value replaces the default, mappings are merged; a mapping with a declaration's own keys changes the declaration."""
    if not isinstance(base, Mapping):
        return over
    if base.get("type") is None:
        return merged(base, over) if isinstance(over, Mapping) else over
    if isinstance(over, Mapping) and over.entries and _DECLARATION.issuperset(over.keys):
        return merged(base, over, 1)
    entry = base.entry("default")
    if entry and isinstance(entry.value, Mapping) and isinstance(over, Mapping):
        over = merged(entry.value, over)
    key = entry.key if entry else base.entries[0].key
    return merged(base, Mapping((Entry(Scalar("default", key.span), over),), over.span), 1)


def problems(section: Tree | None, declared: AnyMapping[str, VarDecl], profile: ProfileDecl) -> Iterator[Diagnostic]:
    """What is wrong with a profile's variables, whether or not anybody asks for the profile.

    Of a variable that is in the section and not among those `declared`, the declaration is broken: nothing can be said.
    """
    bases = {entry.name: entry.value for entry in entries(section)}
    for entry in entries(profile.vars):
        if entry.name not in bases:
            yield unknown_variable(entry.name, entry.key.span, bases)
        if entry.name not in declared:
            continue
        tree = _overlaid(bases[entry.name], entry.value)
        wrong = [each for _, each in shape.problems(tree, Variable)] if _is_declaration(tree) else []
        yield from wrong or declaration_problems(variable(Entry(entry.key, tree)))


def _is_declaration(tree: Tree) -> bool:
    return isinstance(tree, Mapping) and tree.get("type") is not None
