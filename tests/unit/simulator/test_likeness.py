"""Likeness to the real lake."""

import gzip
import os
from pathlib import Path

import polars as pl
import pytest

from bench.generator import handbook
from simulator import COLUMNS, HEADER, Generator
from tests.unit.simulator.worlds import GOOD_ROW, NO_FAULTS, many_days


@pytest.fixture(scope="module")
def real() -> pl.DataFrame:
    folder = os.environ.get("FRAUD_LAKE_SAMPLE")
    if not folder:
        pytest.skip("FRAUD_LAKE_SAMPLE does not name a folder of real lake files (YYYY-MM-DD.txt.gz)")
    files = sorted(Path(folder).glob("*.txt.gz"))
    assert files, f"{folder} holds no *.txt.gz"
    texts = [gzip.decompress(path.read_bytes()) for path in files]
    assert {text[: len(HEADER)] for text in texts} == {HEADER}
    assert [row for row in texts[0].splitlines()[1:] if not GOOD_ROW.fullmatch(row)] == []
    return pl.concat(pl.read_csv(text, has_header=False, skip_rows=1, new_columns=COLUMNS) for text in texts)


@pytest.fixture(scope="module")
def ours(real: pl.DataFrame) -> pl.DataFrame:
    return many_days(Generator(seed=3, faults=NO_FAULTS), 0, real["tx_time_days"].max() + 1)


def ratios(ours_and_real: list[pl.Series], quantiles: tuple[float, ...]) -> list[float]:
    ours, real = ours_and_real
    return [ours.quantile(q) / real.quantile(q) for q in quantiles]


# Tolerances: three times the spread over twelve worlds that differ only by seed, and the real lake is one world more.


@pytest.mark.parametrize(("scenario", "tolerance"), [(1, 0.2), (2, 0.08), (3, 0.12), (None, 0.06)])
def test_shares_of_fraud_are_like_the_real_ones(ours, real, scenario, tolerance):
    def share(rows: pl.DataFrame) -> float:
        column = rows["tx_fraud_scenario"]
        return ((column > 0) if scenario is None else (column == scenario)).mean()

    assert share(ours) == pytest.approx(share(real), rel=tolerance)


def test_rows_a_day_are_like_the_real_ones(ours, real):
    a_day = [rows.group_by("tx_time_days").len()["len"] for rows in (ours, real)]
    assert a_day[0].mean() == pytest.approx(a_day[1].mean(), rel=0.03)
    assert a_day[0].std() == pytest.approx(a_day[1].std(), rel=0.25)


def test_times_of_day_are_like_the_real_ones(ours, real):
    times = [rows["tx_time_seconds"] % 86_400 for rows in (ours, real)]
    assert ratios(times, (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)) == pytest.approx([1] * 6, abs=0.006)


def test_amounts_are_like_the_real_ones(ours, real):
    amounts = [rows["tx_amount"] for rows in (ours, real)]
    assert ratios(amounts, (0.05, 0.25)) == pytest.approx([1, 1], abs=0.12)
    assert ratios(amounts, (0.5, 0.75, 0.95, 0.99)) == pytest.approx([1] * 4, abs=0.04)


def test_amounts_of_one_customer_spread_like_the_real_ones(ours, real):
    relative = [
        rows.filter(pl.col("tx_fraud_scenario") != 3, pl.len().over("customer_id") > 100)
        .select(pl.col("tx_amount") / pl.col("tx_amount").median().over("customer_id"))
        .to_series()
        for rows in (ours, real)
    ]
    assert ratios(relative, (0.05, 0.1, 0.25, 0.75, 0.9, 0.99)) == pytest.approx([1] * 6, abs=0.01)


def test_customers_and_terminals_are_as_busy_as_the_real_ones(ours, real):
    ours, real = (rows.with_columns(pl.col("terminal_id").cast(pl.Int64)) for rows in (ours, real))
    for column, tolerance in (("customer_id", 0.07), ("terminal_id", 0.06)):
        busy = [rows.group_by(column).len()["len"] for rows in (ours, real)]
        assert ratios(busy, (0.25, 0.5, 0.75, 0.95)) == pytest.approx([1] * 4, abs=tolerance), column
    places = [
        rows.group_by("customer_id").agg(pl.col("terminal_id").n_unique())["terminal_id"] for rows in (ours, real)
    ]
    assert ratios(places, (0.25, 0.5, 0.75)) == pytest.approx([1] * 3, abs=0.04)


def test_the_benchmarks_row_by_row_side_remakes_the_real_lake(real):
    first_days = [
        rows.filter(pl.col("tx_time_days") < 6)
        .select(pl.col(column).cast(real.schema[column]) for column in COLUMNS[1:])  # ties have ids in any order
        .sort("tx_time_seconds", "customer_id")
        for rows in (handbook(20), real)
    ]
    assert first_days[0].equals(first_days[1])
