"""Fraud: how long, how often, how much, whatever the scale."""

import numpy as np
import polars as pl
import pytest

from simulator import Generator
from tests.unit.simulator.worlds import NO_FAULTS, many_days


def test_a_compromised_terminal_is_fraudulent_without_a_gap_for_at_most_28_days():
    rows = many_days(Generator(seed=0, faults=NO_FAULTS), 0, 45).filter(pl.col("tx_fraud_scenario") != 3)
    frauds = pl.col("tx_fraud_scenario") == 2
    spells = (
        rows.filter(frauds)
        .group_by("terminal_id")
        .agg(first=pl.col("tx_time_days").min(), last=pl.col("tx_time_days").max())
    )
    between = rows.join(spells, on="terminal_id").filter(pl.col("tx_time_days").is_between("first", "last"))
    assert spells.height > 70
    assert between.select(frauds.all()).item()
    lengths = spells.select(pl.col("last") - pl.col("first") + 1).to_series()
    assert 24 <= lengths.max() <= 28


def test_a_leaked_card_is_used_for_at_most_14_days_at_five_times_the_amount():
    rows = many_days(Generator(seed=1, faults=NO_FAULTS), 0, 45)
    leaked = rows.filter(pl.col("tx_fraud_scenario") == 3)
    spells = leaked.group_by("customer_id").agg(first=pl.col("tx_time_days").min(), last=pl.col("tx_time_days").max())
    once = spells.filter(pl.col("last") - pl.col("first") < 14)
    assert spells.height > 90
    assert once.height > 0.95 * spells.height, "only a card that leaked twice lasts longer"
    cents = leaked["tx_amount"] * 100
    assert (cents.round() % 5 == 0).all()
    usual = rows.filter(pl.col("tx_fraud_scenario") == 0).group_by("customer_id").agg(usual=pl.col("tx_amount").mean())
    ratio = leaked.join(usual, on="customer_id").select(pl.col("tx_amount") / pl.col("usual")).to_series()
    assert ratio.median() == pytest.approx(5, rel=0.1)
    cards = rows.join(once, on="customer_id").filter(pl.col("tx_time_days").is_between("first", "last"))
    # First and last day of a spell are frauds by construction, which lifts the share above 1/3.
    assert 1 / 3 < (cards["tx_fraud_scenario"] == 3).mean() < 0.48


@pytest.mark.parametrize("customers", [2_500, 5_000, 20_000])
def test_shares_of_fraud_do_not_depend_on_the_scale(customers):
    world = Generator(seed=5, customers=customers, terminals=2 * customers, faults=NO_FAULTS)
    rows = many_days(world, 28, 28)
    share = {scenario: (rows["tx_fraud_scenario"] == scenario).mean() for scenario in (1, 2, 3)}
    assert share[2] == pytest.approx(28 * 2 / 10_000, rel=0.12)
    assert share[3] == pytest.approx(14 * 3 / 5_000 / 3, rel=0.2)
    assert share[1] == pytest.approx(0.00057, rel=0.3)
    assert rows.height / 28 / customers == pytest.approx(2 * 0.9688, rel=0.04)
    assert np.median(world.population.reach.counts) == pytest.approx(np.pi * 25, rel=0.05)
