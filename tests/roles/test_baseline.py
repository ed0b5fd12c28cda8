"""The role `baseline` on a bare Debian 12 machine: Molecule's whole sequence (`make molecule`: also 13, the stack)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from local_cloud.machines import host


def test_molecule_sequence_on_one_machine() -> None:
    """Dry run, converge, nothing to change the second time, measured, reboot, measured again."""
    if problems := host.missing():
        pytest.skip("machines cannot run here: " + "; ".join(problems))
    environment = {**os.environ, "ROLES_LIMIT": "baseline-12", "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}
    molecule = Path(sys.executable).parent / "molecule"
    done = subprocess.run(
        [molecule, "test", "--scenario-name=baseline"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    for line in done.stdout.splitlines():
        if "measured baseline-12" in line:
            print(line.strip())
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
