"""Looks at the way to the API: key, address, proxies, an answer, its clock. Owns what a good key looks like; never shows one."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flowrun.production.doctoring.finding import Finding, ok, problem, warning
from flowrun.production.exits import FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.production.provider import BASE_URL, KEY, LIVE, Choice, make_client
from flowrun.runway.errors import KeyRefusedError, RunwayError
from flowrun.settings.model import Settings

if TYPE_CHECKING:
    from flowrun.runway.client import RunwayClient

SKEW = 60.0  # seconds that the clocks may differ
PATIENCE = 20.0  # seconds that an answer may take
_WELL_FORMED = re.compile(r"key_[0-9a-fA-F]{128}")  # facts of the Runway API: the key's format
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


def key(choice: Choice, raw: str, origin: str) -> Iterator[Finding]:
    """`raw`: as it was given, white space and all; `origin`: where."""
    text = raw.strip()
    if choice.is_local and choice.banner:
        advice = f"export {KEY}=key_... (developer portal, API keys) to generate with Runway"
        yield warning("key", f"{KEY} is not set: the sandbox of this process is used, nothing is charged", advice)
    elif choice.is_local:
        yield ok(
            "key", "none needed: the sandbox of this process is used" if not text else f"{_where(origin)}, not used"
        )
    elif choice.name == "sandbox":
        yield ok("key", "a sandbox takes any")
    elif not text:
        advice = f"export {KEY}=key_... (developer portal, API keys); --sandbox to try it for free"
        yield problem("key", f"{KEY} is not set, and this project is on Runway: nothing can be submitted", advice)
    elif not _WELL_FORMED.fullmatch(text):
        advice = "copy it whole from the developer portal, without quotes"
        yield problem(
            "key", f"{_where(origin)}, and is no key: {_amiss(text)}; a key is key_ and 128 hex digits", advice
        )
    elif raw != text:
        found = f"{_where(origin)}, with white space around it; flowrun ignores that, other tools answer 401"
        yield warning("key", found, f"set {KEY} again without it")
    else:
        yield ok("key", f"{_where(origin)}, and is well-formed")


def _where(origin: str) -> str:
    return f"{KEY} comes from {origin}"


def _amiss(text: str) -> str:
    """What is wrong with it, without showing any of it."""
    if text[0] in "\"'" or text[-1] in "\"'":
        return "it has quotes"
    if not text.startswith("key_"):
        return "it does not begin with key_"
    digits = text.removeprefix("key_")
    return "it has characters that are no hex digits" if len(digits) == 128 else f"it has {len(digits)} digits"


def address(choice: Choice, environ: Mapping[str, str]) -> Iterator[Finding]:
    base = choice.base_url
    if base is None:
        yield ok("address", "the sandbox of this process")
    else:
        yield _host(base, choice)
    named = [name for name in _PROXIES if environ.get(name) or environ.get(name.lower())]
    if named:
        yield ok("proxy", f"{', '.join(named)} in effect")


def _host(base: str, choice: Choice) -> Finding:
    host, right = (
        urlsplit(base).hostname or "",
        urlsplit(LIVE).hostname,
    )  # what is no address was told with the settings
    if host != right and (host == "runwayml.com" or host.endswith(".runwayml.com")):
        found = f"{host} is not where this API is: it answers 401 whatever the key"
        return problem("address", found, f"unset {BASE_URL}, or set it to {LIVE}")
    if choice.name == "runway" and host != right:
        return warning("address", f"{host} instead of {right}", f"unset {BASE_URL} unless that is meant")
    return ok("address", host)


async def answer(choice: Choice, options: Options, around: Surroundings, *, offline: bool) -> list[Finding]:
    """Ask for the organization, which costs nothing, and look at what comes and when."""
    if offline:
        return [ok("API", "not asked (--offline)")]
    if choice.key is None:
        advice = f"export {KEY}=key_...; --sandbox to try it for free"
        return [warning("API", "not asked: there is no key", advice)]
    with TemporaryDirectory(prefix="flowrun-doctor-") as folder:
        try:
            client, http = make_client(choice, options, around, Path(folder), Settings())
        except FlowrunError as error:
            return [problem("API", error.message, error.hint or f"check {KEY} and {BASE_URL}")]
        async with http:
            return await _asked(client, choice, around)


async def _asked(client: RunwayClient, choice: Choice, around: Surroundings) -> list[Finding]:
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            found = await client.organization()
    except KeyRefusedError as error:
        advice = f"{KEY} must be whole, not disabled, and made for {urlsplit(LIVE).hostname}"
        return [problem("API", f"the key was refused: {error}", advice), *_clock(client, around)]
    except TimeoutError:
        return [problem("API", f"no answer within {PATIENCE:g} s", f"check the network, proxies and {BASE_URL}")]
    except RunwayError as error:
        return [problem("API", str(error), f"check the network, proxies and {BASE_URL}"), *_clock(client, around)]
    seconds, mark = time.monotonic() - began, client.sandbox
    who = "a sandbox" if mark is not None else "Runway"
    words = f"{who} answered in {seconds * 1000:.0f} ms; balance {found.balance:,} credits"
    return [_right_one(words, choice, sandbox=mark is not None), *_clock(client, around)]


def _right_one(words: str, choice: Choice, *, sandbox: bool) -> Finding:
    if sandbox != (choice.name == "sandbox"):
        return problem("API", f"{words}; but the other one was expected, and an apply stops", f"check {BASE_URL}")
    return ok("API", words)


def _clock(client: RunwayClient, around: Surroundings) -> list[Finding]:
    if client.server_time is None:
        return []
    skew = around.clock.now() - client.server_time
    if abs(skew) <= SKEW:
        return [ok("clock", "agrees with the API's")]
    found = f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the API's"
    return [warning("clock", found, "set it (timedatectl set-ntp true): days, limits and expiries are counted by it")]
