"""What the entry points share: arguments, the Spark session, progress lines, the last word on a failure."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from contextlib import contextmanager, suppress
from typing import Callable, Dict, Iterator, List, Optional

from py4j.java_gateway import JavaGateway
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from fraud_retraining.errors import RetrainingError

log = logging.getLogger("fraud_retraining")

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",  # a value that does not parse is null, and null breaks a named rule
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.showConsoleProgress": "false",
    # Rows that are kept for a second look would be counted value by value, to compress what hardly compresses.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    # Files are written to a folder of the run first, so nobody sees a half-committed one; version 1 renames all twice.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
}
# XGBoost trains in a barrier stage, which needs its slots at once and refuses executors that come and go.
BARRIER = {"spark.dynamicAllocation.enabled": "false"}


def arguments(argv: List[str]) -> List[str]:
    """Arguments as they were meant: Dataproc's agent may hand all of them over as one comma-joined token."""
    if len(argv) == 1 and argv[0].startswith("--") and "," in argv[0]:
        argv = argv[0].split(",")
    return [argument for argument in argv if argument]


def session(name: str, barrier: bool = True) -> SparkSession:
    """Spark session with the settings that results depend on; `barrier` says whether the job may train."""
    builder = SparkSession.builder.appName(name)
    for key, value in {**SETTINGS, **(BARRIER if barrier else {})}.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    if spark.conf.get("spark.sql.shuffle.partitions") == "200":  # Spark's default, far too many for small data
        spark.conf.set("spark.sql.shuffle.partitions", str(max(16, 4 * spark.sparkContext.defaultParallelism)))
        # Else they become one a core, and all wait for the largest.
        spark.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
    return spark


@contextmanager
def step(name: str, seconds: Optional[Dict[str, float]] = None) -> Iterator[Callable[[str], None]]:
    """Log one line with the seconds when a step is done; the yielded function sets what it says.

    Args:
        seconds: where they are kept, too, by the name of the step.
    """
    started, said = time.monotonic(), [name]

    def say(text: str) -> None:
        said[0] = f"{name}: {text}"

    yield say
    took = time.monotonic() - started
    if seconds is not None:
        seconds[name] = round(took, 1)
    log.info("%s (%.1f s)", said[0], took)


def run(
    parser: argparse.ArgumentParser, job: Callable[[SparkSession, argparse.Namespace], None], barrier: bool = True
) -> None:
    """Run a job; a failure that a person can mend ends with one line that says how, and exit status 1.

    With `barrier=False` executors may come and go, if the cluster is set so (`spark.dynamicAllocation.enabled`).
    """
    options = parser.parse_args(arguments(sys.argv[1:]))
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    spark = session(parser.prog, barrier)
    log.info("%s begins with %d task slots", parser.prog, spark.sparkContext.defaultParallelism)
    status = 1
    try:
        job(spark, options)
        status = 0
    except RetrainingError as error:
        log.error("%s failed: %s", parser.prog, error)
    except Exception as error:
        log.exception("unexpected error")
        log.error("%s failed: %s: %s", parser.prog, type(error).__name__, (str(error).strip() or "-").splitlines()[0])
    finally:
        gateway, deploy_mode = spark.sparkContext._gateway, spark.conf.get("spark.submit.deployMode", "client")
        stop(spark, status)
    if status:
        sys.exit(status)
    if deploy_mode == "client":
        end_jvm(gateway)


def stop(spark: SparkSession, status: int) -> None:
    """End the session, and tell YARN how the job has ended.

    In client mode the application master knows no exit status of the driver: without being told it calls every
    application a success. Spark before 3.4 has no way to tell.
    """
    if status:
        with suppress(Py4JError):
            spark.sparkContext._jsc.sc().stop(status)
    spark.stop()


def end_jvm(gateway: JavaGateway) -> None:
    """End the driver's JVM with status 0. YARN knows the end by then: `stop` has told it.

    Spark 3.5.0 leaves the timers of a barrier stage behind in threads that are no daemons: after XGBoost has trained,
    a driver in client mode would never end by itself.
    """
    logging.disable()  # the connection ends with the JVM, and Py4J would log that as an error
    with suppress(Py4JError):
        gateway.jvm.System.exit(0)
