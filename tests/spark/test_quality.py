"""Short ways to what an expression over text, or a calendar, says: they must say the same of every row."""

from datetime import datetime

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from fraud_retraining import quality

TEXTS = [
    *["0", "7", "-7", "007", "-0", "+5", " 5", "5 ", "5\t", "-", "", "1.0", "1e3", "0x1", "½", "٣", "1 2", "NaN"],
    *["999999999", "-999999999", "1000000000", "2147483648", "999999999999999999", "-999999999999999999"],
    *["1000000000000000000", "-1000000000000000000", "9223372036854775807", "9223372036854775808", None],
]


@pytest.mark.parametrize("kind", ["bigint", "int"])
def test_a_number_is_one_by_its_shape(spark: SparkSession, kind: str) -> None:
    rows = spark.createDataFrame([(text,) for text in TEXTS], "text string")
    by_shape = F.when(F.col("text").rlike(quality.SHAPES[kind]), F.col("text")).cast(kind)
    found = rows.select("text", quality.value(F.col("text"), kind).alias("value"), by_shape.alias("expected")).collect()
    assert {row["text"]: row["value"] for row in found} == {row["text"]: row["expected"] for row in found}
    values = {row["text"]: row["value"] for row in found}
    assert (values["007"], values["-0"], values["+5"], values["1.0"], values["1000000000000000000"]) == (
        7,
        0,
        *[None] * 3,
    )


def test_a_day_is_that_of_the_calendar(spark: SparkSession) -> None:
    texts = ["2018-04-01 00:00:00", "2018-03-31 23:59:59", "1970-01-01 00:00:00", "1969-12-31 23:59:59"]
    texts += ["1582-10-15 12:00:00", "1582-10-04 12:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59", None]
    rows = spark.createDataFrame([(text,) for text in texts], "text string")
    timed = rows.select(F.col("text").cast("timestamp").alias("tx_datetime"))
    found = timed.select(quality.day_of().alias("day"), F.to_date("tx_datetime").alias("expected")).collect()
    assert [row["day"] for row in found] == [row["expected"] for row in found]
    assert found[0]["day"] == datetime(2018, 4, 1).date()
