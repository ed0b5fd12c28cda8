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


def test_rows_without_a_label_are_neither_trained_nor_measured_on(spark):
    """Whatever their label will be: what is left are the rows whose label was there."""
    split = split_as_of(date(2018, 5, 20), train_days=14)
    rows = random_rows(6, 1500, 50, customers=60, fraud=0.03)
    lacking = {number for number in range(len(rows)) if number % 3 == 0}
    unknown = prepared(spark, [dict(row, fraud=None) if n in lacking else row for n, row in enumerate(rows)])
    known = prepared(spark, [row for n, row in enumerate(rows) if n not in lacking])  # the numbers of ids differ
    test = dataset.holdout(unknown, split)
    assert test.where("tx_fraud IS NULL").count() == 0
    keys = ["tx_datetime", "customer_id", "tx_amount", "tx_fraud"]
    assert sorted(test.select(keys).collect()) == sorted(dataset.holdout(known, split).select(keys).collect())
    train = dataset.sample_negatives(dataset.between(unknown, split.train), 1000, 10_000, seed=1)
    assert {row["tx_fraud"] for row in train.collect()} == {0, 1}
    of_train, of_test = dataset.labels(unknown, split)
    assert sum(of_train.values()) == dataset.between(unknown, split.train).count()
    assert of_train[None] == dataset.between(unknown, split.train).where("tx_fraud IS NULL").count() > 0
    assert of_test[None] == dataset.between(unknown, split.test).where("tx_fraud IS NULL").count() > 0


def test_a_test_week_that_lacks_labels_is_refused():
    split = split_as_of(date(2018, 5, 20))
    dataset.check_labels({0: 9, 1: 1, None: 50}, {0: 89, 1: 2, None: 9}, split)
    with pytest.raises(RetrainingError, match=r"11 of 100 rows in the test week .* have no label yet, at most 10%"):
        dataset.check_labels({0: 9, 1: 1}, {0: 88, 1: 1, None: 11}, split)
    with pytest.raises(RetrainingError, match=r"has 0 frauds, 9 genuine rows and 50 without a label"):
        dataset.check_labels({0: 9, None: 50}, {0: 9, 1: 1}, split)


def test_the_day_of_a_retrain_waits_for_the_labels_of_its_test_week():
    days = each_day(Days(date(2018, 4, 1), date(2018, 5, 31)))
    rows = dict.fromkeys(days, 100)
    newest = date(2018, 6, 1)
    recent = {day: 100 for day in days if day > date(2018, 5, 24)}  # 7 days: as if labels came on time
    assert dataset.labels_arrived(newest, rows, recent) == (newest, "")
    late = {day: 100 for day in days if day > date(2018, 5, 20)}
    as_of, why = dataset.labels_arrived(newest, rows, late)
    assert (as_of, split_as_of(as_of).test.last) == (date(2018, 5, 28), date(2018, 5, 20))
    assert why == "; labels have arrived for a retrain on 2018-05-28"
    assert dataset.labels_arrived(newest, rows, {**recent, date(2018, 5, 24): 69}) == (newest, "")  # one day of seven
    assert dataset.labels_arrived(newest, rows, rows) == (newest, "")  # none at all: the test week is refused


def test_sampled_negatives_stand_for_all(spark):
    rows = prepared(spark, random_rows(5, 4000, 10, fraud=0.1))
    frauds = rows.where("tx_fraud = 1").count()
    sampled = dataset.sample_negatives(rows, 4000 - frauds, 1000, seed=1)
    genuine = sampled.where("tx_fraud = 0")
    assert sampled.where("tx_fraud = 1 AND weight = 1").count() == frauds
    assert genuine.count() == pytest.approx(1000, rel=0.15)
    assert genuine.agg({"weight": "sum"}).first()[0] == pytest.approx(4000 - frauds, rel=0.15)
    assert dataset.sample_negatives(rows, 4000 - frauds, 10_000, seed=1).where("weight != 1").count() == 0
