"""What the rows of all worlds say of a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.decisions.entrants import GAINS
from bench.decisions.estimates import Estimate, rate, share

WEEKS_A_YEAR = 52
SOON = 8  # weeks within which a lasting gain should be adopted
GOAL = {"false": 0.01, "a year": 0.5, "power": 0.8}

Row = Mapping[str, Any]
Promotions = Sequence[tuple[int, float]]  # decision, true gain over the champion before


@dataclass(frozen=True)
class Decisions:
    """Rows of stationary worlds with `weeks` decisions each."""

    rows: Sequence[Row]
    weeks: int

    def promotions(self, stream: str, rule: str) -> list[Promotions]:
        return [row["promotions"][stream][rule] for row in self.rows]

    def rules(self) -> list[str]:
        return list(self.rows[0]["promotions"]["equal"])

    def false(self, stream: str, rule: str) -> Estimate:
        """Promotions per decision, where nobody is better."""
        return rate([len(found) for found in self.promotions(stream, rule)], self.weeks)

    def adopted(self, gain: float, rule: str, within: int) -> Estimate:
        """Share of worlds in which a model with this true gain serves after so many decisions."""
        found = self.promotions(str(gain), rule)
        return share(sum(any(week < within for week, _ in one) for one in found), len(found))

    def wait(self, gain: float, rule: str) -> float:
        """Median of the decisions that it takes; infinite if half of the worlds never take it."""
        first = [min((week + 1 for week, _ in one), default=np.inf) for one in self.promotions(str(gain), rule)]
        return float(np.median(first))

    def harm(self, stream: str, rule: str) -> float:
        """AP lost a week against the better of the two models, the mean over weeks and worlds."""
        best = max(0.0, float(stream)) if stream != "equal" else 0.0
        return float(np.mean([lost(found, best, self.weeks) for found in self.promotions(stream, rule)]))


def lost(promotions: Promotions, best: float, weeks: int) -> float:
    served, by_week = 0.0, dict(promotions)
    losses = []
    for week in range(weeks):
        served += by_week.get(week, 0.0)
        losses.append(max(0.0, best - served))
    return float(np.mean(losses))


def missed(found: Decisions, rule: str) -> list[str]:
    """Goals that a rule does not reach, in words; a defect of the gate shows here."""
    worst = found.false("equal", rule)
    power, small = found.adopted(0.01, rule, 1), found.adopted(0.005, rule, SOON)
    large = found.adopted(max(GAINS), rule, 1)
    checks = {
        f"{worst.high:.2%} of decisions promote an equal model, at the upper end; at most {GOAL['false']:.0%}": (
            worst.high > GOAL["false"]
        ),
        f"{worst.value * WEEKS_A_YEAR:.2f} equal models are promoted a year; at most {GOAL['a year']}": (
            worst.value * WEEKS_A_YEAR > GOAL["a year"]
        ),
        f"a true gain of .01 is found at once in {power.value:.0%}; at least {GOAL['power']:.0%}": (
            power.value < GOAL["power"]
        ),
        f"a gain of .005 is adopted within {SOON} weeks in {small.value:.0%}; at least {GOAL['power']:.0%}": (
            small.value < GOAL["power"]
        ),
        f"a gain of {max(GAINS)} is found at once in {large.value:.0%}; at least {GOAL['power']:.0%}": (
            large.value < GOAL["power"]
        ),
    }
    return [text for text, failed in checks.items() if failed]
