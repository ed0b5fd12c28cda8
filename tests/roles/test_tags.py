"""Every tag of a role reaches its tasks: `ansible-playbook site.yml --tags X` runs what tasks/main.yml says it does.

A tag of an `include_tasks` is the include's alone: what it includes is read later and has none of it.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.module_utils.common.collections import ImmutableDict
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.task import Task
from ansible.plugins.loader import init_plugin_loader
from ansible.vars.manager import VariableManager

from ansible import context
from tests.support import ROOT

ROLES = ROOT / "roles"
STEPS = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")
CALLS = ("ansible.builtin.import_role", "ansible.builtin.include_role")
# Part of a file of tasks -> name, or action where there is no name, as often as it is there.
Found = Counter[tuple[str, str]]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def documented() -> Iterator[tuple[str, str]]:
    """Role and tag."""
    for main in sorted(ROLES.glob("*/tasks/main.yml")):
        role = main.parent.parent
        in_files = [task for file in role.glob("tasks/*.yml") for task in load(file) or ()]
        for tag in sorted({tag for task in in_files for tag in task.get("tags", ()) if tag != "always"}):
            yield role.name, tag


def inside(file: Path) -> Iterator[tuple[str, str]]:
    """What a file of tasks runs: its tasks, those of its blocks, and those of the files and roles that it names."""
    yield from flatten(file, load(file))


def flatten(file: Path, tasks: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for task in tasks:
        parts = [part for part in ("block", "rescue", "always") if part in task]
        step = next((task[module] for module in STEPS if module in task), None)
        call = next((task[module] for module in CALLS if module in task), None)
        if parts:
            for part in parts:
                yield from flatten(file, task[part])
        elif isinstance(step, str):
            yield from inside(file.parent / step)
        elif isinstance(step, dict):  # included, so only what it applies reaches its tasks
            yield str(file.relative_to(ROLES)), task["name"] if "tags" in step.get("apply", {}) else "apply tags"
        elif call:
            yield from inside(ROLES / call["name"] / "tasks" / call.get("tasks_from", "main.yml"))
        else:
            yield str(file.relative_to(ROLES)), task["name"]


def wanted(role: str, tag: str) -> Found:
    """What the role's files say that a tag runs."""
    found: Found = Counter()
    main = ROLES / role / "tasks" / "main.yml"
    steps = [(main, step) for step in load(main)]
    for file in main.parent.glob("*.yml"):
        steps += [(file, task) for task in load(file) if file != main]
    for file, step in steps:
        if tag in step.get("tags", ()) and "ansible.builtin.meta" not in step:
            found.update(flatten(file, [step]))
    return found


@cache
def tasks(role: str) -> list[Task]:
    """Every task of a role's play, as Ansible reads them."""
    if not context.CLIARGS:
        context.CLIARGS = ImmutableDict(tags=["all"], skip_tags=[])
        init_plugin_loader()
    loader = DataLoader()
    loader.set_basedir(str(ROOT))
    variables = VariableManager(loader, InventoryManager(loader, sources=["localhost,"]))
    play = Play.load({"hosts": "all", "gather_facts": False, "roles": [role]}, variables, loader)
    return [task for block in play.compile() for task in flat(block)]


def flat(block: Block) -> Iterator[Task]:
    for part in (*block.block, *block.rescue, *block.always):
        if isinstance(part, Block):
            yield from flat(part)
        else:
            yield part


def reached(role: str, tag: str) -> Found:
    """What Ansible runs with `--tags`, besides what it runs with any."""
    found: Found = Counter()
    for task in tasks(role):
        if task.action == "ansible.builtin.meta" or not task.get_path() or str(ROLES) not in task.get_path():
            continue
        if "always" in task.tags and tag not in task.tags:
            continue
        if task.evaluate_tags([tag], [], {}):
            file = Path(task.get_path().rpartition(":")[0]).relative_to(ROLES)
            found[str(file), task.name.rpartition(" : ")[2]] += 1
    return found


@pytest.mark.parametrize(("role", "tag"), list(documented()))
def test_tag_reaches_its_tasks(role: str, tag: str) -> None:
    expected = wanted(role, tag)
    assert expected, f"{role}: nothing has the tag {tag}"
    assert reached(role, tag) == expected, "is a step included, and not imported?"
