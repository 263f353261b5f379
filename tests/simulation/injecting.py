"""A sandbox that tells which faults of its scenario really happened. Owns what counts as that: a request met the fault, and
nothing that comes before it took its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowrun.sandbox.books import Books
from flowrun.sandbox.faults import Effects
from flowrun.sandbox.messages import Request, Response
from flowrun.sandbox.scenario import KINDS, OF_DOWNLOADS, Deed, Scenario
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import StateStore

EVERY_ONE = ("delay", "jump")  # they add up; of another kind, only the first that hits a request does anything


class Watched(Sandbox):
    """`tell`: called with the kind and the place of each fault that happened."""

    def __init__(self, state: StateStore, scenario: Scenario, tell: Callable[[str, str], None]) -> None:
        super().__init__(state, scenario=scenario)
        self._met, self._tell = Effects(), tell

    def _effects(self, visit: Any) -> Effects:
        self._met = super()._effects(visit)
        return self._met

    def _answer(self, books: Books, request: Request, now: float) -> Response:
        self._met = Effects()
        response = super()._answer(books, request, now)
        for fault in self._scenario.faults:
            if any(fault.do is each for each in self._met.deeds) and has_happened(fault.do, self._met, response):
                self._tell(kind_of(fault.do), fault.on)
        return response


def kind_of(deed: Deed) -> str:
    return next(kind for kind in KINDS if getattr(deed, kind) is not None)


def has_happened(deed: Deed, met: Effects, response: Response) -> bool:
    """Whether one of the deeds that a request met had its effect on what followed. A lost answer is lost whatever it was."""
    kind = kind_of(deed)
    if kind in EVERY_ONE:
        return True
    if deed is not next(each for each in met.deeds if _rank(each) == _rank(deed)):
        return False
    if kind == "tier" or deed.lost == "before":
        return True
    if met.lost_before:
        return False
    if kind in ("lost", "status"):
        return True
    if response.status >= 400:
        return False
    if kind in OF_DOWNLOADS and response.lost:
        return False
    return kind != "cut" or response.cut is not None


def _rank(deed: Deed) -> str:
    """What is equal for those of which only the first counts."""
    kind = kind_of(deed)
    return {"fail": "outcome", "cancelled": "outcome", "lost": f"lost {deed.lost}"}.get(kind, kind)
