"""Playbooks as a person calls them, with the inventory of the lab's two machines."""

import contextlib
import os
import re
import signal
import subprocess
import time

from tests.support import ROOT
from tests.support.machines import TOOLS, Done, measured

INVENTORY = ROOT / "molecule" / "stack" / "inventory.yml"
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s", re.MULTILINE)


def command(name: str, *more: str) -> tuple[list[str], dict[str, str]]:
    """`ansible-playbook` with the lab's inventory, and its environment."""
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "PATH": f"{TOOLS}:{os.environ['PATH']}"}
    return [str(TOOLS / "ansible-playbook"), f"--inventory={INVENTORY}", name, *more], environment


def playbook(name: str, *more: str, check: bool = True) -> Done:
    called, environment = command(name, *more)
    begun = time.monotonic()
    done = subprocess.run(called, cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    measured(f"{name} {' '.join(more)[:60]}", f"{time.monotonic() - begun:.0f} s")
    assert not check or done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done


def interrupted_playbook(name: str, seconds: float) -> None:
    """The same, killed after a while: nothing of it has a chance to tidy up."""
    called, environment = command(name)
    process = subprocess.Popen(
        called,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    assert process.poll() is None, f"{name} has ended within {seconds} s: there is nothing to interrupt"
    # Ansible's workers lead groups of their own, and outlive it.
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(worker), signal.SIGKILL)


def changed(said: str) -> dict[str, int]:
    """How many tasks changed something, by machine: from a playbook's recap."""
    return {machine: int(count) for machine, count in RECAP.findall(said)}
