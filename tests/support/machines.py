"""The lab of machines that a test run uses: inside of a machine, beside it, and outside of all of them."""

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import testinfra
from testinfra.host import Host

from tests.support import ROOT

TOOLS = Path(sys.executable).parent
LAB = os.environ.get("MACHINES_LAB", "molecule-stack")
STATE = Path(os.environ.get("MACHINES_STATE", "/var/lib/fraud-machines"))
SSH_CONFIG = STATE / "labs" / LAB / "ssh_config"
GATEWAY = "10.231.7.1"  # the lab itself
OPERATOR, ATTACKER = "10.231.7.8", "10.231.7.9"  # the inventories name the operator's in baseline_ban_never
Done = subprocess.CompletedProcess[str]
# What puts a command into the lab's network, as `python -m local_cloud.machines exec` does.
ENTER = ("nsenter", f"--net=/run/netns/fraud-{LAB}", "--")


@cache
def inside(name: str) -> Host:
    """A machine as root, over ssh; each command logs in anew, so that it may boot or be replaced in between."""
    return testinfra.get_host(f"ssh://{name}", ssh_config=str(SSH_CONFIG), sudo=True)


@cache
def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder with a short path, since Unix sockets lie in it; it is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="lab-")


@cache
def logged_in(name: str) -> Host:
    """The same by one connection, kept open: a third of the time of a short command is its log-in."""
    socket = Path(scratch().name, name)
    return testinfra.get_host(f"ssh://{name}", ssh_config=str(SSH_CONFIG), sudo=True, controlpath=str(socket))


def outside(*command: str | Path, timeout: int = 300, **environment: str) -> Done:
    """Runs a command in the lab's network, where an attacker or a client would stand."""
    return run([*ENTER, *map(str, command)], timeout, environment)


def beside(name: str, *command: str | Path, timeout: int = 300, **environment: str) -> Done:
    """Runs a command of this host in a machine's own network: its loopback is the command's."""
    enter = ["nsenter", f"--net=/run/netns/fraud-{LAB}-{name}", "--"]
    return run([*enter, *map(str, command)], timeout, environment)


def run(command: list[str], timeout: int, environment: dict[str, str]) -> Done:
    everything = {**os.environ, **environment}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, errors="replace", cwd=ROOT, env=everything
    )


def attacker() -> str:
    """An address of its own: the one that the tests come from is never banned."""
    return come_from(ATTACKER)


def come_from(address: str) -> str:
    """Lets commands outside use that address of the lab's network."""
    outside("ip", "addr", "add", f"{address}/24", "dev", "br0")
    return address


def measured(name: str, value: object) -> None:
    """Shown by the scenario's verify, whether or not the test passes."""
    print(f"measured {os.environ.get('MACHINE', LAB)}: {name} {value}")
