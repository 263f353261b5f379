"""Fetching a user's https input, politely and with care. Owns the rules; what becomes of the bytes is the caller's.

A manifest may come from someone else, so a URL in it must not reach into the network it is applied in: https only, a
DNS name, every address of that name public, at the first host and after each redirect. The connection goes to an
address that was checked (the name stays in Host and in the certificate's check), so a name cannot change its mind in
between. Behind a proxy that is not possible: the proxy resolves the name itself (`pin=False`, see `http.proxied`), and
what it may reach is its keeper's to say. No key, no cookie and no token goes along.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpx

from flowrun.runway.calls import named
from flowrun.runway.errors import FetchError
from flowrun.runway.http import TRY_AGAIN, timeout
from flowrun.runway.media_in import dns_host
from flowrun.runway.pace import Timeouts
from flowrun.runway.shown import shown_url

MOST_REDIRECTS = 5
MOST_ADDRESSES = 4  # of one name that are tried
LONGEST = 600.0  # seconds for the whole of it

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Sink = Callable[[bytes], None]

_NAT64 = IPv6Network("64:ff9b::/96")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came. `content_type`: as the server names it, without parameters. `direct`: without redirects, and with its
    length announced, as the API's own fetcher demands."""

    content_type: str | None
    etag: str | None
    size: int
    direct: bool


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """The machine's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


async def fetch(
    http: httpx.AsyncClient,
    url: str,
    sink: Sink,
    *,
    max_bytes: int,
    resolve: Resolve = system_resolve,
    pin: bool = True,
    seconds: float = LONGEST,
    times: Timeouts | None = None,
) -> Fetched:
    """Stream `url` into `sink`; what it got before an error is to be thrown away. Raises FetchError, whatever `sink` raises."""
    visit = _Visit(http, sink, max_bytes, resolve, pin, timeout(times or Timeouts()))
    try:
        async with asyncio.timeout(seconds) as timer:
            return await visit.follow(url)
    except TimeoutError:
        if not timer.expired():
            raise
        raise FetchError(f"{shown_url(url)} took longer than {seconds:g} s", transient=True) from None


@dataclass(frozen=True, slots=True)
class _Visit:
    """One fetch, hop by hop."""

    http: httpx.AsyncClient
    sink: Sink
    max_bytes: int
    resolve: Resolve
    pin: bool
    times: httpx.Timeout

    async def follow(self, url: str) -> Fetched:
        for hop in range(MOST_REDIRECTS + 1):
            response = await self._open(_checked_url(url))
            try:
                if response.status_code not in _REDIRECTS:
                    return await self._take(response, url, direct=hop == 0)
                url = _target(response, url)
            finally:
                with suppress(httpx.HTTPError):
                    await response.aclose()
        raise FetchError(f"{shown_url(url)}: more than {MOST_REDIRECTS} redirects", transient=False)

    async def _open(self, url: httpx.URL) -> httpx.Response:
        """The first address that takes the connection answers."""
        addresses = await self._addresses(url)
        last: Exception | None = None
        for host in addresses[:MOST_ADDRESSES] if self.pin else (url.host,):
            try:
                return await self.http.send(self._request(url, host), stream=True, auth=None, follow_redirects=False)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                last = error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise FetchError(f"{shown_url(str(url))}: {named(error)}", transient=True) from None
        transient = "certificate" not in str(last).lower()
        raise FetchError(f"{shown_url(str(url))}: {named(last or OSError())}", transient=transient) from None

    async def _addresses(self, url: httpx.URL) -> Sequence[str]:
        try:
            addresses = await self.resolve(url.raw_host.decode("ascii"), url.port or 443)
        except OSError as error:
            gone = isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME
            raise FetchError(f"{url.host} cannot be resolved: {named(error)}", transient=not gone) from None
        if not addresses:
            raise FetchError(f"{url.host} has no address", transient=False)
        if not all(map(is_public, addresses)):
            raise FetchError(
                f"{url.host} is an address within a private network; flowrun fetches none", transient=False
            )
        return addresses

    def _request(self, url: httpx.URL, host: str) -> httpx.Request:
        name = url.raw_host.decode("ascii")
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",  # an address can serve several names: the next one must check its own certificate
        }
        request = self.http.build_request(
            "GET", url.copy_with(host=host), headers=headers, timeout=self.times, extensions={"sni_hostname": name}
        )
        request.headers.pop("cookie", None)
        return request

    async def _take(self, response: httpx.Response, url: str, *, direct: bool) -> Fetched:
        _check_answer(response, url)
        length = response.headers.get("content-length", "")
        promised = int(length) if length.isdecimal() else None
        if promised is not None and promised > self.max_bytes:
            raise self._too_large(url)
        size = await self._stream(response, url)
        if promised is not None and promised != size:
            raise FetchError(f"{shown_url(url)}: {size} bytes came of {promised}", transient=True)
        if not size:
            raise FetchError(f"{shown_url(url)} is empty", transient=False)
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Fetched(content_type or None, response.headers.get("etag"), size, direct and promised is not None)

    async def _stream(self, response: httpx.Response, url: str) -> int:
        size, chunks = 0, response.aiter_raw()
        while True:
            try:
                chunk = await anext(chunks, None)
            except (httpx.HTTPError, httpx.StreamError) as error:
                raise FetchError(f"{shown_url(url)} broke off: {named(error)}", transient=True) from None
            if chunk is None:
                return size
            size += len(chunk)
            if size > self.max_bytes:
                raise self._too_large(url)
            self.sink(chunk)

    def _too_large(self, url: str) -> FetchError:
        return FetchError(f"{shown_url(url)} is larger than {self.max_bytes} bytes", transient=False)


def _checked_url(url: str) -> httpx.URL:
    """Raises FetchError for what is not fetched at all."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise FetchError(f"{shown_url(url)} is no URL", transient=False) from None
    if dns_host(str(parsed)) is None:
        raise FetchError(f"{shown_url(url)}: only https to a host with a public DNS name is fetched", transient=False)
    return parsed


def _target(response: httpx.Response, url: str) -> str:
    location = response.headers.get("location", "")
    try:
        return str(httpx.URL(url).join(location)) if location else ""
    except httpx.InvalidURL:
        raise FetchError(f"{shown_url(url)} redirects to what is no URL", transient=False) from None


def _check_answer(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status != 200:
        transient = status in TRY_AGAIN or status >= 500
        raise FetchError(f"{shown_url(url)}: HTTP {status}", transient=transient, status=status)
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError(f"{shown_url(url)} comes compressed although that was not asked for", transient=False)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, IPv4 within IPv6 looked through. No address: no."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = tuple(_embedded(ip))
    if inner:
        return all(is_public(str(each)) for each in inner)
    odd = ip.is_multicast or ip.is_reserved or ip.is_unspecified or (isinstance(ip, IPv6Address) and ip.is_site_local)
    return ip.is_global and not odd


def _embedded(ip: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for: mapped, 6to4, Teredo, NAT64."""
    if isinstance(ip, IPv4Address):
        return
    if ip in _NAT64:
        yield IPv4Address(int(ip) & 0xFFFFFFFF)
    yield from (each for each in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())) if each is not None)
