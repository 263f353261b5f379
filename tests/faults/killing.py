"""A production that is killed at a named point and taken up again. Owns the matrix: which points, which passing of each,
and what may follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.dying import struck
from tests.faults.judging import Judgement, judge
from tests.faults.points import ACCEPTED, POINTS, UNKNOWN
from tests.faults.stage import NODES, Production
from tests.faults.taking_up import TakenUp, take_up

KILLED = -9
FIRST, SECOND, LAST = 1, 2, len(NODES)
ONCE = ("before-end", "before-retire")  # points that an apply passes once
LESS = ("before-send", "after-ended", "half-commit", "after-export")  # beside another one: first and last are enough


@dataclass(frozen=True, slots=True)
class Kill:
    """The process dies the `nth` time that it comes to `point`; `resend`: that is what a person then says."""

    point: str
    nth: int
    resend: bool = False

    @property
    def name(self) -> str:
        return f"{self.point}-{self.nth}" + ("-resend" if self.resend else "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case. `died`: whether by our own hand, there; `sent`: requests that were on the wire then, which are all
    that may be in doubt afterwards."""

    name: str
    point: str
    died: bool
    sent: int
    taken: TakenUp
    judged: Judgement

    @classmethod
    def missed(cls, name: str, point: str, why: str) -> Outcome:
        """Of a case that came to nothing, because the moment never came or a deadline passed."""
        return cls(name, point, False, 0, TakenUp(wrong=[why]), Judgement(0, 0, ()))

    @property
    def wrong(self) -> tuple[str, ...]:
        """Every promise that was broken, in words."""
        counts = {"requests paid twice": self.judged.doubles, "results lost": self.judged.lost}
        died = () if self.died else ("the moment never came",)
        told = tuple(f"{number} {what}" for what, number in counts.items() if number)
        return (*died, *told, *self.taken.wrong, *self.judged.wrong)


def _passings(point: str) -> tuple[int, ...]:
    if point in ONCE:
        return (FIRST,)
    return (FIRST, LAST) if point in LESS else (FIRST, SECOND, LAST)


KILLS = (
    *(Kill(point, nth) for point in POINTS for nth in _passings(point)),
    Kill("after-intent", SECOND, resend=True),
    Kill("after-send", FIRST, resend=True),
)


def kill(case: Kill, project: Production) -> Outcome:
    """Start, let it die, take it up to its end, look at everything."""
    process = project.launch(case.point, str(case.nth), command=("apply", "flow.yaml", "--quiet"))
    code, _, err = process.ended()
    if code != KILLED or err.splitlines()[-1:] != [struck(case.point, case.nth)]:
        return Outcome.missed(case.name, case.point, f"exit {code}: {err}")
    project.age_leftovers()
    sent, known = on_the_wire(project), len(project.accepted())
    taken = take_up(project, resend=case.resend)
    taken.wrong += _wrong_window(case, sent, known)
    if (sorted(taken.doubtful), taken.applies) != (sorted(sent), 2 if sent else 1):
        taken.wrong.append(f"{taken.applies} applies, in doubt were {taken.doubtful}, on the wire {sent}")
    return Outcome(case.name, case.point, True, len(sent), taken, judge(project, _paid_again(case, taken)))


def on_the_wire(project: Production) -> list[str]:
    """Nodes whose request may have left, and whose answer is not on record."""
    with project.ledger() as ledger:
        return [row.origin.address.partition("#")[0] for row in ledger.unanswered()]


def _wrong_window(case: Kill, sent: list[str], known: int) -> Iterator[str]:
    """Whether it died where the point's name says, as far as others can tell. `known`: requests that the server has accepted."""
    if case.point in UNKNOWN and len(sent) != 1:
        yield f"on the wire were {sent}"
    if case.point in UNKNOWN and known != (case.nth if case.point in ACCEPTED else case.nth - 1):
        yield f"{known} requests had been accepted when it died"


def _paid_again(case: Kill, taken: TakenUp) -> list[str]:
    """What a person had sent again although it had been accepted."""
    return taken.resent if case.point in ACCEPTED else []
