"""The handbook's features by one engine, as its experts write them: ``python -m bench.engines ENGINE ROWS RUNS OUT``.

One process an engine, so that its peak memory is its own. ROWS is a Parquet file of ``PREPARED_SCHEMA`` in which no
card has two transactions in one second: there engines differ in what a window is. Each run reads ROWS and computes all
columns for all rows; after the last one they are written to OUT. Prints one JSON object: seconds by the clock and of
all cores (medians; the runs come after one warm-up), and the peak resident memory, as the kernel counts it.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WINDOWS = (1, 7, 30)
DELAY_DAYS = 7
DAY = 86400

Engine = Callable[[str, str | None], int]  # rows, where to write the result if at all; the process that did the work


def duckdb(rows: str, out: str | None) -> int:
    """Named windows over integers; segment trees answer them."""
    import duckdb as engine

    columns, windows = [], []
    for days in WINDOWS:
        card, old = f"card_{days}", f"terminal_{days}"
        windows += [
            f"{card} AS (PARTITION BY customer_id ORDER BY t RANGE BETWEEN {days * DAY - 1} PRECEDING AND CURRENT ROW)",
            f"{old} AS (PARTITION BY terminal_id ORDER BY t"
            f" RANGE BETWEEN {(DELAY_DAYS + days) * DAY - 1} PRECEDING AND {DELAY_DAYS * DAY} PRECEDING)",
        ]
        columns += [
            f"count(*) OVER {card} AS customer_id_nb_tx_{days}day_window",
            f"sum(cents) OVER {card} / 100 / count(*) OVER {card} AS customer_id_avg_amount_{days}day_window",
            f"count(*) OVER {old} AS terminal_id_nb_tx_{days}day_window",
            f"coalesce(sum(tx_fraud) OVER {old} / count(*) OVER {old}, 0) AS terminal_id_risk_{days}day_window",
        ]
    connection = engine.connect()
    connection.execute(
        "CREATE TABLE features AS WITH timed AS (SELECT *, epoch(tx_datetime)::BIGINT AS t,"
        f" round(tx_amount * 100)::BIGINT AS cents FROM read_parquet('{rows}'))"
        " SELECT * EXCLUDE (t, cents), ((t // 86400 + 3) % 7 >= 5)::INT AS tx_during_weekend,"
        f" (t % 86400 // 3600 <= 6)::INT AS tx_during_night, {', '.join(columns)}"
        f" FROM timed WINDOW {', '.join(windows)}"
    )
    if out:
        connection.execute(f"COPY features TO '{out}' (FORMAT parquet)")
    connection.close()
    return os.getpid()


def polars(rows: str, out: str | None) -> int:
    """Rolling sums by time within each key, of rows that are sorted by it."""
    import polars as pl

    def rolled(column: str, days: int) -> pl.Expr:
        return pl.col(column).rolling_sum_by("moment", f"{days}d")

    frame = pl.read_parquet(rows).with_columns(
        moment=pl.col("tx_datetime").dt.replace_time_zone(None),
        cents=(pl.col("tx_amount") * 100).round().cast(pl.Int64),
        one=pl.lit(1, pl.Int64),
        fraud=pl.col("tx_fraud").cast(pl.Int64),
    )
    frame = frame.with_columns(
        tx_during_weekend=(pl.col("moment").dt.weekday() >= 6).cast(pl.Int32),
        tx_during_night=(pl.col("moment").dt.hour() <= 6).cast(pl.Int32),
    )
    frame = frame.sort("customer_id", "moment").with_columns(
        **{f"n_{days}": rolled("one", days).over("customer_id") for days in WINDOWS},
        **{f"sum_{days}": rolled("cents", days).over("customer_id") for days in WINDOWS},
    )
    ages = (DELAY_DAYS, *[DELAY_DAYS + days for days in WINDOWS])
    frame = frame.sort("terminal_id", "moment").with_columns(
        **{f"seen_{age}": rolled("one", age).over("terminal_id") for age in ages},
        **{f"fraud_{age}": rolled("fraud", age).over("terminal_id") for age in ages},
    )
    columns = {}
    for days in WINDOWS:
        age = DELAY_DAYS + days
        seen = pl.col(f"seen_{age}") - pl.col(f"seen_{DELAY_DAYS}")
        fraud = pl.col(f"fraud_{age}") - pl.col(f"fraud_{DELAY_DAYS}")
        columns |= {
            f"customer_id_nb_tx_{days}day_window": pl.col(f"n_{days}"),
            f"customer_id_avg_amount_{days}day_window": pl.col(f"sum_{days}") / 100 / pl.col(f"n_{days}"),
            f"terminal_id_nb_tx_{days}day_window": seen,
            f"terminal_id_risk_{days}day_window": pl.when(seen > 0).then(fraud / seen).otherwise(0.0),
        }
    result = frame.with_columns(**columns)
    if out:
        result.write_parquet(out)
    return os.getpid()


def on_spark(make: Callable[[Any], Any]) -> Engine:
    def engine(rows: str, out: str | None) -> int:
        from fraud_retraining import jobs

        spark = jobs.session("bench")
        features = make(spark.read.parquet(rows))
        features.write.mode("overwrite").format("noop").save()
        if out:
            features.write.parquet(out)
        return int(spark._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]

    return engine


def ours(rows: Any) -> Any:
    from fraud_retraining.features import handbook_features

    return handbook_features(rows)


def sliding(rows: Any) -> Any:
    from bench.features import range_features

    return range_features(rows)


def pandas(rows: str, out: str | None) -> int:
    import pandas as pd

    from bench import handbook

    frame = pd.read_parquet(rows)
    frame["tx_datetime"] = frame["tx_datetime"].dt.tz_localize(None)
    features = handbook.as_written(frame)
    if out:
        features.to_parquet(out, index=False)
    return os.getpid()


ENGINES: dict[str, Engine] = {
    "ours": on_spark(ours),
    "sliding": on_spark(sliding),
    "pandas": pandas,
    "polars": polars,
    "duckdb": duckdb,
}


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_gib(process: int) -> float:
    """The most resident memory that a process has had (Linux)."""
    (line,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024**2


def main(name: str, rows: str, runs: str, out: str) -> None:
    Path("/proc/self/oom_score_adj").write_text("1000")  # what takes all memory shall end, and nothing else
    engine = ENGINES[name]
    process = engine(rows, None)
    clocks, cores = [], []
    for _ in range(int(runs)):
        begun, used = time.monotonic(), cpu_seconds(process)
        engine(rows, None)
        clocks.append(time.monotonic() - begun)
        cores.append(cpu_seconds(process) - used)
    peak = peak_gib(process)
    engine(rows, out)
    print(json.dumps({"seconds": statistics.median(clocks), "cpu": statistics.median(cores), "peak_gib": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
