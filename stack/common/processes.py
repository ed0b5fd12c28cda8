"""Running other programs. Standard library only: this runs before there is any environment."""

import contextlib
import subprocess
from pathlib import Path

from stack.common.errors import StackError


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Runs a command; returns its standard output, raises StackError with the end of what it printed."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise StackError(f"`{' '.join(str(c) for c in command)}` failed with status {done.returncode}:\n{tail}")
    return done.stdout


def works(command: str | Path) -> bool:
    """True if the command answers `--version` (a pyenv shim may exist and yet not run)."""
    with contextlib.suppress(OSError):
        return subprocess.run([str(command), "--version"], capture_output=True).returncode == 0
    return False
