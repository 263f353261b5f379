"""What tasks are told to be, and their cancelling. Owns the answers of GET and DELETE on a task.

The answers have just the fields of the API's description (2024-11-06); today's service adds what a task costs, which the
description forbids and newer clients read. A price that is not known is told as 0, since the field must be there.
"""

from __future__ import annotations

import re

from flowrun.sandbox.books import Books
from flowrun.sandbox.lifecycle import FINAL, TaskStatus, progress_of, reschedule, status_of, timestamp
from flowrun.sandbox.messages import RefusalError, Response, json_response
from flowrun.sandbox.records import Task

UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def find(books: Books, task_id: str) -> Task:
    """Raises RefusalError where the task is unknown, cancelled by request or deleted."""
    task = books.task(task_id) if UUID.fullmatch(task_id) else None
    if task is None or task.removed is not None:
        raise RefusalError(404, "There is no such task. It was never created, or was cancelled or deleted.")
    return task


def describe(task: Task, urls: list[str], now: float, *, back: float = 0.0, tells_cost: bool = False) -> Response:
    """``GET /v1/tasks/{id}``; `urls`: fresh links to its outputs, used where it has them; `back`: seconds after its end until a
    task's credits are given back."""
    status = status_of(task, now)
    answer: dict[str, object] = {"id": task.id, "createdAt": timestamp(task.created), "status": status.value}
    if status is TaskStatus.RUNNING:
        answer["progress"] = progress_of(task, now)
    elif status is TaskStatus.SUCCEEDED:
        answer["output"] = urls
    elif status is TaskStatus.FAILED:
        answer |= {"failure": task.failure, "failureCode": task.failure_code}
    if tells_cost and status in FINAL:
        answer["cost"] = {"credits": 0 if task.refunded and task.ends + back <= now else task.cost}
    elif tells_cost:
        answer["estimatedCost"] = {"credits": task.cost}
    return json_response(200, answer)


def remove(books: Books, task: Task, limit: int | None, now: float) -> Response:
    """``DELETE /v1/tasks/{id}``: cancel what goes on, delete what has ended.

    A cancelled task that was not RUNNING yet gives its credits back, one that was does not. The API's documents are silent on
    it; this is the sandbox's choice, and the one that never makes a cancelled production look cheaper than it may be.
    """
    status = status_of(task, now)
    if status in FINAL:
        books.remove(task.ordinal, now)
        return Response(204)
    books.cancel(task.ordinal, now, refunded=status is not TaskStatus.RUNNING)
    replan(books, task.model, limit, now)
    return Response(204)


def replan(books: Books, model: str, limit: int | None, now: float) -> None:
    """Give slots anew to the tasks of `model` that wait."""
    waiting = books.unstarted(model, now)
    for ordinal, starts, ends in reschedule(waiting, books.running_ends(model, now), limit, now):
        books.reschedule(ordinal, starts, ends)
