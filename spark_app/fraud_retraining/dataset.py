"""Which days a retrain uses, and which rows of them. The split is by time only.

A row whose label has not arrived (null) is no row to train or to measure on; it is never taken for a genuine one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Dict, List, Mapping, Optional, Tuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fraud_retraining.errors import RetrainingError

WEEK = 7
LEAST_TRAIN_DAYS = 7
UNLABELLED = 0.1  # of the test week's rows at most: labels of frauds come first, so a week half labelled misleads

Labels = Dict[Optional[int], int]  # rows by label, of which None stands for one that has not arrived


@dataclass(frozen=True)
class Days:
    """A closed range of days."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.first} .. {self.last}"


@dataclass(frozen=True)
class Split:
    """Days of a retrain: train, then the delay in which labels of the train days arrive, then the test week."""

    train: Days
    delay: Days
    test: Days

    def to_dict(self) -> Dict[str, List[str]]:
        return {name: [days["first"].isoformat(), days["last"].isoformat()] for name, days in asdict(self).items()}


def split_as_of(as_of: date, train_days: int = 28, delay_days: int = WEEK) -> Split:
    """Days of a retrain on the day ``as_of``, when the labels of days before ``as_of - delay_days`` are known.

    test [as_of - delay - 7, as_of - delay), delay the ``delay_days`` before it, train the ``train_days`` before that.
    """

    def days(first: int, after: int) -> Days:
        return Days(as_of - timedelta(first), as_of - timedelta(after + 1))

    test, train = delay_days + WEEK, 2 * delay_days + WEEK
    return Split(train=days(train + train_days, train), delay=days(train, test), test=days(test, delay_days))


def fit_to_lake(split: Split, available: List[date]) -> Split:
    """Shorten the train window to the days that the lake has.

    Args:
        available: prepared days, sorted.

    Raises:
        RetrainingError: a day of the test week or the delay is missing, or fewer than 7 train days are left.
    """
    missing = [day for day in each_day(Days(split.delay.first, split.test.last)) if day not in set(available)]
    if missing:
        reach = f"{available[0]} .. {available[-1]}" if available else "no day"
        raise RetrainingError(
            f"the delay and the test week {split.delay.first} .. {split.test.last} need every day, but"
            f" {missing[0]} is not prepared (the lake has {reach}); add its raw file or choose another --as-of"
        )
    train = [day for day in available if split.train.first <= day <= split.train.last]
    if len(train) < LEAST_TRAIN_DAYS:
        raise RetrainingError(
            f"{len(train)} prepared days in the train window {split.train}, at least {LEAST_TRAIN_DAYS} are needed;"
            " add older raw files or choose a later --as-of"
        )
    return Split(Days(train[0], split.train.last), split.delay, split.test)


def labels_arrived(
    newest: date, rows: Mapping[date, int], unlabelled: Mapping[date, int], delay_days: int = WEEK
) -> Tuple[date, str]:
    """The newest day of a retrain, up to ``newest``, whose test week has its labels; and in words, if it is not that.

    Args:
        rows, unlabelled: rows by day, and those without a label.
    """
    as_of = newest
    while True:
        week = each_day(split_as_of(as_of, delay_days=delay_days).test)
        there, lacking = (sum(counted.get(day, 0) for day in week) for counted in (rows, unlabelled))
        if not there:  # no week has its labels, or there are no such days: either is said where the week is read
            return newest, ""
        if lacking <= UNLABELLED * there:
            return as_of, f"; labels have arrived for a retrain on {as_of}" if as_of < newest else ""
        as_of -= timedelta(1)


def labels(rows: DataFrame, split: Split) -> Tuple[Labels, Labels]:
    """Rows of the train window by label, and of the test week."""
    in_train = F.to_date("tx_datetime").between(F.lit(split.train.first), F.lit(split.train.last))
    in_test = F.to_date("tx_datetime").between(F.lit(split.test.first), F.lit(split.test.last))
    window = F.when(in_train, "train").when(in_test, "test").alias("window")
    counts: Dict[Optional[str], Labels] = {"train": {}, "test": {}, None: {}}
    for row in rows.groupBy(window, "tx_fraud").count().collect():
        counts[row["window"]][row["tx_fraud"]] = row["count"]
    return counts["train"], counts["test"]


def check_labels(train: Labels, test: Labels, split: Split) -> None:
    """Raise unless the test week has its labels, and both windows have both classes."""
    lacking, there = test.get(None, 0), sum(test.values())
    if lacking > UNLABELLED * there:
        raise RetrainingError(
            f"{lacking} of {there} rows in the test week {split.test} have no label yet, at most {UNLABELLED:.0%} may;"
            " deliver its raw files again with the labels, or choose an earlier --as-of"
        )
    for window, counts in ((f"train window {split.train}", train), (f"test week {split.test}", test)):
        if not counts.get(1) or not counts.get(0):
            raise RetrainingError(
                f"the {window} has {counts.get(1, 0)} frauds, {counts.get(0, 0)} genuine rows and"
                f" {counts.get(None, 0)} without a label, both classes are needed; check the labels in the lake, or"
                " choose another --as-of"
            )


def each_day(days: Days) -> List[date]:
    return [days.first + timedelta(n) for n in range((days.last - days.first).days + 1)]


def between(df: DataFrame, days: Days) -> DataFrame:
    """Rows whose ``tx_datetime`` lies in the days (UTC)."""
    return df.where(F.to_date("tx_datetime").between(F.lit(days.first), F.lit(days.last)))


def holdout(df: DataFrame, split: Split, delay_days: int = WEEK) -> DataFrame:
    """Labelled rows of the test week without cards known to be compromised, whatever the train window.

    A card leaves day D of the test if it has a fraud from 7 days before the delay up to D - delay - 1, whose label has
    arrived by then (the handbook's ``get_train_test_set``, chapter 5).
    """
    day = F.to_date("tx_datetime")
    frauds = between(df, Days(split.delay.first - timedelta(WEEK), split.test.last)).where("tx_fraud = 1")
    known = frauds.groupBy("customer_id").agg(F.min(day).alias("known_fraud"))
    return (
        between(df, split.test)
        .where("tx_fraud IS NOT NULL")
        .join(known, "customer_id", "left")
        .where(F.col("known_fraud").isNull() | (F.col("known_fraud") >= F.date_sub(day, delay_days)))
        .drop("known_fraud")
    )


def sample_customers(df: DataFrame, rows: int, most: int) -> DataFrame:
    """All rows of some customers, chosen by a hash of their id: about ``most`` of ``rows`` rows, all if they are fewer.

    Whole customers, since the comparison of models resamples customers, and ranks the cards of a day.
    """
    if rows <= most:
        return df
    return df.where(F.expr("pmod(xxhash64(customer_id, 1), 1000000)") < round(most / rows * 1_000_000))


def sample_negatives(df: DataFrame, negatives: int, most: int, seed: int) -> DataFrame:
    """Keep about ``most`` of ``negatives`` genuine rows, chosen by a hash of their id and weighted to stand for all.

    Rows without a label are left out. Adds ``weight``; the weighted share of frauds stays that of ``df``, so scores
    stay calibrated.
    """
    share = min(1.0, most / max(negatives, 1))
    chosen = F.expr(f"pmod(xxhash64(transaction_id, {seed}), 1000000)") < round(share * 1_000_000)
    return df.where((F.col("tx_fraud") == 1) | ((F.col("tx_fraud") == 0) & chosen)).withColumn(
        "weight", F.when(F.col("tx_fraud") == 1, 1.0).otherwise(1.0 / share)
    )
