"""A lab of this test run's own, removed in the end whatever happens."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from local_cloud.machines import host
from tests.support import ROOT

Machines = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """`python -m local_cloud.machines` in a lab of its own."""
    if problems := host.missing():
        pytest.skip("machines cannot run here: " + "; ".join(problems))
    lab = f"test-{os.getpid()}"

    def run(*arguments: str, check: bool = True, timeout: int = 600) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local_cloud.machines", f"--lab={lab}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout)
        assert not check or done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
        return done

    yield run
    run("down", "--all")
