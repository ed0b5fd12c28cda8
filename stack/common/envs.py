"""Python environments, each made from one hash-locked file. Standard library only: this runs before all else.

python3 -m stack.common.envs stack dev        # makes .envs/stack and .envs/dev
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path

from stack.common.errors import StackError

ROOT = Path(__file__).resolve().parents[2]
ENVS = ROOT / ".envs"
LOCKS = ROOT / "requirements"

# Interpreters an environment may use, best first: Managed Airflow runs 3.12, the Dataproc images 3.8 and 3.11.
PYTHONS = {
    "stack": ("3.11", "3.12", "3.13"),
    "dev": ("3.11", "3.12", "3.13"),
    "mlflow": ("3.11", "3.12", "3.13"),
    "ansible": ("3.11", "3.12", "3.13"),
    "terraform-lint": ("3.11", "3.12", "3.13"),
    "airflow": ("3.12", "3.11"),
    "airflow-test": ("3.12", "3.11"),
    "airflow-2.10-test": ("3.12", "3.11"),
    "airflow-3-newest-test": ("3.12", "3.11"),
    "spark-image-2.1": ("3.8",),
    "spark-image-2.1-test": ("3.8",),
    "spark-image-2.2": ("3.11",),
    "spark-image-2.2-test": ("3.11",),
}


def python_of(name: str) -> Path:
    """The interpreter inside environment `name` (whether or not it has been made)."""
    return ENVS / name / "bin" / "python"


def run(*command: str | Path) -> str:
    """Runs a command; returns its standard output, raises StackError with the end of what it printed."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise StackError(f"`{' '.join(str(c) for c in command)}` failed with status {done.returncode}:\n{tail}")
    return done.stdout


def works(command: str | Path) -> bool:
    """True where the command answers `--version` (a pyenv shim may exist and yet not run)."""
    with contextlib.suppress(OSError):
        return subprocess.run([str(command), "--version"], capture_output=True).returncode == 0
    return False


def find_uv() -> str:
    """uv: the one on PATH, else our pinned one, installed by pip into `.envs/uv`."""
    found = shutil.which("uv")
    if found and works(found):
        return found
    ours = ENVS / "uv" / "bin" / "uv"
    if not works(ours):
        try:
            run(sys.executable, "-m", "venv", ENVS / "uv")
            run(python_of("uv"), "-m", "pip", "install", "-q", "--require-hashes", "-r", LOCKS / "uv.txt")
        except StackError as problem:
            raise StackError(
                f"uv is not on PATH and could not be installed with {sys.executable}: {problem}\n"
                "Install uv, or Python's venv module (Debian: `apt-get install python3-venv`), and run this again."
            ) from None
    return str(ours)


def find_python(name: str) -> str | None:
    """An interpreter on this machine for environment `name`: on PATH, known to uv, or kept by pyenv; else None."""
    uv = find_uv()
    for version in PYTHONS[name]:
        done = subprocess.run(
            [uv, "python", "find", "--no-project", "--no-python-downloads", version], capture_output=True, text=True
        )
        pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
        for candidate in [done.stdout.strip(), *sorted(glob(f"{pyenv}/versions/{version}.*/bin/python"), reverse=True)]:
            if candidate and works(candidate):
                return candidate
    return None


def stamp_of(name: str) -> str:
    lock = LOCKS / f"{name}.txt"
    if not lock.exists():
        raise StackError(f"No lock {lock.relative_to(ROOT)}; the known environments are {', '.join(PYTHONS)}.")
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def is_ready(name: str) -> bool:
    stamp = ENVS / name / ".lock-sha256"
    return stamp.exists() and stamp.read_text() == stamp_of(name) and works(python_of(name))


@contextlib.contextmanager
def exclusive(name: str) -> Iterator[None]:
    """One process at a time makes environment `name`; the others wait."""
    ENVS.mkdir(exist_ok=True)
    with open(ENVS / f".{name}.flock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def ensure(name: str, say: Callable[[str], None] = print) -> Path:
    """Makes environment `name` equal to its lock, unless it already is; returns its interpreter."""
    with exclusive(name):
        if is_ready(name):
            return python_of(name)
        begun = time.monotonic()
        uv = find_uv()
        # Without a local interpreter uv may download one, where the network lets it.
        python = find_python(name) or PYTHONS[name][0]
        try:
            run(uv, "venv", "-q", "--clear", "--no-project", "--python", python, ENVS / name)
        except StackError as problem:
            raise StackError(
                f"The environment `{name}` needs Python {' or '.join(PYTHONS[name])}; none was found on PATH or under "
                f"pyenv, and uv could not download one:\n{problem}\nInstall one of them and run this again."
            ) from None
        run(
            *(uv, "pip", "sync", "-q", "--require-hashes", "--python", python_of(name)),
            *("--build-constraints", LOCKS / "build.txt", LOCKS / f"{name}.txt"),
        )
        (ENVS / name / ".lock-sha256").write_text(stamp_of(name))
        say(f"environment {name}: {time.monotonic() - begun:.0f} s")
    return python_of(name)


def main() -> int:
    try:
        if sys.argv[1:2] == ["--has"]:
            return 0 if all(is_ready(name) or find_python(name) for name in sys.argv[2:]) else 1
        for name in sys.argv[1:]:
            ensure(name)
    except StackError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
