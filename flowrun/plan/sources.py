"""What the planner looks things up in, and what the user asked of it. Owns both shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from flowrun.graph.address import Address
from flowrun.graph.inputs import InputFacts
from flowrun.ids import ActionKey, OwnerId
from flowrun.ledger.protocol import Ledger
from flowrun.operations.catalogue import Catalogue
from flowrun.store.protocol import Picks, Results


@dataclass(frozen=True, slots=True)
class Sources:
    """Read only, all of them. `gone`: whether an owner's process has certainly ended, so that what it intended without an
    answer is uncertain already, though nobody has reaped it yet."""

    catalogue: Catalogue
    results: Results
    ledger: Ledger
    picks: Picks
    inputs: InputFacts
    gone: Callable[[OwnerId], bool] = lambda owner: False


@dataclass(frozen=True, slots=True)
class Wishes:
    """`provider`: runway or sandbox. `selected`: what may be generated, None: everything. `forced` and `resend` name
    instances, or with a take one take of them. `spent`: keys for which such a wish has been granted once already; a saved
    plan that is applied again must not ask for them a second time."""

    provider: str
    selected: frozenset[Address] | None = None
    forced: frozenset[Address] = frozenset()
    resend: frozenset[Address] = frozenset()
    retry_rejected: bool = False
    spent: frozenset[ActionKey] = frozenset()
    started_at: float = 0.0
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)  # learned, by operation and model
