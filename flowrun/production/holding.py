"""Whether a saved plan still holds. Owns the rule: what may have changed since, because the plan itself achieved it, and what
may not. Pure but for `spent_keys`, which asks the ledger: a saved plan is held against the one that would be saved now.

The rule. A step may have come nearer to its end: what was to run is in flight, made, refused, in doubt, or blocked below such a
one; what was undecided is any of these, or skipped. Nothing may send a request more, cost more, or have another key than
planned. So an apply that was interrupted can be finished by the same saved plan, and one that was carried out finds nothing to
do. Everything else has moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowrun.diagnostics.model import Diagnostic, DiagnosticError, Note
from flowrun.diagnostics.span import Span
from flowrun.ids import ActionKey
from flowrun.ledger.handing import request_name
from flowrun.ledger.protocol import Ledger
from flowrun.plan.document import CreditsDocument
from flowrun.plan.model import Decision
from flowrun.production.saved import LimitsDocument, SavedPlan, SavedStep, SavedTake

_D = Decision
_ENDED = frozenset({_D.HIT, _D.RESUME, _D.UNCERTAIN, _D.REJECTED, _D.BLOCKED})
_NEARER: dict[Decision, frozenset[Decision]] = {  # what may become of a step by the plan's own doing, itself aside
    _D.RUN: _ENDED,
    _D.RESUME: _ENDED,
    _D.UNDECIDED: _ENDED | {_D.RUN, _D.SKIP},
    _D.HIT: frozenset({_D.BLOCKED}),  # it `needs` one that was refused
}
_WORDS = {"manifest": "the manifest", "vars": "the vars file", "data": "the data file", "input": "the input file"}


def spent_keys(saved: SavedPlan, ledger: Ledger) -> frozenset[ActionKey]:
    """Keys for which the plan's `--force`, `--resend` or `--retry-rejected`, or a `cache: false`, was granted once: something
    was sent for them since the plan was made, and did not simply fail. A task that the plan takes up is such a grant too."""
    planned = {take.key: take for step in saved.steps for take in step.takes}
    spent = {ActionKey(take.key) for take in planned.values() if take.decision is _D.RESUME}
    for task in ledger.tasks():
        failed = task.failure is not None and not task.failure.rejected
        if not failed and _is_new(task.key, task.task, task.submitted_at, planned, saved):
            spent.add(task.key)
    for intent in ledger.uncertain():
        if _is_new(intent.key, request_name(intent), intent.intended_at, planned, saved):
            spent.add(intent.key)
    return frozenset(spent)


def _is_new(key: ActionKey, name: str, at: float, planned: Mapping[str, SavedTake], saved: SavedPlan) -> bool:
    """Of a key that the plan did not know yet, only the time tells."""
    return name not in planned[key].known if key in planned else at > saved.made_at


def is_carried_out(saved: SavedPlan, now: SavedPlan) -> bool:
    """Whether everything that the plan was to do is done."""
    idle = {_D.HIT, _D.SKIP, _D.HELD, _D.EXCLUDED}
    had_work = any(step.decision not in idle for step in saved.steps)
    return had_work and all(step.decision in idle for step in now.steps)


def check_place(saved: SavedPlan, provider: str, account: str | None, again: str) -> None:
    """Before anything is planned: for another provider or account every step would differ. Raises DiagnosticError."""
    if provider != saved.provider:
        raise _moved([Note(f"it was made for {saved.provider}, and this is {provider}")], again)
    if saved.account is not None and account is not None and account != saved.account:
        message = f"it was made for the account {saved.account}, and the key that is set speaks for {account}"
        raise _moved([Note(message)], again)


def check(saved: SavedPlan, now: SavedPlan, places: Mapping[str, Span], again: str) -> None:
    """`now`: the plan as it would be saved now, `places`: where each address is declared, `again`: the command that saves anew.

    Raises DiagnosticError that names everything that moved.
    """
    steps = [Note(f"{address}: {what}", places.get(address)) for address, what in _moved_steps(saved, now)]
    found = [*steps, *map(Note, _moved_limits(saved, now)), *map(Note, _moved_outputs(saved, now))]
    if found:
        raise _moved([*map(Note, _edited(saved, now)), *found], again)


def _moved(notes: list[Note], again: str) -> DiagnosticError:
    message = "the saved plan does not hold any more; nothing was submitted"
    return DiagnosticError(
        [Diagnostic("plan-moved", message, None, f"look again, and save that: {again}", tuple(notes))]
    )


# -- what moved


def _edited(saved: SavedPlan, now: SavedPlan) -> Iterator[str]:
    """Files that are not as they were: the likely cause."""
    today = {(each.kind, each.path): each.sha256 for each in now.read}
    for each in saved.read:
        found = today.get((each.kind, each.path))
        if found is not None and found != each.sha256:
            yield f"{_WORDS.get(each.kind, f'the {each.kind}')} {each.path} was changed after the plan was made"
    if saved.flowrun != now.flowrun:
        yield f"the plan was made by flowrun {saved.flowrun}, and this is {now.flowrun}"


def _moved_steps(saved: SavedPlan, now: SavedPlan) -> Iterator[tuple[str, str]]:
    planned, today = ({step.address: step for step in plan.steps} for plan in (saved, now))
    ours = {take.key for step in saved.steps for take in step.takes if take.decision in (_D.RUN, _D.RESUME)}
    for address, step in planned.items():
        found = today.get(address)
        what = "was planned, and is not in the manifest any more" if found is None else _moved_step(step, found, ours)
        if what:
            yield address, what
    for address, step in today.items():
        if address not in planned:
            yield address, f"is new: {step.decision}, {_priced(step.credits)}"


def _moved_step(old: SavedStep, new: SavedStep, ours: set[str]) -> str | None:
    """What moved at one instance; None where nothing did, or only nearer to its end."""
    if (old.operation, old.model) != (new.operation, new.model):
        return f"was {old.operation} with {old.model}, is {new.operation} with {new.model}"
    if old.retry != new.retry:
        return f"'retry' was {_or_default(old.retry)}, is {_or_default(new.retry)}"
    if old.decision is _D.UNDECIDED and old.written != new.written:
        return f"its inputs were edited (was undecided, is {_told(new)})"
    return _moved_takes(old, new, ours) or _moved_decision(old, new, ours) or _moved_cost(old, new)


def _moved_decision(old: SavedStep, new: SavedStep, ours: set[str]) -> str | None:
    if new.decision is old.decision or new.decision in _NEARER.get(old.decision, ()):
        return None
    if old.decision is _D.EXCLUDED and new.decision is _D.HIT and {take.key for take in new.takes} <= ours:
        return None  # a twin that was selected has made it
    return f"was {_told(old)}, is {_told(new)}"


def _moved_takes(old: SavedStep, new: SavedStep, ours: set[str]) -> str | None:
    if not old.takes or not new.takes:
        return None
    if [take.take for take in old.takes] != [take.take for take in new.takes]:
        return f"had {len(old.takes)} takes, has {len(new.takes)}"
    for before, now in zip(old.takes, new.takes, strict=True):
        if before.key != now.key:
            what = "its request" if before.request != now.request else "its salt or API version"
            return f"{what} is another than planned (was {_told(old)}, is {_told(new)})"
        if (
            before.decision is _D.HIT
            and now.decision is _D.HIT
            and before.result != now.result
            and before.key not in ours
        ):
            return f"take {now.take} would use result {now.result}, and {before.result} was planned"
        if now.decision is not before.decision and now.decision not in _NEARER.get(before.decision, ()):
            return f"take {now.take} was {before.decision}, is {now.decision}"
    return None


def _moved_cost(old: SavedStep, new: SavedStep) -> str | None:
    if new.submissions.most > old.submissions.most:
        return f"would send {new.submissions.most} requests, and {old.submissions.most} were planned"
    same = old.decision is _D.RUN and new.submissions == old.submissions
    dearer = new.credits.high > old.credits.high or new.credits.unknown > old.credits.unknown
    if (same and new.credits != old.credits) or (dearer and not old.credits.unknown):
        return f"costs {_priced(new.credits)}, and {_priced(old.credits)} was planned"
    return None


def _moved_limits(saved: SavedPlan, now: SavedPlan) -> Iterator[str]:
    for name in LimitsDocument.model_fields:
        old, new = getattr(saved.limits, name), getattr(now.limits, name)
        if old != new:
            yield f"limits.{name} was {_or_none(old)}, is {_or_none(new)}"


def _moved_outputs(saved: SavedPlan, now: SavedPlan) -> Iterator[str]:
    for name in dict.fromkeys((*saved.outputs, *now.outputs)):
        if name not in now.outputs:
            yield f"the output '{name}' is gone"
        elif name not in saved.outputs:
            yield f"the output '{name}' is new"
        elif saved.outputs[name] != now.outputs[name]:
            yield f"the output '{name}' was edited"


# -- words


def _told(step: SavedStep) -> str:
    return f"{step.decision} ({step.reason})" if step.reason else str(step.decision)


def _priced(credits: CreditsDocument) -> str:
    known = f"{credits.low}-{credits.high}" if credits.low != credits.high else str(credits.high)
    words = "1 credit" if known == "1" else f"{known} credits"
    return f"{words} and {credits.unknown} of unknown price" if credits.unknown else words


def _or_default(value: int | None) -> str:
    return "the default" if value is None else str(value)


def _or_none(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items()) or "none"
    return "none" if value is None else str(value)
