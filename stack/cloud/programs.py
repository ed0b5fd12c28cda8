"""Programs that a command starts and that may outlive it: who is killed leaves Terraform or Ansible at work."""

import contextlib
import time
from typing import Any, Literal

import psutil

from stack.cloud.deployment import Deployment
from stack.common.console import say

Name = Literal["Terraform", "Ansible"]


def key(name: Name) -> str:
    return f"{name.lower()}-process"


def remember(deployment: Deployment, name: Name, pid: int) -> float:
    """Notes a process that was just started; returns when that was, in seconds of the epoch."""
    started = psutil.Process(pid).create_time()
    deployment.save(key(name), {"pid": pid, "started": started})
    return started


def is_running(process: dict[str, Any] | None) -> bool:
    """Whether that very process lives: a number is given again, together with its time of birth it is not.

    One that has ended and that nobody has asked for (a container's first process may not) is none.
    """
    if process is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        found = psutil.Process(process["pid"])
        return found.create_time() == process["started"] and found.status() != psutil.STATUS_ZOMBIE
    return False


def await_former(deployment: Deployment, name: Name) -> None:
    """Waits for one which an earlier command has left at work when it was killed."""
    last = deployment.load(key(name), None)
    if is_running(last):
        say(f"{name} (process {last['pid']}) of an earlier command is still at work: waiting until it has ended")
        while is_running(last):
            time.sleep(0.2)
