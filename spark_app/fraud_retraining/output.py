"""Outputs that people name: refused before any work if writing there would destroy something."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from fraud_retraining.errors import RetrainingError
from fraud_retraining.lake import Files

FEATURES = r"part-.*\.parquet|_SUCCESS"
CHECKSUM = r"\..*\.crc"


def check_folder(lake: Files, out: Files, ours: str = FEATURES) -> None:
    """Raise unless ``out`` is new, empty, or holds only what an earlier run wrote, away from the lake.

    Args:
        ours: a pattern of the names that runs write.
    """
    check_apart(lake.root, out.root)
    check_content(out, "", ours)


def check_content(out: Files, folder: str, ours: str) -> None:
    """Raise unless a folder of ``out`` is new, empty, or has only names of the pattern ``ours``."""
    others = [name for name in out.names(folder) if not re.fullmatch(f"{ours}|{CHECKSUM}", name)]
    if others:
        found = f"OUT={out.path(folder).rstrip('/')} holds {', '.join(others[:3])}"
        raise RetrainingError(
            f"{found}, which would be deleted: it is no earlier output; choose a folder that is new or empty"
        )


def check_file(lake: Files, out: str) -> None:
    """Raise unless a report can be written to the local file ``out``, which is new or an earlier report."""
    path = Path(out)
    check_apart(lake.root, f"file:{path.absolute()}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        what = "is a folder" if path.is_dir() else f"lies in {path.absolute().parent}, which is no folder"
        raise RetrainingError(f"OUT={out} {what}; name a file in a folder that exists")
    if path.exists() and not is_report(path):
        raise RetrainingError(f"OUT={out} is there and is no earlier report; choose another name")


def is_report(path: Path) -> bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8") or "{}")
    except ValueError:
        return False
    return isinstance(found, dict) and (not found or "as_of" in found)


def check_apart(lake: str, out: str) -> None:
    """Raise if one of two places is the other or lies in it, links followed."""
    one, other = resolved(lake), resolved(out)
    if one == other or one.startswith(other.rstrip("/") + "/") or other.startswith(one.rstrip("/") + "/"):
        how = "is the lake" if one == other else "lies in the lake" if len(other) > len(one) else "holds the lake"
        raise RetrainingError(f"OUT={out} {how} {lake}: its files would be deleted; choose a folder elsewhere")


def resolved(path: str) -> str:
    """A local path without links; the name of another store as it is."""
    scheme, _, rest = path.partition(":")
    return os.path.realpath(rest) if scheme == "file" else path
