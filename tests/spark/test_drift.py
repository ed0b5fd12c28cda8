"""Histograms that a later look at the data is compared with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fraud_retraining import drift


def test_bins_hold_equal_shares_and_every_value_once():
    values = np.random.default_rng(1).normal(size=10_007)
    inner = drift.edges(values)
    found = drift.counts(values, inner)
    assert (len(inner), len(found), sum(found)) == (9, 11, 10_007)
    bins = pd.cut(values, [-np.inf, *inner, np.inf], right=True)
    assert found[:-1] == bins.value_counts().tolist()
    assert min(found[:-1]) >= 1000


def test_values_that_are_few_make_few_bins():
    flags = np.array([0.0] * 80 + [1.0] * 20)
    inner = drift.edges(flags)
    assert inner == [0.0, 1.0]
    assert drift.counts(flags, inner) == [80, 20, 0, 0]
    assert drift.edges(np.array([np.nan])) == []
    assert drift.counts(np.array([np.nan, 3.0]), []) == [1, 1]


def test_an_unknown_value_is_counted_apart():
    assert drift.counts(np.array([1.0, np.nan, 5.0, np.nan]), [2.0]) == [1, 1, 2]


def test_a_window_is_counted_under_the_bins_of_the_reference():
    known = drift.reference(pd.DataFrame({"a": np.arange(100.0), "gone": np.arange(100.0)}))
    found = drift.window(pd.DataFrame({"a": np.arange(50.0), "new": np.arange(50.0)}), known)
    assert found == {"a": [10, 10, 10, 10, 10, 0, 0, 0, 0, 0, 0]}


@pytest.mark.parametrize(("most", "low", "high"), [(10_000, 1000, 1000), (300, 220, 380)])
def test_a_sample_has_about_the_size_that_is_wanted(spark, most, low, high):
    rows = spark.range(1000).withColumnRenamed("id", "transaction_id")
    assert low <= drift.sample(rows, 1000, most).count() <= high
