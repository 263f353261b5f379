"""The API, call by call: one method sends one request. Owns paths, headers and the reading of answers.

Nothing here repeats a creation, waits between polls or keeps anything: the engine does. The exceptions cost nothing: an
upload is begun anew when it breaks, a download goes on where it broke off. Errors are those of `errors`; no text of
theirs shows the key, a signed URL or a data URI.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import date
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from random import Random, SystemRandom
from typing import Any, BinaryIO, Literal
from urllib.parse import quote, urlsplit

import httpx

from flowrun.ids import TaskId
from flowrun.runway import wire
from flowrun.runway.calls import (
    Reply,
    call_error,
    exchange,
    no_task_id,
    raise_unanswered,
    raise_unsent,
    submit_error,
    unreadable,
)
from flowrun.runway.download import Downloads
from flowrun.runway.errors import RefusedError, WrongProviderError
from flowrun.runway.http import timeout
from flowrun.runway.pace import Timeouts
from flowrun.runway.transfer import Uploads
from flowrun.runway.values import Accepted, Downloaded, Organization, SandboxMark, Task, Upload, UsageRow
from flowrun.secret import Secret, looks_like_key

API_VERSION = "2024-11-06"
SANDBOX_HEADER = "X-Flowrun-Sandbox"

Provider = Literal["runway", "sandbox"]


class RunwayClient:
    """One account at one address. `http` comes from `open_http` and stays the caller's to close.

    `secret`: surrounding white space is dropped, a known cause of 401. `resend_502`: whether a creation answered 502
    counts as not accepted, as the API documents. Raises ValueError for an address or a key that cannot be used.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        base_url: str,
        secret: Secret,
        api_version: str = API_VERSION,
        timeouts: Timeouts | None = None,
        resend_502: bool = True,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: Random | None = None,
    ) -> None:
        self._http = http
        self._secret = _usable_key(secret)
        self._base = _usable_base(base_url, self._secret)
        self._version = api_version
        self._times = timeouts or Timeouts()
        self._resend_502 = resend_502
        chance = rng or SystemRandom()
        self._uploads = Uploads(http, self._placeholder, self._times, sleep, chance)
        self._downloads = Downloads(http, self._times, sleep, chance)
        self._answered = False
        self._mark: SandboxMark | None = None
        self._date: str | None = None

    @property
    def server_time(self) -> float | None:
        """Epoch seconds by the clock of who answered last, to a second; None: nothing has answered, or it does not say."""
        with suppress(ValueError, TypeError):
            return parsedate_to_datetime(self._date or "").timestamp()
        return None

    @property
    def sandbox(self) -> SandboxMark | None:
        """The mark of the last answers; None: the live API, or nothing has answered yet."""
        return self._mark

    def check_provider(self, expected: Provider) -> None:
        """Before the first creation, after any other call. Raises WrongProviderError, also where nothing answered yet."""
        if not self._answered:
            raise WrongProviderError(
                f"{self._base} has not answered yet, so it is not known to be {expected}; call organization() first"
            )
        found: Provider = "runway" if self._mark is None else "sandbox"
        if found != expected:
            raise WrongProviderError(
                f"{self._base} answers as {found}, but the plan was made for {expected}; nothing was sent. "
                "Check RUNWAYML_BASE_URL"
            )

    # tasks

    async def submit(self, path: str, body: Mapping[str, Any]) -> Accepted:
        """Create a task: one POST of `body` to `path`.

        Raises NotAcceptedError (certainly no task), AnswerLostError (maybe one), ValueError for a body that is no JSON.
        Cancelled while it waits, it is as uncertain as a lost answer.
        """
        request = self._request("POST", path, body, read=self._times.create)
        call = f"POST {path}"
        try:
            reply = await self._exchange(request, call)
        except Exception as error:  # whatever it is: only what certainly came before sending may be sent again
            raise_unsent(error, call, self._secret)
        if not reply.ok:
            raise submit_error(reply, self._secret, resend_502=self._resend_502)
        try:
            return wire.parse(wire.Created, reply.body).value()
        except wire.MisshapenError as error:
            raise no_task_id(reply, str(error)) from None

    async def task(self, task: TaskId) -> Task:
        """Look at a task. Raises GoneError, KeyRefusedError, RefusedError, TransientError."""
        return (await self._read("GET", f"/v1/tasks/{quote(task, safe='')}", wire.TaskDetail)).value(task)

    async def delete(self, task: TaskId) -> None:
        """Cancel a running task, or destroy a finished one with its outputs: read its status first. Gone is fine.

        Raises KeyRefusedError, RefusedError, TransientError.
        """
        reply = await self._call("DELETE", f"/v1/tasks/{quote(task, safe='')}", None)
        if not reply.ok and reply.status != 404:
            raise call_error(reply, self._secret)

    # the account

    async def organization(self) -> Organization:
        """Limits, today's generations and the balance. Raises GoneError, KeyRefusedError, RefusedError, TransientError."""
        return (await self._read("GET", "/v1/organization", wire.OrganizationDetail)).value()

    async def usage(self, start: date, before: date) -> tuple[UsageRow, ...]:
        """Credits by UTC day and model from `start` until before `before`, 90 days at most. Raises as `organization`."""
        body = {"startDate": start.isoformat(), "beforeDate": before.isoformat()}
        return (await self._read("POST", "/v1/organization/usage", wire.UsageReport, body)).value()

    # files

    async def upload(
        self, filename: str, media_type: str, opener: Callable[[], BinaryIO], size: int, now: float
    ) -> Upload:
        """Put a file of `size` bytes (512 to 200,000,000) at the API for a day. `opener` is called once for each attempt.

        `now`: epoch seconds at the call. `filename` needs a media extension. Raises RefusedError (size, name, or the
        API's word), KeyRefusedError, GoneError, and TransientError once the attempts are used up.
        """
        return await self._uploads.upload(filename, media_type, opener, size, now)

    async def download(self, url: Secret, write: Callable[[bytes], None]) -> Downloaded:
        """Stream an output into `write`, without the key; one that breaks off is gone on with where the server allows it.
        What was written before an error is to be thrown away.

        Raises UrlExpiredError (read the task again), TransientError, RefusedError; whatever `write` raises.
        """
        self._safe_link(url.reveal(), "an output URL")
        return await self._downloads.download(url, write)

    async def _placeholder(self, filename: str) -> wire.Placeholder:
        body = {"filename": filename, "type": "ephemeral"}
        given = await self._read("POST", "/v1/uploads", wire.Placeholder, body)
        self._safe_link(given.upload_url, "an upload address")
        return given

    def _safe_link(self, url: str, what: str) -> None:
        """Only a sandbox gives links without TLS. Raises RefusedError."""
        allowed = ("https", "http") if self._mark is not None or self._base.startswith("http:") else ("https",)
        if urlsplit(url).scheme not in allowed:
            raise RefusedError(f"{self._base} gave {what} that is not https")

    # one call

    async def _read(
        self, method: str, path: str, shape: type[wire.Shape], body: Mapping[str, Any] | None = None
    ) -> wire.Shape:
        reply = await self._call(method, path, body)
        if not reply.ok:
            raise call_error(reply, self._secret)
        try:
            return wire.parse(shape, reply.body)
        except wire.MisshapenError as error:
            raise unreadable(reply, str(error)) from None

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Reply:
        call = f"{method} {path}"
        request = self._request(method, path, body, read=self._times.read)
        try:
            return await self._exchange(request, call)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise_unanswered(error, call, self._secret)

    async def _exchange(self, request: httpx.Request, call: str) -> Reply:
        reply = await exchange(self._http, request, call)
        self._notice(reply)
        return reply

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None, *, read: float) -> httpx.Request:
        headers = {
            "Authorization": f"Bearer {self._secret.reveal()}",
            "X-Runway-Version": self._version,
            "Accept": "application/json",
        }
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        times = timeout(self._times, read=read)
        return self._http.build_request(method, self._base + path, headers=headers, content=content, timeout=times)

    def _notice(self, reply: Reply) -> None:
        """Who answered. An error without a mark says nothing: something between may have made it."""
        self._date = reply.headers.get("date")
        mark = _mark(reply.headers.get(SANDBOX_HEADER))
        if mark is not None or reply.ok:
            self._answered, self._mark = True, mark


def _mark(header: str | None) -> SandboxMark | None:
    """Of ``poll=0.2``; what is not understood is left out."""
    if header is None:
        return None
    for part in header.replace(";", ",").split(","):
        name, _, value = part.partition("=")
        if name.strip() == "poll":
            with suppress(ValueError):
                seconds = float(value)
                return SandboxMark(seconds if math.isfinite(seconds) and seconds > 0 else None)
    return SandboxMark()


def _usable_key(secret: Secret) -> Secret:
    text = secret.reveal().strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            "the API key is empty, or has white space or foreign characters in it; it is key_ and 128 hex digits"
        )
    return Secret(text)


def _usable_base(base_url: str, secret: Secret) -> str:
    parts = urlsplit(base_url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ValueError("the API's base URL is not of the form https://host[:port][/path]")
    if parts.scheme == "http" and looks_like_key(secret.reveal()) and not _loopback(parts.hostname):
        raise ValueError(f"a live API key is not sent without TLS to {parts.hostname}")
    return base_url.rstrip("/")


def _loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")
