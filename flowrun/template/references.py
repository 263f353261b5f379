"""What a template refers to. Owns the shape of a reference and how its subscripts are resolved; `analysis` finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from flowrun.template.errors import Unresolved
from flowrun.template.values import Key

ROOTS = ("vars", "assets", "nodes", "each", "flow", "env")
_OF_A_NODE = ("output", "outputs", "takes")  # what stands after a node's id and is no key of a fan-out


class Guard(StrEnum):
    """What a reference does when its target is skipped or missing.

    DEFINED: it is the operand of `is defined` (or `is not defined`, `is undefined`), which asks only that.
    DEFAULT: it is the operand of the filter `default` (or `d`), or it stands where such a test on the same target
    has already been answered: in the branch of an `if` (inline or block, `elif` and `else` too), right of `and`
    where the left is true, right of `or` where the left is false, in a loop whose own `if` tests it. The same
    target is, for `nodes`, the same id and, if an instance was tested (`nodes.shot[key]`), the same subscript; for
    other roots, what was tested or anything below it. NONE: anything else.
    """

    NONE = "none"
    DEFINED = "defined"
    DEFAULT = "default"


class Wildcard(Enum):
    """A subscript that may be any key."""

    ANY = "*"

    def __repr__(self) -> str:
        return "WILDCARD"


WILDCARD = Wildcard.ANY


@dataclass(frozen=True, slots=True)
class Dynamic:
    """A subscript that is an expression. `local`: it uses a name bound in the template (a loop's, `set`'s)."""

    text: str
    offset: int
    length: int
    local: bool
    evaluate: Callable[[Mapping[str, object]], Key] = field(repr=False, compare=False)

    def resolve(self, scope: Mapping[str, object]) -> Key | Wildcard:
        """Its value in `scope`. Raises EvaluationError."""
        if self.local:
            return WILDCARD
        try:
            return self.evaluate(scope)
        except Unresolved:
            return WILDCARD


@dataclass(frozen=True, slots=True)
class Reference:
    """A chain of dots and subscripts from a root of the scope, as long as it goes.

    `offset` and `length` are code points of the template's text and spell the chain.
    """

    root: str
    steps: tuple[str | int | Dynamic, ...]
    offset: int
    length: int
    guard: Guard = Guard.NONE

    def resolve(self, scope: Mapping[str, object]) -> tuple[Key | Wildcard, ...]:
        """The steps with each dynamic subscript evaluated.

        WILDCARD stands for one that depends on names bound in the template or on something unresolved. Raises
        EvaluationError.
        """
        return tuple(step.resolve(scope) if isinstance(step, Dynamic) else step for step in self.steps)


Chain = tuple[Key, ...]  # a root and its steps, dynamic ones as their text in brackets


def chain_of(root: str, steps: tuple[str | int | Dynamic, ...]) -> Chain:
    """A chain for comparison: two spellings of one target are equal."""
    return root, *(f"[{step.text}]" if isinstance(step, Dynamic) else step for step in steps)


def covers(tested: Chain, chain: Chain) -> bool:
    """Whether a test of `tested` answers for `chain`; the rule is Guard's."""
    if tested[0] == "nodes" and len(tested) > 1:
        return _node(chain)[: len(_node(tested))] == _node(tested)
    return chain[: len(tested)] == tested


def _node(chain: Chain) -> Chain:
    return chain[:2] if len(chain) > 2 and chain[2] in _OF_A_NODE else chain[:3]
