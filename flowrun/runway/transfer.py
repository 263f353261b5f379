"""Bytes to the API's storage. Owns the two steps of an upload; the key goes to none but the API. Downloads are `download`'s.

An upload is begun anew, with a fresh placeholder, when it breaks: replaying the storage's POST is not what it is made
for. Source: the official clients' behaviour.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from random import Random
from typing import BinaryIO

import httpx
import tenacity

from flowrun.media.types import normalized, type_of_extension
from flowrun.runway import pace
from flowrun.runway.calls import exchange, named, retry_after
from flowrun.runway.errors import RefusedError, TransientError
from flowrun.runway.http import timeout
from flowrun.runway.media_in import LARGEST_UPLOAD, SMALLEST_UPLOAD
from flowrun.runway.values import Upload
from flowrun.runway.wire import Placeholder

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
        _check(filename, media_type, size)
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
            why = ", a redirect, which no upload follows" if 300 <= reply.status < 400 else ""
            raise TransientError(
                f"{call}: HTTP {reply.status}{why}", retry_after=retry_after(reply.headers), status=reply.status
            )


def _check(filename: str, media_type: str, size: int) -> None:
    """What the API would refuse. Raises RefusedError."""
    if not SMALLEST_UPLOAD <= size <= LARGEST_UPLOAD:
        raise RefusedError(f"{filename}: {size} bytes; an upload has {SMALLEST_UPLOAD} to {LARGEST_UPLOAD} bytes")
    stem, dot, ending = filename.rpartition(".")
    claimed = type_of_extension(ending) if stem and dot and ending else None
    if claimed is None or not 3 <= len(filename) <= 255 or "/" in filename or not filename.isprintable():
        raise RefusedError(
            f"{filename!r} is no name for an upload: it needs a media extension, 3 to 255 characters, no slash"
        )
    if claimed != normalized(media_type):
        raise RefusedError(f"{filename!r} is not named as the {media_type} that it is, and its name decides its type")
