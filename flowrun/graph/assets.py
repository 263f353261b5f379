"""The assets of a flow: their places evaluated, each looked at once. Owns what is said of an asset that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.graph.check import hand_written
from flowrun.graph.defaults import check_early
from flowrun.graph.inputs import InputError, InputFacts, KnownMedia, UploadedMedia, has_scheme, look_written
from flowrun.graph.outcomes import AssetMedia
from flowrun.graph.places import referred
from flowrun.graph.request import WrittenMedia, evaluate, evaluation_problem
from flowrun.graph.scope import ScopeSource
from flowrun.graph.values import Expression, Literal, SourcedText, Value, compile_value, sourced
from flowrun.manifest.declared import AssetDecl, Flow
from flowrun.media.facts import MediaFacts
from flowrun.template import EvaluationError, Unresolved

_ROOTS = {"vars", "flow"}


def find_assets(flow: Flow, inputs: InputFacts, problems: list[Diagnostic]) -> dict[str, AssetMedia]:
    """Every asset whose place is known. One that cannot be read is an error where it is declared, used or not."""
    scope = ScopeSource(flow, {}, {}).base()
    found = {}
    for name, decl in flow.assets.items():
        text = _place(decl, flow, scope, problems)
        if text is not None:
            found[name] = AssetMedia(name, str(text), text.base, decl.sha256, decl.path_or_url.span, _Looker(inputs))
            problems.extend(_unusable(found[name], decl, text.span, inputs))
    return found


def _place(decl: AssetDecl, flow: Flow, scope: Mapping[str, object], problems: list[Diagnostic]) -> SourcedText | None:
    """The asset's path or address; None where a variable without a value is in it, or a mistake."""
    value = compile_value(decl.path_or_url, flow.manifest.path.parent, problems)
    wrong = list(check_early(value, flow, _ROOTS))
    problems.extend(wrong)
    if wrong:
        return None
    try:
        found = _evaluated(value, scope, problems)
    except Unresolved:
        return None
    if isinstance(found, SourcedText) or found is None:
        return found
    message = f"asset '{decl.name}' must be a path or an address"
    problems.append(Diagnostic("wrong-type", message, value.span, "write a text, or a template that gives one"))
    return None


def _evaluated(value: Value, scope: Mapping[str, object], problems: list[Diagnostic]) -> object:
    """None where a mistake stands in the problems. Raises Unresolved."""
    if not isinstance(value, Expression):
        return sourced(value.value, value.base, value.span) if isinstance(value, Literal) else ""
    try:
        found = evaluate(value, scope)
    except EvaluationError as error:
        problems.append(evaluation_problem(value, error))
        return None
    return "" if found is None else found


def _unusable(asset: AssetMedia, decl: AssetDecl, own: Span | None, inputs: InputFacts) -> Iterator[Diagnostic]:
    """`own`: where the text itself stands, such as the default of a variable."""
    if decl.is_url and not has_scheme(asset.written):
        message = f"'{asset.written}' is no address"
        yield Diagnostic("bad-media-url", message, asset.span, "write path: for a file, or begin with https://")
        return
    try:
        seen = look_written(WrittenMedia(asset.written, asset.base, asset.pin, asset.name), inputs)
    except InputError as error:
        apart = own is not None and own != asset.span
        span, notes = (own, (referred(asset.span),)) if apart else (asset.span, ())
        yield Diagnostic(error.code, error.message, span, error.hint, notes)
    else:
        if isinstance(seen, UploadedMedia):
            yield hand_written(asset.span)


class _Looker:
    """Looks at assets when a template asks for a fact."""

    def __init__(self, inputs: InputFacts) -> None:
        self._inputs = inputs

    def __call__(self, asset: AssetMedia) -> tuple[MediaFacts, str] | None:
        try:
            seen = look_written(WrittenMedia(asset.written, asset.base, asset.pin, asset.name), self._inputs)
        except InputError:
            return None
        return (seen.facts, seen.digest.sha256) if isinstance(seen, KnownMedia) else None
