"""How good scores are. Inputs are NumPy arrays of one length: labels (0 or 1), scores (higher is more suspicious),
customers (any integers) and days (any integers).

Definitions: Fraud Detection Handbook, chapter 4. Average precision and ROC AUC are scikit-learn's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from fraud_retraining.errors import RetrainingError

METRICS = ("average_precision", "roc_auc", "card_precision_100", "brier", "calibration")


@dataclass(frozen=True)
class ScoredWeek:
    """Labels, customers and days of the scored rows; amounts, and kinds of fraud (0 of a genuine row) where known."""

    labels: np.ndarray
    customers: np.ndarray
    days: np.ndarray
    amounts: Optional[np.ndarray] = None
    kinds: Optional[np.ndarray] = None

    def __post_init__(self) -> None:
        frauds = int(self.labels.sum())
        if not 0 < frauds < len(self.labels):
            raise RetrainingError(
                f"the test week has {frauds} frauds in {len(self.labels)} rows, both classes are needed;"
                " choose another --as-of or check the labels in the lake"
            )


def scored_week(scored: pd.DataFrame) -> ScoredWeek:
    """Arrays of the evaluation out of the scored rows."""
    return ScoredWeek(
        labels=scored["tx_fraud"].to_numpy(),
        customers=scored["customer_id"].to_numpy(),
        days=scored["tx_datetime"].dt.floor("D").astype("int64").to_numpy(),
        amounts=scored["tx_amount"].to_numpy("float64"),
        kinds=scored["tx_fraud_scenario"].to_numpy("float64") if "tx_fraud_scenario" in scored else None,
    )


def metrics(week: ScoredWeek, scores: np.ndarray) -> Dict[str, float]:
    """AP, ROC AUC, Card Precision@100, Brier score, and observed over expected frauds (1 is calibrated)."""
    expected = float(scores.sum())
    return {
        "average_precision": float(average_precision_score(week.labels, scores)),
        "roc_auc": float(roc_auc_score(week.labels, scores)),
        "card_precision_100": card_precision(week, scores, 100),
        "brier": float(np.mean((scores - week.labels) ** 2)),
        "calibration": float(week.labels.sum()) / expected if expected else float("inf"),
    }


def card_precision(week: ScoredWeek, scores: np.ndarray, top: int) -> float:
    """Mean over days of the share of compromised cards among the ``top`` most suspicious cards of the day.

    A card scores by its most suspicious transaction of the day; a compromised card that was found leaves the following
    days, as it would be blocked (the handbook's ``card_precision_top_k``).
    """
    rows = pd.DataFrame({"day": week.days, "card": week.customers, "score": scores, "label": week.labels})
    cards = rows.groupby(["day", "card"], as_index=False).max()
    found: List[int] = []
    precisions = []
    for _, day in cards.groupby("day"):
        ranked = day[~day["card"].isin(found)].sort_values("score", ascending=False, kind="stable").head(top)
        detected = ranked.loc[ranked["label"] == 1, "card"]
        precisions.append(len(detected) / top)
        found.extend(detected)
    return float(np.mean(precisions))


def bootstrap_weights(customers: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Poisson(1) weights of customers, shape (customers,), one resample after the other.

    Resampling whole customers keeps the dependence between the rows of a card, which row-level resampling ignores.
    All at once they would take 8 kB a customer; drawn from one stream they are the same numbers.
    """
    draw = np.random.default_rng(seed)
    for _ in range(resamples):
        yield draw.poisson(1.0, customers)


class WeightedAveragePrecision:
    """Average precision of fixed scores for many weightings of the rows: sorted once, then one pass a weighting."""

    def __init__(self, labels: np.ndarray, scores: np.ndarray) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ranked = scores[self.order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # last row of each distinct score
        positives = np.add.reduceat(labels[self.order], np.append(0, ends[:-1] + 1))
        # a distinct score adds to the sum only if it has a fraud; rows in between are summed together
        self.ends = ends[positives > 0]
        self.starts = np.append(0, self.ends[:-1] + 1)
        self.fraud = np.flatnonzero(labels[self.order])
        self.fraud_group = np.searchsorted(self.ends, self.fraud)

    def __call__(self, weights: np.ndarray) -> float:
        """Average precision with these row weights; 0 if no fraud has weight."""
        ranked = weights[self.order]
        all_rows = np.cumsum(np.add.reduceat(ranked[: self.ends[-1] + 1], self.starts, dtype="float64"))
        frauds = np.bincount(self.fraud_group, ranked[self.fraud], len(self.ends))
        if not frauds.any():
            return 0.0
        precision = np.divide(np.cumsum(frauds), all_rows, out=np.zeros_like(all_rows), where=all_rows > 0)
        return float((precision * frauds).sum() / frauds.sum())


def bootstrap_average_precision(
    week: ScoredWeek, scores: Dict[str, np.ndarray], resamples: int, seed: int
) -> Dict[str, np.ndarray]:
    """AP of each score vector on the same resamples of customers, so that differences are paired.

    Of the resamples only those count that have a fraud; the arrays may be shorter than ``resamples``, even empty.
    """
    customers, index = np.unique(week.customers, return_inverse=True)
    frauds = np.flatnonzero(week.labels)
    precise = {name: WeightedAveragePrecision(week.labels, values) for name, values in scores.items()}
    found: Dict[str, List[float]] = {name: [] for name in scores}
    for customer_weights in bootstrap_weights(len(customers), resamples, seed):
        row_weights = customer_weights[index]
        if not row_weights[frauds].any():
            continue
        for name, average_precision in precise.items():
            found[name].append(average_precision(row_weights))
    return {name: np.array(values) for name, values in found.items()}


def interval(resampled: np.ndarray, level: float = 0.95) -> Tuple[float, float]:
    """Percentile interval of resampled values."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled_metrics(week: ScoredWeek, scores: np.ndarray, resamples: int, seed: int) -> List[Dict[str, float]]:
    """Metrics on resamples of customers, of which a customer drawn twice is two cards.

    The metrics are defined on those alone that have both classes: there may be fewer than ``resamples``.
    """
    customers, index = np.unique(week.customers, return_inverse=True)
    found: List[Dict[str, float]] = []
    for weights in bootstrap_weights(len(customers), resamples, seed):
        copies = weights[index]
        rows = np.repeat(np.arange(len(index)), copies)
        if not 0 < week.labels[rows].sum() < len(rows):
            continue
        copy = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
        cards = copy * len(customers) + index[rows]
        found.append(metrics(ScoredWeek(week.labels[rows], cards, week.days[rows]), scores[rows]))
    return found


def intervals(
    week: ScoredWeek, scores: np.ndarray, resamples: int, seed: int
) -> Dict[str, Optional[Tuple[float, float]]]:
    """95 % intervals of all metrics over resampled customers; None if no resample has both classes."""
    return spread(resampled_metrics(week, scores, resamples, seed))


def spread(found: List[Dict[str, float]]) -> Dict[str, Optional[Tuple[float, float]]]:
    """95 % interval of each metric over resamples."""
    return {name: interval(np.array([one[name] for one in found])) if found else None for name in METRICS}
