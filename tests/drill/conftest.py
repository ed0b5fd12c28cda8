"""One stack for all cases of the drill, and the table of what came of them."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.drill.rig import Rig, rig


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reduced", action="store_true", help="only the few cases that `make test` has time for")
    parser.addoption("--part", default="1/1", help="N/M: the N-th of M parts of the table, to run them side by side")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "reduced: a case of the drill that `make test` has time for")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part, parts = map(int, config.getoption("--part").split("/"))
    wanted = [item for item in items if not config.getoption("--reduced") or item.get_closest_marker("reduced")]
    chosen = wanted[part - 1 :: parts]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session")
def drill() -> Iterator[Rig]:
    with rig() as stack:
        yield stack


@pytest.fixture(scope="session")
def record() -> Callable[..., None]:
    """Adds a row to the file that DRILL_RESULTS names; tests/drill/table.py makes the table of it."""

    def add(**row: object) -> None:
        print(f"{row['case']}: {row['state']}, cluster deleted by {row['deleted_by']}, {row['seconds']} s")
        if path := os.environ.get("DRILL_RESULTS"):
            with Path(path).open("a") as file:
                file.write(json.dumps(row) + "\n")

    return add
