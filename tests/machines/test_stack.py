"""The machines of `site.yml`, from bare Debian to a restore: `make molecule` and `make drill-machines` in short.

Left to those two: Debian 13, the dry run, lynis, the reboot, a whole gibibyte, and most faults and maintenance.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cloud.machines import host
from tests.support import ROOT

TOOLS = Path(sys.executable).parent
INVENTORY = ROOT / "molecule" / "stack" / "inventory.yml"
MACHINES = {
    "stack-db": ("10.231.7.22", "22", ["test_baseline", "test_units", "test_postgresql"]),
    "stack-mlflow": ("10.231.7.21", "22,443", ["test_baseline", "test_units", "test_mlflow"]),
}
MIB = "64"
DRILL = "gunicorn or asks_for_exactly_one or restore_of_a_dump"


def run(*command: str | Path, **environment: str) -> str:
    """Output of a program of this environment; it fails with the end of it."""
    everything = os.environ | {"ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1", "PATH": f"{TOOLS}:{os.environ['PATH']}"}
    done = subprocess.run(
        [TOOLS / command[0], *command[1:]],
        cwd=ROOT,
        env=everything | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout[-8000:]}"
    return done.stdout


def measure(*arguments: str, **environment: str) -> None:
    """Tests against the machines; what they measured is shown."""
    files = [name for name in arguments if name.startswith("tests/")]
    options = [argument for argument in arguments if not argument.startswith("tests/")]
    said = run(
        *("python", "-m", "pytest", "-q", "-rA", "--tb=short", "-p", "no:cacheprovider", "-c", "pyproject.toml"),
        *(*options, *files),
        **{"MACHINES_LAB": "molecule-stack", "TRANSFER_MIB": MIB} | environment,
    )
    print("\n".join(line for line in said.splitlines() if re.match(r"measured|\d+ passed", line)))
    assert "skipped" not in said.splitlines()[-1], said[-3000:]


@pytest.fixture(scope="module", autouse=True)
def machines() -> Iterator[None]:
    """Two bare machines and an object store."""
    if problems := host.missing():
        pytest.skip("machines cannot run here: " + "; ".join(problems))
    run("molecule", "destroy", "-s", "stack")
    run("molecule", "create", "-s", "stack")
    yield
    run("molecule", "destroy", "-s", "stack")


def test_site_from_bare_machines_and_nothing_to_change_the_second_time() -> None:
    run("ansible-playbook", f"--inventory={INVENTORY}", "site.yml")
    again = run("ansible-playbook", f"--inventory={INVENTORY}", "site.yml")
    changed = dict(re.findall(r"(?m)^(\S+)\s+: ok=\d+\s+changed=(\d+)", again))
    assert changed == {"stack-db": "0", "stack-mlflow": "0"}, again[-6000:]


@pytest.mark.parametrize("name", MACHINES)
def test_machine_is_as_promised(name: str) -> None:
    address, ports, tests = MACHINES[name]
    given = {"MACHINE": name, "MACHINE_ADDRESS": address, "EXPECTED_PORTS": ports, "EXPECTED_SSH_WARNINGS": "yes"}
    measure(*(f"tests/machines/promises/{name}.py" for name in tests), "-k", "not lynis", **given)


def test_a_fault_and_a_restore() -> None:
    measure("tests/machines/drill", "-k", DRILL)
