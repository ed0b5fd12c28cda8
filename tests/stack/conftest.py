"""One demo for all tests, in the order in which a person lives through it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.browser import browser, in_mlflow, page  # noqa: F401  fixtures
from tests.stack.demo import Demo, new_demo
from tests.support import VERIFY

ORDER = [
    "test_object_store.py",
    "test_lake_on_s3.py",
    "test_first_cycle.py",
    "test_second_cycle.py",
    "test_two_weeks.py",
    "test_browser.py",
    "test_tutorial.py",
    "test_red_runs.py",
    "test_stop.py",
]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.name) if item.path.parent == HERE else -1)


@pytest.fixture(scope="session")
def stack() -> Iterator[Demo]:
    with new_demo() as demo:
        yield demo


@pytest.fixture(scope="session")
def first(stack: Demo) -> subprocess.CompletedProcess[str]:
    """The first cycle: thirteen weeks and no champion."""
    return stack.demo(1)


@pytest.fixture(scope="session")
def second(stack: Demo, first: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The second cycle: one more week and a champion."""
    return stack.demo(2)


@pytest.fixture(scope="session")
def cycled(request: pytest.FixtureRequest, first: subprocess.CompletedProcess[str]) -> None:
    """A stack whose cycles are done: both, or in `make test` the first alone."""
    if VERIFY:
        request.getfixturevalue("second")
