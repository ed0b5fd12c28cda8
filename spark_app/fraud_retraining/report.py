"""What a person reads after a retrain: a page in Markdown and plots."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import xgboost
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

from fraud_retraining.evaluation import METRICS, ScoredWeek
from fraud_retraining.tournament import Candidate

MODEL_CARD = """# Model card

**For**: ranking card transactions by the probability of fraud, so that people check the most suspicious cards of a day.

**Model**: gradient-boosted trees (XGBoost); a native booster that scores without Spark. Scores are probabilities.

**Inputs**: the features of the signature, computed by `fraud_retraining.features`; labels are used 7 days late.

**Trained on** {train}, tested on {test}: average precision {average_precision:.3f}, ROC AUC {roc_auc:.3f},
CP@100 {card_precision_100:.3f}.

**Limits**: besides the usual features the inputs encode how the handbook's simulator makes fraud: amounts above 220,
terminals that turn bad for weeks, cards that suddenly spend a multiple of their usual amount. On data of another kind
expect less, and measure before use. Nothing is known about fairness between groups of card holders: the data have none.
"""


def markdown(decision: Dict[str, Any], counts: Dict[str, int], settings: Dict[str, Any]) -> str:
    """Report of one retrain."""
    lines = [
        f"# Retrain {decision['run_id']}, as of {decision['as_of']}",
        "",
        f"The day: {decision['as_of_reason']}.",
        "",
        f"**{decision['action']}**: {decision['reason']}.",
        "",
        "| version | role | AP | ROC AUC | CP@100 | Brier | observed / expected frauds |",
        "|---|---|---|---|---|---|---|",
        *[
            f"| {c['version']} | {c['role']} | " + " | ".join(f"{c['metrics'][name]:.4f}" for name in METRICS) + " |"
            for c in decision["candidates"]
        ],
        "",
        *[f"Version {s['version']} was skipped: {s['reason']}" for s in decision["skipped"]],
        *[f"Version {p['version']} gave way to the next best: {p['reason']}" for p in decision["passed_over"]],
        "## Data",
        "",
        "| window | days |",
        "|---|---|",
        *[f"| {name} | {first} .. {last} |" for name, (first, last) in decision["windows"].items()],
        "",
        *[f"- {name}: {count}" for name, count in counts.items()],
        "",
        "## Settings",
        "",
        *[f"- {name}: {value}" for name, value in settings.items()],
        "",
    ]
    return "\n".join(lines)


def model_card(decision: Dict[str, Any]) -> str:
    """What the challenger is, what it was measured on, and where it must not be trusted."""
    windows = {name: " .. ".join(days) for name, days in decision["windows"].items()}
    return MODEL_CARD.format(**windows, **decision["challenger"]["metrics"])


def plots(
    week: ScoredWeek, candidates: List[Candidate], challenger: Candidate, booster: xgboost.Booster
) -> Dict[str, Figure]:
    """Figures by file name: precision and recall of every candidate, calibration and gains of the challenger."""
    return {
        "precision_recall.png": precision_recall(week, candidates),
        "calibration.png": calibration(week, challenger),
        "feature_gain.png": feature_gain(booster),
    }


def precision_recall(week: ScoredWeek, candidates: List[Candidate]) -> Figure:
    figure = Figure(figsize=(7, 5))
    axes = figure.subplots()
    for candidate in candidates:
        precision, recall, _ = precision_recall_curve(week.labels, candidate.scores)
        found = candidate.metrics["average_precision"]
        axes.plot(recall, precision, label=f"{candidate.version} ({candidate.role}), AP {found:.3f}")
    axes.set(xlabel="recall", ylabel="precision", title="Test week", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend()
    return figure


def calibration(week: ScoredWeek, candidate: Candidate, bins: int = 10) -> Figure:
    """Share of frauds against the mean score in bins of equal numbers of the rows that score above the base rate."""
    suspicious = candidate.scores >= week.labels.mean()
    order = np.argsort(candidate.scores[suspicious])
    scores, labels = candidate.scores[suspicious][order], week.labels[suspicious][order]
    parts = [part for part in np.array_split(np.arange(len(scores)), bins) if len(part)]
    figure = Figure(figsize=(5, 5))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.plot([scores[part].mean() for part in parts], [labels[part].mean() for part in parts], marker="o")
    axes.set(xlabel="mean score", ylabel="share of frauds", title="Calibration of the challenger")
    return figure


def feature_gain(booster: xgboost.Booster) -> Figure:
    gains = sorted(booster.get_score(importance_type="total_gain").items(), key=lambda item: item[1])
    figure = Figure(figsize=(8, 0.3 * len(gains) + 1))
    axes = figure.subplots()
    axes.barh([name for name, _ in gains], [gain for _, gain in gains])
    axes.set(xlabel="total gain", title="What the challenger looks at")
    figure.tight_layout()
    return figure
