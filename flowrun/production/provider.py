"""Which API a command speaks to, and how. Owns that choice and the making of a client; nothing else knows two providers."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.secret import Secret

if TYPE_CHECKING:
    from httpx import AsyncClient

    from flowrun.runway.client import RunwayClient

KEY = "RUNWAYML_API_SECRET"
BASE_URL = "RUNWAYML_BASE_URL"
LIVE = "https://api.dev.runwayml.com"


@dataclass(frozen=True, slots=True)
class Choice:
    """`name`: runway or sandbox. `base_url` None: the sandbox in this process. `key` None: nothing can be submitted.
    `banner`: why the sandbox was taken unasked."""

    name: Literal["runway", "sandbox"]
    base_url: str | None
    key: Secret | None
    banner: str | None = None

    @property
    def is_local(self) -> bool:
        return self.name == "sandbox" and self.base_url is None


def choose(options: Options, around: Surroundings, holds_runway: Callable[[], bool]) -> Choice:
    """The contract's rule: a flag, a loopback address, a key, what the project holds; else the sandbox, with a banner."""
    key, address = around.environ.get(KEY, "").strip(), around.environ.get(BASE_URL, "").strip()
    if address and is_loopback(address):
        return Choice("sandbox", address, Secret(key or "key_sandbox"))
    if options.sandbox or options.scenario:
        return Choice("sandbox", None, Secret("key_sandbox"))
    if key:
        return Choice("runway", address or LIVE, Secret(key))
    if holds_runway():
        return Choice("runway", address or LIVE, None)
    banner = f"sandbox: no {KEY} is set, so nothing is sent to Runway and nothing is charged"
    return Choice("sandbox", None, Secret("key_sandbox"), banner)


def is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def make_client(
    choice: Choice, options: Options, around: Surroundings, sandbox_folder: Path
) -> tuple[RunwayClient, AsyncClient]:
    """A client and the connection pool under it, which the caller closes. Raises FlowrunError."""
    from flowrun.runway.client import RunwayClient
    from flowrun.runway.http import open_http

    if choice.key is None:
        raise no_key()
    base_url, transport = choice.base_url, None
    if base_url is None:
        from flowrun.production.inprocess import sandbox_transport

        transport, base_url = sandbox_transport(options, around, sandbox_folder)
    http = open_http(transport)
    try:
        client = RunwayClient(http, base_url=base_url, secret=choice.key, sleep=around.clock.sleep, rng=around.rng)
    except ValueError as error:
        raise FlowrunError(Exit.SURROUNDINGS, str(error), f"check {KEY} and {BASE_URL}") from None
    return client, http


def no_key() -> FlowrunError:
    hint = f"set {KEY} in the environment; --sandbox to try it for free"
    return FlowrunError(Exit.SURROUNDINGS, "no key: this would have to submit to Runway, and nothing was", hint)
