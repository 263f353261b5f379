"""A manifest with values: flags, vars files and a profile. Owns who overrides whom.

Lowest to highest: the default, the profile's, each vars file in turn, each ``--var`` in turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence as AnySequence
from pathlib import Path

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.diagnostics.span import Span
from flowrun.diagnostics.suggest import did_you_mean
from flowrun.manifest import profiles
from flowrun.manifest.building import entries
from flowrun.manifest.declared import Flow, Given, Manifest, ProfileDecl, VarDecl
from flowrun.manifest.reading import load
from flowrun.manifest.variables import Told, accept, from_file, from_flag
from flowrun.yaml_tree import parse


def resolve(
    manifest: Manifest,
    *,
    cli_vars: AnySequence[str] = (),
    vars_files: AnySequence[Path] = (),
    profile: str | None = None,
    cwd: Path,
    demand: bool = True,
) -> Flow:
    """See `flowrun.manifest.resolve`."""
    overlay = _profile(manifest, profile)
    decls = profiles.overlaid_variables(manifest.tree.get("vars"), overlay) if overlay else dict(manifest.vars)
    problems: list[Diagnostic] = []
    refused: set[str] = set()
    told = _told(decls, vars_files, cli_vars, cwd, problems, refused)
    values = {name: _given(decl, told.get(name), manifest.path.parent) for name, decl in decls.items()}
    if demand:
        problems += _unset((decl for name, decl in decls.items() if name not in refused), values)
    if problems:
        raise DiagnosticError(problems)
    return Flow(
        manifest=manifest,
        profile=profile or "",
        name=manifest.name,
        values=values,
        assets=manifest.assets,
        defaults=profiles.overlaid_defaults(manifest.defaults, overlay),
        nodes=manifest.nodes,
        outputs=manifest.outputs,
        limits=manifest.limits,
        env=manifest.env,
        warnings=manifest.warnings,
    )


def _profile(manifest: Manifest, name: str | None) -> ProfileDecl | None:
    if not name:
        return None
    if name in manifest.profiles:
        return manifest.profiles[name]
    known = f"known: {', '.join(manifest.profiles)}" if manifest.profiles else "the manifest declares no profiles"
    span = Span("--profile", 1, 1, 1, len(name) + 1)
    hint = did_you_mean(name, manifest.profiles) or known
    raise DiagnosticError([Diagnostic("unknown-profile", f"there is no profile `{name}`", span, hint)])


def _told(
    decls: AnyMapping[str, VarDecl],
    files: Iterable[Path],
    flags: Iterable[str],
    cwd: Path,
    problems: list[Diagnostic],
    refused: set[str],
) -> dict[str, tuple[Told, Path]]:
    """The last word on each variable from outside the manifest, with the folder its paths are relative to.

    `refused` takes the names that were given a value which is not taken: they are wrong, not missing.
    """
    found: dict[str, tuple[Told, Path]] = {}
    for path in files:
        for told in _from_file(cwd / path, str(path), decls, problems, refused):
            found[told.decl.name] = told, (cwd / path).parent
    for flag in flags:
        try:
            told = from_flag(flag, decls)
            found[told.decl.name] = told, cwd
        except DiagnosticError as error:
            problems += error.diagnostics
            refused.add(flag.partition("=")[0])
    return found


def _from_file(
    path: Path, file: str, decls: AnyMapping[str, VarDecl], problems: list[Diagnostic], refused: set[str]
) -> list[Told]:
    try:
        tree = parse(load(path, file), file)
    except DiagnosticError as error:
        problems += error.diagnostics
        refused.update(decls)  # nobody knows which of them it gives
        return []
    told, wrong = from_file(tree, decls)
    problems += wrong
    refused.update({entry.name for entry in entries(tree)} - {each.decl.name for each in told})
    return told


def _given(decl: VarDecl, told: tuple[Told, Path] | None, home: Path) -> Given:
    if told:
        return Given(told[0].value, told[0].span, told[1], decl.type, decl.span)
    if decl.default is None:
        return Given(None, decl.span, home, decl.type, decl.span, is_set=False)
    return Given(accept(decl, decl.default), decl.default.span, home, decl.type, decl.span)


def _unset(decls: Iterable[VarDecl], values: AnyMapping[str, Given]) -> Iterable[Diagnostic]:
    for decl in decls:
        if decl.required and not values[decl.name].is_set:
            hint = f"give it: --var {decl.name}=…"
            yield Diagnostic(
                "unset-variable", f"the variable `{decl.name}` is required and has no value", decl.span, hint
            )
