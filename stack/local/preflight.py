"""What must hold before the demo starts: each check has one clear sentence for when it does not."""

import os
import shutil
from pathlib import Path

import psutil

from stack.common import envs
from stack.common.checks import Checks, find_python, run_checks
from stack.common.errors import StackError
from stack.common.java import find_java

GIB = 1 << 30
DISK_ENVIRONMENTS, DISK_STATE = 4 * GIB, 2 * GIB
# By engine. 3.6 GiB at most were measured with 5,000 cards, and something must be left; YARN has three processes more,
# and an executor on each of two hosts.
MEMORY = {"local": int(4.5 * GIB), "yarn": int(7.5 * GIB)}


def existing(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    return path if path.exists() else existing(path.parent)


def require_disk(folder: Path, needed: int, variable: str) -> str:
    free = shutil.disk_usage(existing(folder)).free
    if free < needed:
        raise StackError(
            f"{folder} has {free / GIB:.1f} GiB free, {needed / GIB:.0f} GiB are needed. Make room there, "
            f"or name a folder on another disk: {variable}."
        )
    return f"{free / GIB:.0f} GiB free in {existing(folder)}"


def require_writable(folder: Path) -> str:
    where = existing(folder)
    if not os.access(where, os.W_OK):
        raise StackError(f"{where} is not writable for this user. Name another state folder: `make demo STATE=~/demo`.")
    return str(folder)


def require_memory(engine: str) -> str:
    available, needed = psutil.virtual_memory().available, MEMORY[engine]
    if available < needed:
        raise StackError(
            f"{available / GIB:.1f} GiB of memory are available, {needed / GIB:.1f} GiB are needed (ENGINE={engine}). "
            "Close other programs, or set FORCE=1 to try all the same."
        )
    return f"{available / GIB:.0f} GiB available"


def require_pythons(image: str) -> str:
    """Names the interpreter of each environment; uv downloads one that is missing if the network lets it."""
    names = ("airflow", "mlflow", f"spark-image-{image}")
    found = {name: find_python(name) for name in names}
    return ", ".join(f"{name}: {python}" for name, python in found.items())


def checks(state: Path, image: str, force: bool, engine: str = "local") -> Checks:
    every: Checks = {
        "state folder": lambda: require_writable(state),
        "disk for state": lambda: require_disk(state, DISK_STATE, "`make demo STATE=…`"),
        "disk for environments": lambda: require_disk(envs.ENVS, DISK_ENVIRONMENTS, "clone the repository there"),
        "memory": lambda: require_memory(engine),
        "Python": lambda: require_pythons(image),
        "Java 17": lambda: str(find_java()),
    }
    if force:
        del every["memory"]
    if envs.is_ready(f"spark-image-{image}"):
        del every["disk for environments"]
    return every


def doctor(state: Path, image: str) -> bool:
    """Checks this machine for the demo; True if all holds."""
    return run_checks(checks(state, image, force=False))
