"""What a retrain costs when the lake grows older: ``python -m bench.age FEATURES SCRATCH`` (``PYTHONPATH=spark_app``).

Lakes of 308, 616 and 1,232 prepared days are made of shifted copies of FEATURES (see bench/model.py), of every tenth
card, so that what grows with the lake's age is not hidden by the work on its rows. In each, one new weekly file is
prepared and a challenger is trained as of the day after it. Medians of three.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time
from datetime import date, timedelta
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from fraud_retraining import intake, jobs, model, training
from fraud_retraining.lake import Lake
from fraud_retraining.preparation import prepare
from fraud_retraining.quality import COLUMNS, HEADER_NAMES, PREPARED_SCHEMA

DAYS = 154  # of one copy: 22 weeks, of which the sample holds 153 days; the last day is made of the one before
END = date(2018, 9, 2)  # the lake's last prepared day + 1, for every age
RUNS = 3
ROWS = 950  # a day, about: a newest day is complete that has half as many as those before it
# Manifest of an empty raw file, so that only the new week is prepared.
EMPTY = {
    "form": intake.FORM,
    "fingerprint": hashlib.md5(b"", usedforsecurity=False).hexdigest(),
    **{"content": [], "rows": 0, "prepared": 0, "quarantined": {}, "quarantine": [], "run_id": "bench"},
    **{"seen": None, "ids": None, "ids_digest": "", "earlier": {}, "first_day": None, "last_day": None},
}


def shifted(rows: DataFrame, days: int, number: int) -> DataFrame:
    """Rows moved into the past, with ids of their own."""
    moved = F.col("tx_datetime") - F.expr(f"INTERVAL {days} DAYS")
    return rows.withColumn("tx_datetime", moved).withColumn(
        "transaction_id", F.col("transaction_id") + number * 10_000_000
    )


def build(spark: SparkSession, rows: DataFrame, root: Path, copies: int) -> None:
    """A prepared lake of ``copies`` x 22 weeks, with a manifest for each week."""
    last = rows.where(F.to_date("tx_datetime") == F.lit(END - timedelta(2)))
    extra = shifted(last, -1, 1).withColumn("transaction_id", F.col("transaction_id") - 5_000_000)
    whole = rows.unionByName(extra).coalesce(1)
    for number in range(copies):
        part = shifted(whole, number * DAYS, copies - number).withColumn("day", F.to_date("tx_datetime"))
        part.write.partitionBy("day").mode("append").parquet(str(root / "prepared"))
    (root / "manifest").mkdir()
    (root / "raw").mkdir()
    parts = sorted(str(path.relative_to(root / "prepared")) for path in (root / "prepared").glob("day=*/*.parquet"))
    for first in range(0, len(parts), 7):
        name = f"{parts[first][len('day=') : len('day=YYYY-MM-DD')]}.txt"
        (root / "raw" / name).touch()
        manifest = {**EMPTY, "file": name, "digest": name, "parts": dict.fromkeys(parts[first : first + 7], ROWS)}
        (root / "manifest" / f"{name}.json").write_text(json.dumps(manifest))


def write_week(rows: DataFrame, root: Path) -> None:
    """A new raw file: the sample's last seven days, moved behind the lake's end."""
    first = END - timedelta(8)
    week = rows.where(F.to_date("tx_datetime").between(F.lit(first), F.lit(first + timedelta(6))))
    frame = shifted(week, -8, 0).select(*COLUMNS).toPandas()
    header = f"# {' | '.join(HEADER_NAMES)}\n"
    text = frame.to_csv(index=False, header=False, date_format="%Y-%m-%d %H:%M:%S")
    (root / "raw" / f"{END}.txt").write_text(header + text)


def cycle(lake: Lake, root: Path, run: int) -> float:
    """Seconds of one retrain; the new file's manifest is forgotten afterwards."""
    started = time.monotonic()
    prepare(lake, f"run-{run}")
    settings = training.Settings()
    data = training.load(lake, None, settings)
    model.train(data.train, settings.features, data.counts["train_rows"], settings.seed)
    took = time.monotonic() - started
    (root / "manifest" / f"{END}.txt.json").unlink()
    lake.spark.catalog.clearCache()
    return took


def main(spark: SparkSession, folder: str, scratch: Path) -> None:
    rows = spark.read.parquet(folder).select(*PREPARED_SCHEMA).where("customer_id % 10 = 0").cache()
    print("| days in the lake | seconds of a retrain | ratio |", "|---|---|---|", sep="\n")
    base = 0.0
    for copies in (2, 4, 8):
        root = scratch / f"lake-{copies * DAYS}"
        build(spark, rows, root, copies)
        write_week(rows, root)
        lake = Lake(spark, str(root))
        found = statistics.median([cycle(lake, root, run) for run in range(RUNS + 1)][1:])
        base = base or found
        print(f"| {copies * DAYS} | {found:.1f} | {found / base:.2f} |", flush=True)


if __name__ == "__main__":
    main(jobs.session("bench"), sys.argv[1], Path(sys.argv[2]))
