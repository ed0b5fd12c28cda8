"""Files that a command keeps: private, written whole or not at all, and in use by one command at a time."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.common.errors import StackError


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, at once or not at all."""
    draft = path.with_suffix(path.suffix + ".new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text)
    draft.replace(path)


@dataclass(frozen=True)
class Kept:
    """A folder that remembers: small JSON files that only their owner can read."""

    folder: Path

    def load(self, name: str, default: Any) -> Any:
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else default

    def save(self, name: str, value: Any) -> None:
        write_private(self.folder / f"{name}.json", json.dumps(value, indent=1))


@contextlib.contextmanager
def alone(state: Kept, command: str = "make demo", variable: str = "STATE") -> Iterator[None]:
    """Keeps a second command away from the same state folder.

    Raises:
        StackError: another one is at work; with its process id.
    """
    with open(state.folder / "lock", "a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise StackError(
                f"Another `{command}` (process {handle.read().strip()}) is at work on {state.folder}: wait for it, "
                f"end it, or use another folder: `{command} {variable}=…`."
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
