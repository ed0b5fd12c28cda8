"""How a person calls machines: by the command."""

import subprocess
import sys
from dataclasses import dataclass

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
