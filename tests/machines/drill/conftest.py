"""Before and after each case all is well, without anybody's help."""

from collections.abc import Iterator

import pytest

from tests.machines.long_proofs import INPUTS
from tests.support.mlflow_machine import healthy
from tests.support.waiting import wait_until

BACK = 60  # seconds within which MLflow answers; a module may say otherwise


@pytest.fixture(autouse=True)
def well(request: pytest.FixtureRequest) -> Iterator[None]:
    seconds = getattr(request.module, "BACK", BACK)
    wait_until(healthy, "MLflow answers", seconds)
    yield
    wait_until(healthy, "MLflow answers again", seconds)


@pytest.hookimpl(optionalhook=True)
def pytest_proof_inputs() -> list[str]:
    """What a case depends on, beside what every machine does (tests/support/proof.py)."""
    return [*INPUTS, "ansible", "tests/machines/drill"]
