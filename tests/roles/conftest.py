"""A lab of this test run's own, removed in the end whatever happens."""

import os
import shutil
from collections.abc import Iterator

import pytest

from local_cloud.machines import host
from tests.roles.lab import Machines


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """A lab of this test run's own."""
    if problems := host.missing():
        pytest.skip("machines cannot run here: " + "; ".join(problems))
    found = Machines(f"test-{os.getpid()}")
    yield found
    found("down", "--all")
    shutil.rmtree(host.STATE / "labs" / found.lab, ignore_errors=True)  # no test has used it
