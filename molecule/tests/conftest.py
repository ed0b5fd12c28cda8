"""One machine of a lab, seen from inside (`machine`) and from the network that it hangs on (`outside`)."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

LAB = os.environ["MACHINES_LAB"]
STATE = Path(os.environ.get("MACHINES_STATE", "/var/lib/fraud-machines"))
SSH_CONFIG = STATE / "labs" / LAB / "ssh_config"
Outside = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def address() -> str:
    return os.environ["MACHINE_ADDRESS"]


@pytest.fixture(scope="session")
def machine() -> Host:
    """As root, over ssh."""
    return testinfra.get_host(f"ssh://{os.environ['MACHINE']}", ssh_config=str(SSH_CONFIG), sudo=True)


@pytest.fixture(scope="session")
def outside() -> Outside:
    """Runs a command in the lab's network, where an attacker would stand."""

    def run(*command: str, timeout: int = 300) -> subprocess.CompletedProcess[str]:
        machines = [sys.executable, "-m", "local_cloud.machines", f"--lab={LAB}", "exec", "--"]
        return subprocess.run([*machines, *command], capture_output=True, text=True, timeout=timeout, errors="replace")

    return run
