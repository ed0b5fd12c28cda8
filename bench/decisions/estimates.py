"""Estimates over worlds: a world is one observation, however many decisions it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import beta


class Estimate(NamedTuple):
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Estimate:
        return Estimate(*(factor * value for value in self))


def share(hits: float, trials: float) -> Estimate:
    """Clopper and Pearson's interval; numbers need not be whole."""
    low = float(beta.ppf(0.025, hits, trials - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(0.975, hits + 1, trials - hits)) if hits < trials else 1.0
    return Estimate(hits / trials, low, high)


def rate(counts: Sequence[int], decisions: int) -> Estimate:
    """Promotions per decision, from the promotions of each world in `decisions` of its own.

    Clopper and Pearson's interval on the number of decisions that are as good as independent (Korn and Graubard 1998):
    fewer than there are by as much as worlds differ more from each other than chance has it.
    """
    rates = np.array(counts) / decisions
    value, worlds = float(rates.mean()), len(rates)
    trials = worlds * decisions
    if worlds > 1 and 0 < value < 1:
        design = rates.var(ddof=1) / worlds / (value * (1 - value) / trials)
        trials = trials / max(design, 1.0)
    return share(value * trials, trials)


def mean(values: np.ndarray, resamples: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over the first axis, the worlds, and its 95 % interval over worlds drawn again (percentile bootstrap)."""
    draw = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[draw].mean(axis=1), [0.025, 0.975], axis=0)
    return values.mean(axis=0), low, high
