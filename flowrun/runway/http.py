"""The HTTP client everything here speaks through. Owns how httpx is set up, keeps its log free of tokens, and tells ours of
every request.

Proxies and certificate files come from the environment, as httpx takes them. Redirects are never followed by
themselves: a creation must not be sent twice, and a key must not follow one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from flowrun import log
from flowrun.runway.pace import Timeouts
from flowrun.runway.shown import shown_url

# A connection that idles longer is not used again: a server's silent close would make a creation's fate uncertain.
KEEP_ALIVE = 5.0

REQUEST_ID = "apigw-requestid"  # the API's own handle of a request, for its support
TRY_AGAIN = frozenset({408, 425, 429})  # the 4xx that time can heal


def open_http(
    transport: httpx.AsyncBaseTransport | None = None, *, user_agent: str = "flowrun", trust_env: bool = True
) -> httpx.AsyncClient:
    """A client for the API, storage and downloads; the caller closes it. `transport`: instead of the network."""
    _quiet_log()
    return _Client(
        transport=transport,
        trust_env=trust_env,
        follow_redirects=False,
        headers={"User-Agent": user_agent},
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEEP_ALIVE),
        timeout=timeout(Timeouts()),
    )


class _Client(httpx.AsyncClient):
    """Tells the log of each request what may be told: no header, no body, no query. `retry` counts the requests alike that
    one task of the event loop has sent before and that came to nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._failed: dict[tuple[str, str, str], int] = {}

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        who, began = _asking(), time.monotonic()
        call = (who or "", request.method, request.url.path)
        told: dict[str, Any] = {
            "method": request.method,
            "host": request.url.host,
            "path": request.url.path,
            "for": who,
        }
        told["retry"] = self._failed.get(call)
        try:
            response = await super().send(request, **options)
        except BaseException as error:
            self._count(call, failed=True)
            log.say("runway", "request", **told, error=type(error).__name__, seconds=time.monotonic() - began)
            raise
        status, handle = response.status_code, response.headers.get(REQUEST_ID)
        self._count(call, failed=status >= 500 or status in TRY_AGAIN)
        log.say("runway", "request", **told, status=status, seconds=time.monotonic() - began, request_id=handle)
        return response

    def _count(self, call: tuple[str, str, str], *, failed: bool) -> None:
        if failed:
            self._failed[call] = self._failed.get(call, 0) + 1
        else:
            self._failed.pop(call, None)


def _asking() -> str | None:
    """The name of the task that asks, where somebody gave it one: the driver names them after nodes and takes."""
    task = asyncio.current_task()
    name = task.get_name() if task is not None else ""
    return name if name and not name.startswith("Task-") else None


def timeout(times: Timeouts, *, read: float | None = None) -> httpx.Timeout:
    """In httpx's terms; `read` instead of the usual wait for an answer."""
    return httpx.Timeout(connect=times.connect, pool=times.pool, write=times.write, read=read or times.read)


def proxied(url: str) -> bool:
    """Whether the environment sends `url` through a proxy, which then resolves the name itself."""
    parts = urlsplit(url)
    proxies = getproxies()
    return bool(proxies.get(parts.scheme) or proxies.get("all")) and not proxy_bypass(parts.hostname or "")


class _WithoutTokens(logging.Filter):
    """httpx logs every URL whole; an output URL's query is a bearer token."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(shown_url(str(arg)) if isinstance(arg, httpx.URL) else arg for arg in record.args)
        return True


_WITHOUT_TOKENS = _WithoutTokens()


def _quiet_log() -> None:
    logging.getLogger("httpx").addFilter(_WITHOUT_TOKENS)  # the same one again changes nothing
