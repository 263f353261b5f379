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
from flowrun.settings.model import Layer, Settings

if TYPE_CHECKING:
    from httpx import AsyncClient

    from flowrun.operations.catalogue import Catalogue
    from flowrun.runway.client import RunwayClient

KEY = "RUNWAYML_API_SECRET"
BASE_URL = "RUNWAYML_BASE_URL"
LIVE = "https://api.dev.runwayml.com"
OWN_DOMAIN = "runwayml.com"


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


def choose(options: Options, settings: Settings, holds_runway: Callable[[], bool]) -> Choice:
    """The contract's rule: a loopback address that nobody calls a proxy, a flag, the settings, a key, what the project holds;
    else the sandbox, with a banner. Raises FlowrunError for a scenario that could not be carried out."""
    key, address, name = settings.api_key, settings.provider.base_url or "", settings.provider.name
    if address and name != "runway" and is_loopback(address):
        if options.scenario is not None:
            raise _scripted_elsewhere(address)
        return Choice("sandbox", address, key or Secret("key_sandbox"))
    if options.sandbox or options.scenario or name == "sandbox":
        return Choice("sandbox", None, Secret("key_sandbox"))
    if key:
        _check_destination(settings)
        return Choice("runway", address or LIVE, key)
    if name == "runway" or holds_runway():
        return Choice("runway", address or LIVE, None)
    unused = "".join(f"; {each.message}" for each in settings.warnings if each.code == "key-not-ignored")
    banner = f"sandbox: no {KEY} is set, so nothing is sent to Runway and nothing is charged{unused}"
    return Choice("sandbox", None, Secret("key_sandbox"), banner)


def _check_destination(settings: Settings) -> None:
    """A folder that somebody cloned must not decide to whom the key is sent. Raises FlowrunError."""
    address, origin = settings.provider.base_url or "", settings.origin("provider.base_url")
    host = urlsplit(address).hostname or ""
    known = not address or is_loopback(address) or host == OWN_DOMAIN or host.endswith("." + OWN_DOMAIN)
    if origin.layer is Layer.PROJECT and not known:
        message = f"{origin}: this project would have your key sent to {host}, which is not Runway's; nothing was sent"
        hint = f"if you trust that address, say so yourself: export {BASE_URL}={address}"
        raise FlowrunError(Exit.WRONG, message, hint)


def _scripted_elsewhere(address: str) -> FlowrunError:
    message = f"--scenario scripts the sandbox in process, but the base URL leads to {address}; nothing was submitted"
    hint = f"start that one with flowrun sandbox --scenario FILE, or unset {BASE_URL}"
    return FlowrunError(Exit.WRONG, message, hint)


def is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def make_client(
    choice: Choice, options: Options, around: Surroundings, sandbox_folder: Path | None, settings: Settings
) -> tuple[RunwayClient, AsyncClient]:
    """A client and the connection pool under it, which the caller closes. `sandbox_folder`: where the sandbox of this process
    keeps its state, None: nowhere. Raises FlowrunError."""
    from flowrun.runway.client import RunwayClient
    from flowrun.runway.http import open_http

    if choice.key is None:
        raise no_key()
    base_url, transport = choice.base_url, None
    if base_url is None:
        from flowrun.production.inprocess import sandbox_transport

        transport, base_url = sandbox_transport(options, around, sandbox_folder, _served(settings, options))
    http = open_http(transport)
    try:
        client = RunwayClient(
            http,
            base_url=base_url,
            secret=choice.key,
            resend_502=settings.provider.resend_502,
            sleep=around.clock.sleep,
            rng=around.rng,
        )
    except ValueError as error:
        raise FlowrunError(Exit.SURROUNDINGS, str(error), f"check {KEY} and {BASE_URL}") from None
    return client, http


def _served(settings: Settings, options: Options) -> Catalogue:
    """The sandbox in this process serves the catalogue that its only client uses."""
    from flowrun.production.cataloguing import catalogue_of

    return catalogue_of(settings, open=options.allow_unknown_models)


def no_key() -> FlowrunError:
    hint = f"set {KEY} in the environment; --sandbox to try it for free"
    return FlowrunError(Exit.SURROUNDINGS, "no key: this would have to submit to Runway, and nothing was", hint)
