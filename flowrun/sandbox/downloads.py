"""Outputs on their way out: signed links, and answers to GET and HEAD with or without a range (RFC 9110, section 14).

Owns the links' form and the finishing of an answer once the media is made, which may take seconds: adapters call `deliver`
off the event loop.
"""

from __future__ import annotations

import re
from dataclasses import replace

from flowrun.media.types import extension
from flowrun.sandbox.books import Books
from flowrun.sandbox.faults import Effects
from flowrun.sandbox.lifecycle import TaskStatus, status_of
from flowrun.sandbox.messages import Download, RefusalError, Request, Response
from flowrun.sandbox.naming import opens, token
from flowrun.sandbox.records import Task
from flowrun.sandbox.render import Render
from flowrun.sandbox.state import Blobs

PREFIX = "/outputs/"
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>Please sign in to go on.</p></body></html>\n"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def path_of(task: Task, blobs: Blobs) -> str:
    return f"{PREFIX}{task.id}/{task.operation}{extension(Render(task.recipe, blobs).media_type)}"


def link(task: Task, blobs: Blobs, base_url: str, expires: float) -> str:
    """An address of the task's output, good until `expires`."""
    path = path_of(task, blobs)
    return f"{base_url}{path}?_jwt={token(path, expires)}"


def find(books: Books, path: str, jwt: str | None, blobs: Blobs, now: float) -> Task:
    """The succeeded task whose output is at `path`. Raises RefusalError: 404 unknown or deleted, 403 no right to it."""
    task = books.task(path.removeprefix(PREFIX).partition("/")[0])
    if task is None or task.removed is not None or path != path_of(task, blobs):
        raise RefusalError(404, "There is no such output.")
    if jwt is None or not opens(jwt, path, now) or status_of(task, now) is not TaskStatus.SUCCEEDED:
        raise RefusalError(403, "This link has expired or was never valid. Get the task again for a fresh one.")
    return task


def answer(task: Task, request: Request, blobs: Blobs, effects: Effects) -> Response:
    """``GET`` or ``HEAD`` of an output."""
    head = request.method == "HEAD"
    if effects.wrong_content == "html":
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(PAGE))}
        return Response(200, headers, b"" if head else PAGE)
    half = effects.wrong_content == "truncated"
    render = Render(task.recipe, blobs)
    headers = {"Content-Type": render.media_type, "ETag": f'"{render.digest}"'}
    return Response(200, headers, Download(render, request.headers.get("range"), half, head), cut=effects.cut)


def deliver(response: Response) -> Response:
    """The same answer with its body as bytes, made now if it must be. Slow; callable from any thread."""
    wanted = response.body
    if isinstance(wanted, bytes) or response.lost:
        return response
    data = wanted.render()
    if wanted.half:
        data = data[: len(data) // 2]
    status, span = 200, None if wanted.span is None else _span(wanted.span, len(data))
    headers = {**response.headers, "Accept-Ranges": "bytes"}
    if span is not None:
        begin, end = span
        if begin >= end:
            return replace(response, status=416, headers={**headers, "Content-Range": f"bytes */{len(data)}"}, body=b"")
        status, headers["Content-Range"] = 206, f"bytes {begin}-{end - 1}/{len(data)}"
        data = data[begin:end]
    headers["Content-Length"] = str(len(data))
    return replace(response, status=status, headers=headers, body=b"" if wanted.head else data)


def _span(text: str, size: int) -> tuple[int, int] | None:
    """``[begin, end)`` of one range; empty where it lies outside. None for what is to be ignored: several, other units."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    end = min(size, int(found[2]) + 1) if found[2] else size
    return int(found[1]), end
