"""Who is promoted, and why not."""

from __future__ import annotations

import numpy as np
import pytest

from fraud_retraining.evaluation import ScoredWeek, metrics
from fraud_retraining.evidence import Evidence
from fraud_retraining.tournament import GATES, Candidate, Gate, decide

CARDS = 3000
LABELS = (np.random.default_rng(0).random(CARDS) < 0.05).astype(int)
WEEK = ScoredWeek(LABELS, np.arange(CARDS), np.arange(CARDS) % 7)


def candidate(version, role, skill, seed=1, scale=1.0):
    """Scores that know the labels with some skill, calibrated on average and then multiplied by ``scale``."""
    noise = np.random.default_rng(seed).normal(size=CARDS)
    scores = 1 / (1 + np.exp(-(skill * LABELS + noise - 3)))
    scores *= scale * LABELS.sum() / scores.sum()
    return Candidate(version, role, metrics(WEEK, scores), scores)


def test_a_better_challenger_is_promoted_with_its_figures():
    found = decide(WEEK, [candidate("1", "champion", 2), candidate("2", "challenger", 4)], Gate(), 0)
    assert (found["action"], found["winner"]) == ("promote", "2")
    comparison = found["comparison"]
    assert 0 < comparison["lower_bound"] < comparison["gain"] < comparison["interval"][1]
    assert f"gain {comparison['gain']:+.3f}" in found["reason"]


@pytest.mark.parametrize(("rule", "action"), [("week", "promote"), ("weeks", "keep")])
def test_a_gain_between_the_minima_of_the_rules_needs_evidence_by_the_stricter(rule, action):
    champion, field = candidate("1", "champion", 3), []
    for skill in np.arange(3.0, 3.4, 0.01):
        field = [champion, candidate("2", "challenger", skill)]
        if field[1].metrics["average_precision"] - champion.metrics["average_precision"] > 0.012:
            break
    found = decide(WEEK, field, GATES[rule], 0, {"2": Evidence()})
    assert 0.01 < found["comparison"]["gain"] < 0.02
    assert found["comparison"]["lower_bound"] > 0
    assert (found["action"], found["decided_by"]) == (action, "week")


def test_a_tie_keeps_the_champion():
    champion = candidate("1", "champion", 3)
    twin = Candidate("2", "challenger", champion.metrics, champion.scores)
    found = decide(WEEK, [champion, twin], Gate(min_gain=0.0), 0)
    assert (found["action"], found["winner"], found["comparison"]["gain"]) == ("keep", "1", 0.0)
    assert "lower bound" in found["reason"]


def test_an_earlier_version_that_wins_returns():
    field = [candidate("7", "champion", 2), candidate("3", "earlier", 4), candidate("8", "challenger", 3)]
    assert decide(WEEK, field, Gate(), 0)["winner"] == "3"


def test_a_version_that_breaks_a_guardrail_does_not_stand_in_the_way_of_the_next_best():
    field = [
        candidate("1", "champion", 2),
        candidate("3", "earlier", 5, scale=0.4),
        candidate("8", "challenger", 4),
    ]
    found = decide(WEEK, field, Gate(), 0)
    assert (found["action"], found["winner"], found["comparison"]["other"]) == ("promote", "8", "8")
    assert found["passed_over"] == [{"version": "3", "reason": "observed over expected frauds is 2.50"}]


@pytest.mark.parametrize(
    ("gate", "scale", "reason"),
    [
        (Gate(min_gain=0.9), 1.0, "gain is below 0.900"),
        (Gate(level=1.0 - 1e-9, min_gain=0.0), 1.0, "lower bound"),
        (Gate(max_auc_loss=-0.5), 1.0, "ROC AUC falls"),
        (Gate(max_card_precision_loss=-0.9), 1.0, "CP@100 falls"),
        (Gate(), 0.4, "observed over expected frauds is 2.50"),
        (Gate(min_frauds=100_000), 1.0, "fewer than 100000"),
    ],
)
def test_every_condition_can_keep_the_champion(gate, scale, reason):
    skill = 2.05 if "lower" in reason else 4
    field = [
        candidate("1", "champion", 2),
        candidate("2", "challenger", skill, scale=scale, seed=2 if skill < 3 else 1),
    ]
    found = decide(WEEK, field, gate, 0)
    assert (found["action"], found["winner"]) == ("keep", "1")
    assert reason in found["reason"]


def test_the_first_champion_needs_the_floor():
    field = [candidate("1", "challenger", 3)]
    assert decide(WEEK, field, Gate(floor=0.2), 0)["winner"] == "1"
    refused = decide(WEEK, field, Gate(floor=0.99), 0)
    assert (refused["action"], refused["winner"]) == ("reject", None)
    assert "the floor is 0.990" in refused["reason"]


def test_without_a_challenger_nothing_changes():
    assert decide(WEEK, [], Gate(), 0)["action"] == "reject"
    kept = decide(WEEK, [candidate("1", "champion", 2)], Gate(), 0)
    assert (kept["action"], kept["winner"]) == ("keep", "1")


def test_the_same_question_has_the_same_answer():
    field = [candidate("1", "champion", 3), candidate("2", "challenger", 3.2, seed=5)]
    assert decide(WEEK, field, Gate(), 3) == decide(WEEK, field, Gate(), 3)


def test_a_first_champion_passes_the_guardrails_too():
    """One fraud in 700 rows, and scores of .9 for everybody else."""
    labels = np.zeros(700, int)
    labels[3] = 1
    week, scores = ScoredWeek(labels, np.arange(700), np.arange(700) % 7), np.where(labels == 1, 0.95, 0.9)
    found = decide(week, [Candidate("1", "challenger", metrics(week, scores), scores)], Gate(), 0)
    assert (found["action"], found["winner"]) == ("reject", None)
    assert "1 frauds, fewer than 20" in found["reason"]
    assert "observed over expected frauds is 0.00" in found["reason"]


def test_a_first_champion_that_is_not_calibrated_gives_way_to_the_next():
    field = [candidate("3", "earlier", 5, scale=0.4), candidate("8", "challenger", 4)]
    found = decide(WEEK, field, Gate(), 0)
    assert (found["action"], found["winner"]) == ("promote", "8")
    assert found["passed_over"] == [{"version": "3", "reason": "observed over expected frauds is 2.50"}]


def test_without_a_resample_that_has_frauds_nothing_is_promoted():
    champion, other = candidate("1", "champion", 2), candidate("2", "challenger", 4)
    found = decide(WEEK, [champion, other], Gate(resamples=0), 0)
    assert (found["action"], found["comparison"]["lower_bound"]) == ("keep", -1.0)
