"""Rows without faults: consistent, and within reach of their customers."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import Generator, population
from simulator.population import within
from simulator.transactions import times_of_day
from tests.unit.simulator.worlds import NO_FAULTS, START, many_days


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), customers=st.integers(1, 500), first=st.integers(0, 500))
def test_rows_without_faults_are_consistent(seed, customers, first):
    rows = many_days(Generator(seed=seed, customers=customers, terminals=50, faults=NO_FAULTS), first, 3)
    seconds = rows["tx_time_seconds"]
    parsed = rows["tx_datetime"].str.to_datetime("%Y-%m-%d %H:%M:%S")
    assert (rows.select((parsed - pl.lit(START)).dt.total_seconds()).to_series() == seconds).all()
    assert (rows["tx_time_days"] == seconds // 86_400).all()
    assert seconds.is_sorted()
    assert (seconds % 86_400 >= 1).all()
    assert rows["tranaction_id"].diff().drop_nulls().eq(1).all()
    assert rows["customer_id"].is_between(0, customers - 1).all()
    assert rows["terminal_id"].cast(pl.Int64).is_between(0, 49).all()
    assert (rows["tx_amount"] >= 0.01).all()
    assert (rows["tx_fraud"] == (rows["tx_fraud_scenario"] > 0)).all()
    assert rows.filter(pl.col("tx_amount") > 220)["tx_fraud"].eq(1).all()
    assert rows.filter(pl.col("tx_fraud_scenario") == 1)["tx_amount"].gt(220).all()


def test_no_time_leaves_the_day():
    times = times_of_day(np.random.default_rng(0), 3_000_000)
    assert (times.min(), times.max()) == (1, 86_399)


def test_ids_run_on_from_zero_over_the_days():
    rows = many_days(Generator(customers=300, faults=NO_FAULTS), 0, 20)
    assert rows["tranaction_id"].to_list() == list(range(rows.height))


def test_customers_buy_only_within_their_radius(monkeypatch):
    monkeypatch.setattr(population, "RADIUS", 1.0)
    world = Generator(customers=2_000, terminals=400, faults=NO_FAULTS)
    reach = world.population.reach
    pairs = many_days(world, 0, 3).select("customer_id", pl.col("terminal_id").cast(pl.Int64)).rows()
    allowed = [reach.members[start : start + count] for start, count in zip(reach.offsets, reach.counts, strict=True)]
    assert (reach.counts == 0).any(), "the test needs a customer without a terminal"
    assert all(terminal in allowed[customer] for customer, terminal in pairs)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    homes=st.integers(1, 80),
    places=st.integers(1, 120),
    radius=st.floats(0.5, 150),
    chunk=st.integers(1, 100),
)
def test_grid_search_equals_measuring_every_distance(seed, homes, places, radius, chunk):
    rng = np.random.default_rng(seed)
    home, place = rng.uniform(0, 100, (homes, 2)), rng.uniform(0, 100, (places, 2))
    reach = within(home, place, radius, chunk)
    distance = np.hypot(*(home[:, None] - place[None]).transpose(2, 0, 1))
    for i in range(homes):
        found = reach.members[reach.offsets[i] : reach.offsets[i] + reach.counts[i]]
        assert sorted(found) == np.flatnonzero(distance[i] < radius).tolist()
