"""A lab of this test run's own, removed in the end whatever happens."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from local_cloud.machines import host
from tests.support import ROOT


@dataclass(frozen=True)
class Machines:
    """`python -m local_cloud.machines` in a lab."""

    lab: str

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "local_cloud.machines", f"--lab={self.lab}", *arguments]

    def __call__(self, *arguments: str, check: bool = True, timeout: int = 600) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout)
        assert not check or done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
        return done


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """A lab of this test run's own."""
    if problems := host.missing():
        pytest.skip("machines cannot run here: " + "; ".join(problems))
    found = Machines(f"test-{os.getpid()}")
    yield found
    found("down", "--all")
    shutil.rmtree(host.STATE / "labs" / found.lab)
