"""What the scored test week says of the candidates: curves, lists of cards, calibration, scores, kinds of fraud.

Bands and intervals are of resampled customers, as the gate's are; a retrain's gate draws its own resamples.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import pandas as pd

from fraud_retraining.evaluation import METRICS, ScoredWeek, bootstrap_weights
from fraud_retraining.reporting.content import Bin, Budget, Curve, Day, Interval, Kind, Scores
from fraud_retraining.tournament import Candidate

RECALL = np.linspace(0.01, 1, 100)
MOST_RESAMPLES, LEAST_RESAMPLES, ROW_VISITS = 200, 40, 40_000_000  # resamples of a large week are fewer
BANDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # of scores, for the calibration
LOGITS = np.linspace(-9, 7, 33)  # edges of the scores' histogram: 0.01 % to 99.9 %


class Ranked:
    """Rows in the order of their scores: every metric of a weighting of the rows in a few passes."""

    def __init__(self, labels: np.ndarray, scores: np.ndarray) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ranked, self.labels = scores[self.order], labels[self.order]
        last = np.append(ranked[1:] != ranked[:-1], True)  # of each distinct score
        ends = np.flatnonzero(last)
        group = np.cumsum(last) - last  # number of each row's score
        self.fraud = np.flatnonzero(self.labels)
        groups, self.place = np.unique(group[self.fraud], return_inverse=True)
        self.ends, self.before = ends[groups], np.append(-1, ends)[groups]
        self.scores, self.squares = ranked, (ranked - self.labels) ** 2

    def __call__(self, weights: np.ndarray) -> Tuple[np.ndarray, np.ndarray, Dict[str, float]]:
        """Precision and recall at each score that a fraud has, and the metrics but for those of cards.

        Args:
            weights: of the rows, in their first order; a fraud among them has one.
        """
        ranked = weights[self.order].astype("float64")
        rows = np.append(np.cumsum(ranked), 0.0)  # the last one is at place -1: before the first row
        found = np.bincount(self.place, ranked[self.fraud], len(self.ends))
        frauds = np.cumsum(found)
        total, everything = frauds[-1], rows[-2]
        reached = rows[self.ends]
        precision = np.divide(frauds, reached, out=np.ones_like(frauds), where=reached > 0)
        # of two rows with one score each comes first half the time
        genuine_above = (reached - frauds + rows[self.before] - (frauds - found)) / 2
        expected = float(ranked @ self.scores)
        return (
            precision,
            frauds / total,
            {
                "average_precision": float((precision * found).sum() / total),
                "roc_auc": float(1 - (found * genuine_above).sum() / (total * (everything - total))),
                "brier": float(ranked @ self.squares / everything),
                "calibration": float(total / expected) if expected else float("inf"),
            },
        )


class Lists:
    """The most suspicious cards of each day, as the handbook's Card Precision counts them (``evaluation``)."""

    def __init__(self, week: ScoredWeek, scores: np.ndarray, cards: int) -> None:
        self.top = cards
        amounts = week.labels * (week.amounts if week.amounts is not None else np.zeros(len(scores)))
        self.customers, index = np.unique(week.customers, return_inverse=True)
        rows = pd.DataFrame({"day": week.days, "card": index, "score": scores, "label": week.labels, "money": amounts})
        how = {"score": "max", "label": "max", "money": "sum"}
        by_card = rows.groupby(["day", "card"], as_index=False).agg(how)
        self.days: Dict[int, List[np.ndarray]] = {}
        for day, group in by_card.groupby("day"):
            ranked = group.sort_values("score", ascending=False, kind="stable")
            self.days[int(day)] = [ranked[name].to_numpy() for name in ("card", "label", "money")]

    def __call__(self, weights: Optional[np.ndarray] = None) -> Tuple[List[List[float]], np.ndarray]:
        """For each day: listed, found, compromised, money found, money; and when each card was found (else infinity).

        Args:
            weights: of the customers, in the order of ``customers``: a card that is drawn twice counts as two.
        """
        count = np.ones(len(self.customers)) if weights is None else weights.astype("float64")
        found_on = np.full(len(self.customers), np.inf)
        days = []
        for day, (cards, label, money) in self.days.items():
            here = count[cards] * (found_on[cards] == np.inf)
            listed = np.clip(self.top - (np.cumsum(here) - here), 0, here)
            bad = label == 1
            found_on[cards[bad & (listed > 0)]] = day
            share = np.divide(listed, here, out=np.zeros_like(listed), where=here > 0)
            sums = [listed, listed * bad, here * bad, share * here * money, here * money]
            days.append([float(each.sum()) for each in sums])
        return days, found_on


def of_lists(days: Sequence[Sequence[float]], top: int) -> Tuple[float, float]:
    """Mean precision of the days (CP@k), and the share of compromised cards that were found."""
    found, compromised = sum(day[1] for day in days), sum(day[2] for day in days)
    return float(np.mean([day[1] / top for day in days])), found / compromised if compromised else 0.0


