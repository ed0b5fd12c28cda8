"""Every role: its interface is described, completely and truly."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import role_readme
from tests.support import ROOT

ROLES = sorted(path.parent.parent for path in (ROOT / "roles").glob("*/meta/main.yml"))
pytestmark = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def options(role: Path) -> dict[str, Any]:
    described: dict[str, Any] = load(role / "meta/argument_specs.yml")["argument_specs"]["main"].get("options", {})
    return described


def test_defaults_and_argument_specs_have_the_same_keys(role: Path) -> None:
    defaults = set(load(role / "defaults/main.yml") or {})
    described = options(role)
    # What is required has no default that would hide that it is missing; an empty one is shown for its shape.
    needed = {name for name, option in described.items() if option.get("required")}
    assert defaults - set(described) == set(), "in defaults/main.yml, not in meta/argument_specs.yml"
    assert set(described) - defaults - needed == set(), "in meta/argument_specs.yml, not in defaults/main.yml"


def test_defaults_and_argument_specs_have_the_same_values(role: Path) -> None:
    defaults = load(role / "defaults/main.yml") or {}
    stated = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert {name: defaults.get(name) for name in stated} == stated


def test_variables_carry_the_role_in_their_name(role: Path) -> None:
    public = set(load(role / "defaults/main.yml") or {})
    internal = set(load(role / "vars/main.yml") or {}) if (role / "vars/main.yml").exists() else set()
    assert {name for name in public if not name.startswith(f"{role.name}_")} == set()
    assert {name for name in internal if not name.startswith(f"_{role.name}_")} == set()


def test_tasks_read_as_a_table_of_contents(role: Path) -> None:
    # What a step does is in a file of its own; only handlers are flushed in between.
    main = role / "tasks/main.yml"
    steps = load(main) if main.exists() else []
    allowed = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks", "ansible.builtin.meta")
    assert all("name" in step for step in steps)
    assert [step["name"] for step in steps if not any(module in step for module in allowed)] == []


def test_readme_is_what_the_argument_specs_say(role: Path) -> None:
    assert (role / "README.md").read_text() == role_readme.readme(role), "run `make role-readmes`"
