"""What holds for the whole suite: every request body that flowrun sends is recorded, and judged at the end."""

import os
import signal
from collections.abc import Iterator

import pytest
from coverage import Coverage

from tests.support.recorded_requests import (
    pytest_configure,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
    pytest_unconfigure,
)

__all__ = [
    "pytest_configure",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "pytest_unconfigure",
]


@pytest.fixture(scope="session", autouse=True)
def _a_closed_terminal_counts() -> None:
    """Also where the tests were started to outlive theirs, which every program that they start would inherit."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _programs_are_not_measured() -> None:
    """Coverage is of the code that runs inside the tests; a program that they start is as fast as it is."""
    os.environ.pop("COVERAGE_PROCESS_START", None)


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """No coverage of this test: to be traced takes as long again as to run."""
    measuring = Coverage.current()
    if measuring is None:
        yield
        return
    measuring.stop()
    yield
    measuring.start()
