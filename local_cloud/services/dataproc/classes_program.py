"""A little of all that drivers do, so that Java loads what they load; `classes` runs it on an image's Python.

Nothing answers where its object store should be: what the client of one is made of is loaded all the same.
"""

import sys
from contextlib import suppress

from py4j.protocol import Py4JError
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F


def work(spark: SparkSession, folder: str) -> None:
    lines = spark.range(1000).select(
        F.concat_ws(",", "id", F.col("id") % 7, F.lit("2018-04-01 00:00:31")).alias("value")
    )
    lines.write.text(f"{folder}/lines")
    parts = F.split("value", ",")
    columns = [parts[0].cast("bigint").alias("id"), parts[1].cast("int").alias("key")]
    rows = spark.read.text(f"{folder}/lines").where(F.col("value").rlike("^[0-9]"))
    rows = rows.select(*columns, parts[2].cast("timestamp").alias("moment")).persist()
    rows.groupBy("key").agg(F.count("id"), F.max("moment")).collect()
    frame = Window.partitionBy("key").orderBy("id").rowsBetween(-5, 0)
    made = rows.withColumn("sum", F.sum("id").over(frame)).withColumn("day", F.to_date("moment"))
    made.join(F.broadcast(rows.select("id").limit(9)), "id", "left_anti").write.partitionBy("day").parquet(
        f"{folder}/rows"
    )
    found = spark.read.parquet(f"{folder}/rows")
    found.join(rows.select("id"), "id").repartition(2, "key").sortWithinPartitions("id").toPandas()
    found.select("id", "sum").mapInPandas(lambda batches: batches, "id bigint, sum bigint").count()
    VectorAssembler(inputCols=["id", "sum"], outputCol="features").transform(found).select("features").collect()


def ask_object_store(spark: SparkSession) -> None:
    jvm, settings = spark._jvm, spark._jsc.hadoopConfiguration()
    settings.set("fs.s3a.endpoint", "http://127.0.0.1:1")
    for name in ("fs.s3a.attempts.maximum", "fs.s3a.retry.limit"):
        settings.set(name, "1")
    path = jvm.org.apache.hadoop.fs.Path("s3a://none/none")
    with suppress(Py4JError):
        path.getFileSystem(settings).exists(path)


def main(folder: str) -> None:
    spark = SparkSession.builder.config("spark.sql.execution.arrow.pyspark.enabled", "true").getOrCreate()
    work(spark, folder)
    ask_object_store(spark)
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1])
