"""What happened at a sandbox, told for tests and for people who debug. Owns the report's shape, and the notes it needs."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import Any

from flowrun.sandbox.books import Books
from flowrun.sandbox.lifecycle import peak, status_of
from flowrun.sandbox.records import Task
from flowrun.sandbox.routes import Route

_POLLED, _POLLS, _GAP = "polled:", "polls:", "poll-gap:"  # counters by task; times in microseconds


def make(books: Books, credits: int, now: float | None = None, back: float = 0.0) -> dict[str, Any]:
    """As of `now`, or of the last request where that is later or `now` is not given. Times are seconds since 1970. `credits`:
    what the account began with; `back`: seconds after a task's end until it is refunded.

    `requests`: by endpoint; `lost`: answers that broke off, before and after being carried out; `submissions`: accepted
    creations in order; `tasks`: by id, each with how often and how closely it was polled; `charges`: credits; `peak`: the most
    tasks accepted and not ended at one moment, by model; `peak_running`: the most that had a slot; `smallest_poll_interval`:
    seconds between two polls of one task, over all tasks, None where none was polled twice.
    """
    now = _moment(books, now)
    tasks = books.tasks()
    polls, gaps = books.counters(_POLLS), {task: gap / 1_000_000 for task, gap in books.counters(_GAP).items()}
    charged, spent = sum(task.cost for task in tasks), books.spent(now - back)
    return {
        "requests": books.counters("request:"),
        "lost": books.counters("lost:"),
        "submissions": [_submission(task) for task in tasks],
        "tasks": {
            task.id: {
                **_state(task, now, back),
                "polls": polls.get(task.id, 0),
                "smallest_poll_interval": gaps.get(task.id),
            }
            for task in tasks
        },
        "charges": {"charged": charged, "refunded": charged - spent, "spent": spent, "balance": credits - spent},
        "peak": {model: peak((task.created, task.ends) for task in group) for model, group in _by_model(tasks)},
        "peak_running": {model: peak((task.starts, task.ends) for task in group) for model, group in _by_model(tasks)},
        "smallest_poll_interval": min(gaps.values(), default=None),
    }


def _moment(books: Books, now: float | None) -> float:
    """By the sandbox's own clock, which faults may have moved."""
    latest, moved = ((books.counter(name) or 0) / 1_000_000 for name in ("latest", "clock"))
    return latest if now is None else max(latest, now + moved)


def note_visit(books: Books, route: Route, now: float) -> None:
    """Remember a poll that arrived at `now`, whatever its answer will be, of a task that there was."""
    if route.place != "tasks" or route.task_id is None or (task := books.task(route.task_id)) is None:
        return
    arrived = round(now * 1_000_000)
    before = books.counter(_POLLED + task.id)
    books.put(_POLLED + task.id, arrived)
    books.count(_POLLS + task.id)
    if before is not None:
        smallest = books.counter(_GAP + task.id)
        gap = arrived - before
        books.put(_GAP + task.id, gap if smallest is None else min(gap, smallest))


def _by_model(tasks: list[Task]) -> list[tuple[str, list[Task]]]:
    by_model = groupby(sorted(tasks, key=attrgetter("model")), key=attrgetter("model"))
    return [(model, list(group)) for model, group in by_model]


def _submission(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "operation": task.operation,
        "model": task.model,
        "time": task.created,
        "prompt": task.prompt,
    }


def _state(task: Task, now: float, back: float) -> dict[str, Any]:
    return {
        "status": status_of(task, now).value,
        "model": task.model,
        "created": task.created,
        "starts": task.starts,
        "ends": task.ends,
        "cost": task.cost,
        "refunded": task.refunded and task.ends + back <= now,
        "failure_code": task.failure_code,
        "removed": task.removed is not None,
    }
