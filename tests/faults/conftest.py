"""One server, and one process that forks, for all the processes that a module kills or freezes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.stage import SCENARIO, Production
from tests.faults.warm import Warm, warm
from tests.support.http_sandbox import HttpSandbox, process


@pytest.fixture(scope="module")
def server() -> Iterator[HttpSandbox]:
    with process(scenario=SCENARIO) as served:
        yield served


@pytest.fixture(scope="module")
def forks() -> Iterator[Warm]:
    with warm() as started:
        yield started


@pytest.fixture
def produce(server: HttpSandbox, forks: Warm, tmp_path: Path) -> Callable[[str], Production]:
    """Makes a project by its label."""
    return lambda label: Production(tmp_path / "p", label, server, forks)
