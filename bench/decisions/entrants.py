"""Who competes in a world: its weekly retrains, models of equal quality, and mixtures whose true gain is set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator
from xgboost import Booster, DMatrix, XGBClassifier

from bench.decisions.world import History, Week
from fraud_retraining import evaluation, tournament
from fraud_retraining.evaluation import (
    ScoredWeek,
    WeightedAveragePrecision,
    bootstrap_average_precision,
    bootstrap_weights,
    metrics,
)
from fraud_retraining.features import ALL_FEATURES, HANDBOOK_FEATURES
from fraud_retraining.model import PARAMETERS
from fraud_retraining.tournament import Candidate

DRAWN: dict[str, Any] = {
    "subsample": 0.8,
    "colsample_bytree": 0.8,
}  # the default model draws nothing: a seed would change nothing
SETTINGS: tuple[dict[str, Any], ...] = (
    {"max_depth": 4},
    {"learning_rate": 0.15, "n_estimators": 66},
    {"learning_rate": 0.08, "max_depth": 4},
)
SORTS = ("seed", "rows", "settings")  # of equal models, three each
GAINS = (-0.005, -0.0025, 0.0025, 0.005, 0.01, 0.02, 0.05)
TWINS = 2  # mixtures of each gain
MIXES = np.linspace(0, 1, 9)

Score = Callable[[np.ndarray], np.ndarray]  # indices of rows -> scores


@lru_cache(maxsize=16)
def drawn(customers: int, resamples: int, seed: int) -> list[np.ndarray]:
    """The resamples of a seed, which are the same in every week of as many customers."""
    return list(bootstrap_weights(customers, resamples, seed))


class Field:
    """Test weeks and the scores of everybody on them; each is measured once, however often it competes."""

    def __init__(self, weeks: Sequence[Week]) -> None:
        self.weeks = weeks
        self.scores: dict[str, list[np.ndarray]] = {}
        self._candidates: dict[tuple[str, int], Candidate] = {}
        self._resampled: dict[tuple[int, int, int], np.ndarray] = {}
        self._true: dict[str, np.ndarray] = {}

    def candidate(self, name: str, number: int) -> Candidate:
        key = name, number
        if key not in self._candidates:
            scores = self.scores[name][number]
            self._candidates[key] = Candidate(name, "earlier", metrics(self.weeks[number].scored, scores), scores)
        return self._candidates[key]

    def true(self, name: str) -> np.ndarray:
        """AP by true labels of each week; what is true of a model is their mean."""
        if name not in self._true:
            pairs = zip(self.weeks, self.scores[name], strict=True)
            self._true[name] = np.array([average_precision(week.true.labels, one) for week, one in pairs])
        return self._true[name]

    def resampled(
        self, week: ScoredWeek, scores: dict[str, np.ndarray], resamples: int, seed: int
    ) -> dict[str, np.ndarray]:
        """`bootstrap_average_precision` that remembers: a seed makes the same resamples, whoever is compared."""
        for name, values in scores.items():
            key = id(values), resamples, seed
            if key not in self._resampled:
                self._resampled[key] = bootstrap_average_precision(week, {name: values}, resamples, seed)[name]
        return {name: self._resampled[id(values), resamples, seed] for name, values in scores.items()}

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """The gate takes its resamples from here; those of a seed are drawn once."""
        kept = tournament.bootstrap_average_precision, evaluation.bootstrap_weights
        tournament.bootstrap_average_precision, evaluation.bootstrap_weights = self.resampled, drawn
        try:
            yield
        finally:
            tournament.bootstrap_average_precision, evaluation.bootstrap_weights = kept


def fit(
    history: History,
    number: int,
    features: Sequence[str] = ALL_FEATURES,
    weights: np.ndarray | None = None,
    **settings: Any,
) -> Score:
    """The application's model, trained on the window of a decision; `weights` are of the customers."""
    rows, labels = history.train(number)
    columns = np.array([ALL_FEATURES.index(name) for name in features])
    classifier = XGBClassifier(**{**PARAMETERS, "tree_method": "hist", "n_jobs": 1, **settings})
    weight = None if weights is None else weights[history.rows.customer[rows]]
    classifier.fit(history.matrix[np.ix_(rows, columns)], labels, sample_weight=weight)
    booster: Booster = classifier.get_booster()
    return lambda rows: booster.predict(DMatrix(history.matrix[np.ix_(rows, columns)], nthread=1)).astype("float64")


def add_retrains(field: Field, history: History, weeks: int) -> None:
    """What each week's retrain trains."""
    for number in range(weeks):
        add(field, f"retrain {number}", fit(history, number))


def add_equals(field: Field, history: History) -> None:
    """Models of one train window that differ by seed, by rows drawn again (whole customers), by other settings."""
    draw = np.random.default_rng(history.world.seed)
    for number, settings in enumerate(SETTINGS):
        weights = draw.poisson(1.0, history.world.customers).astype(float)
        add(field, f"seed {number}", fit(history, 0, **DRAWN, random_state=number))
        add(field, f"rows {number}", fit(history, 0, weights=weights))
        add(field, f"settings {number}", fit(history, 0, **settings))


def add_mixtures(field: Field, history: History) -> None:
    """For each of the `GAINS` `TWINS` models whose true gain over a common one, `base`, is that, and `base` itself.

    Each is a mixture, by log odds, of a model of the handbook's features with one of all; of the two's 0.07 of AP the
    mixture takes a part. `base` lies between them, so that there are worse ones too.
    """
    add(field, "plain", fit(history, 0, HANDBOOK_FEATURES))
    truth = {number: precisions(field, f"seed {number}") for number in range(TWINS)}
    base = mixture(field, "seed 0", at(truth[0], truth[0][0] + 0.015))
    field.scores["base"] = base
    of_base = field.true("base").mean()
    for gain in GAINS:
        for number in truth:
            share = at(truth[number], of_base + gain)
            field.scores[f"gain {gain} {number}"] = mixture(field, f"seed {number}", share)


def precisions(field: Field, name: str) -> np.ndarray:
    """True AP of the mixtures with a model, by its share: shape (len(MIXES),)."""
    labels = [week.true.labels for week in field.weeks]
    mixed = (mixture(field, name, share) for share in MIXES)
    return np.array([np.mean(list(map(average_precision, labels, one))) for one in mixed])


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """scikit-learn's, in a third of its time."""
    return WeightedAveragePrecision(labels, scores)(np.ones(len(labels)))


def at(precisions: np.ndarray, wanted: float) -> float:
    """Share of the better model at which the AP is as wanted; the whole of it if that is not enough."""
    fine = np.linspace(0, 1, 1001)
    return float(np.interp(wanted, np.maximum.accumulate(PchipInterpolator(MIXES, precisions)(fine)), fine))


def mixture(field: Field, name: str, share: float) -> list[np.ndarray]:
    pairs = zip(field.scores["plain"], field.scores[name], strict=True)
    return [sigmoid((1 - share) * logit(plain) + share * logit(better)) for plain, better in pairs]


def logit(scores: np.ndarray) -> np.ndarray:
    clipped = np.clip(scores, 1e-9, 1 - 1e-9)
    return np.log(clipped / (1 - clipped))


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def add(field: Field, name: str, score: Score) -> None:
    field.scores[name] = [score(week.rows) for week in field.weeks]
