"""A gate that remembers: evidence over weeks for the same pair, which may be looked at every week.

Each week's paired gain of a candidate over the champion, and its variance over resampled customers, add to the pair's
evidence. For a true gain of at most the margin, and whatever the day on which one looks, the chance that the evidence
ever reaches `1 / alpha` is at most alpha (Ville's inequality; gains are taken as normal, with the variance measured):
a likelihood ratio against each of `STEPS` above the margin, and their mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fraud_retraining import tournament
from fraud_retraining.evaluation import ScoredWeek
from fraud_retraining.tournament import Candidate, Gate

STEPS = (0.005, 0.01, 0.02, 0.05)  # of AP


@dataclass(frozen=True)
class Evidence:
    """Sums over weeks: of (gain - margin) / variance, and of 1 / variance; a week counts once."""

    weeks: tuple[int, ...] = ()
    excess: float = 0.0
    information: float = 0.0

    def after(self, week: int, gain: float, variance: float, margin: float) -> Evidence:
        if week in self.weeks or not variance > 0:
            return self
        return Evidence((*self.weeks, week), self.excess + (gain - margin) / variance, self.information + 1 / variance)

    @property
    def log_e(self) -> float:
        """Logarithm of the e-value; 0 is no evidence."""
        found = [step * self.excess - step**2 * self.information / 2 for step in STEPS]
        return float(np.logaddexp.reduce(found)) - math.log(len(STEPS))


@dataclass
class Memory:
    """The rule, and what it has seen of each candidate since its champion serves."""

    margin: float
    alpha: float = 0.01
    champion: str | None = None
    seen: dict[str, Evidence] = field(default_factory=dict)

    def decide(
        self, week: ScoredWeek, number: int, candidates: list[Candidate], gate: Gate, seed: int
    ) -> dict[str, Any]:
        """Promote the candidate with the most evidence if that is enough and it breaks no guardrail.

        Returns:
            ``action``, ``winner`` and ``reason`` as the gate's `decide`, and ``evidence`` by version.
        """
        champion = next(c for c in candidates if c.role == "champion")
        if champion.version != self.champion:
            self.champion, self.seen = champion.version, {}
        others = [c for c in candidates if c is not champion]
        scores = {str(c.version): c.scores for c in candidates}
        resampled = tournament.bootstrap_average_precision(week, scores, gate.resamples, seed)
        for other in others:
            gains = resampled[str(other.version)] - resampled[str(champion.version)]
            gain = other.metrics["average_precision"] - champion.metrics["average_precision"]
            before = self.seen.get(str(other.version), Evidence())
            self.seen[str(other.version)] = before.after(number, gain, float(np.var(gains)), self.margin)
        return self.verdict(champion, others, int(week.labels.sum()), gate)

    def verdict(self, champion: Candidate, others: list[Candidate], frauds: int, gate: Gate) -> dict[str, Any]:
        allowed = [c for c in others if not tournament.broken_guardrails(champion, c, gate)] or others
        best = max(allowed, key=lambda c: self.seen[str(c.version)].log_e)
        evidence, needed = self.seen[str(best.version)], 1 / self.alpha
        broken = [
            *(["the evidence is too weak"] if evidence.log_e < math.log(needed) else []),
            *tournament.too_few(frauds, gate),
            *tournament.broken_guardrails(champion, best, gate),
        ]
        text = (
            f"version {best.version} has been compared with champion {champion.version} in {len(evidence.weeks)} weeks:"
            f" the evidence for a gain above {self.margin:+.4f} is {math.exp(min(evidence.log_e, 50)):.3g} to 1,"
            f" needed {needed:.0f} to 1"
        )
        return {
            "action": "keep" if broken else "promote",
            "winner": champion.version if broken else best.version,
            "reason": f"{text}; champion stays because {', '.join(broken)}" if broken else f"{text}; promoted",
            "evidence": {version: one.log_e for version, one in self.seen.items()},
        }
