"""Reasons of a score, in words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import xgboost

from fraud_retraining import explanation
from fraud_retraining.features import ALL_FEATURES


@pytest.mark.parametrize("name", ALL_FEATURES)
def test_every_input_of_our_models_has_words(name):
    for value in (0.0, 1.0, 0.5, 12.0):
        text = explanation.in_words(name, value)
        assert text
        assert name not in text
        assert "{" not in text
    assert explanation.in_words(name, math.nan)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("tx_amount", 312.4, "amount 312.40"),
        ("tx_during_night", 0.0, "not at night"),
        ("customer_id_amount_ratio", 4.25, "4.2 times the card's usual amount"),
        ("customer_id_amount_ratio", math.nan, "the card has no usual amount yet"),
        ("terminal_id_risk_7day_window", 0.714, "71% frauds at the terminal in 7 days behind the label delay"),
        ("customer_id_nb_tx_1day_window", 3.0, "3 transactions of the card in 1 day"),
        ("terminal_id_last_label", 1.0, "the terminal's last known label is fraud"),
        ("of_an_older_version", 2.5, "of_an_older_version is 2.5"),
        ("of_an_older_version", math.nan, "of_an_older_version is unknown"),
    ],
)
def test_words(name, value, text):
    assert explanation.in_words(name, value) == text


def test_the_reasons_are_what_raises_the_score_most():
    draw = np.random.default_rng(1)
    rows = pd.DataFrame({name: draw.random(2000) for name in ("tx_amount", "other", "noise")})
    odds = 6 * (rows["tx_amount"] > 0.5) + 2 * (rows["other"] > 0.5) - 4
    labels = draw.random(2000) < 1 / (1 + np.exp(-odds))
    booster = xgboost.train({"objective": "binary:logistic", "seed": 1}, xgboost.DMatrix(rows, labels), 30)
    asked = pd.DataFrame({"noise": [0.5, 0.5], "other": [0.9, 0.1], "tx_amount": [0.9, 0.1], "unused": [1, 1]})
    suspicious, harmless = explanation.reasons(booster, asked)
    assert suspicious[:2] == ["amount 0.90", "other is 0.9"]
    assert "amount 0.10" not in harmless
    assert len(suspicious) <= explanation.REASONS
