"""A world's weekly tournaments: a champion, a challenger a week, five earlier versions and every past champion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench.decisions.entrants import Field
from bench.decisions.memory import Memory
from fraud_retraining.evaluation import ScoredWeek
from fraud_retraining.tournament import Candidate, Gate, decide

EARLIER = 5  # training.Settings.earlier
SEED = 42  # training.Settings.seed
RESAMPLES = 200  # of a comparison; a retrain takes 1,000

Rule = Callable[[ScoredWeek, int, list[Candidate]], dict[str, Any]]


@dataclass(frozen=True)
class Promotion:
    """At decision `week` the model `winner` took the place of `loser`."""

    week: int
    loser: str
    winner: str


def simple(gate: Gate) -> Rule:
    """The gate itself, which decides by one week."""
    return lambda week, number, candidates: decide(week, candidates, gate, SEED)


def remembering(margin: float, gate: Gate) -> Rule:
    memory = Memory(margin)
    return lambda week, number, candidates: memory.decide(week, number, candidates, gate, SEED)


def either(margin: float, gate: Gate) -> Rule:
    """Whoever passes the gate on one week, else whoever has the evidence of many."""
    memory = Memory(margin)

    def rule(week: ScoredWeek, number: int, candidates: list[Candidate]) -> dict[str, Any]:
        remembered = memory.decide(week, number, candidates, gate, SEED)
        found = decide(week, candidates, gate, SEED)
        return found if found["action"] == "promote" else remembered

    return rule


def rules(
    gates: Sequence[float], margins: Sequence[float], both: Sequence[tuple[float, float]] = ()
) -> dict[str, Callable[[], Rule]]:
    """Rules by name: the gate by its minimum gain, the memory by its margin, a gate or else the memory by both."""
    gate = Gate(resamples=RESAMPLES)
    return {
        **{f"gate {gain}": partial(simple, replace(gate, min_gain=gain)) for gain in gates},
        **{f"memory {margin}": partial(remembering, margin, gate) for margin in margins},
        **{f"either {gain} {margin}": partial(either, margin, replace(gate, min_gain=gain)) for gain, margin in both},
    }


def contest(field: Field, first: str, challengers: Sequence[str], rule: Rule) -> list[Promotion]:
    """Promotions when champion `first` meets a challenger each week; versions are numbered as a registry does.

    Args:
        challengers: a model for each test week from the field's first on; one may come again as another version.
    """
    models, champion, past = [first], 0, set()
    promotions = []
    with field.remembering():
        for number, challenger in enumerate(challengers):
            models.append(challenger)
            newest = len(models) - 1
            earlier = [v for v in range(newest - 1, -1, -1) if v != champion]
            competing = {v for place, v in enumerate(earlier) if place < EARLIER or v in past}
            candidates = [entrant(field, models, champion, number, "champion")]
            candidates += [entrant(field, models, v, number, "earlier") for v in sorted(competing, reverse=True)]
            candidates.append(entrant(field, models, newest, number, "challenger"))
            found = rule(field.weeks[number].scored, number, candidates)
            if found["action"] == "promote":
                winner = int(found["winner"])
                promotions.append(Promotion(number, models[champion], models[winner]))
                past.add(champion)
                champion = winner
    return promotions


def entrant(field: Field, models: Sequence[str], version: int, number: int, role: str) -> Candidate:
    return replace(field.candidate(models[version], number), version=str(version), role=role)


def served(first: str, promotions: Sequence[Promotion], weeks: int) -> list[str]:
    """The champion after each decision."""
    champion, after = first, {promotion.week: promotion.winner for promotion in promotions}
    return [champion := after.get(number, champion) for number in range(weeks)]
