"""A world as a weekly retrain sees it: rows with features, train windows, and test weeks by the application's rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.decisions.ceiling import ceiling
from bench.decisions.features import UNKNOWN, all_features
from fraud_retraining.dataset import WEEK
from fraud_retraining.evaluation import ScoredWeek
from fraud_retraining.features import ALL_FEATURES, DAY, DELAY_DAYS
from simulator import Rows, World

BURN_IN, TRAIN_DAYS = 44, 28  # days; features of the first train window see a month of labels
FIRST_AS_OF = BURN_IN + TRAIN_DAYS + 2 * DELAY_DAYS + WEEK  # split_as_of: train, delay, test week, delay


@dataclass(frozen=True)
class Week:
    """The test week of a decision: the rows that are compared, and what the truth about them is."""

    rows: np.ndarray  # indices into the world's rows
    scored: ScoredWeek  # by the labels that have arrived
    true: ScoredWeek  # by what is true
    amounts: np.ndarray


class History:
    """Rows of a world over `weeks` weekly decisions, the first of them on day `FIRST_AS_OF`."""

    def __init__(self, world: World, weeks: int) -> None:
        self.world, self.weeks = world, weeks
        self.rows: Rows = world.rows(as_of(weeks - 1))
        self.day = self.rows.second // DAY
        # A label counts in features once it is as old as the delay: one that comes later is none there.
        self.in_time = self.rows.label_day - self.day <= DELAY_DAYS
        self.columns = all_features(self.rows, np.where(self.in_time, self.rows.label, UNKNOWN))
        self.matrix = np.column_stack([self.columns[name] for name in ALL_FEATURES]).astype("float32")

    @cached_property
    def ceiling(self) -> np.ndarray:
        """Scores of a filter that knows the world's parameters, of every row."""
        true = (self.rows.scenario > 0).astype("int8")
        wrong = (true != self.rows.label).any()
        columns = all_features(self.rows, np.where(self.in_time, true, UNKNOWN)) if wrong else self.columns
        return ceiling(self.world, self.rows, columns)

    def labels(self, on: int) -> np.ndarray:
        """What is known of every row on the morning of day `on`; UNKNOWN is what has not arrived."""
        return np.where(self.rows.label_day <= on, self.rows.label, UNKNOWN)

    def train(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices and labels of the train rows of a decision."""
        last = as_of(number) - 2 * DELAY_DAYS - WEEK
        rows = np.arange(*np.searchsorted(self.day, [last - TRAIN_DAYS, last]))
        labels = self.labels(as_of(number))[rows]
        return rows[labels != UNKNOWN], labels[labels != UNKNOWN]

    def week(self, number: int) -> Week:
        """The test week of a decision, without cards known to be compromised (`dataset.holdout`)."""
        first = as_of(number) - DELAY_DAYS - WEEK
        labels, customers = self.labels(as_of(number)), self.rows.customer
        recent = np.arange(*np.searchsorted(self.day, [first - DELAY_DAYS - WEEK, first + WEEK]))
        frauds = recent[labels[recent] == 1]
        known = np.full(self.world.customers, as_of(number))
        np.minimum.at(known, customers[frauds], self.day[frauds])
        rows = np.arange(*np.searchsorted(self.day, [first, first + WEEK]))
        rows = rows[(labels[rows] != UNKNOWN) & (known[customers[rows]] >= self.day[rows] - DELAY_DAYS)]
        true = (self.rows.scenario[rows] > 0).astype(int)
        days = self.day[rows]
        return Week(
            rows,
            ScoredWeek(labels[rows].astype(int), customers[rows], days),
            ScoredWeek(true, customers[rows], days),
            self.rows.amount[rows],
        )


def as_of(number: int) -> int:
    """The day of a decision, counted from the world's first."""
    return FIRST_AS_OF + WEEK * number
