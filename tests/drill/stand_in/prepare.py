"""Stands in for spark_app/prepare.py in the drill: takes as long as it takes to be killed, and prepares nothing."""

import os
import time

SECONDS = 5


def work_on_every_host(seconds):
    """On YARN: tasks of half a second, so many that every executor has some whenever it is lost."""
    from pyspark.sql import SparkSession

    session = SparkSession.builder.getOrCreate()
    context = session.sparkContext
    print("tasks done:", context.parallelize(range(80), 80).map(lambda _: time.sleep(0.5) or 1).sum(), flush=True)
    time.sleep(seconds)
    session.stop()


if __name__ == "__main__":
    if "HADOOP_CONF_DIR" in os.environ:
        work_on_every_host(SECONDS)
    else:
        time.sleep(SECONDS)
    print("prepared nothing: this is the drill")
