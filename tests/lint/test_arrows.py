"""Which room may import what of the others. A file of no room in the table is refused; so is a second place for paths.

By the syntax tree and not by a tool for packages: scripts of jobs, roles and scenarios are in no package, and they are
what is lifted out.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.common.envs import ROOT

OURS = {"bench", "dags", "fraud_retraining", "local_cloud", "role_readme", "simulator", "stack", "tests"}
# room (a folder, the longest that fits) -> what its files may import of ours
ARROWS = {
    "ansible": set(),
    # Its YARN is the local cloud's, its executors are told what the DAG tells, its weeks are those of the demo.
    "bench": {
        "bench",
        "fraud_retraining",
        "simulator",
        "stack.common",
        "stack.local",
        "stack.running",
        "tests.support",
        "local_cloud",
        "dags.retraining.executors",
    },
    "dags": {"dags"},
    "local_cloud": {"local_cloud"},
    "molecule": {"stack.common"},  # the object store beside the machines is the demo's
    "roles": set(),
    "simulator": {"simulator"},
    "spark_app": {"fraud_retraining"},
    "stack": {
        "stack",
        "dags.retraining.patience",
        "dags.retraining.settings",
    },  # the command line: its options have the run's own defaults
    # Which cluster is ours, and how one is deleted, is said where clusters are made: `destroy` must find the same ones.
    # How often a call of the cloud is repeated is said once, where the DAGs can take it with them.
    "stack/cloud": {
        "stack.cloud",
        "stack.common",
        "stack.running",
        "local_cloud",
        "dags.retraining.clusters",
        "dags.retraining.patience",
        "dags.retraining.settings",
    },
    "stack/board": {"stack.board", "stack.common"},
    "stack/common": {"stack.common", "dags.retraining.patience"},
    "stack/lab": {"stack.lab", "stack.common", "stack.local", "local_cloud"},
    "stack/provider": {"stack.provider", "stack.common", "local_cloud", "dags.retraining.patience"},
    # The screen asks both kinds of systems the same. What is late, overdue or too dear is said where the DAGs say it.
    "stack/running": {
        "stack.running",
        "stack.common",
        "simulator",
        "dags.retraining.approval",
        "dags.retraining.clusters",
        "dags.retraining.costs",
        "dags.retraining.history",
        "dags.retraining.lake",
        "dags.retraining.monitoring",
        "dags.retraining.patience",
    },
    "stack/local": {
        "stack.local",
        "stack.common",
        "stack.running",
        "local_cloud",
        "simulator",
        "dags.retraining.history",
        "dags.retraining.patience",
        "dags.retraining.scores",
        "dags.retraining.settings",
    },
    "tests": OURS,
}


def files() -> list[Path]:
    """Every Python file that git has or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [Path(name) for name in listed if (ROOT / name).exists()]


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of what the file imports, inside functions too; relative names are made full."""
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(file.parts[: len(file.parts) - node.level]) if node.level else ""
            base = ".".join(filter(None, (package, node.module)))
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def wrong(file: Path) -> Iterator[str]:
    room = next((str(folder) for folder in file.parents if str(folder) in ARROWS), None)
    if room is None:
        yield f"{file} is in no room: add its folder to ARROWS"
        return
    for line, name in imported(file):
        if name.split(".")[0] in OURS and not any(f"{name}.".startswith(f"{allowed}.") for allowed in ARROWS[room]):
            yield f"{file}:{line} imports {name}; {room} may import {sorted(ARROWS[room]) or 'nothing of ours'}"


def test_rooms_import_what_they_may() -> None:
    found = [fault for file in files() for fault in wrong(file)]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("forbidden", ["sys.path", "fmt: skip", "fmt: off"])
def test_no_way_around(forbidden: str) -> None:
    """pyproject.toml's `pythonpath` is the one place for paths, and no line is exempt from the formatter."""
    here = Path(__file__).relative_to(ROOT)
    found = [str(file) for file in files() if file != here and forbidden in (ROOT / file).read_text()]
    assert found == [], f"{forbidden!r} stands in {found}"


def test_the_map_of_rooms_is_true() -> None:
    """CONTRIBUTING.md's table: every room, and what it may import besides itself."""
    rows = re.findall(r"^\| (`.+?) \| .*? \| (.*?) ?\|$", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    told = {room: set(re.findall(r"`(.+?)`", may)) for rooms, may in rows for room in re.findall(r"`([\w/]+)/`", rooms)}
    itself = {room: {room.replace("/", ".")} for room in ARROWS} | {"spark_app": {"fraud_retraining"}, "tests": OURS}
    wanted = {room: allowed - itself[room] for room, allowed in ARROWS.items()}
    assert {room: told.get(room) for room in wanted} == wanted
