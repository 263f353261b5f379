"""A plan made on its own right before an apply, where one process is at work and nobody speaks meanwhile: what the apply submits
has to stand in that one too. Owns the asking; what agreement is, is `checking`'s.

Where trusted counters may settle something first, the plan warns of that, and is not held against the apply.
"""

from __future__ import annotations

from typing import Any

from flowrun.production.exits import Exit
from tests.simulation import visits
from tests.simulation.bugs import Patches
from tests.simulation.checking import Snapshot, check_agreement
from tests.simulation.process import Process


def planned_before() -> Patches:
    session: Any = visits._Session
    applied = session._applied

    async def planned(self: Any, process: Process, resend: tuple[str, ...]) -> Exit:
        said, shown = self.world.round, None
        if len(said.visits) == 1 and not said.words:
            plan = self.production(process, resend).plan()
            if not any(warning.code == "counters-decide" for warning in plan.warnings):
                shown = Snapshot.of(plan)
                self.world.tally["plan before an apply"] += 1
        try:
            return await applied(self, process, resend)
        finally:
            if shown is not None:
                check_agreement(self.world, process, shown)

    return [(session, "_applied", planned)]
