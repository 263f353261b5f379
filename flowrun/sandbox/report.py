"""What happened at a sandbox, told for tests and for people who debug. Owns the report's shape; changes nothing."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import Any

from flowrun.sandbox.books import Books
from flowrun.sandbox.lifecycle import peak, status_of
from flowrun.sandbox.records import Task


def make(books: Books, credits: int) -> dict[str, Any]:  # the API's word
    """As of the last request. Times are seconds since 1970.

    `requests`: by endpoint; `lost`: answers that broke off, before and after being carried out; `submissions`: accepted
    creations in order; `tasks`: by id; `charges`: credits; `peak`: the most tasks accepted and not ended at one moment, by model;
    `peak_running`: the most that had a slot.
    """
    now = (books.counter("latest") or 0) / 1_000_000
    tasks = books.tasks()
    charged, spent = sum(task.cost for task in tasks), books.spent(now)
    return {
        "requests": books.counters("request:"),
        "lost": books.counters("lost:"),
        "submissions": [_submission(task) for task in tasks],
        "tasks": {task.id: _state(task, now) for task in tasks},
        "charges": {"charged": charged, "refunded": charged - spent, "spent": spent, "balance": credits - spent},
        "peak": {model: peak((task.created, task.ends) for task in group) for model, group in _by_model(tasks)},
        "peak_running": {model: peak((task.starts, task.ends) for task in group) for model, group in _by_model(tasks)},
    }


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


def _state(task: Task, now: float) -> dict[str, Any]:
    return {
        "status": status_of(task, now).value,
        "model": task.model,
        "starts": task.starts,
        "ends": task.ends,
        "cost": task.cost,
        "refunded": task.refunded and task.ends <= now,
        "failure_code": task.failure_code,
        "removed": task.removed is not None,
    }
