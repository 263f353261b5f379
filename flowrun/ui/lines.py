"""Progress as plain lines that stay: one for each change a person waits for. Owns which events are worth a line.

Nothing moves the cursor, so the lines read the same in a terminal, a log and CI. What happens to many nodes at once
(reused, blocked, skipped, waiting for a slot) is counted or told once a model, so that a thousand nodes stay readable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from flowrun.diagnostics.visible import width as columns_of
from flowrun.engine import events as ev
from flowrun.engine.failure import Verdict
from flowrun.engine.states import NodeState
from flowrun.ui.numbers import credits, duration, elapsed, plural, spent
from flowrun.ui.paint import palette, safe
from flowrun.ui.retries import Retries
from flowrun.ui.shortfalls import next_free, soon, used_up
from flowrun.ui.tables import plain_wrapped

_NARROWEST = 40
_WORD = 9  # columns of the word that opens a line
_KINDS = {
    "succeeded": "good",
    "resumed": "good",
    "collected": "good",
    "submitted": "work",
    "exported": "good",
    "retry": "warn",
    "queued": "quiet",
    "kept": "warn",
    "over-cap": "warn",
    "paused": "warn",
    "left": "warn",
    "cancelled": "warn",
    "stopping": "warn",
    "damaged": "bad",
    "failed": "bad",
    "rejected": "bad",
    "uncertain": "bad",
}
_TROUBLE = frozenset(
    {"failed", "rejected", "uncertain", "weighing", "over-cap", "paused", "kept", "damaged", "stopping"}
)
_ENDS = {Verdict.REJECT: "rejected", Verdict.DOUBT: "uncertain"}
_TAKEN_UP = {
    "resumed": "its task from an earlier run is taken up; nothing is paid again",
    "joined": "another flowrun is making it; its result will be used",
}
_EXPORTS = {
    "written": ("exported", ""),
    "replaced": ("exported", ""),
    "removed": ("removed", ": nothing exports it any more"),
    "kept": ("kept", ": changed since we wrote it; --overwrite replaces it"),
    "damaged": ("damaged", ": its bytes in the store are not what they should be; nothing was written"),
}
_LIMITS = {
    "concurrency": "no slot is free; it and those after it wait for one",
}
_CAPS = {
    "run-cap": "over the cap (--max-credits)",
    "day-cap": "over what the project may commit in 24 hours (limits.credits_per_day)",
    "balance": "over the balance",
    "unknown-price": "has no known price, so nothing of it runs under a cap (--allow-unknown-price)",
}

Line = tuple[str, str]  # (word, the rest)


class Lines:
    """Hears events in order and writes what is worth a line. `write` gets a line at a time, without its break; `quiet`: only
    what went wrong. `width`: columns beyond which lines go on below themselves, None: never (a log is searched by line)."""

    def __init__(self, write: Callable[[str], None], colour: bool, quiet: bool, width: int | None = None) -> None:
        self._write, self._paint, self._quiet = write, palette(colour), quiet
        self.fit(width)
        self._start: float | None = None
        self._models: dict[str, str] = {}  # unit -> model
        self._daily: dict[str, int | None] = {}  # model -> generations a day
        self._retries = Retries()
        self._since: dict[str, float] = {}  # unit -> when it was submitted
        self._ends: Counter[NodeState] = Counter()
        self._cancels = False
        self._told: set[tuple[str, str]] = set()
        self._tellers: dict[type[Any], Callable[[Any], Iterator[Line]]] = {
            ev.RunStarted: self._run_started,
            ev.LimitsRead: self._limits_read,
            ev.Decided: self._decided,
            ev.Queued: self._queued,
            ev.OverCap: self._over_cap,
            ev.Granted: self._granted,
            ev.Submitted: self._submitted,
            ev.Progressed: self._progressed,
            ev.Stored: self._stored,
            ev.AttemptFailed: self._failed,
            ev.Weighing: self._weighing,
            ev.Left: self._left,
            ev.Settled: self._settled,
            ev.Recovered: self._recovered,
            ev.Withdrawn: self._withdrawn,
            ev.Halted: self._halted,
            ev.Interrupted: self._interrupted,
            ev.Exported: self._exported,
            ev.ExportFailed: self._export_failed,
            ev.RunEnded: self._ended,
        }

    def fit(self, width: int | None) -> None:
        """From here on lines go on below themselves beyond `width` columns, None: never."""
        self._room = None if width is None else max(_NARROWEST, width)

    def take_in(self, event: ev.Event) -> None:
        """The next event; writes nothing, a line, or a line with a hint below it."""
        if self._start is None:
            self._start = event.at
        teller = self._tellers.get(type(event))
        if teller is None:
            return
        for word, rest in teller(event):
            if not self._quiet or word in _TROUBLE:
                self._say(event.at, word, rest)

    def _say(self, at: float, word: str, rest: str) -> None:
        time = f"[{elapsed(at - (self._start or at))}]"
        head, _, hint = rest.partition("\n")
        shown = self._paint(word, _KINDS.get(word, "")) + " " * max(0, _WORD - len(word))
        lead = " " * (len(time) + _WORD + 3)
        first, *more = self._folded(safe(head), len(lead))
        self._write(f"{self._paint(time, 'quiet')} {shown}  {first}".rstrip())
        for line in (*more, *(self._folded(safe(hint), len(lead)) if hint else ())):
            self._write(lead + line)

    def _folded(self, text: str, taken: int) -> list[str]:
        """The text as lines that fit beside what is taken; one with a path too long for that is left to the terminal, so
        that the path can be copied."""
        room = None if self._room is None else self._room - taken
        if room is None or any(columns_of(word) > room for word in text.split()):
            return [text]
        return plain_wrapped(text, room) or [""]

    def _once(self, kind: str, name: str) -> bool:
        """Whether this is the first time."""
        first = (kind, name) not in self._told
        self._told.add((kind, name))
        return first

    # -- one teller an event

    def _run_started(self, event: ev.RunStarted) -> Iterator[Line]:
        self._retries.started(event)
        cap = "" if event.cap is None else f", at most {credits(event.cap)}"
        cap += "" if event.day_cap is None else f", at most {credits(event.day_cap)} in 24 hours in this project"
        profile = f" ({event.profile})" if event.profile else ""
        yield "run", f"{event.run}: {event.flow}{profile} on {event.provider}{cap}"

    def _limits_read(self, event: ev.LimitsRead) -> Iterator[Line]:
        self._daily |= {each.model: each.daily for each in event.models}
        yield from ()

    def _decided(self, event: ev.Decided) -> Iterator[Line]:
        self._retries.decided(event)
        self._models.update({f"{event.address}#{spec.take}": spec.model for spec in event.units})
        if event.decision in ("failed", "rejected", "uncertain"):
            yield event.decision, f"{event.address}: {event.detail or event.reason or 'see the summary'}"

    def _queued(self, event: ev.Queued) -> Iterator[Line]:
        model = self._models.get(event.unit, "")
        if self._once(f"queued {event.limit}", model or event.unit):
            reason = _LIMITS.get(event.limit, f"waits for {event.limit}")
            if event.limit == "daily":
                reason = f"{used_up(self._daily.get(model))}; {next_free(event.until, event.at)}"
            yield "queued", f"{self._name(event.unit)}: {model}{': ' if model else ''}{reason}"

    def _over_cap(self, event: ev.OverCap) -> Iterator[Line]:
        about = self._models.get(event.unit, "") if event.cap == "unknown-price" else ""
        if self._once(f"over {event.cap}", about):
            takes = "" if event.credits is None else f"; it takes {credits(event.credits)}"
            left = "" if event.left is None else f"{',' if takes else ';'} {credits(event.left)} left"
            until = "" if event.until is None else f"; it fits again at {soon(event.until, event.at)}"
            yield "over-cap", f"{self._name(event.unit)}: {_CAPS.get(event.cap, event.cap)}{takes}{left}{until}"

    def _granted(self, event: ev.Granted) -> Iterator[Line]:
        if event.how in _TAKEN_UP:
            yield event.how, f"{self._name(event.unit)}: {_TAKEN_UP[event.how]}"

    def _submitted(self, event: ev.Submitted) -> Iterator[Line]:
        self._since[event.unit] = event.at
        self._retries.submitted(event)
        yield "submitted", f"{self._name(event.unit)}: task {event.task[:8]}, {spent(event.credits)}"

    def _progressed(self, event: ev.Progressed) -> Iterator[Line]:
        model = self._models.get(event.unit, event.unit)
        if event.status == "THROTTLED" and self._once("throttled", model):
            yield "throttled", f"{self._name(event.unit)}: in the API's queue for {model}; nothing is resent"

    def _stored(self, event: ev.Stored) -> Iterator[Line]:
        since = self._since.pop(event.unit, None)
        took = "" if since is None else f"in {duration(event.at - since)}, "
        yield "succeeded", f"{self._name(event.unit)}: {took}{spent(event.credits)}"

    def _failed(self, event: ev.AttemptFailed) -> Iterator[Line]:
        verdict, name = Verdict(event.verdict), self._name(event.unit)
        if verdict is Verdict.PAUSE_MODEL:
            yield from self._paused(event, self._models.get(event.unit, ""))
        elif verdict is Verdict.PAUSE_RUN:
            yield from [("paused", _with_hint(f"everything: {event.message}", event.hint))] * self._once("run", "")
        elif (again := self._retries.again(event)) is not None:
            yield "retry", f"{name}: in {duration(again)}: {event.message}{_charged(event)}"
        else:
            rejected = verdict is Verdict.RETRY and event.rejected
            word = "rejected" if rejected else _ENDS.get(verdict, "failed")
            yield word, _with_hint(f"{name}: {event.message} [{event.code}]{_charged(event)}", event.hint)

    def _weighing(self, event: ev.Weighing) -> Iterator[Line]:
        seconds = f"{event.seconds:.0f} s apart"
        yield "weighing", f"{self._name(event.unit)}: never answered; the account's counters are read twice, {seconds}"

    def _paused(self, event: ev.AttemptFailed, model: str) -> Iterator[Line]:
        """The API itself says that a model's day is used up; when it is asked again, each time."""
        pause, told = self._retries.pause(event), f"{model or self._name(event.unit)}: {event.message}"
        if pause is not None:
            yield "paused", f"{told} It is asked again at {soon(event.at + pause, event.at)}."
        elif self._once("day", model):
            yield "paused", _with_hint(told, event.hint)

    def _left(self, event: ev.Left) -> Iterator[Line]:
        if self._cancels and event.task is not None:
            return  # it is told what becomes of it
        task = f"task {event.task[:8]}" if event.task else "what was sent"
        yield "left", f"{self._name(event.unit)}: {task} goes on at the API and stays on record"

    def _settled(self, event: ev.Settled) -> Iterator[Line]:
        self._ends[event.state] += 1
        yield from ()

    def _recovered(self, event: ev.Recovered) -> Iterator[Line]:
        task = f"{event.address}: task {event.task[:8]} of an earlier run"
        if event.status == "collected":
            yield "collected", f"{task}; nothing is paid again"
        elif event.status == "left":
            yield "left", f"{task} stays on record: {event.detail}"
        else:
            yield "failed", f"{task}: {event.detail}"

    def _withdrawn(self, event: ev.Withdrawn) -> Iterator[Line]:
        task = f"{self._name(event.unit)}: task {event.task[:8]}"
        if event.status == "collected":
            yield "collected", f"{task} had finished; nothing is lost"
        elif event.status == "cancelled":
            cost = "" if event.credits is None else f"; it cost {credits(event.credits)}"
            yield "cancelled", f"{task} is ended at the API{cost}"
        elif event.status == "left":
            yield "left", f"{task} stays on record: {event.detail}"
        else:
            yield "failed", f"{task}: {event.detail}"

    def _halted(self, event: ev.Halted) -> Iterator[Line]:
        yield "failed", f"{event.message} Nothing new starts; tasks at the API stay on record."

    def _interrupted(self, event: ev.Interrupted) -> Iterator[Line]:
        self._cancels = event.cancels
        if event.times > 1:
            yield "stopping", "now; what was sent stays on record, the next apply takes it up"
        elif event.cancels:
            yield (
                "stopping",
                "nothing new starts; tasks at the API are cancelled, finished ones collected. Once more stops at once",
            )
        else:
            yield "stopping", "nothing new starts; tasks at the API stay on record. Once more stops at once"

    def _exported(self, event: ev.Exported) -> Iterator[Line]:
        if event.status in _EXPORTS:
            word, more = _EXPORTS[event.status]
            yield word, f"{event.path}{more}"

    def _export_failed(self, event: ev.ExportFailed) -> Iterator[Line]:
        yield "failed", _with_hint(f"{event.where}: {event.message}", event.hint)

    def _ended(self, event: ev.RunEnded) -> Iterator[Line]:
        for state in (NodeState.REUSED, NodeState.SKIPPED, NodeState.BLOCKED, NodeState.EXCLUDED):
            if count := self._ends[state]:
                yield state.value, plural(count, "node")

    def _name(self, unit: str) -> str:
        """The address; with its take where the node has several."""
        address, _, take = unit.rpartition("#")
        return address if take == "1" and f"{address}#2" not in self._models else unit


def _with_hint(text: str, hint: str | None) -> str:
    return f"{text}\n{hint}" if hint else text


def _charged(event: ev.AttemptFailed) -> str:
    """What the attempt cost, as far as that is sure; what is not sure stands in the message."""
    if event.charged is None:
        return ""
    return f" It cost {credits(event.charged)}." if event.charged else " It cost nothing."
