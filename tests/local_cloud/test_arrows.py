"""Inside local_cloud imports point one way: protocols and services stand on core, and core on nothing of ours."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What each room may import of ours, besides itself.
ALLOWED = {
    "core": set(),
    "pricing": set(),
    "code_sync": set(),
    "machines": set(),
    "object_storage": {"core"},
    "protocols": {"core"},
    "services": {"core", "pricing"},
    "cloud": {"core", "services"},
    "report": {"core", "pricing", "services"},
    "__main__": {"core", "services", "protocols", "cloud"},
}


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_of(file): file for file in sorted((ROOT / "local_cloud").rglob("*.py"))}


def imported(module: str) -> set[str]:
    """Our modules that a module imports anywhere, also inside functions and for types alone."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative path; imports are by the full path"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & set(FILES) or {node.module or ""}
    return {name for name in found if name.split(".")[0] in ("local_cloud", "stack", "simulator", "dags", "tests")}


@pytest.mark.parametrize("module", [name for name in FILES if "." in name])
def test_a_room_imports_what_it_may_and_nothing_else(module: str) -> None:
    room = module.split(".")[1]
    for name in imported(module):
        assert name.startswith("local_cloud"), f"{module} imports {name}; local_cloud can be lifted out and used alone"
        other = name.split(".")[1] if "." in name else ""
        assert other in ALLOWED[room] | {room, ""}, f"{module} imports {name}; {room} may import {ALLOWED[room]}"


def test_services_know_each_other_only_through_what_they_share() -> None:
    for module in FILES:
        _, room, *inner = [*module.split("."), ""]
        if room != "services" or inner[0] == "registry":
            continue
        for name in imported(module):
            if name.startswith("local_cloud.services."):
                assert name.split(".")[2] in {"base", "generic", inner[0]}, f"{module} imports {name}"


def test_there_is_no_circle() -> None:
    graph = {module: imported(module) & set(FILES) - {module} for module in FILES}
    list(graphlib.TopologicalSorter(graph).static_order())
