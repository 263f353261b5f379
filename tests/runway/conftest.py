from __future__ import annotations

import random

import httpx
import pytest
from hypothesis import HealthCheck, settings

from flowrun.runway.client import RunwayClient
from flowrun.runway.http import open_http
from flowrun.runway.pace import Timeouts
from flowrun.secret import Secret

# a loaded machine is slow; that is no property of the code
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

KEY = "key_" + "0a" * 64
SHORT = Timeouts(connect=2.0, pool=0.1, write=2.0, read=0.15, create=0.15)
PATIENT = Timeouts(connect=5.0, pool=5.0, write=5.0, read=5.0, create=5.0)


class Naps:
    """A sleep that takes no time and keeps count."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


def client_for(http: httpx.AsyncClient, base_url: str = "https://api.example.com", **more) -> RunwayClient:
    settings = {"timeouts": PATIENT, "sleep": Naps(), "rng": random.Random(7)} | more
    return RunwayClient(http, base_url=base_url, secret=Secret(KEY), **settings)


def scripted(handler) -> httpx.AsyncClient:
    return open_http(httpx.MockTransport(handler), trust_env=False)


@pytest.fixture
def naps() -> Naps:
    return Naps()
