"""What a sample of rows says of the model's inputs: which of them matter, and which of them have drifted."""

from __future__ import annotations

import math
from typing import Dict, List, Optional, Sequence

import numpy as np
import pandas as pd
import xgboost
from sklearn.metrics import average_precision_score

from fraud_retraining import drift
from fraud_retraining.reporting.content import Drift, Importance

ROWS = 50_000  # of each window, chosen by a hash of their id: about so many are held in the driver
FLOOR = 1e-4  # share of an empty bin, as the DAG `monitor` has it
SHOWN_BINS = 16


def importance(
    booster: xgboost.Booster, champion: Optional[xgboost.Booster], week: pd.DataFrame, seed: int
) -> List[Importance]:
    """Every input of one of the two, the one whose loss hurts the challenger most first.

    Args:
        week: a sample of the test week with ``tx_fraud`` and the inputs.
    """
    gain, loss = gains(booster), losses(booster, week, seed)
    former_gain = gains(champion) if champion else {}
    former_loss = losses(champion, week, seed) if champion else {}
    found = [
        Importance(name, gain.get(name), loss.get(name), former_gain.get(name), former_loss.get(name))
        for name in {**gain, **former_gain}
    ]
    return sorted(found, key=lambda one: (-(one.loss or 0), -(one.gain or 0)))


def gains(booster: xgboost.Booster) -> Dict[str, float]:
    """Share of the total gain of each input."""
    found = booster.get_score(importance_type="total_gain")
    total = sum(found.values()) or 1.0
    return {name: float(found.get(name, 0.0)) / total for name in booster.feature_names}


def losses(booster: xgboost.Booster, week: pd.DataFrame, seed: int) -> Dict[str, float]:
    """AP that is lost if the values of one input are shuffled among the rows (Breiman, "Random forests", 2001)."""
    labels, draw = week["tx_fraud"].to_numpy(), np.random.default_rng(seed)
    if not 0 < labels.sum() < len(labels):
        return {}
    rows = week[booster.feature_names].to_numpy("float32")
    whole = average_precision_score(labels, booster.inplace_predict(rows, validate_features=False))
    used = booster.get_score(importance_type="weight")
    found = dict.fromkeys(booster.feature_names, 0.0)
    for place, name in enumerate(booster.feature_names):
        if name in used:
            kept = rows[:, place].copy()
            rows[:, place] = draw.permutation(kept)
            shuffled = booster.inplace_predict(rows, validate_features=False)
            found[name] = float(whole - average_precision_score(labels, shuffled))
            rows[:, place] = kept
    return found


def drifts(train: pd.DataFrame, week: pd.DataFrame, names: Sequence[str]) -> List[Drift]:
    """Of each input how far the test week is from the train window, the furthest first.

    Args:
        train: with ``weight``, as the model was trained.
    """
    weights = train["weight"].to_numpy("float64")
    found = [one_drift(name, train[name], week[name], weights) for name in names]
    return sorted(found, key=lambda one: -one.psi)


def one_drift(name: str, train: pd.Series, week: pd.Series, weights: np.ndarray) -> Drift:
    """PSI over tenths of the train window (as ``drift`` cuts them), and shares over bins of equal width to look at."""
    old, new = train.to_numpy("float64"), week.to_numpy("float64")
    inner = drift.edges(old)
    edges = widths(old, new)
    return Drift(
        name=name,
        psi=psi(shares(old, inner, weights), shares(new, inner)),
        edges=edges,
        train=shares(old, edges[1:-1], weights)[:-1],
        week=shares(new, edges[1:-1])[:-1],
        unknown_train=float(weights[np.isnan(old)].sum() / weights.sum()),
        unknown_week=float(np.isnan(new).mean()),
    )


def widths(old: np.ndarray, new: np.ndarray) -> List[float]:
    """Edges of bins of equal width between the hundredth and the last but a hundredth value of both."""
    known = np.concatenate([old[~np.isnan(old)], new[~np.isnan(new)]])
    if not len(known):
        return [0.0, 1.0]
    low, high = (float(each) for each in np.quantile(known, [0.01, 0.99]))
    return [float(each) for each in np.linspace(low, high if high > low else low + 1, SHOWN_BINS + 1)]


def shares(values: np.ndarray, inner: Sequence[float], weights: Optional[np.ndarray] = None) -> List[float]:
    """Share of the rows in each bin, an edge belonging to the bin on its left; the last one is of unknown values."""
    weights = np.ones(len(values)) if weights is None else weights
    unknown = np.isnan(values)
    place = np.where(unknown, len(inner) + 1, np.searchsorted(np.asarray(inner), values, side="left"))
    found = np.bincount(place, weights, len(inner) + 2)
    return [float(each) for each in found / found.sum()]


def psi(expected: Sequence[float], found: Sequence[float]) -> float:
    """Population stability index: sum of (q - p) ln(q / p) over shares.

    Below 0.1 nothing has changed, above 0.25 much has (Siddiqi, "Credit Risk Scorecards", 2006).
    """
    pairs = [(max(p, FLOOR), max(q, FLOOR)) for p, q in zip(expected, found)]
    return sum((q - p) * math.log(q / p) for p, q in pairs)
