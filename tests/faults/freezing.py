"""A process that stands still at a named point until it counts as dead and a second one has taken everything up; then it goes on.
Owns where it is frozen, what is said meanwhile, and what the first must not do when it comes back."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.faults.dying import REAP_AFTER, struck
from tests.faults.judging import judge
from tests.faults.killing import Outcome, on_the_wire
from tests.faults.points import UNKNOWN
from tests.faults.project import DEADLINE, PATIENCE
from tests.faults.stage import Production
from tests.faults.taking_up import TakenUp, apply_once, take_up
from tests.faults.warm import Forked

APPLY = ("apply", "flow.yaml", "--quiet")


@dataclass(frozen=True, slots=True)
class Freeze:
    """It stands still at the `nth` passing of `point`. `word`: whether a person settles what is in doubt, and the second process
    finishes, before it goes on; `joined`: the second process begins while the first still counts as alive."""

    point: str
    nth: int = 1
    word: bool = False
    joined: bool = False

    @property
    def name(self) -> str:
        more = "-settled" if self.word else "-joined" if self.joined else ""
        return f"frozen-{self.point}-{self.nth}{more}"


FREEZES = (
    Freeze("after-claim"),
    Freeze("before-intent"),
    Freeze("before-intent", 2),
    Freeze("after-intent"),
    Freeze("after-intent", 2, word=True),
    Freeze("before-send"),
    Freeze("after-send"),
    Freeze("after-send", word=True),
    Freeze("after-answer", 2),
    Freeze("after-answer", word=True),
    Freeze("after-id"),
    Freeze("polling"),
    Freeze("polling", joined=True),
    Freeze("before-ended", 2),
    Freeze("half-download"),
    Freeze("half-download", 4),
    Freeze("before-commit"),
    Freeze("half-commit", 2),
    Freeze("after-commit"),
    Freeze("before-pick"),
    Freeze("half-export", 2),
)
"""Not: before the request, and a person says `forget`. Then they have said that it never leaves, and it does."""


def freeze(case: Freeze, project: Production) -> Outcome:
    """Start, let it stand still, have the work taken up by another, let it go on, look at everything."""
    first = project.launch("--stop", "--brisk", case.point, str(case.nth), command=APPLY)
    first.await_stop()
    sent = on_the_wire(project)
    if not case.joined:
        _await_stale(project)
    taken = _second(case, project)
    in_doubt = bool(sent) and not case.word
    if (taken.unknown > 0) != bool(sent):
        taken.wrong.append(f"on the wire were {sent}, in doubt {taken.doubtful}")
    found = _thawed(case, first, taken, anew=in_doubt, project=project)
    last = apply_once(project, taken)
    if last["exit"] != 0 or last["submitted"]:
        taken.wrong.append(
            f"after it had come back, an apply submitted {last['submitted']} and ended with {last['exit']}"
        )
    return Outcome(case.name, f"frozen {case.point}", found, len(sent), taken, judge(project))


def _await_stale(project: Production) -> None:
    """Until its heartbeat is so old that anybody may reap it."""
    with project.ledger() as ledger:
        (owner,) = ledger.owners()
    end = time.monotonic() + DEADLINE
    while time.time() - owner.heartbeat <= REAP_AFTER:
        assert time.monotonic() < end
        time.sleep(PATIENCE)


def _second(case: Freeze, project: Production) -> TakenUp:
    """The second process: one apply; or as many as it takes, with a person's word."""
    if case.word:
        return take_up(project, brisk=True)
    taken = TakenUp()
    document = apply_once(project, taken, brisk=True)
    if document["exit"] != 0 and case.point not in UNKNOWN:
        taken.wrong.append(f"the second process ended with {document['exit']}: {document['troubles']}")
    return taken


def _thawed(case: Freeze, first: Forked, taken: TakenUp, *, anew: bool, project: Production) -> bool:
    """Let it go on, to its end: exit 0, no traceback; and where all is made, nothing more is sent. Whether it had stood still
    there."""
    before = len(project.accepted())
    first.go_on()
    code, _, err = first.ended()
    if code != 0 or "Traceback" in err:
        taken.wrong.append(f"when it came back: exit {code}: {err}")
    if len(project.accepted()) != before and not anew:
        taken.wrong.append(f"when it came back, it sent {len(project.accepted()) - before}")
    return err.splitlines()[:1] == [struck(case.point, case.nth)]
