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


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (envs.LOCKS / f"{name}.txt").read_text(), re.MULTILINE))


def test_the_dags_are_tested_with_the_packages_that_the_service_gets() -> None:
    """Terraform sends what airflow.in asks for, but Airflow, to whichever version the service has moved to."""
    asked = re.findall(r"^([a-z][a-z0-9-]*)", (envs.LOCKS / "airflow.in").read_text(), re.MULTILINE)
    sent = {name: pins("airflow")[name] for name in asked if name != "apache-airflow"}
    assert "apache-airflow-providers-yandex" in sent
    tested = [name for name in envs.ENVIRONMENTS if re.fullmatch(r"airflow-.*test", name)]
    versions = {name: pins(name)["apache-airflow"] for name in tested}
    assert sorted(text.rpartition(".")[0] for text in versions.values()) == ["2.11", "3.1", "3.3"], versions
    for name in tested:
        assert {package: pins(name)[package] for package in sent} == sent, name
