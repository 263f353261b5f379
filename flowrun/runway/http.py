"""The HTTP client everything here speaks through. Owns how httpx is set up, and keeps its log free of tokens.

Proxies and certificate files come from the environment, as httpx takes them. Redirects are never followed by
themselves: a creation must not be sent twice, and a key must not follow one.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from flowrun.runway.pace import Timeouts
from flowrun.runway.shown import shown_url

# A connection that idles longer is not used again: a server's silent close would make a creation's fate uncertain.
KEEP_ALIVE = 5.0


def open_http(
    transport: httpx.AsyncBaseTransport | None = None, *, user_agent: str = "flowrun", trust_env: bool = True
) -> httpx.AsyncClient:
    """A client for the API, storage and downloads; the caller closes it. `transport`: instead of the network."""
    _quiet_log()
    return httpx.AsyncClient(
        transport=transport,
        trust_env=trust_env,
        follow_redirects=False,
        headers={"User-Agent": user_agent},
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEEP_ALIVE),
        timeout=timeout(Timeouts()),
    )


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
