"""Faults: as many as asked for, in the columns asked for, and no other change."""

from dataclasses import asdict, fields

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import COLUMNS, Faults, Generator
from tests.unit.simulator.worlds import MANY_FAULTS, NO_FAULTS, START, count_faults, many_days


@settings(deadline=None, max_examples=25)
@given(
    rates=st.lists(st.floats(0, 0.5 / 6), min_size=6, max_size=6),
    seed=st.integers(0, 1000),
    customers=st.integers(1, 200),
)
def test_reported_faults_are_exactly_those_in_the_file(tmp_path_factory, rates, seed, customers):
    world = Generator(seed=seed, customers=customers, terminals=30, faults=Faults(*rates))
    file = world.write_file(tmp_path_factory.mktemp("lake"), START, 4)
    assert file.faults == count_faults(file.path)


@pytest.mark.parametrize("name", [fault.name for fault in fields(Faults)])
def test_each_rate_makes_its_own_fault_at_that_rate_and_no_other(tmp_path, name):
    faults = Faults(**(asdict(NO_FAULTS) | {name: 0.03}))
    file = Generator(customers=2_000, faults=faults).write_file(tmp_path, START, 4)
    assert {fault for fault, count in count_faults(file.path).items() if count} == {name}
    spread = (file.rows * 0.03) ** 0.5
    assert abs(file.faults[name] - file.rows * 0.03) < 4 * spread


def test_both_spellings_of_a_bad_customer_and_terminal_occur():
    day = Generator(customers=2_000, faults=MANY_FAULTS).day(START)
    assert {-999_999, 999_999} <= set(day["customer_id"])
    assert {"Err", "None"} <= set(day["terminal_id"])


def test_faults_change_one_value_of_their_rows_and_nothing_else():
    clean, faulty = (many_days(Generator(customers=2_000, faults=faults), 30, 2) for faults in (NO_FAULTS, MANY_FAULTS))
    changed = sum((clean[column] != faulty[column]).cast(pl.Int64) for column in COLUMNS)
    assert changed.max() == 1
    assert changed.sum() == pytest.approx(0.3 * clean.height, rel=0.1)


def test_a_repeated_id_is_that_of_an_intact_row_before_it():
    day = Generator(customers=2_000, faults=MANY_FAULTS).day(START)
    clean = Generator(customers=2_000, faults=NO_FAULTS).day(START)
    repeats = np.flatnonzero((day["tranaction_id"] != clean["tranaction_id"]).to_numpy())
    assert len(repeats) > 100
    assert (day["tranaction_id"].gather(repeats) == day["tranaction_id"].gather(repeats - 1)).all()
    assert day[repeats - 1].equals(clean[repeats - 1])


def test_default_rates_are_the_real_lakes():
    assert Faults() == Faults(
        transaction_id=1e-6, tx_datetime=2e-6, customer_id=1e-6, terminal_id=2e-5, tx_amount=2.25e-5, tx_time_days=2e-6
    )
    assert Generator(customers=1, terminals=1).faults == Faults()
