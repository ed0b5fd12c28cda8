"""One stack for all cases of the drill that run in one process."""

from collections.abc import Callable, Iterator

import pytest

from tests.drill import INPUTS
from tests.drill.stack import DrillStack, drill_stack


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "reduced: a case that `make test` has the time for")


@pytest.hookimpl(optionalhook=True)
def pytest_proof_inputs() -> tuple[str, ...]:
    return INPUTS


@pytest.fixture(scope="session")
def drill() -> Iterator[DrillStack]:
    with drill_stack() as stack:
        yield stack


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Adds a row to the page (tests/drill/page.py)."""

    def add(**row: object) -> None:
        print(f"{row['case']}: {row['state']}, cluster deleted by {row['deleted_by']}, {row['seconds']} s")
        record_property(str(row["case"]), row)

    return add
