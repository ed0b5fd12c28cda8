"""Metrics against scikit-learn and against counting by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from fraud_retraining.errors import RetrainingError
from fraud_retraining.evaluation import (
    ScoredWeek,
    WeightedAveragePrecision,
    bootstrap_average_precision,
    bootstrap_weights,
    card_precision,
    intervals,
    metrics,
    resampled_metrics,
)


def week(labels, customers=None, days=None):
    count = len(labels)
    return ScoredWeek(
        np.array(labels),
        np.array(range(count) if customers is None else customers),
        np.array([0] * count if days is None else days),
    )


scored_row = st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 3))


@settings(max_examples=300, deadline=None)
@given(st.lists(scored_row, min_size=1, max_size=40))
def test_weighted_average_precision_is_scikit_learns(rows):
    labels, scores, weights = (np.array(column, dtype=float) for column in zip((1, 3, 1), (0, 2, 1), *rows))
    found = WeightedAveragePrecision(labels.astype(int), scores)(weights)
    assert found == pytest.approx(average_precision_score(labels, scores, sample_weight=weights), abs=1e-12)


def test_without_frauds_drawn_average_precision_is_zero():
    assert WeightedAveragePrecision(np.array([1, 0]), np.array([0.9, 0.1]))(np.array([0.0, 1.0])) == 0


def test_card_precision_by_hand():
    # day 0: cards 1 (fraud, found), 2, 3; day 1: card 1 was found and is blocked, so card 4 (fraud) is seen
    labels, customers = [0, 1, 0, 0, 1, 1, 0], [1, 1, 2, 3, 1, 4, 2]
    days, scores = [0, 0, 0, 0, 1, 1, 1], np.array([0.9, 0.3, 0.8, 0.1, 0.9, 0.7, 0.6])
    assert card_precision(week(labels, customers, days), scores, top=1) == 1.0
    assert card_precision(week(labels, customers, days), scores, top=2) == 0.5
    assert card_precision(week(labels, customers, days), -scores, top=1) == 0.0


def test_calibration_is_observed_over_expected():
    found = metrics(week([1, 0, 1, 0]), np.array([0.5, 0.25, 0.75, 0.5]))
    assert (found["calibration"], found["average_precision"]) == (1.0, pytest.approx(5 / 6))


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1]])
def test_a_week_of_one_class_is_refused(labels):
    with pytest.raises(RetrainingError, match=r"test week has \d frauds in \d rows"):
        week(labels)


def clustered(cards, rows_each, seed):
    draw = np.random.default_rng(seed)
    fraud = draw.random(cards) < 0.3
    labels = np.repeat(fraud, rows_each).astype(int)
    scores = np.repeat(fraud * 0.5 + draw.random(cards), rows_each) + 1e-9 * draw.random(cards * rows_each)
    return week(labels, np.repeat(np.arange(cards), rows_each)), scores


def test_customers_are_resampled_as_a_whole():
    few, scores = clustered(60, 20, 1)
    rows = week(few.labels)
    by_customer = bootstrap_average_precision(few, {"a": scores}, 300, 0)["a"].std()
    by_row = bootstrap_average_precision(rows, {"a": scores}, 300, 0)["a"].std()
    assert by_customer > 2.5 * by_row  # 20 equal rows a card: about sqrt(20) times


def test_resamples_are_drawn_one_by_one_and_are_those_that_were_drawn_at_once():
    at_once = np.random.default_rng(42).poisson(1.0, (30, 1000))
    assert np.array_equal(np.array(list(bootstrap_weights(1000, 30, 42))), at_once)


@pytest.mark.parametrize("resamples", [100, 1000])
def test_the_memory_of_a_comparison_does_not_grow_with_resamples_times_cards(resamples):
    cards = 20_000
    draw = np.random.default_rng(0)
    one, scores = week((draw.random(cards) < 0.01).astype(int)), draw.random(cards)
    tracemalloc.start()
    try:
        bootstrap_average_precision(one, {"a": scores, "b": -scores}, resamples, 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 * cards  # bytes: a handful of vectors; 8 a card and resample were 160 MB


def test_differences_are_paired_and_repeatable():
    one, scores = clustered(100, 5, 2)
    found = bootstrap_average_precision(one, {"a": scores, "b": 2 * scores}, 50, 7)
    assert np.array_equal(found["a"], found["b"])
    assert np.array_equal(found["a"], bootstrap_average_precision(one, {"a": scores}, 50, 7)["a"])
    assert found["a"].std() > 0


def test_intervals_hold_the_metrics():
    one, scores = clustered(200, 3, 3)
    found, spread = metrics(one, scores), intervals(one, scores, 100, 0)
    for name in ("average_precision", "roc_auc"):
        assert spread[name][0] < found[name] < spread[name][1]


def test_few_frauds_leave_intervals_of_the_resamples_that_have_some():
    """Two cards with frauds: one resample in seven has neither, and none of the others may be lost with it."""
    cards = np.repeat(np.arange(50), 4)
    few = week((cards < 2).astype(int), cards)
    scores = np.random.default_rng(1).random(len(cards))
    resampled = resampled_metrics(few, scores, 200, 0)
    assert 120 < len(resampled) < 200
    low, high = intervals(few, scores, 200, 0)["average_precision"]
    assert 0 < low < high <= 1
    assert len(bootstrap_average_precision(few, {"a": scores}, 200, 0)["a"]) == len(resampled)
    assert intervals(few, scores, 0, 0)["average_precision"] is None


def test_equal_scores_rank_alike_in_whatever_order_the_rows_are():
    draw = np.random.default_rng(4)
    labels, cards, days = draw.integers(0, 2, 900), draw.integers(0, 300, 900), draw.integers(0, 3, 900)
    scores = draw.integers(0, 3, 900) / 3  # far more ties at the cut than cards
    found = set()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(900)
        one = ScoredWeek(labels[order], cards[order], days[order])
        found.add(tuple(metrics(one, scores[order]).values()))
    assert len({tuple(round(value, 12) for value in each) for each in found}) == 1
