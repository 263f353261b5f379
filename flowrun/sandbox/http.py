"""The sandbox as an ASGI application: what comes over a socket as a `Request`, what goes back as its `Response` says.

Owns reading within bounds, waiting, breaking connections on purpose, and the page that tells what was asked. Deciding is the
service's, sockets are the server's, which puts the `Connection` of each request into its scope.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from flowrun.sandbox import uploads
from flowrun.sandbox.content import Content
from flowrun.sandbox.downloads import deliver
from flowrun.sandbox.messages import POLL_HEADER, Download, RefusalError, Request, Response, json_response
from flowrun.sandbox.service import Sandbox

STATE_PAGE = "/__sandbox__/state"
CONNECTION = "connection"  # its name in the scope's state
FORM_OVERHEAD = 1_000_000  # what a form may have around its file
STORAGE_BYTES = uploads.MAX_BYTES + FORM_OVERHEAD
JSON_BYTES = 40_000_000  # two films of 16 MiB as data URIs are the most that the description allows in one request
MAKERS = 2  # outputs that are made at the same time, so that polls are answered meanwhile

_log = logging.getLogger(__name__)
_Made = TypeVar("_Made")


class Connection(Protocol):
    """What a server lets the application do to the connection of a request."""

    def reset(self) -> None:
        """Break it now; what was not sent yet is lost."""

    def close(self) -> None:
        """End it after what was sent so far."""


class Application:
    """One sandbox for an ASGI server. `now`: seconds since 1970."""

    def __init__(self, sandbox: Sandbox, now: Callable[[], float] = time.time) -> None:
        self._sandbox = sandbox
        self._now = now
        self._core = ThreadPoolExecutor(1, "sandbox-core")  # one at a time, in the order of arrival
        self._makers = ThreadPoolExecutor(MAKERS, "sandbox-maker")

    def close(self) -> None:
        """Finish what is being made, and let go of the state."""
        for pool in (self._core, self._makers):
            pool.shutdown(cancel_futures=True)
        self._sandbox.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope, receive)
        try:
            response = await self._answered(request)
        except ClientDisconnect:
            return
        except RefusalError as refusal:
            response = refusal.response()
        except Exception as error:  # whatever it is: a client reads JSON
            _log.error("%s %s failed: %s", scope["method"], scope["path"], error)
            _log.debug("the reason", exc_info=True)
            response = json_response(500, {"error": f"The sandbox itself failed: {error}"})
        response = response.with_headers({POLL_HEADER: self._sandbox.mark})
        await _carry(response, scope["state"][CONNECTION], receive, send)

    async def _answered(self, request: HttpRequest) -> Response:
        if request.url.path == STATE_PAGE:
            return await self._state(request.method)
        arrived = await _whole(request)
        response = await _in(self._core, lambda: self._sandbox.handle(arrived, self._now()))
        if not isinstance(response.body, Download):
            return response
        return await _in(self._makers, lambda: deliver(response))

    async def _state(self, method: str) -> Response:
        if method not in ("GET", "HEAD"):
            raise RefusalError(405, f"{method} is not possible here, only GET.", headers={"Allow": "GET, HEAD"})
        return json_response(200, await _in(self._core, lambda: self._sandbox.report(self._now())))


async def _in(pool: ThreadPoolExecutor, work: Callable[[], _Made]) -> _Made:
    return await asyncio.get_running_loop().run_in_executor(pool, work)


async def _whole(request: HttpRequest) -> Request:
    """The request with its body. Raises RefusalError 413, and ClientDisconnect where the client went before its end."""
    headers = {name.lower(): value for name, value in reversed(request.headers.items())}
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    stores = path.startswith(uploads.STORAGE)
    chunks = _chunks(request, STORAGE_BYTES if stores else JSON_BYTES, headers.get("content-length", ""))
    body = await _mapped(chunks) if stores else b"".join([chunk async for chunk in chunks])
    return Request(request.method, path, query, headers, body, headers.get("host", ""))


async def _chunks(request: HttpRequest, bound: int, declared: str) -> AsyncIterator[bytes]:
    refusal = RefusalError(413, f"The body is too large: at most {bound} bytes are taken here.")
    if declared.isdecimal() and int(declared) > bound:
        raise refusal
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > bound:
            raise refusal
        yield chunk


async def _mapped(chunks: AsyncIterator[bytes]) -> bytes | mmap.mmap:
    """The body in a file without a name that is gone once nobody reads it: an upload may be larger than memory has room."""
    with tempfile.TemporaryFile() as file:
        async for chunk in chunks:
            file.write(chunk)
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.tell() else b""


async def _carry(response: Response, connection: Connection, receive: Receive, send: Send) -> None:
    if response.delay:
        await asyncio.sleep(response.delay)
    if response.lost:
        connection.reset()
        return await _gone(receive)
    body = b"" if isinstance(response.body, Download) else response.body
    await send({"type": "http.response.start", "status": response.status, "headers": _headers(response, len(body))})
    whole = response.cut is None or response.cut >= len(body)
    if isinstance(body, bytes) and whole:
        return await send({"type": "http.response.body", "body": body})
    content = Content.of(body) if isinstance(body, bytes) else body
    if not await _sent(content if whole else content.part(0, response.cut or 0), receive, send):
        return None
    if whole:
        return await send({"type": "http.response.body"})
    connection.close()
    return await _gone(receive)


async def _sent(content: Content, receive: Receive, send: Send) -> bool:
    """Piece after piece, at its pace; False where the client went before the end."""
    gone = asyncio.ensure_future(_gone(receive))
    try:
        for wait, piece in content.pieces():
            if wait:
                await asyncio.wait({gone}, timeout=wait)
            if gone.done():
                return False
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        return True
    finally:
        gone.cancel()


def _headers(response: Response, size: int) -> list[tuple[bytes, bytes]]:
    named = {name.lower(): value for name, value in response.headers.items()}
    if response.status != 204:
        named.setdefault("content-length", str(size))
    return [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in named.items()]


async def _gone(receive: Receive) -> None:
    """Until the server knows that the connection has ended; before, it would take the answer for a forgotten one."""
    while (await receive())["type"] != "http.disconnect":
        pass
