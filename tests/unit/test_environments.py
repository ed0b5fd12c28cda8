"""requirements/environments.toml, which says every environment, and the locks that are made of it."""

import re

import pytest

from stack.common import envs
from stack.common.errors import StackError


def test_an_unknown_environment_names_those_that_are_known() -> None:
    with pytest.raises(StackError, match="known environments are stack, dev"):
        envs.is_ready("nonsense")


def test_no_lock_names_a_registry() -> None:
    for lock in envs.LOCKS.glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text, lock.name
        assert "--hash=sha256:" in text, lock.name


def test_every_lock_is_of_an_environment_that_is_said() -> None:
    assert {path.stem for path in envs.LOCKS.glob("*.in")} == set(envs.EVERY)
    assert {path.stem for path in envs.LOCKS.glob("*.txt")} == set(envs.EVERY)


@pytest.mark.parametrize("name", envs.EVERY)
def test_what_constrains_a_lock_is_made_before_it(name: str) -> None:
    text = (envs.LOCKS / f"{name}.in").read_text()
    order = list(envs.EVERY)
    for other in re.findall(r"^-[rc] ([^\s]+)\.(?:in|txt)$", text, re.MULTILINE):
        assert order.index(other) < order.index(name)


def test_an_environment_runs_on_the_python_of_its_lock() -> None:
    for name, environment in envs.ENVIRONMENTS.items():
        assert environment.lock["python"] in environment.pythons, name
    assert set(envs.EVERY) - set(envs.ENVIRONMENTS) == {"build", "uv"}
