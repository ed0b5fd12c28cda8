"""The steps of a retrain on a lake of one month, each under its name in Spark's event log; prints one JSON object.

``spark-submit``'s side of ``bench.scale``: ``prepare``, all features written as Parquet, then with ``--train`` training
by as many workers as there are task slots, and scoring. The month has nine train days, a week of delay, a test week and
the week that a retrain waits for. Memory is what the driver's two processes have had at most by the kernel's count, and
the heap that lives when a step is done.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from fraud_retraining import dataset, features, jobs, lake, model, preparation, training

STEP = "bench.step"  # as `events` has it; a job on YARN has this file alone
TRAIN_DAYS = 9
MIB = 1 << 20


def peak_mib(process: int) -> float:
    """Most resident memory that a process of this machine has had (Linux)."""
    (found,) = [one for one in Path(f"/proc/{process}/status").read_text().splitlines() if one.startswith("VmHWM")]
    return int(found.split()[1]) / 1024


def let_go(jvm: Any) -> None:
    """Waits until Spark's memory for kept rows no longer falls.

    ``unpersist`` only asks for the rows to go: in one process 3.3 GB of 47 million rows are there half a second longer.
    """
    memory, before = jvm.org.apache.spark.SparkEnv.get().memoryManager(), float("inf")
    while (used := memory.storageMemoryUsed()) < before:
        before = used
        time.sleep(0.5)


class Steps:
    """What the steps took."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self.found: dict[str, dict[str, float]] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        jvm = self.spark._jvm
        assert jvm
        self.spark.sparkContext.setLocalProperty(STEP, name)
        begun = time.time()
        yield
        ended = time.time()
        self.spark.sparkContext.setLocalProperty(STEP, None)  # type: ignore[arg-type]
        let_go(jvm)
        jvm.java.lang.System.gc()
        runtime = jvm.java.lang.Runtime.getRuntime()
        self.found[name] = {
            "begun": begun,
            "ended": ended,
            "seconds": ended - begun,
            "heap_mib": (runtime.totalMemory() - runtime.freeMemory()) / MIB,
            "jvm_mib": peak_mib(int(jvm.java.lang.ProcessHandle.current().pid())),
            "python_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def slots_of(spark: SparkSession) -> int:
    """Tasks that run at a time. On YARN Spark's own word (``defaultParallelism``) is 2 at least, of one core, too."""
    told = spark.sparkContext.getConf()
    placed = int(told.get("spark.executor.instances") or 0) * int(told.get("spark.executor.cores") or 1)
    return placed or spark.sparkContext.defaultParallelism


def train_and_score(steps: Steps, folder: str, as_of: date, digest: str) -> dict[str, Any]:
    """A challenger by as many workers as there are slots, and the scores of its test week."""
    settings = training.Settings(train_days=TRAIN_DAYS)
    split = dataset.split_as_of(as_of, settings.train_days)
    with steps.step("train"):
        days = dataset.Days(split.train.first, split.test.last)
        rows = dataset.between(steps.spark.read.parquet(folder), days).persist()  # as `training.make_data` does
        labels, _ = dataset.labels(rows, split)
        frauds, genuine = labels[1], labels[0]
        train = dataset.sample_negatives(
            dataset.between(rows, split.train), genuine, settings.most_negatives, settings.seed
        )
        counts = {"train_rows": frauds + min(genuine, settings.most_negatives), "train_frauds": frauds}
        model.ROWS_PER_WORKER = max(1, counts["train_rows"] // slots_of(steps.spark))
        booster = model.train(train, settings.features, counts["train_rows"], settings.seed)
    kept = sum(one.memSize() + one.diskSize() for one in steps.spark.sparkContext._jsc.sc().getRDDStorageInfo())
    with steps.step("score"):
        data = training.Data(as_of, split, train, dataset.holdout(rows, split), counts, digest)
        entrants = training.score(data, "bench", booster, [], settings.most_scored)
    counts |= {"kept_rows": rows.count(), "kept_bytes": kept}
    return {**counts, "scored": len(entrants.week.labels), "ap": entrants.challenger.metrics["average_precision"]}


def main(spark: SparkSession, folder: str, out: str, train: bool) -> None:
    steps, place = Steps(spark), lake.Lake(spark, f"file://{folder}")
    with steps.step("prepare"):
        done = preparation.prepare(place, "bench")
    with steps.step("features"):
        rows = place.prepared(place.manifests().values(), date.min, date.max)
        features.all_features(rows).write.mode("overwrite").parquet(f"file://{folder}/features")
    last = date.fromisoformat(done["last_day"])
    found = train_and_score(steps, f"file://{folder}/features", last + timedelta(1), "bench") if train else {}
    counted = {"rows": done["rows"], "prepared": done["prepared"], "slots": slots_of(spark), **found}
    text = json.dumps({**counted, "steps": steps.found})
    Path(out).write_text(text)
    gateway = spark.sparkContext._gateway
    spark.stop()
    jobs.end_jvm(gateway)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.scale.job", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lake", help="folder with raw/")
    parser.add_argument("out", help="file for the JSON object")
    parser.add_argument("--train", action="store_true", help="also train and score")
    options = parser.parse_args()
    main(jobs.session("bench"), options.lake, options.out, options.train)
