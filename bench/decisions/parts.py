"""What is measured in one world; each part is a function of its seed alone, and its row is kept as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from bench.decisions.contest import Promotion, Rule, contest, rules, served
from bench.decisions.entrants import (
    GAINS,
    SORTS,
    TWINS,
    Field,
    add_equals,
    add_mixtures,
    add_retrains,
    average_precision,
)
from bench.decisions.world import History, Week, as_of
from fraud_retraining.evaluation import card_precision
from simulator import World

GATE, MARGIN = 0.01, 0.0
GATES, MARGINS = (0.0, 0.0025, 0.005, GATE, 0.02), (MARGIN, 0.0025, 0.005)
BOTH = ((GATE, MARGIN), (0.02, MARGIN))
SERVED_AFTER = 2  # test weeks: a decision's model serves the week that is the test week of the second decision after it
TURN = 5  # the decision on whose day a world's change begins
RULES = rules([GATE], [], BOTH)  # of those in service
CARDS_OF = 50  # people look at one card in so many a day, as 100 of 5,000


@dataclass(frozen=True)
class Size:
    """Of every world: cards, and weekly decisions of a contest and of a year's half in service."""

    customers: int = 2000
    contest_weeks: int = 12
    service_weeks: int = 26


def decisions(seed: int, size: Size) -> dict[str, Any]:
    """Promotions in a stationary world: by stream of challengers and rule, a list of [week, true gain]."""
    field = contest_field(seed, size)
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for stream, (first, challengers) in streams(size.contest_weeks).items():
        for name, rule in rules(GATES, MARGINS, BOTH).items():
            promotions = contest(field, first, challengers, rule())
            found.setdefault(stream, {})[name] = [described(field, one) for one in promotions]
    frauds = np.mean([week.scored.labels.sum() for week in field.weeks])
    truth = {str(gain): true_gain(field, gain) for gain in GAINS}
    return {"promotions": found, "true_gains": truth, "frauds_a_week": float(frauds), **noise(field)}


def contest_field(seed: int, size: Size) -> Field:
    """Everybody who competes in a stationary world."""
    history = History(World("stationary", seed, size.customers, 0), size.contest_weeks)
    field = Field([history.week(number) for number in range(size.contest_weeks)])
    add_equals(field, history)
    add_mixtures(field, history)
    return field


def streams(weeks: int) -> dict[str, tuple[str, list[str]]]:
    """First champion and weekly challengers by name of the stream."""
    equals = [f"{sort} {number}" for number in range(3) for sort in SORTS][1:]
    return {
        "equal": ("seed 0", [equals[number % len(equals)] for number in range(weeks)]),
        **{f"{gain}": ("base", [f"gain {gain} {number % TWINS}" for number in range(weeks)]) for gain in GAINS},
    }


def true_gain(field: Field, gain: float) -> float:
    """What the mixtures that should have this gain have: the mean over them and over all weeks."""
    gains = [field.true(f"gain {gain} {number}") - field.true("base") for number in range(TWINS)]
    return round(float(np.mean(gains)), 5)


def described(field: Field, promotion: Promotion) -> tuple[int, float]:
    gain = field.true(promotion.winner).mean() - field.true(promotion.loser).mean()
    return promotion.week, round(float(gain), 5)


def noise(field: Field) -> dict[str, float]:
    """Standard deviation over weeks of one pair's gain, and what the bootstrap says of it."""
    one, other = field.true("seed 0"), field.true("rows 0")
    return {"pair_gain": float((other - one).mean()), "pair_deviation": float((other - one).std(ddof=1))}


def service(kind: str, seed: int, size: Size) -> dict[str, Any]:
    """AP, CP@100 and the share of money caught, of each served week by policy; labels are the true ones.

    The promotions are those of the policies that have a rule, with what is true of them over all weeks.
    """
    weeks = size.service_weeks
    history = History(World(kind, seed, size.customers, as_of(TURN)), weeks + SERVED_AFTER)
    field = Field([history.week(number) for number in range(weeks + SERVED_AFTER)])
    add_retrains(field, history, weeks)
    field.scores["ceiling"] = [history.ceiling[week.rows] for week in field.weeks]
    retrains = [f"retrain {number}" for number in range(weeks)]
    promoted = {name: tournaments(field, retrains, rule()) for name, rule in RULES.items()}
    chosen = {
        "never": retrains[:1] * weeks,
        "newest": retrains,
        "point": better_on_one_week(field, retrains),
        **{name: [retrains[0], *served(retrains[0], found, weeks - 1)] for name, found in promoted.items()},
        "ceiling": ["ceiling"] * weeks,
    }
    measured = {}
    for name, models in chosen.items():
        places = enumerate(models, start=SERVED_AFTER)
        rows = [outcome(field.weeks[number], field.scores[model][number], size.customers) for number, model in places]
        measured[name] = [[round(value, 5) for value in column] for column in zip(*rows, strict=True)]
    return {
        "policies": measured,
        "changes": {name: sum(one != other for one, other in pairwise(models)) for name, models in chosen.items()},
        "promotions": {name: [described(field, one) for one in found] for name, found in promoted.items()},
    }


def tournaments(field: Field, retrains: Sequence[str], rule: Rule) -> list[Promotion]:
    """The first retrain serves; each later one is the challenger on the test week of its day."""
    weeks = Field(field.weeks[1:])
    weeks.scores = {name: scores[1:] for name, scores in field.scores.items()}
    return contest(weeks, retrains[0], retrains[1:], rule)


def better_on_one_week(field: Field, retrains: Sequence[str]) -> list[str]:
    """The challenger serves if its AP is above the champion's, as the templates of this field have it."""
    chosen = list(retrains[:1])
    for number, challenger in enumerate(retrains[1:], start=1):
        labels = field.weeks[number].scored.labels
        old, new = (average_precision(labels, field.scores[name][number]) for name in (chosen[-1], challenger))
        chosen.append(challenger if new > old else chosen[-1])
    return chosen


def outcome(week: Week, scores: np.ndarray, customers: int) -> tuple[float, float, float]:
    return (
        average_precision(week.true.labels, scores),
        card_precision(week.true, scores, 100),
        money_caught(week, scores, max(1, customers // CARDS_OF)),
    )


def money_caught(week: Week, scores: np.ndarray, cards: int) -> float:
    """Share of the money of the week's frauds that lies on the `cards` most suspicious cards of their day."""
    rows = pd.DataFrame({"day": week.true.days, "card": week.true.customers, "score": scores})
    best = rows.groupby(["day", "card"], as_index=False)["score"].max()
    best = best.sort_values("score", ascending=False, kind="stable").groupby("day").head(cards)
    listed = set(zip(best["day"], best["card"], strict=True))
    hit = np.array([place in listed for place in zip(rows["day"], rows["card"], strict=True)])
    lost = week.amounts * week.true.labels
    return float(lost[hit].sum() / lost.sum())
