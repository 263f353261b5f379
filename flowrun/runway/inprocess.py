"""A server without a socket: an httpx transport around a plain callable. Owns the manners of a connection (waiting,
timeouts, lost answers, bodies that break off); what is answered is the callable's matter.

The client cannot tell it from a network: the same exceptions come at the same moments, so one client serves both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

Headers = list[tuple[str, str]]
Exchange = Callable[[str, str, Headers, bytes], "Answer"]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back. `delay`: seconds before the first byte. `lost`: taken on, but the connection breaks unanswered.

    `chunks`, where given, are the body instead of `body`: bytes, each after so many seconds. Fewer bytes than a
    Content-Length header says are a body that breaks off.
    """

    status: int
    headers: Iterable[tuple[str, str]] = ()
    body: bytes = b""
    chunks: Iterable[tuple[float, bytes]] | None = None
    delay: float = 0.0
    lost: bool = False


class Offload(Protocol):
    """Runs a callable that may take long, and waits for it. `asyncio.to_thread` is one."""

    def __call__(self, work: Callable[[], Answer], /) -> Awaitable[Answer]: ...


class CallableTransport(httpx.AsyncBaseTransport):
    """Hands each request, whole, to `exchange` through `offload`; waits by `sleep`. Both may be virtual time's."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        offload: Offload = asyncio.to_thread,
        sleep: Sleep = asyncio.sleep,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_close`: called once the client is closed, for what is behind `exchange`."""
        self._exchange = exchange
        self._offload = offload
        self._sleep = sleep
        self._on_close = on_close

    async def aclose(self) -> None:
        self._on_close()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx.ReadError for a lost answer and httpx.ReadTimeout for one that comes too late."""
        body = await request.aread()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        answer = await self._offload(lambda: self._exchange(request.method, str(request.url), headers, body))
        await self._wait(answer.delay, request)
        if answer.lost:
            raise httpx.ReadError("the connection broke before an answer", request=request)
        return httpx.Response(answer.status, headers=list(answer.headers), stream=_Body(self, answer, request))

    async def _wait(self, seconds: float, request: httpx.Request) -> None:
        limit = _read_limit(request.extensions)
        if limit is not None and seconds > limit:
            await self._sleep(limit)
            raise httpx.ReadTimeout(f"no answer within {limit:g} s", request=request)
        if seconds > 0:
            await self._sleep(seconds)


class _Body(httpx.AsyncByteStream):
    """An answer's bytes as they come in."""

    def __init__(self, transport: CallableTransport, answer: Answer, request: httpx.Request) -> None:
        self._transport = transport
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent, chunks = 0, self._answer.chunks
        for delay, chunk in ((0.0, self._answer.body),) if chunks is None else chunks:
            await self._transport._wait(delay, self._request)
            sent += len(chunk)
            yield chunk
        if sent < self._promised():
            raise httpx.RemoteProtocolError("the connection closed within the body", request=self._request)

    def _promised(self) -> int:
        """The body's length by its header; 0 where there is no body to come."""
        bodiless = self._request.method == "HEAD" or self._answer.status in (204, 304)
        given = httpx.Headers(list(self._answer.headers)).get("content-length", "0")
        return 0 if bodiless or not given.isdecimal() else int(given)


def _read_limit(extensions: Any) -> float | None:
    limit = extensions.get("timeout", {}).get("read")
    return None if limit is None else float(limit)
