"""Outputs that people name: refused before any work if writing there would destroy something."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Dict, Iterable

from fraud_retraining.errors import RetrainingError
from fraud_retraining.lake import Files
from fraud_retraining.reporting import content

PARTS = r"part-.*\.parquet|_SUCCESS"
CHECKSUM = r"\..*\.crc"
AREAS = ("", "raw", "prepared", "quarantine", "manifest")  # of a lake; any of them may be a link to elsewhere
OBJECT_STORE = re.compile("s3[an]?")  # schemes that name one place


def check_folder(lake: Files, out: Files, columns: Iterable[str]) -> None:
    """Raise unless ``out`` is new, empty, or holds only what an earlier run wrote, away from the lake.

    Args:
        columns: what everything that we write has.
    """
    check_apart(lake, out.root)
    check_content(out, "", PARTS, columns)


def check_content(out: Files, folder: str, ours: str, columns: Iterable[str] = ()) -> None:
    """Raise unless a folder of ``out`` is new, empty, or has only names of the pattern ``ours``.

    Args:
        columns: what each Parquet file right in it has.
    """
    names, place = out.names(folder), out.path(folder).rstrip("/")
    is_file = out.is_file(folder) and place.rpartition("/")[2] in names
    others = [name for name in names if is_file or not re.fullmatch(f"{ours}|{CHECKSUM}", name)]
    parts = [out.path(f"{folder}/{name}".lstrip("/")) for name in names if name.endswith(".parquet")]
    if columns and not others and parts and not set(columns) <= set(out.parquet(parts).columns):
        others = ["Parquet files with other columns"]
    if others:
        raise RetrainingError(
            f"OUT={place} holds {', '.join(others[:3])}, which would be deleted: it is no earlier output;"
            " choose a folder that is new or empty"
        )


def check_file(lake: Files, out: str) -> None:
    """Raise unless a report can be written to the local file ``out``, which is new or an earlier report."""
    path = Path(out)
    check_apart(lake, f"file:{path.absolute()}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        what = "is a folder" if path.is_dir() else f"lies in {path.absolute().parent}, which is no folder"
        raise RetrainingError(f"OUT={out} {what}; name a file in a folder that exists")
    if path.exists() and not is_report(path):
        raise RetrainingError(f"OUT={out} is there and is no earlier report; choose another name")


def beside(out: str) -> Dict[Path, str]:
    """Where the report of an evaluation lies whose JSON object is ``out``, and which of ``pages.written`` is there."""
    return {
        Path(out).with_suffix(suffix): name
        for suffix, name in ((".html", content.PAGE), (".md", content.SHORT), (".figures.json", content.DATA))
    }


def check_report(lake: Files, out: str) -> None:
    """Raise unless ``out`` and the report beside it can be written: each is new or of an earlier evaluation."""
    for path in (Path(out), *beside(out)):
        check_file(lake, str(path))


def is_report(path: Path) -> bool:
    if path.suffix in content.MARKS:
        with path.open(encoding="utf-8", errors="replace") as file:
            return content.MARKS[path.suffix] in file.read(1000)
    try:
        found = json.loads(path.read_text(encoding="utf-8") or "{}")
    except ValueError:
        return False
    return isinstance(found, dict) and (not found or "as_of" in found)


def check_apart(lake: Files, out: str) -> None:
    """Raise if a place is the lake, lies in it or holds it, links followed."""
    other = resolved(out)
    for area in AREAS:
        one = resolved(lake.path(area).rstrip("/"))
        if one == other or one.startswith(other.rstrip("/") + "/") or other.startswith(one.rstrip("/") + "/"):
            how = "is the lake" if one == other else "lies in the lake" if len(other) > len(one) else "holds the lake"
            raise RetrainingError(f"OUT={out} {how} {lake.root}: its files would be deleted; choose a folder elsewhere")


def resolved(path: str) -> str:
    """A local path without links; the name of another store as it is, but that ``s3:`` and ``s3a:`` are the same."""
    scheme, _, rest = path.partition(":")
    if scheme == "file":
        return os.path.realpath(rest)
    return f"s3a:{rest}" if OBJECT_STORE.fullmatch(scheme) else path
