"""One Spark session for all tests; run in the environment of an image's lock (requirements/spark-image-*-test.txt)."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.support import ROOT

APP = ROOT / "spark_app"
for variable in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
    os.environ[variable] = sys.executable
os.environ["PYTHONPATH"] = str(APP)  # Python workers import the package too
os.environ["YC_METADATA_ADDR"] = "127.0.0.1:1"
os.environ.pop("SPARK_HOME", None)

START = datetime(2018, 4, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="session")
def spark():
    from fraud_retraining import jobs

    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        "--master local[2] --driver-memory 2g --conf spark.ui.enabled=false --conf spark.sql.shuffle.partitions=2"
        " --conf spark.dynamicAllocation.enabled=true pyspark-shell"  # as a cluster may have it
    )
    session = jobs.session("tests")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def sample() -> Path:
    """Folder with real files of the lake."""
    folder = os.environ.get("FRAUD_LAKE_SAMPLE")
    if not folder:
        pytest.skip("FRAUD_LAKE_SAMPLE names no folder with real files of the lake")
    return Path(folder)


def prepared(spark, rows):
    """Prepared DataFrame from dictionaries with t (seconds since START), customer, terminal, cents, fraud."""
    from fraud_retraining.quality import PREPARED_SCHEMA

    values = [
        (
            number,
            START + timedelta(seconds=row["t"]),
            row["customer"],
            row["terminal"],
            row["cents"] / 100,
            row["t"],
            row["t"] // 86400,
            row["fraud"],
            row["fraud"],
        )
        for number, row in enumerate(rows)
    ]
    return spark.createDataFrame(values, ", ".join(f"{name} {kind}" for name, kind in PREPARED_SCHEMA.items()))
