"""Worlds: the stationary one is the generator's, every other differs from it by what its kind says."""

import numpy as np
import pytest

from simulator import KINDS, Generator, World
from simulator.worlds import NEVER
from tests.unit.simulator.worlds import NO_FAULTS, days_from, many_days

DAYS, TURN = 60, 30


def rows_of(kind, seed=3, customers=400, turn=TURN):
    return World(kind, seed, customers, turn).rows(DAYS)


@pytest.fixture(scope="module")
def still():
    return rows_of("stationary")


def test_the_stationary_world_is_the_generators(still):
    files = many_days(Generator(seed=3, customers=400, terminals=800, faults=NO_FAULTS), 0, DAYS)
    assert len(days_from(0, DAYS)) == DAYS
    for ours, theirs in (
        (still.second, "tx_time_seconds"),
        (still.customer, "customer_id"),
        (still.amount, "tx_amount"),
        (still.scenario, "tx_fraud_scenario"),
    ):
        assert np.array_equal(ours, files[theirs].to_numpy())
    assert np.array_equal(still.terminal, files["terminal_id"].cast(int).to_numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_a_world_is_the_same_again_and_another_with_another_seed(kind):
    first, again, other = rows_of(kind), rows_of(kind), rows_of(kind, seed=4)
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert len(first.second) != len(other.second)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "stationary"])
def test_every_kind_differs_from_the_stationary(kind, still):
    assert not all(np.array_equal(one, two) for one, two in zip(rows_of(kind), still, strict=True))


def test_a_sudden_change_ends_one_fraud_and_begins_another():
    rows = rows_of("change", customers=2000)
    late = rows.second >= TURN * 86_400
    assert set(np.unique(rows.scenario[~late])) == {0, 1, 2, 3}
    assert set(np.unique(rows.scenario[late])) == {0, 1, 2, 4}
    night = rows.second[rows.scenario == 4] % 86_400
    assert night.max() <= 5 * 3600
    genuine = rows.scenario == 0
    assert rows.amount[genuine & late].mean() == pytest.approx(1.25 * rows.amount[genuine & ~late].mean(), rel=0.02)
    assert set(np.unique(rows.terminal[~late] % 5)) == {1, 2, 3, 4}
    assert set(np.unique(rows.terminal[late] % 5)) == {0, 2, 3, 4}


def test_a_drift_comes_a_little_every_day():
    world = World("drift", 0, 100, TURN)
    prices = [world.conduct(day).prices for day in range(TURN - 1, TURN + 200)]
    assert prices[:2] == [1, 1]
    assert prices[-1] == 1.25
    assert max(np.diff(prices)) < 0.0015


def test_a_season_has_busy_days_and_holidays():
    world = World("season", 0, 2000, TURN)
    rows = np.bincount(world.rows(125).second // 86_400)
    assert rows[112] > 1.3 * rows[105]
    assert rows[5] > 1.3 * rows[4]


def test_labels_arrive_after_days_that_vary():
    rows = rows_of("delay")
    delay = rows.label_day - rows.second // 86_400
    assert (delay.min(), delay.max()) == (2, 20)
    assert np.array_equal(rows.label, rows.scenario > 0)


def test_a_share_of_labels_is_wrong_or_never_comes():
    rows = rows_of("labels", customers=2000)
    fraud = rows.scenario > 0
    assert rows.label[fraud].mean() == pytest.approx(0.9, abs=0.02)
    assert 0 < rows.label[~fraud].mean() < 0.001
    assert (rows.label_day == NEVER).mean() == pytest.approx(1 / 30, abs=0.003)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind is calm; expected one of stationary, change"):
        World("calm", 0, 10, 5)
