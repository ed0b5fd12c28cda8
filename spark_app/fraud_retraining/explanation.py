"""What speaks for a score, in words: XGBoost's own contributions of the inputs to one prediction."""

from __future__ import annotations

import math
import re
from typing import Dict, List, Sequence

import numpy as np
import pandas as pd
import xgboost

REASONS = 3

# What an input says: with its value, and without one.
WORDS: Dict[str, Sequence[str]] = {
    "tx_amount": ("amount {:.2f}",),
    "tx_amount_is_high": ("amount {is}above the fixed threshold",),
    "tx_during_weekend": ("{is}at a weekend",),
    "tx_during_night": ("{is}at night",),
    "customer_id_amount_ratio": ("{:.1f} times the card's usual amount", "the card has no usual amount yet"),
    "customer_id_nb_high_ratio_14day_window": ("{:.0f} unusually high amounts of the card in the 14 days before",),
    "customer_id_days_since_first_high_ratio": (
        "{:.1f} days since the card's first unusually high amount",
        "no unusually high amount of the card in the 14 days before",
    ),
    "terminal_id_last_label": ("the terminal's last known label is {label}", "no known label of the terminal"),
    "terminal_id_spell_length": ("{:.0f} frauds in a row at the terminal", "no run of frauds at the terminal"),
    "terminal_id_days_since_spell_start": (
        "{:.1f} days since the terminal's run of frauds began",
        "no run of frauds at the terminal",
    ),
    "terminal_id_days_since_genuine": (
        "{:.1f} days since the terminal's last genuine transaction",
        "no known genuine transaction at the terminal",
    ),
}
WINDOWED = {
    "customer_id_nb_tx": "{:.0f} transactions of the card in {days}",
    "customer_id_avg_amount": "{:.2f} is the card's mean amount in {days}",
    "terminal_id_nb_tx": "{:.0f} transactions at the terminal in {days} behind the label delay",
    "terminal_id_risk": "{:.0%} frauds at the terminal in {days} behind the label delay",
}
WINDOW = re.compile(r"(.+)_(\d+)day_window")


def in_words(name: str, value: float) -> str:
    """One input of the model as a person says it; an input that has no words here by its name."""
    missing = value is None or math.isnan(value)
    if name in WORDS:
        texts = WORDS[name]
        if missing:
            return texts[1] if len(texts) > 1 else f"{name} is unknown"
        return texts[0].format(value, **{"is": "" if value else "not ", "label": "fraud" if value else "genuine"})
    match = WINDOW.fullmatch(name)
    if match and match.group(1) in WINDOWED and not missing:
        days = int(match.group(2))
        return WINDOWED[match.group(1)].format(value, days="1 day" if days == 1 else f"{days} days")
    return f"{name} is {'unknown' if missing else f'{value:g}'}"


def reasons(booster: xgboost.Booster, rows: pd.DataFrame) -> List[List[str]]:
    """For each row the inputs that raise its score most, the strongest first, at most ``REASONS`` of them.

    Args:
        rows: has the booster's features as columns.
    """
    data = rows[booster.feature_names].astype("float64")
    # shape (rows, features + 1): the last column is the bias
    raised = booster.predict(xgboost.DMatrix(data), pred_contribs=True)[:, :-1]
    order = np.argsort(-raised, axis=1, kind="stable")[:, :REASONS]
    values = data.to_numpy()
    return [
        [in_words(booster.feature_names[place], values[row, place]) for place in chosen if raised[row, place] > 0]
        for row, chosen in enumerate(order)
    ]
