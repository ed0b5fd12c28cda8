"""Files that a command keeps: private, written whole or not at all, and in use by one command at a time.

Standard library only: this runs before there is any environment.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from stack.common.errors import StackError


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, at once or not at all."""
    draft = path.with_suffix(path.suffix + ".new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text)
    draft.replace(path)


@dataclass(frozen=True)
class KeptFolder:
    """A folder that remembers: small JSON files that only their owner can read."""

    folder: Path

    def load(self, name: str, default: Any) -> Any:
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else default

    def save(self, name: str, value: Any) -> None:
        write_private(self.folder / f"{name}.json", json.dumps(value, indent=1))


@contextlib.contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[TextIO]:
    """Holds the lock file, whose content says who holds it; it is free again when this process ends, however it does.

    Raises:
        BlockingIOError: another process holds it, and `wait` is false.
    """
    with open(path, "a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as problem:
            handle.seek(0)
            raise BlockingIOError(problem.errno, handle.read().strip()) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield handle


@contextlib.contextmanager
def exclusive(kept: KeptFolder, command: str = "make demo", variable: str = "STATE") -> Iterator[None]:
    """Keeps a second command away from the same folder, which `variable` of the command names.

    Raises:
        StackError: another one is at work; with its process id.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(kept.folder / "lock", wait=False))
        except BlockingIOError as problem:
            raise StackError(
                f"Another `{command}` (process {problem.strerror}) is at work on {kept.folder}: wait for it, "
                f"end it, or use another folder: `{command} {variable}=…`."
            ) from None
        yield
