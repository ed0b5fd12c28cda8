"""Features against their definitions, against the handbook's own code, and against the future."""

from __future__ import annotations

import math
import random
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from fraud_retraining.features import ALL_FEATURES, HANDBOOK_FEATURES, HISTORY_DAYS, all_features, handbook_features
from tests.spark.reference import DAY, features
from tests.spark.transactions import CENTS, prepared, random_rows

EDGES = [0, 1, DAY, 7 * DAY, 8 * DAY, 14 * DAY, 30 * DAY, 37 * DAY]
STEPS = sorted({edge + shift for edge in EDGES for shift in (-1, 0, 1) if edge + shift >= 0})

row = st.fixed_dictionaries(
    {
        "step": st.sampled_from(STEPS),
        "customer": st.integers(0, 1),
        "terminal": st.integers(0, 1),
        "cents": st.sampled_from(CENTS),
        "fraud": st.sampled_from([0, 1, None]),
    }
)


def in_time(rows):
    """Rows with a time t out of their steps."""
    t, timed = 0, []
    for given_row in rows:
        t += given_row["step"]
        timed.append(dict(given_row, t=t))
    return timed


def side_by_side(worlds):
    """Rows of several worlds, each with customers and terminals of its own, so that no feature sees two of them."""
    return [
        dict(row, customer=row["customer"] + 2 * number, terminal=row["terminal"] + 2 * number)
        for number, world in enumerate(worlds)
        for row in in_time(world)
    ]


def assert_same(found, expected):
    """Compare rows of features; sums of cents are exact, so only one division may round."""
    assert len(found) == len(expected)
    for number, (one, other) in enumerate(zip(found, expected)):
        for name in other:
            value, wanted = one[name], other[name]
            same = value == wanted or (None not in (value, wanted) and math.isclose(value, wanted, rel_tol=1e-12))
            assert same, f"row {number}, {name}: {value} instead of {wanted}"


def computed(spark, rows, make=all_features):
    return make(prepared(spark, rows)).orderBy("transaction_id").collect()


SPELLS = [
    {"step": step, "customer": number % 2, "terminal": 0, "cents": 100, "fraud": 1}
    for number, step in enumerate([0, 30 * DAY, 8 * DAY, 22 * DAY - 1, 8 * DAY])
]


# Worlds by the half-dozen, since a frame costs about the same however many of them are in it: the first example is the
# simplest there is, the others are 18 worlds.
@example(worlds=[SPELLS])  # frauds of one terminal, as far apart as the spell window, and a second less
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(worlds=st.lists(st.lists(row, min_size=1, max_size=25), min_size=6, max_size=6))
def test_features_follow_their_definitions(spark, worlds):
    rows = side_by_side(worlds)
    assert_same(computed(spark, rows), features(rows))


@pytest.mark.parametrize("seed", range(3))
def test_many_rows_follow_the_definitions(spark, seed):
    rows = random_rows(seed, 700, 120)
    if seed == 2:
        rows = [dict(one, fraud=None) if number % 3 == 0 else one for number, one in enumerate(rows)]
    assert_same(computed(spark, rows), features(rows))


def test_large_keys_that_agree_in_their_low_bits_are_told_apart(spark):
    rows = random_rows(5, 300, 90)
    large = [dict(row, customer=row["customer"] << 40, terminal=row["terminal"] << 40) for row in rows]
    expected = [{name: row[name] for name in ALL_FEATURES} for row in features(rows)]
    assert_same(computed(spark, large), expected)


@pytest.mark.parametrize("make", [handbook_features, all_features])
def test_a_sort_by_one_number_goes_before_the_exact_one_of_each_key(spark, make):
    """Spark sorts one number by radix, so the exact sort is cheap; the optimizer drops one that another one follows."""
    plan = make(prepared(spark, random_rows(1, 10, 5)))._jdf.queryExecution().executedPlan().toString()
    numbers = [keys.count(" ASC ") for keys in re.findall(r"Sort \[(.*?)\], false", plan)]
    assert numbers[:2] + numbers[-2:] == [3, 1, 3, 1]


