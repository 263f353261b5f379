"""Outputs on their way out: signed links, and answers to GET and HEAD with or without a range (RFC 9110, section 14).

Owns the links' form and the finishing of an answer once the media is made, which may take seconds: adapters call `deliver`
off the event loop.
"""

from __future__ import annotations

import re
from dataclasses import replace

from flowrun.media.facts import MediaKind
from flowrun.media.types import extension
from flowrun.sandbox.books import Books
from flowrun.sandbox.content import Content
from flowrun.sandbox.faults import Effects
from flowrun.sandbox.lifecycle import TaskStatus, status_of
from flowrun.sandbox.messages import Download, RefusalError, Request, Response
from flowrun.sandbox.naming import opens, token
from flowrun.sandbox.recipe import of_kind, takes
from flowrun.sandbox.records import Task
from flowrun.sandbox.render import Render
from flowrun.sandbox.state import Blobs

PREFIX = "/outputs/"
MAY_BE_PADDED = ("video/mp4", "video/quicktime")
OTHER_KINDS = {MediaKind.IMAGE: MediaKind.AUDIO, MediaKind.AUDIO: MediaKind.IMAGE, MediaKind.VIDEO: MediaKind.IMAGE}
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>Please sign in to go on.</p></body></html>\n"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def outputs_of(task: Task, blobs: Blobs) -> dict[str, Render]:
    """What the task makes, by path, in order."""
    renders = [Render(recipe, blobs) for recipe in takes(task.recipe)]
    return {_path(task, number, render): render for number, render in enumerate(renders)}


def _path(task: Task, number: int, render: Render) -> str:
    which = f"-{number + 1}" if number else ""
    return f"{PREFIX}{task.id}/{task.operation}{which}{extension(render.media_type)}"


def links(task: Task, blobs: Blobs, base_url: str, expires: float) -> list[str]:
    """Addresses of the task's outputs, good until `expires`."""
    return [f"{base_url}{path}?_jwt={token(path, expires)}" for path in outputs_of(task, blobs)]


def find(books: Books, path: str, jwt: str | None, blobs: Blobs, now: float) -> Render:
    """The output at `path`, of a task that succeeded. Raises RefusalError: 404 unknown or deleted, 403 no right to it."""
    task = books.task(path.removeprefix(PREFIX).partition("/")[0])
    if task is None or task.removed is not None or (render := outputs_of(task, blobs).get(path)) is None:
        raise RefusalError(404, "There is no such output.")
    if jwt is None or not opens(jwt, path, now) or status_of(task, now) is not TaskStatus.SUCCEEDED:
        raise RefusalError(403, "This link has expired or was never valid. Get the task again for a fresh one.")
    return render


def answer(render: Render, request: Request, effects: Effects) -> Response:
    """``GET`` or ``HEAD`` of an output."""
    head, wrong = request.method == "HEAD", effects.wrong_content
    if wrong in ("html", "empty"):
        page = PAGE if wrong == "html" else b""
        content_type = "text/html; charset=utf-8" if wrong == "html" else render.media_type
        return Response(200, {"Content-Type": content_type, "Content-Length": str(len(page))}, b"" if head else page)
    if wrong == "other":
        render = Render(of_kind(render.recipe, OTHER_KINDS[render.facts.kind]), render.blobs)
    headers = {"Content-Type": effects.content_type or render.media_type, "ETag": f'"{render.digest}"'}
    pad = effects.pad if render.media_type in MAY_BE_PADDED else 0
    wanted = Download(render, request.headers.get("range"), wrong == "truncated", head, pad, effects.rate)
    return Response(200, headers, wanted, cut=effects.cut)


def deliver(response: Response) -> Response:
    """The same answer with its media made, now if it must be. Slow; callable from any thread. The body is bytes, or `Content`
    where it is padded or slow."""
    wanted = response.body
    if not isinstance(wanted, Download) or response.lost:
        return response
    whole = Content.of(wanted.render(), wanted.pad, wanted.rate)
    if wanted.half:
        whole = whole.part(0, len(whole) // 2)
    status, span = 200, None if wanted.span is None else _span(wanted.span, len(whole))
    headers, sent = {**response.headers, "Accept-Ranges": "bytes"}, whole
    if span is not None:
        begin, end = span
        if begin >= end:
            return replace(
                response, status=416, headers={**headers, "Content-Range": f"bytes */{len(whole)}"}, body=b""
            )
        status, headers["Content-Range"] = 206, f"bytes {begin}-{end - 1}/{len(whole)}"
        sent = whole.part(begin, end)
    headers["Content-Length"] = str(len(sent))
    return replace(response, status=status, headers=headers, body=b"" if wanted.head else _held(sent))


def _held(content: Content) -> bytes | Content:
    """As bytes what is sent at once, and is held anyway."""
    if content.padding or content.rate is not None:
        return content
    return content.media[content.begin : content.end]


def _span(text: str, size: int) -> tuple[int, int] | None:
    """``[begin, end)`` of one range; empty where it lies outside. None for what is to be ignored: several, other units."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    end = min(size, int(found[2]) + 1) if found[2] else size
    return int(found[1]), end
