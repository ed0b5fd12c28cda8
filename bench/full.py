"""One full-size file through `prepare` and features: ``python -m bench.full LAKE`` (``PYTHONPATH=spark_app``).

The lake has one raw file; it becomes prepared rows, quarantined rows and Parquet of all features. The JVM's peak is its
resident memory as the kernel counts it.
"""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from fraud_retraining import features, jobs
from fraud_retraining.lake import Lake
from fraud_retraining.preparation import prepare


def peak_gib(process: int) -> float:
    """Most resident memory that a process of this machine has had (Linux)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024**2
    raise RuntimeError(f"/proc/{process}/status has no VmHWM: the kernel does not count this process's memory")


def main(spark: SparkSession, folder: Path) -> None:
    (raw,) = (folder / "raw").iterdir()
    jvm = int(spark._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]
    lake = Lake(spark, str(folder))
    print("| step | rows | seconds | rows/s | peak memory of the JVM, GiB |", "|---|--:|--:|--:|--:|", sep="\n")

    def line(step: str, rows: int, seconds: float) -> None:
        cells = f"{rows:,} | {seconds:.0f} | {rows / seconds:,.0f} | {peak_gib(jvm):.1f}"
        print(f"| {step} | {cells} |", flush=True)

    done = prepare(lake, "full")
    line(f"prepare {raw.name} ({raw.stat().st_size / 1e9:.2f} GB)", done["rows"], done["seconds"])
    started = time.monotonic()
    rows = lake.prepared(lake.manifests().values(), date.min, date.max)
    features.all_features(rows).write.mode("overwrite").parquet(str(folder / "features"))
    line("all features, written as Parquet", done["prepared"], time.monotonic() - started)
    print(f"\n{sum(done['quarantined'].values()):,} rows quarantined: {done['quarantined']}")


if __name__ == "__main__":
    main(jobs.session("bench"), Path(sys.argv[1]))
