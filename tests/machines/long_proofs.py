"""The long proofs on real machines, part by part; what has passed with the same inputs is not run again.

python -m tests.machines.long_proofs molecule [--only alone …] [--fresh]     Molecule's scenarios, from bare machines
python -m tests.machines.long_proofs drill [--debian 12] [--only NAME] [--fresh]     tests/machines/drill, on one lab

Needs root, and the environments `ansible` (whose Python runs it), `mlflow` and `stack`. What passed is in .proofs/.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from local_cloud.machines import base, host
from stack.common.files import locked
from tests.support import ROOT
from tests.support.kept import KeptFile, digest

TOOLS = Path(sys.executable).parent
PROOFS = ROOT / ".proofs"
# What machines of any scenario depend on.
INPUTS = (
    ".config/molecule/config.yml",
    "ansible.cfg",
    "local_cloud/machines",
    "molecule",
    "requirements/ansible.txt",
    "requirements/mlflow.txt",
    "roles",
    "site.yml",
    "tests/machines/conftest.py",
    "tests/machines/promises",
    "tests/security",
    "tests/support",
)


@dataclass(frozen=True)
class Scenario:
    name: str
    debian: str = ""  # of all its machines; empty if its inventory says so for each

    @property
    def id(self) -> str:
        return "-".join(filter(None, (self.name, self.debian)))


SCENARIOS = (Scenario("baseline"), Scenario("alone"), Scenario("stack", "12"), Scenario("stack", "13"))


def run(*command: str | Path, **environment: str) -> int:
    """Exit status of a program of this environment; what it says is shown."""
    everything = os.environ | {"PATH": f"{TOOLS}:{os.environ['PATH']}"} | environment
    return subprocess.run([TOOLS / command[0], *command[1:]], cwd=ROOT, env=everything).returncode


@contextlib.contextmanager
def held(lab: str) -> Iterator[None]:
    """Keeps every other proof away from the machines of a lab: it would remove them under this one's feet."""
    file = host.STATE / f".proof-{lab}"
    file.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(file, wait=False))
        except BlockingIOError as problem:
            print(f"Process {problem.strerror} is at work on the lab {lab}: waiting until it has ended", flush=True)
            stack.enter_context(locked(file))
        yield


def molecule(only: Iterable[str], fresh: bool) -> int:
    """Runs every scenario that has not passed yet, whatever the others do, and prints a table."""
    wanted = [scenario for scenario in SCENARIOS if not only or {scenario.id, scenario.name} & set(only)]
    if not wanted:
        sys.exit(f"no scenario of {', '.join(only)}; there are: {', '.join(scenario.id for scenario in SCENARIOS)}")
    kept = KeptFile(PROOFS / "molecule.jsonl", digest(ROOT, INPUTS))
    if fresh:
        kept.forget(scenario.id for scenario in wanted)
    before, results = kept.passed(), {}
    for scenario in wanted:
        if scenario.id in before:
            results[scenario.id] = (
                f"passed on {before[scenario.id].date}, {before[scenario.id].seconds / 60:.1f} minutes"
            )
            continue
        # Two checkouts, or two labs, may run the same scenario: each has its own working directory.
        place = {
            "MACHINES_LAB": os.environ.get("MACHINES_LAB", f"molecule-{scenario.name}"),
            "STACK_DEBIAN": scenario.debian or base.DEFAULT,
            "MOLECULE_EPHEMERAL_DIRECTORY": str(PROOFS / f"molecule-{scenario.id}"),
        }
        with held(place["MACHINES_LAB"]):
            begun = time.monotonic()
            status = run("molecule", "test", "-s", scenario.name, **place)
        seconds = time.monotonic() - begun
        if status == 0:
            kept.add(scenario.id, seconds, {})
        results[scenario.id] = f"{'passed' if status == 0 else 'FAILED'} now, {seconds / 60:.1f} minutes"
    print("\n" + "\n".join(f"{name:12} {result}" for name, result in results.items()))
    return int(any("FAILED" in result for result in results.values()))


def drill(debian: str, only: str, fresh: bool) -> int:
    """Runs the cases that have not passed yet; the machines stay if one fails, and the next call goes on with them."""
    lab = os.environ.get("MACHINES_LAB", "drill-machines")
    environment = {"MACHINES_LAB": lab, "STACK_DEBIAN": debian, "MOLECULE_PROJECT_DIRECTORY": str(ROOT)}
    options = ["-p", "no:cacheprovider", "-p", "tests.support.proof"]
    options += ["--keep", f".proofs/drill-machines-{debian}.jsonl", *(["-k", only] if only else [])]
    pytest = ("python", "-m", "pytest", *options, "tests/machines/drill")

    def playbook(name: str) -> None:
        if status := run("ansible-playbook", "--inventory=molecule/stack/inventory.yml", name, **environment):
            sys.exit(status)

    if not fresh and nothing_left(*pytest):
        print(f"Every case has passed with the same inputs ({PROOFS}/drill-machines-{debian}.jsonl)")
        return 0
    with held(lab):
        if fresh:
            playbook("molecule/stack/destroy.yml")
        playbook("molecule/stack/create.yml")  # boots what is there; makes what is not
        playbook("site.yml")
        status = run(*pytest, "-v", "-s", *(["--fresh"] if fresh else []), **environment)
        if status:
            print(f"The machines stay (lab {lab}); the same command goes on where it was, with FRESH=1 anew")
        else:
            playbook("molecule/stack/destroy.yml")
    return status


def nothing_left(*pytest: str) -> bool:
    """Whether every case has passed before; it needs no machines."""
    environment = os.environ | {"PATH": f"{TOOLS}:{os.environ['PATH']}"}
    command = [str(TOOLS / pytest[0]), *pytest[1:], "--collect-only", "-q"]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return found.returncode == 0 and "::" not in found.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    scenarios = commands.add_parser("molecule")
    scenarios.add_argument("--only", nargs="+", default=[], metavar="SCENARIO", help="e.g. alone, stack-13")
    cases = commands.add_parser("drill")
    cases.add_argument("--debian", choices=base.SUITES, default=base.DEFAULT)
    cases.add_argument("--only", default="", metavar="NAME", help="as pytest's -k")
    for command in (scenarios, cases):
        command.add_argument("--fresh", action="store_true", help="run again what has passed")
    given = parser.parse_args()
    if given.command == "molecule":
        return molecule(given.only, given.fresh)
    return drill(given.debian, given.only, given.fresh)


if __name__ == "__main__":
    sys.exit(main())
