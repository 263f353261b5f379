"""The lines of a plan: an instance a line, instances of one fan-out that say the same in one. Owns folding and layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flowrun.plan.model import Cost, Decision, Step
from flowrun.ui.reasons import reason_words
from flowrun.ui.typed import listed

FEW = 6  # instances of a fan-out that still get a line each
MOST_CHANGES = 8  # fields shown below a line
_WIDEST = (10, 30, 38, 20)  # beyond these a cell stands out of its column, so that one long name does not push all others
_INDENT = "  "
_BELOW = " " * 6
KINDS = {
    Decision.HIT: "quiet",
    Decision.RUN: "work",
    Decision.UNDECIDED: "work",
    Decision.RESUME: "good",
    Decision.SKIP: "quiet",
    Decision.HELD: "warn",
    Decision.GATED: "warn",
    Decision.UNCERTAIN: "bad",
    Decision.REJECTED: "bad",
    Decision.BLOCKED: "warn",
    Decision.EXCLUDED: "quiet",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One step, or several of one fan-out with the same decision and reason."""

    steps: tuple[Step, ...]

    @property
    def first(self) -> Step:
        return self.steps[0]

    @property
    def name(self) -> str:
        return listed([str(step.address) for step in self.steps])

    @property
    def cost(self) -> Cost:
        return sum((step.cost for step in self.steps), Cost())

    @property
    def reason(self) -> str:
        details = {step.why.detail if step.why else None for step in self.steps}
        return reason_words(self.first, alike=len(details) == 1)


def is_unchanged(step: Step) -> bool:
    """Whether a step has nothing to say but that nothing changed."""
    return step.decision is Decision.HIT and step.why is None


def rows_of(steps: Iterable[Step], *, verbose: bool) -> list[Row]:
    """Rows in the manifest's order, a group where its first stands. `verbose`: a row an instance."""
    if verbose:
        return [Row((step,)) for step in steps]
    groups: dict[object, list[Step]] = {}
    for step in steps:
        groups.setdefault(_likeness(step), []).append(step)
    return sorted(
        (row for group in groups.values() for row in _folded(group)), key=_places([s for g in groups.values() for s in g])
    )


def _places(steps: Sequence[Step]) -> object: ...
