"""The gate that decides by evidence alone, week after week: the application's own evidence, kept between decisions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from fraud_retraining import tournament
from fraud_retraining.evaluation import ScoredWeek
from fraud_retraining.evidence import Evidence
from fraud_retraining.tournament import Candidate, Gate


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
        for version, one in tournament.gains(week, candidates, gate, seed).items():
            before = self.seen.get(version, Evidence())
            self.seen[version] = before.after(number, one.gain, one.variance, self.margin)
        others = [c for c in candidates if c is not champion]
        return self.verdict(champion, others, int(week.labels.sum()), gate)

    def verdict(self, champion: Candidate, others: list[Candidate], frauds: int, gate: Gate) -> dict[str, Any]:
        ours = replace(gate, margin=self.margin, alpha=self.alpha)
        best, broken, text = tournament.strongest(champion, others, self.seen, frauds, ours)
        return {
            "action": "keep" if broken else "promote",
            "winner": champion.version if broken else best.version,
            "reason": f"{text}; champion stays because {', '.join(broken)}" if broken else f"{text}; promoted",
            "evidence": {version: one.log_e for version, one in self.seen.items()},
        }
