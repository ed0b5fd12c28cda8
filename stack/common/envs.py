"""Python environments, each made from one hash-locked file. Standard library only: this runs before all else.

python3 -m stack.common.envs stack dev        # makes .envs/stack and .envs/dev
python3 -m stack.common.envs --lock           # makes requirements/*.txt of *.in; requirements/environments.toml
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from stack.common.errors import StackError
from stack.common.files import locked
from stack.common.processes import run, works

ROOT = Path(__file__).resolve().parents[2]
ENVS = ROOT / ".envs"
LOCKS = ROOT / "requirements"


@dataclass(frozen=True)
class Environment:
    """One entry of requirements/environments.toml, which says what the fields are for."""

    purpose: str
    lock: dict[str, str]
    pythons: tuple[str, ...] = ()

    def lock_options(self) -> list[str]:
        """What uv is told of the Python and the platform that the lock is for."""
        platform = self.lock.get("platform")
        return ["--python-version", self.lock["python"]] + (
            ["--python-platform", platform] if platform else ["--universal"]
        )


EVERY = {name: Environment(**entry) for name, entry in tomllib.loads((LOCKS / "environments.toml").read_text()).items()}
ENVIRONMENTS = {name: entry for name, entry in EVERY.items() if entry.pythons}


def environment(name: str) -> Environment:
    if name not in ENVIRONMENTS:
        raise StackError(f"There is no environment `{name}`; the known environments are {', '.join(ENVIRONMENTS)}.")
    return ENVIRONMENTS[name]


def python_of(name: str) -> Path:
    """The interpreter inside environment `name` (whether or not it has been made)."""
    return ENVS / name / "bin" / "python"


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
    for version in environment(name).pythons:
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
        raise StackError(f"{lock} is missing: `git checkout {lock.relative_to(ROOT)}`.")
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def is_ready(name: str) -> bool:
    environment(name)
    stamp = ENVS / name / ".lock-sha256"
    return stamp.exists() and stamp.read_text() == stamp_of(name) and works(python_of(name))


def ensure(name: str, say: Callable[[str], None] = print) -> Path:
    """Makes environment `name` equal to its lock, unless it already is; returns its interpreter."""
    ENVS.mkdir(exist_ok=True)
    with locked(ENVS / f".{name}.flock"):  # the others wait
        if is_ready(name):
            return python_of(name)
        begun = time.monotonic()
        uv = find_uv()
        # Without a local interpreter uv may download one, if the network lets it.
        python = find_python(name) or environment(name).pythons[0]
        try:
            run(uv, "venv", "-q", "--clear", "--no-project", "--python", python, ENVS / name)
        except StackError as problem:
            raise StackError(
                f"The environment `{name}` needs Python {' or '.join(environment(name).pythons)}; none was found "
                f"on PATH or under pyenv, and uv could not download one:\n{problem}\nInstall one of them and run this "
                "again."
            ) from None
        sync: list[str | Path] = [uv, "pip", "sync", "-q", "--require-hashes", "--python", python_of(name)]
        run(*sync, "--build-constraints", LOCKS / "build.txt", LOCKS / f"{name}.txt")
        (ENVS / name / ".lock-sha256").write_text(stamp_of(name))
        say(f"environment {name}: {time.monotonic() - begun:.0f} s")
    return python_of(name)


def compile_lock(name: str, upgrade: bool = False) -> None:
    """Compiles `requirements/<name>.in` into its hash-locked `.txt`, with the versions of the one that is there."""
    if name not in EVERY:
        raise StackError(f"There is no requirements/{name}.in to lock; the known ones are {', '.join(EVERY)}.")
    options = ["-q", "--generate-hashes", "--no-header", *(["--upgrade"] if upgrade else [])]
    # The lock says where each package comes from, by the path as it was given.
    run(
        find_uv(), "pip", "compile", *options, *EVERY[name].lock_options(), f"{name}.in", "-o", f"{name}.txt", cwd=LOCKS
    )


def parser() -> argparse.ArgumentParser:
    every = argparse.ArgumentParser(prog="python3 -m stack.common.envs", description=(__doc__ or "").splitlines()[0])
    every.add_argument("names", nargs="*", metavar="NAME", help="an environment to make; --list names them")
    what = every.add_mutually_exclusive_group()
    what.add_argument(
        "--has", action="store_true", help="make nothing; say by the status whether they can be made here"
    )
    what.add_argument("--list", action="store_true", help="name all environments")
    what.add_argument("--lock", action="store_true", help="make nothing; compile their locks, or all")
    every.add_argument("--upgrade", action="store_true", help="with --lock: to the newest versions that are allowed")
    return every


def main() -> int:
    options = parser().parse_args()
    try:
        if options.list:
            for name, each in ENVIRONMENTS.items():
                print(f"{name:24}{', '.join(each.pythons):18}{each.purpose}")
        elif options.has:
            return 0 if all(is_ready(name) or find_python(name) for name in options.names) else 1
        elif options.lock:
            for name in options.names or EVERY:
                compile_lock(name, options.upgrade)
                print(f"requirements/{name}.txt", flush=True)
        else:
            for name in options.names:
                ensure(name)
    except StackError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
