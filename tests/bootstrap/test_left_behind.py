"""A program that a killed command has left at work: the next command knows it, and waits for it."""

import os
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from stack.cloud import machines, programs
from stack.cloud.deployment import Deployment
from stack.common import envs


def test_a_process_is_known_by_its_number_and_birth() -> None:
    born = psutil.Process().create_time()
    assert programs.is_running({"pid": os.getpid(), "started": born})
    assert not programs.is_running({"pid": os.getpid(), "started": born - 1})  # the number was given again
    assert not programs.is_running(None)


def test_one_that_has_ended_and_was_not_asked_for_runs_no_more() -> None:
    with subprocess.Popen(["true"]) as process:
        child = psutil.Process(process.pid)
        while child.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert not programs.is_running({"pid": process.pid, "started": child.create_time()})


def test_two_ansibles_are_never_at_work_on_the_same_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ansible = tmp_path / "ansible" / "bin" / "ansible"
    ansible.parent.mkdir(parents=True)
    ansible.write_text(f"#!/bin/sh\necho begun >> {tmp_path}/log\nsleep 1\necho ended >> {tmp_path}/log\n")
    ansible.chmod(0o755)
    monkeypatch.setattr(envs, "ENVS", tmp_path)
    (tmp_path / "deployment").mkdir()
    deployment = Deployment(tmp_path / "deployment", tmp_path)
    with subprocess.Popen([ansible]) as left:  # as a command would, and is killed
        programs.remember(deployment, "Ansible", left.pid)
        machines.run_ansible(deployment, "ansible")
    assert "Ansible (process " in capsys.readouterr().out
    assert (tmp_path / "log").read_text().split() == ["begun", "ended"] * 2
