"""Worlds that differ in seed and in what they do, each of which knows its truth.

A world is the handbook's until its `turn`, the day on which a sudden change comes or a slow one begins. What a bank is
told of it are labels, each on the day on which it arrives; what is true of it are scenarios, and the conduct of a day.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.population import Population
from simulator.streams import Floats, Ints, Stream, stream_of
from simulator.transactions import DAY_SECONDS, HANDBOOK, SHARE_INSIDE_THE_DAY, Conduct, draw_transactions

KINDS = {
    "stationary": "nothing changes",
    "change": "one kind of fraud gives way to another on one day, amounts jump by a quarter, terminals open and close",
    "drift": "the same within 26 weeks, a little every day",
    "season": "busy weekends, a wave of a quarter, and holidays with more and larger purchases",
    "delay": "labels take 2 to 20 days, longer and shorter in waves",
    "labels": "one fraud in ten is never reported, one row in thirty never labelled, some good rows called frauds",
}
NEVER = 1 << 30  # the day on which a label arrives that never does
LABEL_DAYS = 7
DRIFT_DAYS = 182
TURNED = replace(HANDBOOK, prices=1.25, card_share=0.0, sold_share=0.5, shut=1)
BEFORE = replace(HANDBOOK, shut=0)  # terminals that open only when others close


class Rows(NamedTuple):
    """Rows in order of time. `second` counts from the world's first midnight; `scenario` is the truth, 0 to 4.

    `label` is what the bank is told, right or wrong, at the end of day `label_day`.
    """

    second: Ints
    customer: Ints
    terminal: Ints
    amount: Floats
    scenario: NDArray[np.int8]
    label: NDArray[np.int8]
    label_day: Ints


@dataclass(frozen=True)
class World:
    """A population and what happens to it, of one of the `KINDS`.

    Raises:
        ValueError: there is no such kind.
    """

    kind: str
    seed: int
    customers: int
    turn: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind}; expected one of {', '.join(KINDS)}")

    @property
    def terminals(self) -> int:
        return 2 * self.customers

    def population(self) -> Population:
        return Population.draw(self.seed, self.customers, self.terminals)

    def conduct(self, day: int) -> Conduct:
        """The truth about a day."""
        if self.kind == "change":
            return BEFORE if day < self.turn else TURNED
        if self.kind == "drift":
            share = min(max(day - self.turn, 0) / DRIFT_DAYS, 1.0)
            return Conduct(
                prices=1 + share * (TURNED.prices - 1),
                card_share=(1 - share) * HANDBOOK.card_share,
                sold_share=share * TURNED.sold_share,
            )
        if self.kind == "season":
            return Conduct(prices=1.3 if is_holiday(day) else 1.0)
        return HANDBOOK

    def busy(self, day: int) -> float:
        """Transactions of a day as a multiple of an ordinary day's."""
        if self.kind != "season":
            return 1.0
        weekend = 1.3 if day % 7 >= 5 else 0.88
        return weekend * (1 + 0.2 * math.sin(2 * math.pi * day / 91)) * (1.5 if is_holiday(day) else 1.0)

    def rows(self, days: int) -> Rows:
        """All rows of the first `days` days; the stationary world's are the generator's own, without its faults."""
        population = self.population()
        rate = population.rate * SHARE_INSIDE_THE_DAY
        counts = stream_of(self.seed, Stream.ROWS).poisson([rate * self.busy(day) for day in range(days)])
        drawn = [
            draw_transactions(self.seed, population, self.terminals, day, int(rows), self.conduct(day))
            for day, rows in enumerate(counts)
        ]
        day = np.repeat(np.arange(days), counts)
        second, customer, terminal, amount, scenario = (np.concatenate(column) for column in zip(*drawn, strict=True))
        label, label_day = self.labels(day, scenario > 0)
        return Rows(second + day * DAY_SECONDS, customer, terminal, amount, scenario, label, label_day)

    def labels(self, day: Ints, fraud: NDArray[np.bool_]) -> tuple[NDArray[np.int8], Ints]:
        """What the bank is told of rows of these days, and the day after which it knows."""
        rng = stream_of(self.seed, Stream.LABELS)
        label, arrives = fraud.astype(np.int8), day + LABEL_DAYS
        if self.kind == "delay":
            usual = 6 + 2 * np.sin(2 * np.pi * day / 63)
            arrives = day + np.clip(np.round(rng.gamma(4, usual / 4)), 2, 20).astype(np.int64)
        if self.kind == "labels":
            chance = rng.random(len(day))
            label[fraud & (chance < 0.1)] = 0
            label[~fraud & (chance < 0.0005)] = 1
            arrives = np.where(rng.random(len(day)) < 1 / 30, NEVER, arrives)
        return label, arrives


def is_holiday(day: int) -> bool:
    """Ten days of every 120."""
    return day % 120 >= 110
