"""Features side by side: ``python -m bench.features FEATURES`` (``PYTHONPATH=spark_app``, environment of an image).

Ours (differences of growing frames), Spark's sliding RANGE frames and the handbook's pandas code, on the raw columns of
FEATURES (see bench/model.py), on the same rows with 100 customers and 100 terminals, and on four times the rows.
Medians of three runs after one warm-up; a run that takes 25 times ours is cut off and shown as "more than".
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Callable

from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from bench import handbook
from fraud_retraining import jobs
from fraud_retraining.features import DAY, DELAY_DAYS, WINDOWS, all_features, handbook_features, time_flags, with_time
from fraud_retraining.quality import PREPARED_SCHEMA

RUNS = 3
PATIENCE = 25  # times the seconds of ours


def range_features(df: DataFrame) -> DataFrame:
    """The handbook's features with sliding RANGE frames, as one writes them at first."""
    columns: dict[str, Column] = {}
    for days in WINDOWS:
        card = Window.partitionBy("customer_id").orderBy("t").rangeBetween(1 - days * DAY, 0)
        columns[f"customer_id_nb_tx_{days}day_window"] = F.count("cents").over(card)
        columns[f"customer_id_avg_amount_{days}day_window"] = F.avg("tx_amount").over(card)
        seen = Window.partitionBy("terminal_id").orderBy("t")
        seen = seen.rangeBetween(1 - (DELAY_DAYS + days) * DAY, -DELAY_DAYS * DAY)
        columns[f"terminal_id_nb_tx_{days}day_window"] = F.count("cents").over(seen)
        columns[f"terminal_id_risk_{days}day_window"] = F.coalesce(F.avg("tx_fraud").over(seen), F.lit(0.0))
    return with_time(df).withColumns({**time_flags(), **columns})


def heavy_keys(rows: DataFrame) -> DataFrame:
    return rows.withColumn("customer_id", F.col("customer_id") % 100).withColumn(
        "terminal_id", F.col("terminal_id") % 100
    )


def fourfold(rows: DataFrame) -> DataFrame:
    """Four copies with keys and ids of their own."""
    copy = F.explode(F.sequence(F.lit(0), F.lit(3)))
    return rows.withColumn("copy", copy).select(
        *[
            (F.col(name) * 4 + F.col("copy")).alias(name) if name.endswith("_id") else F.col(name)
            for name in PREPARED_SCHEMA
        ]
    )


def seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def spark_seconds(make: Callable[[DataFrame], DataFrame], rows: DataFrame, limit: float | None = None) -> float:
    """Median seconds to compute all columns; infinite if a run exceeds the limit."""
    context = rows.sparkSession.sparkContext
    found: list[float] = []
    for _ in range(RUNS + 1):
        timer = threading.Timer(limit or 1e6, context.cancelAllJobs)
        timer.start()
        try:
            found.append(seconds(make(rows).write.mode("overwrite").format("noop").save))
        except Py4JJavaError:
            return float("inf")
        finally:
            timer.cancel()
    return statistics.median(found[1:])


def cached(rows: DataFrame) -> DataFrame:
    rows = rows.repartition(8).cache()
    rows.count()
    return rows


def line(name: str, found: float, ours: float, limit: float = 0.0) -> None:
    if found == float("inf"):
        print(f"| {name} | more than {limit:.0f} s | > {limit / ours:.1f} |", flush=True)
    else:
        print(f"| {name} | {found:.1f} s | {found / ours:.2f} |", flush=True)


def main(spark: SparkSession, folder: str) -> None:
    rows = cached(spark.read.parquet(folder).select(*PREPARED_SCHEMA))
    count = rows.count()
    print(f"{os.cpu_count()} cores, {count} rows; seconds, and as a multiple of ours in the same block\n")
    print("| features | seconds | ratio |", "|---|---|---|", sep="\n")
    ours = spark_seconds(handbook_features, rows)
    line("ours, handbook's features", ours, ours)
    line("sliding RANGE", spark_seconds(range_features, rows, PATIENCE * ours), ours, PATIENCE * ours)
    line("ours, all features", spark_seconds(all_features, rows), ours)
    heavy = cached(heavy_keys(rows))
    ours_heavy = spark_seconds(handbook_features, heavy)
    line("100 heavy keys: ours, handbook's features", ours_heavy, ours_heavy)
    line("100 heavy keys: ours, all features", spark_seconds(all_features, heavy), ours_heavy)
    limit = PATIENCE * ours_heavy
    line("100 heavy keys: sliding RANGE", spark_seconds(range_features, heavy, limit), ours_heavy, limit)
    heavy.unpersist()
    four = cached(fourfold(rows))
    line("4 x the rows: ours, handbook's features", spark_seconds(handbook_features, four), 4 * ours)
    four.unpersist()
    frame = rows.toPandas()
    spark.stop()
    line("pandas, handbook's code", statistics.median(pandas_runs(frame)), ours)


def pandas_runs(frame: object) -> list[float]:
    return [seconds(lambda: handbook.handbook_features(frame)) for _ in range(RUNS)]


if __name__ == "__main__":
    main(jobs.session("bench"), sys.argv[1])
