"""How training rows are shared out among XGBoost's workers."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F

from fraud_retraining import model
from tests.support.marks import quick

ROWS = {
    "ids in order": "id",
    "even ids": "id * 2",
    "ids of one file each, far apart": "id * 1000003 + 5",
    "ids of two files": "IF(id < 5, id, 9000000000000 + id * 4096)",
}


def rows_of(spark, expression, count):
    rows = spark.range(count).select(F.expr(f"cast({expression} AS bigint) AS transaction_id"))
    return (
        rows.withColumn("a", F.rand(1))
        .withColumn("tx_fraud", F.expr("cast(a < 0.3 AS int)"))
        .withColumn("weight", F.lit(1.0))
    )


@pytest.mark.parametrize("ids", ROWS)
@pytest.mark.parametrize("workers", quick([1, 2, 4], 2))
def test_every_worker_gets_as_many_rows_in_order(spark, ids, workers):
    for count in (1, 3, 4, 7, 40, 5000):
        parts = model.even_parts(rows_of(spark, ROWS[ids], count), workers)
        sizes = [[row["transaction_id"] for row in part] for part in parts.rdd.glom().collect()]
        assert len(sizes) == min(workers, count)
        assert sum(map(len, sizes)) == count
        assert all(sizes)
        assert [sorted(part) for part in sizes] == sizes
        if count == 5000:
            assert max(map(len, sizes)) <= 1.02 * min(map(len, sizes))


def test_rows_are_shared_out_alike_whatever_their_order(spark):
    rows = rows_of(spark, "id * 2", 1000)
    found = [model.even_parts(each, 4).rdd.glom().collect() for each in (rows, rows.repartition(7))]
    assert [[row["transaction_id"] for row in part] for part in found[0]] == [
        [row["transaction_id"] for row in part] for part in found[1]
    ]


@pytest.mark.verify
def test_two_workers_train_on_few_rows_with_even_ids(spark, monkeypatch):
    monkeypatch.setattr(model, "ROWS_PER_WORKER", 20)
    rows = rows_of(spark, "id * 2", 40)
    first, second = (model.train(rows, ["a"], 40, seed=1).save_raw("ubj") for _ in range(2))
    assert first == second


@pytest.mark.verify
@pytest.mark.parametrize("workers", [1, 2])
def test_rows_are_made_once_for_each_thing_that_is_asked_of_them(spark, monkeypatch, workers):
    monkeypatch.setattr(model, "ROWS_PER_WORKER", 400 // workers)
    made = spark.sparkContext.accumulator(0)

    def row(number):
        made.add(1)
        return number, number / 7 % 1, int(number % 3 == 0), 1.0

    rows = spark.sparkContext.parallelize(range(400), 2).map(row)
    rows = rows.toDF("transaction_id bigint, a double, tx_fraud int, weight double")
    assert made.value == 0
    model.train(rows, ["a"], 400, seed=1)
    # To be trained on, and before that for XGBoost's count of classes; of two workers also for their sizes.
    assert made.value == 400 * (1 + workers)
    assert spark.conf.get("spark.sql.adaptive.enabled") == "true"
