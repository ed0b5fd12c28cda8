"""What `prepare` costs by files: ``python -m bench.prepare RAW WEEKLY DAILY SCRATCH`` (``PYTHONPATH=spark_app``).

RAW is a folder of weekly raw files; WEEKLY and DAILY have about as many rows of two years, the same in a file a week
and a file a day. Each is prepared at once, and of RAW one new week at a time. The JVM is warmed up on two weeks first;
"cold" is one week as the first thing that a session does.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pyspark.sql import SparkSession

from fraud_retraining import jobs
from fraud_retraining.lake import Lake
from fraud_retraining.preparation import prepare

RUNS = 3


def lake_of(files: list[Path], root: Path) -> Path:
    """A lake with these raw files."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "raw").mkdir(parents=True)
    for path in files:
        shutil.copy(path, root / "raw")
    return root


def seconds(spark: SparkSession, root: Path, run: str) -> tuple[float, int]:
    begun = time.monotonic()
    report = prepare(Lake(spark, str(root)), run)
    return time.monotonic() - begun, report["rows"]


def again(root: Path) -> None:
    """Forgets all that was prepared."""
    for name in ("prepared", "quarantine", "manifest", "runs"):
        shutil.rmtree(root / name, ignore_errors=True)


def whole(spark: SparkSession, root: Path) -> Iterator[tuple[float, int]]:
    for run in range(RUNS):
        again(root)
        yield seconds(spark, root, f"run-{run}")


def one_week(spark: SparkSession, files: list[Path], root: Path) -> Iterator[tuple[float, int]]:
    """Each of the last weeks, as the one that is new."""
    lake_of(files[:-RUNS], root)
    seconds(spark, root, "first")
    for path in files[-RUNS:]:
        shutil.copy(path, root / "raw")
        yield seconds(spark, root, path.name)


def main(spark: SparkSession, raw: Path, weekly: Path, daily: Path, scratch: Path) -> None:
    files = sorted(raw.glob("*.txt*"))
    print("| files | rows | seconds | rows/s |", "|---|--:|--:|--:|", sep="\n")

    def line(what: str, found: list[tuple[float, int]]) -> None:
        took, rows = statistics.median(took for took, _ in found), found[0][1]
        print(f"| {what} | {rows:,} | {took:.1f} | {rows / took:,.0f} |", flush=True)

    line("one week, cold", [seconds(spark, lake_of(files[:1], scratch / "cold"), "cold")])
    seconds(spark, lake_of(files[:2], scratch / "warm"), "warm")
    line(f"all {len(files)} weeks at once", list(whole(spark, lake_of(files, scratch / "weekly"))))
    for what, folder in (
        ("as many rows of two years in {} weekly files", weekly),
        ("the same in {} daily files", daily),
    ):
        found = sorted(folder.glob("*.txt*"))
        line(what.format(len(found)), list(whole(spark, lake_of(found, scratch / "years"))))
    line(f"one new week, {len(files) - RUNS} prepared before", list(one_week(spark, files, scratch / "weekly")))


if __name__ == "__main__":
    main(jobs.session("bench"), *map(Path, sys.argv[1:]))