def test_a_label_that_has_not_arrived_is_not_a_genuine_one(spark):
    """Of 4 transactions a week ago one was a fraud and two have no label: half of what is known are frauds."""
    labels = [1, None, 0, None, 0]
    rows = [
        {"t": number + (number == 4) * 8 * DAY, "customer": number, "terminal": 0, "cents": 100, "fraud": label}
        for number, label in enumerate(labels)
    ]
    newest = computed(spark, rows)[-1]
    assert (newest["terminal_id_nb_tx_7day_window"], newest["terminal_id_risk_7day_window"]) == (4, 0.5)
    unknown = computed(spark, [dict(one, fraud=None) for one in rows])[-1]
    assert (unknown["terminal_id_last_label"], unknown["terminal_id_days_since_genuine"]) == (None, None)
    assert computed(spark, [dict(one, fraud=0) for one in rows])[-1]["terminal_id_last_label"] == 0


def test_handbook_features_are_the_same_alone(spark):
    rows = random_rows(7, 400, 90)
    names = set(HANDBOOK_FEATURES)
    expected = [{name: value for name, value in one.items() if name in names} for one in features(rows)]
    assert_same(computed(spark, rows, handbook_features), expected)


def test_the_future_and_young_labels_change_nothing(spark):
    cut = 60 * DAY
    rows = random_rows(11, 800, 120)
    draw = random.Random(1)
    changed = [
        dict(
            one,
            cents=one["cents"] if one["t"] <= cut else draw.randrange(1, 90_000),
            fraud=one["fraud"] if one["t"] <= cut - 7 * DAY else draw.choice([1 - one["fraud"], None]),
        )
        for one in rows
    ]
    past = sum(one["t"] <= cut for one in rows)
    before, after = computed(spark, rows), computed(spark, changed)
    expected = [{name: r[name] for name in ALL_FEATURES} for r in before[:past]]
    assert_same([r.asDict() for r in after[:past]], expected)
    assert after[past:] != before[past:]  # the change is one that features see


def oldest_influence():
    """Rows that hang on each other as far back as features can see: each just within the window of the next.

    The first makes the second unusual for their card; so the third is not high and tells about its terminal; so the
    spell that the fourth belongs to began before the fifth's window. The last row is the first of its day, since
    history is counted in whole days before the day of a row.
    """
    gaps = [4, *[30 * DAY - 1] * 3, 37 * DAY - 1]
    times = [sum(gaps[: place + 1]) for place in range(len(gaps))]
    assert times[-1] % DAY == 0
    cents = [100, 1000, 3000, 100, 100]
    customers, terminals, frauds = [0, 0, 0, 1, 1], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0]
    names = ("t", "cents", "customer", "terminal", "fraud")
    return [dict(zip(names, values)) for values in zip(times, cents, customers, terminals, frauds)]


@pytest.mark.parametrize("rows", [oldest_influence(), random_rows(13, 1500, 200)], ids=["chain", "random"])
def test_history_is_bounded(spark, rows):
    last = rows[-1]["t"] // DAY * DAY
    newest = F.col("tx_time_seconds") >= last
    recent = F.col("tx_time_seconds") >= last - HISTORY_DAYS * DAY
    everything = prepared(spark, rows)
    whole = all_features(everything).where(newest).orderBy("transaction_id").collect()
    assert whole
    assert whole == all_features(everything.where(recent)).where(newest).orderBy("transaction_id").collect()


def test_history_is_no_longer_than_it_must_be(spark):
    rows = oldest_influence()
    everything = prepared(spark, rows)
    shorter = everything.where(F.col("tx_time_seconds") >= rows[-1]["t"] - (HISTORY_DAYS - 1) * DAY)
    newest = [all_features(df).orderBy("transaction_id").collect()[-1] for df in (everything, shorter)]
    assert newest[0] != newest[1]


def test_no_input_is_a_label_or_made_from_one_without_delay():
    assert not {"tx_fraud", "tx_fraud_scenario"} & set(ALL_FEATURES)
