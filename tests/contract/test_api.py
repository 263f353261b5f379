"""The sandbox before the API's kit: in this process in virtual time, and over a real socket. The free part also for the live API,
when a person asks: FLOWRUN_LIVE_CONTRACT=1 RUNWAYML_API_SECRET=... python -m pytest tests/contract/test_api.py -k live
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from flowrun.clock import Clock
from flowrun.production.inprocess import sandbox_transport
from flowrun.production.options import Options, Surroundings
from flowrun.runway.http import open_http
from flowrun.secret import Secret
from tests.support.http_sandbox import KEY, QUICK, threaded
from tests.support.virtual_time import offload, run_virtual

from .api_kit import AccountKit, Api, ApiKit, Talk, on_a_real_loop

LIVE = "https://api.dev.runwayml.com"
SCENARIO = QUICK.replace("poll: 0.02", "poll: 0.01")


class TestInProcess(ApiKit):
    @pytest.fixture
    def api(self, tmp_path) -> Api:
        scenario = tmp_path / "scenario.yaml"
        scenario.write_text(SCENARIO)

        @asynccontextmanager
        async def begin(clock: Clock) -> AsyncIterator[Talk]:
            around = Surroundings(environ={}, cwd=tmp_path, clock=clock, offload=offload)
            transport, base_url = sandbox_transport(Options(scenario=scenario), around, tmp_path / "api")
            async with open_http(transport) as http:
                yield Talk(http, base_url, Secret(KEY), clock)

        return Api(begin, run_virtual)


def over_http(base_url: str, key: str) -> Api:
    @asynccontextmanager
    async def begin(clock: Clock) -> AsyncIterator[Talk]:
        async with open_http() as http:
            yield Talk(http, base_url, Secret(key), clock)

    return Api(begin, on_a_real_loop)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with threaded(SCENARIO) as served:
        yield served.url


class TestOverHttp(ApiKit):
    @pytest.fixture
    def api(self, address: str) -> Api:
        return over_http(address, KEY)


if "FLOWRUN_LIVE_CONTRACT" in os.environ:

    class TestLive(AccountKit):
        @pytest.fixture
        def api(self) -> Api:
            api = over_http(os.environ.get("RUNWAYML_BASE_URL", LIVE), os.environ["RUNWAYML_API_SECRET"])
            api.provider = "runway"
            return api
