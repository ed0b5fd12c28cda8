"""What must not grow with the lake: the rows of one task, the rows that the driver holds."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
import xgboost
from pyspark.sql import functions as F

from fraud_retraining import dataset, preparation, publishing, training
from fraud_retraining.lake import FileInfo, Lake
from fraud_retraining.quality import PREPARED_SCHEMA
from fraud_retraining.survey import Batch, Survey
from tests.spark.test_preparation import files
from tests.spark.transactions import line, write

FIRST = date(2018, 4, 1)


def batch_of(files):
    """A batch of files, each a dictionary of rows by day of the month."""
    days = {number: {FIRST + timedelta(day): rows for day, rows in file.items()} for number, file in enumerate(files)}
    return Batch(
        {number: SimpleNamespace(name=str(number)) for number in days},
        None,
        {number: Survey(days=each) for number, each in days.items()},
    )


def rows_of(spark, files):
    """The rows of a batch: ``number`` and ``day``."""
    keys = [(number, FIRST + timedelta(day), rows) for number, file in enumerate(files) for day, rows in file.items()]
    counted = spark.createDataFrame(keys, "number int, day date, rows int")
    return counted.select("number", "day", F.explode(F.sequence(F.lit(1), "rows"))).drop("col")


@pytest.fixture
def sixteen(spark):
    """Sixteen parts of a shuffle, which stay sixteen: as a job has them."""
    wanted = {"spark.sql.shuffle.partitions": "16", "spark.sql.adaptive.coalescePartitions.enabled": "false"}
    before = {name: spark.conf.get(name) for name in wanted}
    for settings in (wanted, before):
        for name, value in settings.items():
            spark.conf.set(name, value)
        if settings is wanted:
            yield


@pytest.mark.parametrize(
    "files",
    [
        [dict.fromkeys(range(32), 20)],
        [dict.fromkeys(range(7 * week, 7 * week + 7), 20) for week in range(8)],
        [{0: 20}],
        [{0: 20, 17: 3}, {}, {30: 20}],
    ],
    ids=["a month", "weeks", "a day", "gaps, and a file without a good row"],
)
def test_days_are_shared_out_evenly_and_each_is_in_one_task(spark, sixteen, files):
    found = publishing.by_day(rows_of(spark, files), batch_of(files)).rdd.glom().collect()
    tasks = Counter(key for task in found for key in {(row["number"], row["day"]) for row in task})
    assert len(found) == min(16, len(tasks))
    assert set(tasks) == {(n, FIRST + timedelta(day)) for n, file in enumerate(files) for day in file}
    assert set(tasks.values()) == {1}
    sizes = sorted(map(len, found))
    largest_day = max(rows for file in files for rows in file.values())
    assert sizes[0]
    assert sizes[-1] - sizes[0] <= largest_day
    assert sum(sizes) == sum(rows for file in files for rows in file.values())


def test_files_without_a_good_row_are_written_nowhere(spark, sixteen):
    assert publishing.by_day(rows_of(spark, [{0: 1}]).where("day IS NULL"), batch_of([{}])).count() == 0


def task_sizes(lines):
    return sorted(map(len, lines.rdd.glom().collect()))


@pytest.mark.parametrize(
    ("sizes", "is_spread"),
    [
        ({"2018-04-01.txt.gz": 70}, True),
        ({"2018-04-01.txt.gz": 60}, False),  # small
        ({"2018-04-01.txt": 70}, False),  # Spark cuts it by itself
        (dict.fromkeys([f"2018-04-0{day}.txt.gz" for day in range(1, 5)], 70), False),  # a file for each slot
        ({"2018-04-01.txt.gz": 140, "2018-04-08.txt.gz": 70}, True),
    ],
)
def test_a_large_packed_file_is_no_single_task(spark, sizes, is_spread):
    found = [FileInfo(name, name, size << 20, None) for name, size in sizes.items()]
    lines = spark.range(4000).select(F.expr("cast(id AS string) AS value"), F.lit(0).alias("number")).coalesce(1)
    spread = task_sizes(preparation.spread(lines, found))
    assert sum(spread) == 4000
    assert len(spread) == (4 * spark.sparkContext.defaultParallelism if is_spread else 1)
    assert spread[-1] < 1.25 * 4000 / len(spread) + 1


@pytest.mark.verify
def test_a_packed_file_that_is_spread_gives_the_same_bytes(spark, tmp_path, monkeypatch):
    roots = [tmp_path / "whole", tmp_path / "spread"]
    for root, large in zip(roots, (preparation.LARGE, 0)):
        rows = [*[line(number) for number in range(500)], *[line(number) for number in range(3)], "1,2"]
        write(root, "2018-04-01.txt.gz", rows)
        monkeypatch.setattr(preparation, "LARGE", large)
        preparation.prepare(Lake(spark, str(root)), "one")
    whole, spread = (files(root, "prepared", "quarantine") for root in roots)
    assert whole == spread != {}


def week(spark, rows, cards):
    """A test week with so many rows, and a booster of one feature."""
    made = {
        "transaction_id": "id",
        "tx_datetime": "timestamp_seconds(1522540800 + id % 604800)",
        "customer_id": f"id % {cards}",
        "terminal_id": "id % 1000",
        "tx_amount": "cast(id % 20000 AS double) / 100",
        "tx_time_seconds": "id % 604800",
        "tx_time_days": "cast(id % 604800 / 86400 AS int)",
        "tx_fraud": "cast(id % 100 = 7 AS int)",
        "tx_fraud_scenario": "cast(id % 100 = 7 AS int)",
    }
    assert set(made) == set(PREPARED_SCHEMA)
    frame = spark.range(rows).select(
        *[F.expr(f"cast({made[name]} AS {kind}) AS {name}") for name, kind in PREPARED_SCHEMA.items()]
    )
    draw = np.random.default_rng(1)
    data = xgboost.DMatrix(draw.random((100, 1)) * 200, draw.integers(0, 2, 100), feature_names=["tx_amount"])
    booster = xgboost.train({"max_depth": 2}, data, 2)
    split = dataset.split_as_of(FIRST + timedelta(14))
    assert split.test.first == FIRST
    return training.Data(split.test.first, split, frame, frame, {}, "digest"), booster


def scored(spark, rows, cards, most):
    """How many rows of a week the driver gets to compare, of how many there are."""
    data, booster = week(spark, rows, cards)
    found = training.score(data, "fraud", booster, [], most)
    assert found.test_rows == rows
    by_card = Counter(found.week.customers.tolist())
    assert set(by_card.values()) <= {rows // cards, rows // cards + 1}  # whole cards
    return len(found.week.labels)


def test_of_a_week_above_the_cap_about_as_many_rows_are_scored(spark):
    assert scored(spark, 20_000, 2_000, 2_000) == pytest.approx(2_000, rel=0.2)


def test_a_week_below_the_cap_is_scored_whole(spark):
    assert scored(spark, 2_000, 200, 2_000) == 2_000


@pytest.mark.verify
def test_of_twenty_million_rows_two_are_scored(spark):
    most = training.Settings().most_scored
    assert scored(spark, 20_000_000, 200_000, most) == pytest.approx(most, rel=0.02)
