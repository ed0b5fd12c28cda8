"""A machine that has just booted: it updates itself, and cloud-init is at work, while Ansible comes."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.roles.lab import Machines
from tests.support import ROOT
from tests.support.machines import TOOLS

pytestmark = pytest.mark.verify

NAME = "young"
RETRYING = "FAILED - RETRYING"
# What `cloud-init status` says, until the file is gone that says so.
CLOUD_INIT = """#!/bin/sh
echo "status: $(cat /run/first-boot 2>/dev/null || echo done)"
"""
LOCK = """import fcntl, time
file = open('/var/lib/dpkg/lock-frontend', 'w')
fcntl.lockf(file, fcntl.LOCK_EX)
open('/run/locked', 'w')
time.sleep(999)
"""
Play = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def lab(machines: Machines) -> Iterator[Machines]:
    machines("up", NAME)
    yield machines
    machines("down", NAME)


@pytest.fixture(scope="module")
def play(lab: Machines, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """The role's step by `ansible-playbook`, which runs."""
    folder = tmp_path_factory.mktemp("first-boot")
    step = {"name": "First boot", "ansible.builtin.include_role": {"name": "baseline", "tasks_from": "first_boot"}}
    text = [{"hosts": NAME, "become": True, "gather_facts": False, "tasks": [step]}]
    (folder / "play.yml").write_text(json.dumps(text))
    (folder / "inventory.yml").write_text(lab("inventory").stdout)

    def begin(seconds: int) -> "subprocess.Popen[str]":
        given = json.dumps({"baseline_first_boot_seconds": seconds, "_baseline_first_boot_delay": 1})
        command = [TOOLS / "ansible-playbook", f"--inventory={folder}/inventory.yml", f"--extra-vars={given}"]
        environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_ROLES_PATH": str(ROOT / "roles")}
        return subprocess.Popen(
            [*command, folder / "play.yml"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return begin


@contextmanager
def locked(lab: Machines) -> Iterator[None]:
    """apt's lock is held by a program on the machine."""
    lab("ssh", NAME, f'sudo systemd-run --quiet --unit=updates python3 -c "{LOCK}"')
    lab("ssh", NAME, "timeout 60 sh -c 'until test -e /run/locked; do sleep .1; done'; sudo rm /run/locked")
    yield
    lab("ssh", NAME, "sudo systemctl stop updates", check=False)


@contextmanager
def booting(lab: Machines) -> Iterator[None]:
    """cloud-init is at work."""
    write = "sudo tee /usr/bin/cloud-init > /dev/null && sudo chmod 755 /usr/bin/cloud-init"
    script = CLOUD_INIT.replace('"', '\\"').replace("$", "\\$")
    lab("ssh", NAME, f'printf %s "{script}" | {write}; echo running | sudo tee /run/first-boot')
    yield
    lab("ssh", NAME, "sudo rm -f /run/first-boot /usr/bin/cloud-init")


HELD = {"a lock": locked, "cloud-init": booting}
LET_GO = {"a lock": "sudo systemctl stop updates", "cloud-init": "sudo rm /run/first-boot"}
NAMED = {"a lock": "a lock of apt is held by process", "cloud-init": "cloud-init says status: running"}


@pytest.mark.parametrize("what", HELD)
def test_it_is_waited_for_and_said(lab: Machines, play: Play, what: str) -> None:
    with HELD[what](lab), play(600) as process:
        assert process.stdout
        assert any(RETRYING in line for line in process.stdout), "it is not waited for, or nobody is told"
        lab("ssh", NAME, LET_GO[what])
        said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said


@pytest.mark.parametrize("what", HELD)
def test_it_is_waited_for_so_long_only(lab: Machines, play: Play, what: str) -> None:
    with HELD[what](lab), play(1) as process:
        said = " ".join(process.communicate(timeout=300)[0].split())
    assert process.returncode != 0
    assert f"{NAME} is not ready after 1 s: {NAMED[what]}" in said


def test_a_machine_without_cloud_init_is_ready_at_once(play: Play) -> None:
    with play(600) as process:
        said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert RETRYING not in said