class Measured:
    """Champion and challenger on the same resamples."""

    def __init__(self, week: ScoredWeek, sides: Sequence[Candidate], cards: int, seed: int) -> None:
        self.week, self.sides, self.cards = week, sides, cards
        self.ranked = [Ranked(week.labels, side.scores) for side in sides]
        self.lists = [Lists(week, side.scores, cards) for side in sides]
        customers, index = np.unique(week.customers, return_inverse=True)
        resamples = max(LEAST_RESAMPLES, min(MOST_RESAMPLES, ROW_VISITS // len(index)))
        self.curves: List[List[np.ndarray]] = [[] for _ in sides]
        self.metrics: List[List[Dict[str, float]]] = [[] for _ in sides]
        frauds = np.flatnonzero(week.labels)
        for weights in bootstrap_weights(len(customers), resamples, seed):
            rows = weights[index]
            if not rows[frauds].any() or rows.sum() == rows[frauds].sum():
                continue
            for place, (ranked, lists) in enumerate(zip(self.ranked, self.lists)):
                precision, recall, found = ranked(rows)
                cp, share = of_lists(lists(weights)[0], cards)
                self.curves[place].append(at_recall(precision, recall))
                self.metrics[place].append({**found, "card_precision_100": cp, "card_recall": share})

    def interval(self, place: int, name: str) -> Interval:
        values = [one[name] for one in self.metrics[place]]
        return [float(each) for each in np.quantile(values, [0.025, 0.975])] if values else None

    def intervals(self, place: int) -> Dict[str, Interval]:
        """By metric; CP@100 only if that is the budget."""
        names = [name for name in METRICS if name != "card_precision_100" or self.cards == 100]
        return {name: self.interval(place, name) for name in names}

    def curve(self, place: int) -> Curve:
        side, resampled = self.sides[place], self.curves[place]
        low, high = np.quantile(resampled, [0.025, 0.975], axis=0) if resampled else (None, None)
        bare = curve(self.week, side)
        return Curve(bare.version, bare.role, bare.recall, bare.precision, listed(low), listed(high))

    def budget(self, place: int) -> Budget:
        side, (days, _) = self.sides[place], self.lists[place]()
        names = [str(pd.Timestamp(day).date()) for day in self.lists[place].days]
        precision, recall = of_lists(days, self.cards)
        return Budget(
            version=str(side.version),
            role=side.role,
            cards=self.cards,
            days=[Day(name, *map(int, day[:3]), *day[3:]) for name, day in zip(names, days)],
            precision=precision,
            precision_interval=self.interval(place, "card_precision_100"),
            recall=recall,
            recall_interval=self.interval(place, "card_recall"),
            money=sum(day[4] for day in days),
            money_found=sum(day[3] for day in days),
        )


def listed(values: Optional[np.ndarray]) -> Optional[List[float]]:
    return None if values is None else [float(each) for each in values]


def at_recall(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Precision at each of ``RECALL``: at the first score that reaches it."""
    return precision[np.minimum(np.searchsorted(recall, RECALL - 1e-12), len(precision) - 1)]


def curve(week: ScoredWeek, side: Candidate) -> Curve:
    """Precision and recall without a band."""
    precision, recall, _ = Ranked(week.labels, side.scores)(np.ones(len(week.labels)))
    return Curve(str(side.version), side.role, listed(RECALL) or [], listed(at_recall(precision, recall)) or [])


def calibration(week: ScoredWeek, scores: np.ndarray) -> List[Bin]:
    """Share of frauds by range of scores; ranges without rows are left out."""
    place = np.clip(np.searchsorted(BANDS, scores, side="right") - 1, 0, len(BANDS) - 2)
    found = []
    for number in range(len(BANDS) - 1):
        rows = place == number
        count = int(rows.sum())
        if count:
            frauds = int(week.labels[rows].sum())
            name = f"{100 * BANDS[number]:.0f}-{100 * BANDS[number + 1]:.0f} %"
            found.append(Bin(name, count, float(scores[rows].mean()), frauds / count, wilson(frauds, count)))
    return found


def wilson(hits: int, count: int) -> List[float]:
    """95 % interval of a share (Wilson, "Probable inference, the law of succession and …", 1927)."""
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * float(np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)))
    return [max(0.0, middle - half), min(1.0, middle + half)]


def score_shares(week: ScoredWeek, scores: np.ndarray) -> Scores:
    """Shares of each class by log-odds of the score."""
    inside = np.clip(scores, 1e-9, 1 - 1e-9)
    logits = np.clip(np.log(inside / (1 - inside)), LOGITS[0], LOGITS[-1])
    shares = []
    for label in (0, 1):
        counts = np.histogram(logits[week.labels == label], LOGITS)[0]
        shares.append([float(each) for each in counts / counts.sum()])
    return Scores(edges=[float(each) for each in 1 / (1 + np.exp(-LOGITS))], genuine=shares[0], fraud=shares[1])


def kinds(week: ScoredWeek, lists: Mapping[str, Lists]) -> List[Kind]:
    """Frauds by kind, and those on cards that were listed by their day; none if the kinds are not known.

    Args:
        lists: by role.
    """
    frauds = np.flatnonzero(week.labels)
    if week.kinds is None or len(np.unique(week.kinds[frauds])) < 2:
        return []
    found = {role: on_listed(week, one, frauds) for role, one in lists.items()}
    return [
        Kind(
            kind=f"{kind:g}",
            frauds=int((week.kinds[frauds] == kind).sum()),
            found=int(found["challenger"][week.kinds[frauds] == kind].sum()),
            found_by_champion=(
                int(found["champion"][week.kinds[frauds] == kind].sum()) if "champion" in found else None
            ),
        )
        for kind in np.unique(week.kinds[frauds])
    ]


def on_listed(week: ScoredWeek, lists: Lists, rows: np.ndarray) -> np.ndarray:
    """Whether the card of each of these rows was listed and found on the row's day or before."""
    _, found_on = lists()
    return found_on[np.searchsorted(lists.customers, week.customers[rows])] <= week.days[rows]
