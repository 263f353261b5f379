"""A process that stands still at a named point until it counts as dead and a second one has taken everything up; then it goes on.
Owns where it is frozen, what is said meanwhile, and what the first must not do when it comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
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
    finishes, before it goes on; `joined`: the second process begins while the first still counts as alive; `racing`: the first
    goes on as soon as the second speaks to the server, and both come to their end at once."""

    point: str
    nth: int = 1
    word: bool = False
    joined: bool = False
    racing: bool = False

    @property
    def name(self) -> str:
        more = "-settled" if self.word else "-joined" if self.joined else "-racing" if self.racing else ""
        return f"frozen-{self.point}-{self.nth}{more}"


FREEZES = (
    Freeze("after-claim"),
    Freeze("before-intent"),
    Freeze("before-intent", 2),
    Freeze("before-intent", racing=True),
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
    Freeze("polling", racing=True),
    Freeze("before-ended", 2),
    Freeze("half-download"),
    Freeze("half-download", 4),
    Freeze("half-download", racing=True),
    Freeze("before-commit"),
    Freeze("before-commit", 2, racing=True),
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
    sent, taken = on_the_wire(project), TakenUp()
    if not case.joined:
        _await_stale(project)
    if case.racing:
        _race(project, first, taken)
    else:
        taken = _second(case, project)
        _thawed(case, project, first, taken, sent)
    if bool(taken.unknown) != bool(sent):
        taken.wrong.append(f"on the wire were {sent}, in doubt {taken.doubtful}")
    last = apply_once(project, taken)
    if last["exit"] != 0 or last["submitted"]:
        taken.wrong.append(
            f"after it had come back, an apply submitted {last['submitted']} and ended with {last['exit']}"
        )
    found = first.err.read_text().splitlines()[:1] == [struck(case.point, case.nth)]
    return Outcome(case.name, f"frozen {case.point}", found, len(sent), taken, judge(project))


def _await_stale(project: Production) -> None:
    """Until its heartbeat is so old that anybody may reap it."""
    with project.ledger() as ledger:
        (owner,) = ledger.owners()
    _until(lambda: time.time() - owner.heartbeat > REAP_AFTER)


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end, "the moment never came"
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


def _thawed(case: Freeze, project: Production, first: Forked, taken: TakenUp, sent: Sequence[str]) -> None:
    """Let it go on, to its end. Where all is made meanwhile, it sends nothing; it may only while a node is in doubt."""
    before, thawed = len(project.accepted()), time.time()
    first.go_on()
    _check_end(first, taken)
    if case.point == "after-intent" and not case.word:
        taken.wrong += _sent_late(project, sent, thawed)
    if len(project.accepted()) != before and (case.word or not sent):
        taken.wrong.append(f"when it came back, it sent {len(project.accepted()) - before}")


def _sent_late(project: Production, nodes: Sequence[str], thawed: float) -> Iterator[str]:
    """Whoever slept between intent and request reports it refused, and sends on a new intent. The refused one is not listed."""
    with project.ledger() as ledger:
        rows = [row for row, _ in ledger.requests(0.0, thawed)]
    late = [row.origin.address for row in rows if row.origin.address.partition("#")[0] in nodes]
    yield from (f"{address} was sent after it had slept" for address in late)


def _race(project: Production, first: Forked, taken: TakenUp) -> None:
    """The second process has reaped the first, and is in the middle of its work, when that one goes on."""
    before = _heard(project)
    second = project.launch("--brisk", command=APPLY)
    _until(lambda: _heard(project) > before)
    first.go_on()
    taken.applies += 1
    for each in (first, second):
        _check_end(each, taken)


def _heard(project: Production) -> int:
    """What the server has heard of a project: submissions and polls."""
    return sum(1 + each["polls"] for each in project.accepted())


def _check_end(process: Forked, taken: TakenUp) -> None:
    """In good order: exit 0, no traceback."""
    code, _, err = process.ended()
    if code != 0 or "Traceback" in err:
        taken.wrong.append(f"exit {code}: {err}")
