"""One machine of a lab: `machine` is its inside, `address` what others call it by."""

import os
from pathlib import Path

import pytest
from testinfra.host import Host

from tests.support.machines import logged_in


@pytest.fixture(scope="session")
def address() -> str:
    return os.environ["MACHINE_ADDRESS"]


@pytest.fixture(scope="session")
def machine() -> Host:
    return logged_in(os.environ["MACHINE"])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What needs machines that are there already runs only if it is named: `pytest tests/machines` is test_stack.py."""
    for room in ("drill", "promises"):
        if collection_path.name == room and not any(room in argument for argument in config.args):
            return True
    return None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A failure is shown when it happens: the whole takes most of an hour."""
    if report.failed:
        print(f"\n{report.longreprtext}", flush=True)
