"""The Spark of the tests: one JVM for all of them, tuned for frames of a few rows."""

from __future__ import annotations

import os

from tests.support import ROOT

APP = ROOT / "spark_app"
# Most tests run a plan once or twice: what the JVM would win by compiling it better it has no time to earn back.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.dynamicAllocation.enabled": "true",  # as a cluster may have it
}


def start():
    """The session that the jobs themselves would make."""
    from fraud_retraining import jobs

    settings = " ".join(f"--conf {name}={value}" for name, value in SETTINGS.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--master local[2] --driver-memory 2g --driver-java-options '{JAVA_OPTIONS}' {settings} pyspark-shell"
    )
    return jobs.session("tests")
