"""A world in memory has the features and the test weeks that the application makes on Spark."""

import numpy as np
import pytest
from pyspark.sql import functions as F

from bench.decisions.features import UNKNOWN, all_features
from bench.decisions.world import History, as_of
from fraud_retraining import dataset, features
from simulator import World
from tests.spark.reference import features as by_definition
from tests.spark.transactions import START, prepared, random_rows


def table(rows, labels):
    """Rows of a world as tests of the application write them."""
    return [
        {"t": int(t), "customer": int(card), "terminal": int(place), "cents": round(amount * 100), "fraud": label}
        for t, card, place, amount, label in zip(
            rows.second,
            rows.customer,
            rows.terminal,
            rows.amount,
            (None if one == UNKNOWN else int(one) for one in labels),
            strict=True,
        )
    ]


def assert_equal(ours, theirs):
    """Columns of ours, rows of theirs; null is NaN."""
    for name in features.ALL_FEATURES:
        expected = np.array([np.nan if row[name] is None else row[name] for row in theirs], dtype=float)
        np.testing.assert_allclose(ours[name], expected, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("seed", range(6))
def test_features_follow_their_definitions(seed):
    from simulator import Rows

    given = random_rows(seed, 300, 90, customers=4, terminals=3)
    labels = np.array([UNKNOWN if row["fraud"] is None else row["fraud"] for row in given])
    time, card, place, cents = (np.array([row[key] for row in given]) for key in ("t", "customer", "terminal", "cents"))
    rows = Rows(time, card, place, cents / 100, labels, labels, time)
    assert_equal(all_features(rows, labels), by_definition(given))


@pytest.fixture(scope="module")
def history():
    return History(World("labels", 1, 60, 90), 2)


def test_features_are_sparks(spark, history):
    rows = table(history.rows, history.labels(as_of(1)))
    found = features.all_features(prepared(spark, rows)).orderBy("transaction_id").collect()
    assert_equal(history.columns, found)


def test_train_and_test_rows_are_sparks(spark, history):
    rows = prepared(spark, table(history.rows, history.labels(as_of(1))))
    split = dataset.split_as_of((START + np.timedelta64(as_of(1), "D").astype(object)).date())
    test = dataset.holdout(rows, split).orderBy("transaction_id").toPandas()
    train = dataset.between(rows, split.train).where(F.col("tx_fraud").isNotNull()).toPandas()
    week, (ours, labels) = history.week(1), history.train(1)
    assert week.rows.tolist() == test["transaction_id"].tolist()
    assert week.scored.labels.tolist() == test["tx_fraud"].tolist()
    assert (ours.tolist(), labels.tolist()) == (
        sorted(train["transaction_id"]),
        train.sort_values("transaction_id")["tx_fraud"].tolist(),
    )
    assert (
        len(test)
        < rows.where(F.to_date("tx_datetime").between(*map(F.lit, (split.test.first, split.test.last)))).count()
    )
