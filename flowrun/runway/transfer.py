"""Bytes to and from the API's storage. Owns the two steps of an upload, and downloads; the key goes to neither host.

An upload is begun anew, with a fresh placeholder, when it breaks: replaying the storage's POST is not what it is made
for. Source: the official clients' behaviour.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import BinaryIO

import httpx
import tenacity

from flowrun import log
from flowrun.runway import pace
from flowrun.runway.calls import exchange, named, retry_after
from flowrun.runway.errors import RefusedError, TransientError, UrlExpiredError
from flowrun.runway.http import TRY_AGAIN, timeout
from flowrun.runway.media_in import LARGEST_UPLOAD, SMALLEST_UPLOAD
from flowrun.runway.shown import shown_url
from flowrun.runway.values import Downloaded, Upload
from flowrun.runway.wire import Placeholder
from flowrun.secret import Secret

ATTEMPTS = 4
LONGEST_WAIT = 60.0  # seconds between two attempts, whatever the server asks for


class Uploads:
    """Uploads with bounded attempts. `placeholder` does the first step, at the API."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        placeholder: Callable[[str], Awaitable[Placeholder]],
        times: pace.Timeouts,
        sleep: Callable[[float], Awaitable[None]],
        rng: Random,
    ) -> None:
        self._http = http
        self._placeholder = placeholder
        self._times = times
        self._sleep = sleep
        self._rng = rng

    async def upload(
        self, filename: str, media_type: str, opener: Callable[[], BinaryIO], size: int, now: float
    ) -> Upload:
        """As `RunwayClient.upload`."""
        _check(filename, size)
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=self._wait,
            retry=tenacity.retry_if_exception_type(TransientError),
            sleep=self._sleep,
            reraise=True,
        )
        uri: str = await attempts(self._once, filename, media_type, opener, size)
        return Upload(uri, now + pace.UPLOAD_LIFE)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, TransientError) else None
        return min(pace.overload_backoff(state.attempt_number, self._rng, asked), LONGEST_WAIT)

    async def _once(self, filename: str, media_type: str, opener: Callable[[], BinaryIO], size: int) -> str:
        given = await self._placeholder(filename)
        with opener() as stream:
            if stream.seek(0, os.SEEK_END) != size:
                raise RefusedError(f"the file for {filename} is not {size} bytes any more; nothing was uploaded")
            stream.seek(0)
            await self._store(given, (filename, stream, media_type))
        return given.runway_uri

    async def _store(self, given: Placeholder, file: tuple[str, BinaryIO, str]) -> None:
        """The second step: every field in the server's order, the file last, nothing of ours in the headers."""
        request = self._http.build_request(
            "POST", given.upload_url, data=given.fields, files={"file": file}, timeout=timeout(self._times)
        )
        call = f"upload of {file[0]} to {request.url.host}"
        try:
            reply = await exchange(self._http, request, call)
        except httpx.HTTPError as error:
            raise TransientError(f"{call}: no answer: {named(error)}") from None
        if not reply.ok:
            raise TransientError(
                f"{call}: HTTP {reply.status}", retry_after=retry_after(reply.headers), status=reply.status
            )


def _check(filename: str, size: int) -> None:
    """What the API would refuse. Raises RefusedError."""
    if not SMALLEST_UPLOAD <= size <= LARGEST_UPLOAD:
        raise RefusedError(f"{filename}: {size} bytes; an upload has {SMALLEST_UPLOAD} to {LARGEST_UPLOAD} bytes")
    stem, dot, extension = filename.rpartition(".")
    if (
        not (stem and dot and extension)
        or not 3 <= len(filename) <= 255
        or "/" in filename
        or not filename.isprintable()
    ):
        raise RefusedError(
            f"{filename!r} is no name for an upload: it needs a media extension, 3 to 255 characters, no slash"
        )


async def download(
    http: httpx.AsyncClient, url: Secret, write: Callable[[bytes], None], times: pace.Timeouts
) -> Downloaded:
    """As `RunwayClient.download`. The size is checked against Content-Length, where there is one."""
    call, began = f"download from {shown_url(url.reveal())}", time.monotonic()
    try:
        request = http.build_request(
            "GET", url.reveal(), headers={"Accept-Encoding": "identity"}, timeout=timeout(times)
        )
        response = await http.send(request, stream=True, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransientError(f"{call}: no answer: {named(error)}") from None
    try:
        media_type = _checked(response, call)
        size = await _stream(response, write, call)
        log.say("runway", "received", path=response.request.url.path, bytes=size, seconds=time.monotonic() - began)
        return Downloaded(media_type, size)
    finally:
        with suppress(httpx.HTTPError):
            await response.aclose()


def _checked(response: httpx.Response, call: str) -> str | None:
    """The media type of an answer worth reading. Raises UrlExpiredError, TransientError."""
    status = response.status_code
    if 400 <= status < 500 and status not in TRY_AGAIN:
        raise UrlExpiredError(f"{call}: HTTP {status}; the link no longer serves", status=status)
    if status != 200:
        raise TransientError(f"{call}: HTTP {status}", retry_after=retry_after(response.headers), status=status)
    media_type: str = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith("text/") or media_type.endswith(("json", "xml", "html")):
        raise TransientError(f"{call}: it came as {media_type}, which is no media", status=status)
    return media_type or None


async def _stream(response: httpx.Response, write: Callable[[bytes], None], call: str) -> int:
    """Write the body and give its size. Raises TransientError for one that breaks off or is empty."""
    size = 0
    chunks = response.aiter_bytes().__aiter__()
    while (chunk := await _next(chunks, call)) is not None:
        write(chunk)
        size += len(chunk)
    came = response.num_bytes_downloaded or size  # 0 where a transport had it all read already
    promised = response.headers.get("content-length", "")
    if promised.isdecimal() and int(promised) != came:
        raise TransientError(f"{call}: {came} bytes came of {promised}")
    if not size:
        raise TransientError(f"{call}: it is empty")
    return size


async def _next(chunks: AsyncIterator[bytes], call: str) -> bytes | None:
    try:
        return await anext(chunks, None)
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise TransientError(f"{call}: it broke off: {named(error)}") from None
