"""Features side by side: ``python -m bench.features FEATURES`` (``PYTHONPATH=spark_app``, environment of an image).

Ours (differences of growing frames), Spark's sliding RANGE frames and the handbook's pandas code, on the raw columns of
FEATURES (see bench/model.py), on the same rows with 100 customers and 100 terminals, and on four times the rows.
Medians of three runs after three warm-ups (the JVM compiles for that long), taken in turns, so that what else the
machine does hits all alike; a run that takes 25 times ours is cut off and shown as "more than".
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from bench import handbook
from fraud_retraining import jobs
from fraud_retraining.features import DAY, DELAY_DAYS, WINDOWS, all_features, handbook_features, time_flags, with_time
from fraud_retraining.quality import PREPARED_SCHEMA

WARM_UPS, RUNS = 3, 3
GIVE_UP_AFTER = 25  # times the seconds of ours
LONGEST = 3600.0
OURS, RANGE, ALL, LIMIT = (
    "ours, handbook's features",
    "sliding RANGE, handbook's features",
    "ours, all features",
    "two shuffles and two sorts, no feature",
)
PANDAS = {
    "pandas, in the handbook's own steps": handbook.as_written,
    "pandas, the same values without a step row by row": handbook.handbook_features,
}


@dataclass(frozen=True)
class Spent:
    """Seconds of one run: by the clock, and of all cores together; infinite where it was cut off."""

    clock: float
    cpu: float


CUT_OFF = Spent(float("inf"), float("inf"))


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


def sorted_only(df: DataFrame) -> DataFrame:
    """What any such features need of Spark: the rows by customer and by terminal, each in the order of time."""
    by_customer = with_time(df).repartition("customer_id").sortWithinPartitions("customer_id", "t", "transaction_id")
    marked = by_customer.withColumn("place", F.monotonically_increasing_id())  # else Spark would leave this step out
    return marked.repartition("terminal_id").sortWithinPartitions("terminal_id", "t")


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


def cpu_seconds(process: int) -> float:
    """CPU seconds that a process of this machine has used so far (Linux)."""
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spent(work: Callable[[], object], process: int) -> Spent:
    clock, cpu = time.monotonic(), cpu_seconds(process)
    work()
    return Spent(time.monotonic() - clock, cpu_seconds(process) - cpu)


def spark_run(make: Callable[[DataFrame], DataFrame], rows: DataFrame, limit: float) -> Spent:
    """Computes all columns and throws them away."""
    spark = rows.sparkSession
    timer = threading.Timer(limit, spark.sparkContext.cancelAllJobs)
    timer.start()
    try:
        jvm = int(spark._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]
        return spent(make(rows).write.mode("overwrite").format("noop").save, jvm)
    except Py4JJavaError:
        return CUT_OFF
    finally:
        timer.cancel()


def in_turns(makers: dict[str, Callable[[DataFrame], DataFrame]], rows: DataFrame) -> dict[str, Spent]:
    """Median of each after the warm-ups; the first one's last run sets how long the others may take."""
    runs: dict[str, list[Spent]] = {name: [] for name in makers}
    first = runs[next(iter(makers))]
    for _ in range(WARM_UPS + RUNS):
        for name, make in makers.items():
            limit = GIVE_UP_AFTER * first[-1].clock if first else LONGEST
            if CUT_OFF not in runs[name]:
                runs[name].append(spark_run(make, rows, limit))
    return {name: CUT_OFF if CUT_OFF in found else median(found[WARM_UPS:]) for name, found in runs.items()}


def median(found: list[Spent]) -> Spent:
    return Spent(statistics.median(one.clock for one in found), statistics.median(one.cpu for one in found))


def cached(rows: DataFrame) -> DataFrame:
    rows = rows.repartition(8).cache()
    rows.count()
    return rows


def lines(block: str, found: dict[str, Spent], base: Spent, share: int = 1) -> None:
    """Table rows; ratios to ``share`` times the base."""
    for name, one in found.items():
        if one == CUT_OFF:
            cells = f"more than {GIVE_UP_AFTER * base.clock:.0f} | - | more than {GIVE_UP_AFTER} | -"
        else:
            ratios = f"{one.clock / base.clock / share:.2f} | {one.cpu / base.cpu / share:.2f}"
            cells = f"{one.clock:.1f} | {one.cpu:.1f} | {ratios}"
        print(f"| {block} | {name} | {cells} |", flush=True)


def main(spark: SparkSession, folder: str) -> None:
    rows = cached(spark.read.parquet(folder).select(*PREPARED_SCHEMA))
    print(f"{rows.count():,} rows. Seconds by the clock and of all cores, and both as multiples of the base.\n")
    print("| rows | what | seconds | CPU | ratio | CPU ratio |", "|---|---|--:|--:|--:|--:|", sep="\n")
    found = in_turns({OURS: handbook_features, RANGE: range_features, ALL: all_features, LIMIT: sorted_only}, rows)
    lines("ordinary keys; base: ours", found, found[OURS])
    heavy = cached(heavy_keys(rows))
    found_heavy = in_turns({OURS: handbook_features, ALL: all_features, RANGE: range_features}, heavy)
    lines("100 heavy keys; base: ours", found_heavy, found_heavy[OURS])
    heavy.unpersist()
    four = cached(fourfold(rows))
    found_four = in_turns({OURS: handbook_features, ALL: all_features}, four)
    for name, one in found_four.items():
        lines("four times the rows; base: the same, times four", {name: one}, found[name], 4)
    four.unpersist()
    frame = rows.toPandas()
    spark.stop()
    for name, make in PANDAS.items():
        runs = [spent(lambda make=make: make(frame), os.getpid()) for _ in range(RUNS)]
        lines("ordinary keys; base: ours", {name: median(runs)}, found[OURS])


if __name__ == "__main__":
    main(jobs.session("bench"), sys.argv[1])
