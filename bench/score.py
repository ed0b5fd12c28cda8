"""What `score` costs each day of a year: ``python -m bench.score RAW SCRATCH`` (``PYTHONPATH=spark_app``).

RAW is a folder of daily raw files, a year of them. New days are scored, one at a time, after half a year and after a
whole one; both have all the history that features look at. The model is of chance and of the size of ours. CPU seconds
are the JVM's: what else the machine does changes them less than those by the clock.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import xgboost
from pyspark.sql import SparkSession

from bench.features import Spent, median, spent
from bench.prepare import lake_of
from fraud_retraining import features, jobs, model
from fraud_retraining.lake import Lake
from fraud_retraining.preparation import prepare
from fraud_retraining.scoring import Scorer, score_lake

RUNS = 3
HALF = 182  # days that make a short past
assert HALF > features.HISTORY_DAYS


def booster() -> xgboost.Booster:
    draw = np.random.default_rng(1)
    rows = draw.random((2000, len(features.ALL_FEATURES))) * 50
    data = xgboost.DMatrix(rows, rows[:, 0] > 40, feature_names=list(features.ALL_FEATURES))
    sizes = {name: model.PARAMETERS[name] for name in ("max_depth", "learning_rate")}
    return xgboost.train({**sizes, "objective": "binary:logistic"}, data, model.PARAMETERS["n_estimators"])


def scoring(spark: SparkSession, root: Path, run: str, scorer: xgboost.Booster) -> tuple[Spent, int]:
    """Of the scoring alone, and its rows; what is new is prepared first."""
    lake = Lake(spark, str(root))
    prepare(lake, run)
    rows: list[int] = []
    jvm = int(spark._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]
    return spent(lambda: rows.append(score_lake(lake, Scorer("1", scorer, run))["rows"]), jvm), rows[0]


def days(spark: SparkSession, files: list[Path], root: Path, scorer: xgboost.Booster) -> list[tuple[Spent, int]]:
    """All but the last files at once, then each of these as the one that is new."""
    found = [scoring(spark, lake_of(files[:-RUNS], root), "first", scorer)]
    for path in files[-RUNS:]:
        shutil.copy(path, root / "raw")
        found.append(scoring(spark, root, path.name, scorer))
    return found


def main(spark: SparkSession, raw: Path, scratch: Path) -> None:
    files, scorer = sorted(raw.glob("*.txt*")), booster()
    print("In the order of the runs: the JVM is warmer for the whole year than for the half.\n")
    print("| scored | rows | seconds | CPU | rows/s |", "|---|--:|--:|--:|--:|", sep="\n")

    def line(what: str, found: list[tuple[Spent, int]]) -> None:
        took, rows = median([one for one, _ in found]), found[0][1]
        print(f"| {what} | {rows:,} | {took.clock:.1f} | {took.cpu:.1f} | {rows / took.clock:,.0f} |", flush=True)

    first, *later = days(spark, files[: HALF + RUNS], scratch / "half", scorer)
    line(f"{HALF} days at once, in a cold JVM", [first])
    line(f"one new day, {HALF} scored before", later)
    first, *later = days(spark, files, scratch / "whole", scorer)
    line(f"{len(files) - RUNS} days at once", [first])
    line(f"one new day, {len(files) - RUNS} scored before", later)
    line("nothing new", [scoring(spark, scratch / "whole", "nothing", scorer)])


if __name__ == "__main__":
    main(jobs.session("bench", barrier=False), Path(sys.argv[1]), Path(sys.argv[2]))
