"""Bytes from the API's storage. Owns one download: what is worth reading, and going on where it broke off; no key goes along.

A body that breaks off is gone on with where the server said that it serves ranges and names the bytes by a strong ETag
(RFC 9110, sections 13.1.5, 14 and 15.3.7): the rest is asked for on the condition that they are the same bytes still, and
taken only where the answer continues at just the byte that is missing, of a whole that is as long. Everything else is an
error, and the download begins anew.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import httpx

from flowrun import log
from flowrun.runway import pace
from flowrun.runway.calls import named, retry_after
from flowrun.runway.errors import RefusedError, TransientError, UrlExpiredError
from flowrun.runway.http import TRY_AGAIN, timeout
from flowrun.runway.shown import shown_url
from flowrun.runway.values import Downloaded
from flowrun.secret import Secret

MOST_RESUMES = 24  # of one download
MOST_IN_VAIN = 4  # in a row that bring nothing
LARGEST_OUTPUT = 64 << 30  # bytes; more is no generation's output but a server gone wrong
LONGEST_WAIT = 30.0  # seconds before a download goes on

Write = Callable[[bytes], None]
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(slots=True)
class _Had:
    """What has come so far. `total`, `tag`: the whole's length and strong ETag, where the server named them."""

    media_type: str | None
    total: int | None
    tag: str | None
    ranges: bool
    size: int = 0

    @property
    def resumable(self) -> bool:
        return self.ranges and self.tag is not None and self.total is not None and 0 < self.size < self.total


class _BrokeOffError(TransientError):
    """A body ended before its end; what came of it was written."""


