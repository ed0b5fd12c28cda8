"""Which steps of a deployment are done, and with which inputs."""

import os
from pathlib import Path

import pytest

from stack.cloud.deployment import Deployment, contents
from stack.common.errors import StackError


def test_a_step_is_done_once_for_the_same_inputs(deployment: Deployment) -> None:
    done: list[int] = []
    deployment.run_step("step", {"a": 1}, lambda: done.append(1))
    deployment.run_step("step", {"a": 1}, lambda: done.append(2))
    deployment.run_step("step", {"a": 2}, lambda: done.append(3))
    Deployment(deployment.folder, deployment.project, force=True).run_step("step", {"a": 2}, lambda: done.append(4))
    deployment.forget("step")
    deployment.run_step("step", {"a": 2}, lambda: done.append(5))
    assert done == [1, 3, 4, 5]


def test_a_step_that_fails_is_not_done(deployment: Deployment) -> None:
    def fail() -> None:
        raise StackError("no")

    with pytest.raises(StackError):
        deployment.run_step("step", 1, fail)
    done: list[int] = []
    deployment.run_step("step", 1, lambda: done.append(1))
    assert done == [1]


def test_the_inputs_of_a_step_are_the_contents_of_files(tmp_path: Path) -> None:
    (tmp_path / "roles").mkdir()
    file = tmp_path / "roles" / "main.yml"
    file.write_text("a")
    before = contents(tmp_path / "roles", tmp_path / "absent")
    os.utime(file, (1, 1))
    assert contents(tmp_path / "roles") == before
    file.write_text("b")
    assert contents(tmp_path / "roles") != before
