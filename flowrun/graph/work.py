"""What one expansion works on and gathers, and values that must be known before anything ran. Owns no rules of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowrun.diagnostics.model import Diagnostic
from flowrun.graph.address import Address
from flowrun.graph.model import CompiledNode, Each, Instance
from flowrun.graph.outcomes import Outcomes
from flowrun.graph.request import evaluate, evaluation_problem
from flowrun.graph.scope import ScopeSource, Unset
from flowrun.graph.values import Expression, Literal, MapValue, SourcedText, Value
from flowrun.manifest.declared import Flow
from flowrun.operations.catalogue import Catalogue
from flowrun.template import EvaluationError, Unresolved

ReadData = Callable[[Path], bytes]
NOTHING = Outcomes({})


class Stop(Exception):
    """This cannot be expanded; why stands in the problems. `unset`: only because a variable has no value, which is no
    mistake where none is demanded."""

    def __init__(self, *, unset: bool = False) -> None:
        super().__init__()
        self.unset = unset


@dataclass(slots=True)
class Work:
    flow: Flow
    catalogue: Catalogue
    nodes: Mapping[str, CompiledNode]
    source: ScopeSource
    read_data: ReadData
    defaults: Mapping[str, MapValue]
    instances: dict[Address, Instance] = field(default_factory=dict)
    fanouts: dict[str, Mapping[str, Address]] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)

    @property
    def base(self) -> Path:
        """The folder that relative paths in the manifest count from."""
        return self.flow.manifest.path.parent

    def scope(self, each: Each | None) -> dict[str, Any]:
        return self.source.full(each, NOTHING, self.fanouts)

    def static(self, value: Expression, each: Each | None) -> Any:
        """An expression's value before anything ran. Raises Stop."""
        try:
            return evaluate(value, self.scope(each))
        except Unresolved as unresolved:
            if isinstance(unresolved.what, Unset):
                raise Stop(unset=True) from None
            message = f"this has to be known before anything runs, and depends on {unresolved.what}"
            hint = "use vars, assets or data files here"
            self.problems.append(Diagnostic("not-known-yet", message, value.value_span, hint))
        except EvaluationError as error:
            self.problems.append(evaluation_problem(value, error))
        raise Stop

    def plain(self, value: Value, each: Each | None) -> Any:
        """A scalar's value before anything ran; None for a list or mapping. Raises Stop."""
        if isinstance(value, Expression):
            found = self.static(value, each)
            return str(found) if isinstance(found, SourcedText) else found
        return value.value if isinstance(value, Literal) else None