class Downloads:
    """Downloads with bounded resumption. `sleep` and `rng` as the client has them."""

    def __init__(
        self, http: httpx.AsyncClient, times: pace.Timeouts, sleep: Callable[[float], Awaitable[None]], rng: Random
    ) -> None:
        self._http, self._times, self._sleep, self._rng = http, times, sleep, rng

    async def download(self, url: Secret, write: Write) -> Downloaded:
        """As `RunwayClient.download`. The size is checked against Content-Length, where there is one."""
        call, began = f"download from {shown_url(url.reveal())}", time.monotonic()
        had, broke = await self._begin(url, write, call)
        resumes = vain = 0
        while broke is not None:
            if not had.resumable or resumes >= MOST_RESUMES or vain >= MOST_IN_VAIN:
                raise TransientError(str(broke), retry_after=broke.retry_after, status=broke.status) from None
            resumes, before = resumes + 1, had.size
            await self._sleep(self._pause(vain, broke.retry_after))
            broke = await self._go_on(url, write, had, call)
            vain = 0 if had.size > before else vain + 1
        path, seconds = httpx.URL(url.reveal()).path, time.monotonic() - began
        log.say("runway", "received", path=path, bytes=had.size, seconds=seconds, resumed=resumes or None)
        return Downloaded(had.media_type, had.size)

    def _pause(self, vain: int, asked: float | None) -> float:
        """Hardly any while bytes come; then longer and longer."""
        own = pace.overload_backoff(vain, self._rng) if vain else self._rng.uniform(0.1, 0.5)
        return min(max(own, asked or 0.0), LONGEST_WAIT)

    async def _begin(self, url: Secret, write: Write, call: str) -> tuple[_Had, TransientError | None]:
        response = await self._open(url, call)
        try:
            had = _checked(response, call)
            broke = await _taken(response, write, had, call)
        finally:
            with suppress(httpx.HTTPError):
                await response.aclose()
        if broke is None and not had.size:
            raise TransientError(f"{call}: it is empty")
        return had, broke

    async def _go_on(self, url: Secret, write: Write, had: _Had, call: str) -> TransientError | None:
        """Ask for the rest; None once it is here, else why it still is not. Raises what makes going on senseless."""
        try:
            response = await self._open(url, call, {"Range": f"bytes={had.size}-", "If-Range": had.tag or ""})
        except TransientError as error:
            return error
        try:
            if response.status_code in TRY_AGAIN or response.status_code >= 500:
                return _unserved(response, call)
            _check_rest(response, had, call)
            broke = await _taken(response, write, had, call)
        finally:
            with suppress(httpx.HTTPError):
                await response.aclose()
        if broke is None and had.size != had.total:  # an end in good order, but not where the answer said
            broke = _BrokeOffError(f"{call}: {had.size} bytes came of {had.total}")
        return broke

    async def _open(self, url: Secret, call: str, more: dict[str, str] | None = None) -> httpx.Response:
        headers = {"Accept-Encoding": "identity", **(more or {})}
        try:
            request = self._http.build_request("GET", url.reveal(), headers=headers, timeout=timeout(self._times))
            request.headers.pop("cookie", None)
            return await self._http.send(request, stream=True, auth=None, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransientError(f"{call}: no answer: {named(error)}") from None


def _unserved(response: httpx.Response, call: str) -> TransientError:
    status = response.status_code
    return TransientError(f"{call}: HTTP {status}", retry_after=retry_after(response.headers), status=status)


def _checked(response: httpx.Response, call: str) -> _Had:
    """The beginning of an answer worth reading. Raises UrlExpiredError, TransientError, RefusedError."""
    status, headers = response.status_code, response.headers
    if 400 <= status < 500 and status not in TRY_AGAIN:
        raise UrlExpiredError(f"{call}: HTTP {status}; the link no longer serves", status=status)
    if status != 200:
        raise _unserved(response, call)
    media_type: str = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith("text/") or media_type.endswith(("json", "xml", "html")):
        raise TransientError(f"{call}: it came as {media_type}, which is no media", status=status)
    promised, tag = headers.get("content-length", ""), headers.get("etag", "")
    total = int(promised) if promised.isdecimal() else None
    _check_size(total or 0, call)
    ranges = _is_plain(response) and "bytes" in headers.get("accept-ranges", "").lower()
    return _Had(media_type or None, total, tag if tag.startswith('"') else None, ranges)


def _is_plain(response: httpx.Response) -> bool:
    """Whether the body's bytes are the file's."""
    encoding: str = response.headers.get("content-encoding", "identity")
    return encoding.lower() == "identity"


def _check_size(size: int, call: str) -> None:
    if size > LARGEST_OUTPUT:
        raise RefusedError(f"{call}: more than {LARGEST_OUTPUT} bytes, which no generation makes")


def _check_rest(response: httpx.Response, had: _Had, call: str) -> None:
    """The answer continues just what is here. Raises UrlExpiredError, TransientError."""
    status = response.status_code
    if 400 <= status < 500 and status != 416:
        raise UrlExpiredError(f"{call}: HTTP {status}; the link no longer serves", status=status)
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
    tag = response.headers.get("etag", had.tag)
    fits = found is not None and (int(found[1]), int(found[2]) + 1, int(found[3])) == (had.size, had.total, had.total)
    if status != 206 or not fits or tag != had.tag or not _is_plain(response):
        raise TransientError(f"{call}: it broke off, and the rest of the same bytes is not to be had", status=status)


async def _taken(response: httpx.Response, write: Write, had: _Had, call: str) -> _BrokeOffError | None:
    """Write the body; what broke it off, if anything did. Raises RefusedError, whatever `write` raises."""
    before, broke, chunks = had.size, None, response.aiter_bytes().__aiter__()
    try:
        while (chunk := await _next(chunks, call)) is not None:
            write(chunk)
            had.size += len(chunk)
            _check_size(had.size, call)
    except _BrokeOffError as error:
        broke = error
    came = response.num_bytes_downloaded or had.size - before  # 0 where a transport had it all read already
    promised = response.headers.get("content-length", "")
    if broke is None and promised.isdecimal() and int(promised) != came:
        broke = _BrokeOffError(f"{call}: {came} bytes came of {promised}")
    return broke


async def _next(chunks: AsyncIterator[bytes], call: str) -> bytes | None:
    try:
        return await anext(chunks, None)
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise _BrokeOffError(f"{call}: it broke off: {named(error)}") from None
