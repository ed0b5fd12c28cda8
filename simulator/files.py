"""The lake's files: their columns, and how one is written whole or not at all."""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

COLUMNS = (
    "tranaction_id",  # the lake's own spelling
    "tx_datetime",
    "customer_id",
    "terminal_id",
    "tx_amount",
    "tx_time_seconds",
    "tx_time_days",
    "tx_fraud",
    "tx_fraud_scenario",
)
HEADER = f"# {' | '.join(COLUMNS)}\n".encode()


class GeneratedFile(NamedTuple):
    """One written file: its path, data rows, rows labelled as fraud, rows with each fault (every name of `Faults`)."""

    path: Path
    rows: int
    frauds: int
    faults: dict[str, int]


@contextmanager
def replacing(path: Path, compress: bool) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends well and leaves nothing when it does not."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            if compress:
                # Neither name nor time in the gzip header: they would make equal data unequal.
                with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as zipped:
                    yield zipped  # type: ignore[misc]
            else:
                yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
