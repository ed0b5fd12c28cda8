"""What has passed of a long proof, kept in a file, so that a failure in the last part never costs the ones before.

A part (a case of the drill, a section of the bench) counts as passed as long as its inputs are what they were.
"""

import functools
import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Passed:
    """One part that has passed: with which inputs, when, in how many seconds, and what it reports."""

    id: str
    inputs: str
    seconds: float
    commit: str
    date: str
    row: dict[str, Any]


class KeptFile:
    """JSON lines, the newest line of a part counts. Several processes may add to one file at the same time."""

    def __init__(self, path: Path, inputs: str) -> None:
        self.path, self.inputs = path, inputs

    def passed(self) -> dict[str, Passed]:
        """Every part that has passed with the present inputs, by its id."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        newest = {part.id: part for part in (Passed(**json.loads(line)) for line in lines)}
        return {part.id: part for part in newest.values() if part.inputs == self.inputs}

    def add(self, id: str, seconds: float, row: dict[str, Any]) -> None:
        """Keeps a part that has passed."""
        self._append([Passed(id, self.inputs, round(seconds, 1), commit(), f"{datetime.now(UTC):%Y-%m-%d}", row)])

    def forget(self, ids: Iterable[str]) -> None:
        """The parts count as never passed."""
        self._append([Passed(id, "", 0, "", "", {}) for id in ids])

    def _append(self, parts: list[Passed]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(asdict(part)) + "\n" for part in parts)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, text.encode())  # one write: lines of processes side by side do not mix
        finally:
            os.close(file)


def digest(root: Path, paths: Iterable[str], *also: str) -> str:
    """SHA-256 over the names and contents of the files that a proof depends on.

    Args:
        paths: files and folders below `root`; those after a `!` are left out. Hidden files and caches never count.
        also: what else the proof depends on, e.g. the release of Debian.

    Raises:
        FileNotFoundError: there is no such file or folder.
    """
    paths = list(paths)
    without = {root / path.removeprefix("!") for path in paths if path.startswith("!")}
    files: set[Path] = set()
    for path in (root / name for name in paths if not name.startswith("!")):
        if not path.exists():
            raise FileNotFoundError(f"{path} is named as an input of a proof and is not there")
        files.update(files_below(path) if path.is_dir() else [path])
    total = hashlib.sha256("\0".join(also).encode())
    for file in sorted(files):
        if not without & {file, *file.parents}:
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            total.update(f"{file.relative_to(root)} {content}\n".encode())
    return total.hexdigest()


def files_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        inner = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in inner):
            yield path


@functools.cache
def commit() -> str:
    """What is checked out, e.g. 0c469cd or 0c469cd-dirty; empty if this is no repository."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip()
