"""The machines of `site.yml`, from bare Debian to a restore: `make molecule` and `make drill-machines` in short.

What `site.yml` installs comes from a layer, if there is one of the same inputs (tests/support/installation.py).
Left to those two: Debian 12, the dry run, lynis, the reboot, a whole gibibyte, and most faults and maintenance.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from local_cloud.machines import base, host, layers
from tests.support import ROOT, cpu
from tests.support.installation import INSTALL, layer_names
from tests.support.playbooks import changed

LAB = os.environ.get("MACHINES_LAB", "test-machines")
TOOLS = Path(sys.executable).parent
SCENARIO = ROOT / "molecule" / "stack"
MACHINES = {"stack-db": ("10.231.7.22", "22"), "stack-mlflow": ("10.231.7.21", "22,443")}
PYTEST = ("python", "-m", "pytest", "-q", "-rA", "--tb=short", "--durations=8", "-p", "no:cacheprovider")
MIB = "64"
DRILL = "gunicorn or asks_for_exactly_one or restore_of_a_dump"


@dataclass(frozen=True)
class Running:
    """A program that runs; what it says goes into a file, so that it never waits for a reader."""

    process: "subprocess.Popen[str]"
    output: IO[str]

    def said(self) -> str:
        """All of its output when it has ended; it fails with the end of it."""
        status = self.process.wait()
        self.output.seek(0)
        said = self.output.read()
        assert status == 0, f"{' '.join(map(str, self.process.args))}:\n{said[:2000]}\n…\n{said[-8000:]}"  # type: ignore[arg-type]
        return said


def start(*command: str | Path, **environment: str) -> Running:
    """A program of this environment, with the lab's name."""
    settings = {
        "ANSIBLE_NOCOLOR": "1",
        "NO_COLOR": "1",
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
        "MACHINES_LAB": LAB,
        "MOLECULE_PROJECT_DIRECTORY": str(ROOT),
        "TRANSFER_MIB": MIB,
    }
    output = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (it is read when the program has ended)
    process = subprocess.Popen(
        [TOOLS / command[0], *command[1:]],
        cwd=ROOT,
        env=os.environ | settings | environment,
        stdout=output,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    return Running(process, output)


def run(*command: str | Path, **environment: str) -> str:
    return start(*command, **environment).said()


def playbook(name: str | Path, **variables: object) -> str:
    given = ("--extra-vars", json.dumps(variables)) if variables else ()
    return run("ansible-playbook", f"--inventory={SCENARIO / 'inventory.yml'}", *given, name)


def measured(said: str) -> None:
    """What tests against the machines measured, and which of them took longest."""
    print("\n".join(line for line in said.splitlines() if re.match(r"measured|\d+ passed|\d+\.\d+s call", line)))
    assert "skipped" not in said.splitlines()[-1], said[-3000:]


@contextmanager
def phase(what: str) -> Iterator[None]:
    """Prints the seconds that it took, and those of the processor."""
    begun, used = time.monotonic(), cpu.used() or 0
    yield
    print(f"measured {what}: {time.monotonic() - begun:.0f} s, CPU {(cpu.used() or 0) - used:.0f} s")


@pytest.fixture(scope="module")
def machines() -> Iterator[None]:
    """Two machines that are bare but for what is in their layers, and an object store."""
    if problems := host.missing():
        pytest.skip("machines cannot run here: " + "; ".join(problems))
    playbook(SCENARIO / "destroy.yml")
    wanted = layer_names(base.DEFAULT)
    with host.exclusive("layers"):
        if problems := [problem for name in wanted.values() if (problem := layers.problem(name))]:
            print(f"measured: installed anew, because {'; '.join(problems)}")
            with phase("bare machines"):
                playbook(SCENARIO / "create.yml")
            with phase("installation"):
                playbook(INSTALL)
            with phase("layers kept"):
                for machine, layer in wanted.items():
                    run("python", "-m", "local_cloud.machines", f"--lab={LAB}", "keep", machine, layer)
        with phase("machines with what is installed"):
            playbook(SCENARIO / "create.yml", machines_layers=wanted)
    yield
    playbook(SCENARIO / "destroy.yml")


@pytest.fixture(scope="module")
def configured(machines: None) -> None:
    with phase("site.yml"):
        playbook("site.yml")


def promises(name: str, *tests: str) -> Running:
    address, ports = MACHINES[name]
    given = {"MACHINE": name, "MACHINE_ADDRESS": address, "EXPECTED_PORTS": ports, "EXPECTED_SSH_WARNINGS": "yes"}
    files = [f"tests/machines/promises/{test}.py" for test in tests]
    return start(*PYTEST, "-c", "pyproject.toml", "-k", "not lynis", *files, **given)


@pytest.fixture(scope="module")
def measurements(configured: None) -> Iterator[dict[str, Running]]:
    """Both machines are measured at once: each waits most of the time."""
    with phase("promises of PostgreSQL"):
        # First, and by themselves: what is restored from the archive is compared with a database that nobody writes to.
        measured(promises("stack-db", "test_postgresql").said())
    running = {
        "stack-db": promises("stack-db", "test_baseline", "test_units"),
        "stack-mlflow": promises("stack-mlflow", "test_baseline", "test_units", "test_mlflow"),
    }
    yield running
    for each in running.values():
        each.process.kill()
        each.process.wait()


@pytest.mark.verify
def test_nothing_to_change_the_second_time(configured: None) -> None:
    with phase("site.yml again"):
        again = playbook("site.yml")
    assert changed(again) == {"stack-db": 0, "stack-mlflow": 0}, again[-6000:]


@pytest.mark.parametrize("name", MACHINES)
def test_machine_is_as_promised(measurements: dict[str, Running], name: str) -> None:
    with phase(f"promises of {name}"):
        measured(measurements[name].said())


@pytest.mark.verify
def test_a_fault_and_a_restore(configured: None) -> None:
    with phase("a fault and a restore"):
        measured(run(*PYTEST, "-c", "pyproject.toml", "-k", DRILL, "tests/machines/drill"))
