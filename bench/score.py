"""What `score` costs, by what was scored before: ``python -m bench.score RAW SCRATCH`` (``PYTHONPATH=spark_app``).

RAW is a folder of weekly raw files, at least ten. The model is of chance and of the size of ours; the JVM is warmed up
on one week first.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import xgboost
from pyspark.sql import SparkSession

from bench.prepare import lake_of
from fraud_retraining import features, jobs, model
from fraud_retraining.lake import Lake
from fraud_retraining.preparation import prepare
from fraud_retraining.scoring import Scorer, score_lake

RUNS = 3
FEW = 4  # weeks that make a short past


def booster() -> xgboost.Booster:
    draw = np.random.default_rng(1)
    rows = draw.random((2000, len(features.ALL_FEATURES))) * 50
    data = xgboost.DMatrix(rows, rows[:, 0] > 40, feature_names=list(features.ALL_FEATURES))
    sizes = {name: model.PARAMETERS[name] for name in ("max_depth", "learning_rate")}
    return xgboost.train({**sizes, "objective": "binary:logistic"}, data, model.PARAMETERS["n_estimators"])


def seconds(spark: SparkSession, root: Path, run: str, scorer: xgboost.Booster) -> tuple[float, int]:
    """Of the scoring alone; what is new is prepared first."""
    lake = Lake(spark, str(root))
    prepare(lake, run)
    begun = time.monotonic()
    report = score_lake(lake, Scorer("1", scorer, run))
    return time.monotonic() - begun, report["rows"]


def weeks(spark: SparkSession, files: list[Path], root: Path, scorer: xgboost.Booster) -> list[tuple[float, int]]:
    """All but the last files at once, then each of these as the one that is new."""
    found = [seconds(spark, lake_of(files[:-RUNS], root), "first", scorer)]
    for path in files[-RUNS:]:
        shutil.copy(path, root / "raw")
        found.append(seconds(spark, root, path.name, scorer))
    return found


def main(spark: SparkSession, raw: Path, scratch: Path) -> None:
    files, scorer = sorted(raw.glob("*.txt*")), booster()
    print("| scored | rows | seconds | rows/s |", "|---|--:|--:|--:|", sep="\n")

    def line(what: str, found: list[tuple[float, int]]) -> None:
        took, rows = statistics.median(took for took, _ in found), found[0][1]
        print(f"| {what} | {rows:,} | {took:.1f} | {rows / took:,.0f} |", flush=True)

    seconds(spark, lake_of(files[:1], scratch / "warm"), "warm", scorer)
    line(f"one new week, {FEW} scored before", weeks(spark, files[: FEW + RUNS], scratch / "few", scorer)[1:])
    first, *later = weeks(spark, files, scratch / "many", scorer)
    line(f"{len(files) - RUNS} weeks at once", [first])
    line(f"one new week, {len(files) - RUNS} scored before", later)
    line("nothing new", [seconds(spark, scratch / "many", "nothing", scorer)])


if __name__ == "__main__":
    main(jobs.session("bench", barrier=False), Path(sys.argv[1]), Path(sys.argv[2]))
