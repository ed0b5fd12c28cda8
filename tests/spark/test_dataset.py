"""The days of a retrain and the handbook's test set."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from fraud_retraining import dataset
from fraud_retraining.dataset import Days, each_day, fit_to_lake, split_as_of
from fraud_retraining.errors import RetrainingError
from tests.spark.reference import DAY
from tests.spark.transactions import prepared, random_rows


def test_the_handbooks_split():
    split = split_as_of(date(2018, 8, 22), train_days=7)
    assert split.to_dict() == {
        "train": ["2018-07-25", "2018-07-31"],
        "delay": ["2018-08-01", "2018-08-07"],
        "test": ["2018-08-08", "2018-08-14"],
    }


def test_a_short_lake_shortens_the_train_window_only():
    split = split_as_of(date(2018, 8, 22))
    available = each_day(Days(date(2018, 7, 20), date(2018, 8, 21)))
    fitted = fit_to_lake(split, available)
    assert (fitted.train, fitted.test) == (Days(date(2018, 7, 20), date(2018, 7, 31)), split.test)
    with pytest.raises(RetrainingError, match="6 prepared days in the train window"):
        fit_to_lake(split, available[6:])


@pytest.mark.parametrize("lost", [date(2018, 8, 3), date(2018, 8, 14)])
def test_a_hole_in_the_delay_or_the_test_week_is_an_error(lost):
    available = [day for day in each_day(Days(date(2018, 6, 1), date(2018, 8, 21))) if day != lost]
    with pytest.raises(RetrainingError, match=f"{lost} is not prepared"):
        fit_to_lake(split_as_of(date(2018, 8, 22)), available)


def test_known_compromised_cards_leave_the_test_set_day_by_day(spark):
    rows = random_rows(3, 1500, 50, customers=60, fraud=0.03)
    as_of = date(2018, 4, 1) + timedelta(49)
    split = split_as_of(as_of, train_days=14)
    first = (split.test.first - date(2018, 4, 1)).days
    expected = set()
    for number, row in enumerate(rows):
        day = row["t"] // DAY
        known = any(
            other["fraud"] and other["customer"] == row["customer"] and first - 14 <= other["t"] // DAY <= day - 8
            for other in rows
        )
        if first <= day < first + 7 and not known:
            expected.add(number)
    found = {row["transaction_id"] for row in dataset.holdout(prepared(spark, rows), split).collect()}
    assert found == expected
    everything = dataset.between(prepared(spark, rows), split.test).count()
    assert 0 < len(found) < everything


def test_the_test_set_does_not_depend_on_the_train_window(spark):
    rows = prepared(spark, random_rows(4, 1500, 50, customers=60, fraud=0.03))
    as_of = date(2018, 5, 20)
    counts = {dataset.holdout(rows, split_as_of(as_of, days)).count() for days in (7, 28)}
    assert len(counts) == 1


def test_sampled_negatives_stand_for_all(spark):
    rows = prepared(spark, random_rows(5, 4000, 10, fraud=0.1))
    frauds = rows.where("tx_fraud = 1").count()
    sampled = dataset.sample_negatives(rows, 4000 - frauds, 1000, seed=1)
    genuine = sampled.where("tx_fraud = 0")
    assert sampled.where("tx_fraud = 1 AND weight = 1").count() == frauds
    assert genuine.count() == pytest.approx(1000, rel=0.15)
    assert genuine.agg({"weight": "sum"}).first()[0] == pytest.approx(4000 - frauds, rel=0.15)
    assert dataset.sample_negatives(rows, 4000 - frauds, 10_000, seed=1).where("weight != 1").count() == 0
