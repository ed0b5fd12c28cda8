"""Commands on a deployment whose cloud is this host: the same ones, run in its lab."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_cloud.machines import host
from stack.common.console import say, step
from stack.common.envs import ROOT
from stack.common.errors import StackError
from stack.lab import programs
from stack.lab.site import INSIDE, Site
from stack.local.installing import ensure_programs

ENVIRONMENTS = ("ansible", "airflow")


@contextmanager
def in_a_sentence() -> Iterator[None]:
    """What the host refuses reaches a person as the other things do."""
    try:
        yield
    except host.MachineError as problem:
        raise StackError(f"{problem}.") from problem


def is_outside(folder: Path) -> bool:
    """Whether that deployment's cloud is this host, and this process is not yet in its lab."""
    return Site(folder).exists and INSIDE not in os.environ


def make(folder: Path, engine: str | None = None) -> Site:
    """What a deployment on this host has before its first `make bootstrap`.

    Raises:
        StackError: it cannot be made here, or it was made with another engine.
    """
    if os.geteuid() != 0:
        raise StackError(f"TARGET=local makes machines on this host: user id is {os.geteuid()}, needed is 0 (root).")
    site = Site(folder)
    if engine and site.exists and engine != site.state.engine:
        raise StackError(
            f"The deployment in {folder} was made with ENGINE={site.state.engine}, not {engine}: leave ENGINE out, or "
            f"make another one beside it with CLOUD=<folder>."
        )
    if problems := host.missing():
        raise StackError("This host cannot run machines:\n" + "\n".join(f"  - {problem}" for problem in problems))
    with step("Python environments and jars"):
        ensure_programs(ENVIRONMENTS, "2.2", yarn="yarn" in (engine, site.state.engine))
    site.make(engine)
    return site


def run_inside(folder: Path, arguments: list[str]) -> int:
    """Runs this command line once more, in the lab of that deployment, and returns its exit status.

    Programs of the cloud that do not run are started first.
    """
    site = Site(folder)
    with in_a_sentence():
        programs.start(site)
    inside = [sys.executable, "-m", "local_cloud.machines.inside", site.lab.name]
    command = [sys.executable, "-m", "stack", *arguments]
    return subprocess.run([*inside, *command], cwd=ROOT, env=site.environment()).returncode


def remove(folder: Path) -> None:
    """Removes what stands for the cloud: machines, processes, network and files."""
    site = Site(folder)
    with step("the lab and the cloud's programs"), in_a_sentence():
        lab = [sys.executable, "-m", "local_cloud.machines", f"--lab={site.lab.name}", "down", "--all", "--forget"]
        host.run(*lab)
    shutil.rmtree(folder, ignore_errors=True)
    say(f"removed {folder}; images of Debian stay in {host.STATE / 'bases'} for the next time")
