"""How often the gate promotes: ``python -m bench.tournament FEATURES`` (``PYTHONPATH=spark_app``; see bench/model.py).

Models are trained on the six test weeks of bench/model.py with rows and columns drawn by a seed (the default model
draws nothing, so that a seed changes nothing in it). Two seeds of the same features should never be told apart; the
features of the card added to the handbook's should win.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations, product

import numpy as np
import pandas as pd
from xgboost import XGBClassifier

from bench.model import AS_OF, week_data
from fraud_retraining import jobs, model
from fraud_retraining.evaluation import ScoredWeek, metrics, scored_week
from fraud_retraining.features import ALL_FEATURES, ANOMALY_FEATURES, HANDBOOK_FEATURES
from fraud_retraining.tournament import GATES, WEEK, Candidate, Gate, decide

SEEDS = range(7)
DRAWN = {"subsample": 0.8, "colsample_bytree": 0.8}
SETS: dict[str, Sequence[str]] = {
    "handbook": HANDBOOK_FEATURES,
    "handbook + card": [*HANDBOOK_FEATURES, *ANOMALY_FEATURES],
    "all": ALL_FEATURES,
}


def candidates(
    week: ScoredWeek, train: pd.DataFrame, test: pd.DataFrame, features: Sequence[str], role: str
) -> list[Candidate]:
    """One scored candidate for each seed."""
    found = []
    for seed in SEEDS:
        classifier = XGBClassifier(**model.PARAMETERS, **DRAWN, random_state=seed)
        classifier.fit(train[list(features)].astype("float64"), train["tx_fraud"])
        scores = classifier.predict_proba(test[list(features)].astype("float64"))[:, 1].astype("float64")
        found.append(Candidate(str(seed), role, metrics(week, scores), scores))
    return found


def promotions(week: ScoredWeek, pairs: Sequence[tuple[Candidate, Candidate]], gate: Gate) -> list[bool]:
    """Whether the second of each pair replaces the first."""
    decided = []
    for number, (champion, other) in enumerate(pairs):
        field = [Candidate("1", "champion", champion.metrics, champion.scores)]
        field.append(Candidate("2", "challenger", other.metrics, other.scores))
        decided.append(decide(week, field, gate, seed=number)["action"] == "promote")
    return decided


def main(folder: str) -> None:
    rows = jobs.session("bench").read.parquet(folder)
    decisions: dict[str, list[bool]] = {}
    for as_of in AS_OF:
        _, train, test = week_data(rows, as_of, 28)
        week = scored_week(test)
        trained = {name: candidates(week, train, test, features, "earlier") for name, features in SETS.items()}
        cases = {
            "only the seed differs (all features)": list(permutations(trained["all"], 2)),
            "handbook -> handbook + card": list(product(trained["handbook"], trained["handbook + card"])),
            "handbook -> all": list(product(trained["handbook"], trained["all"])),
        }
        for name, pairs in cases.items():
            decisions.setdefault(name, []).extend(promotions(week, pairs, GATES[WEEK]))
        print(f"test week from {as_of - timedelta(14)} done", file=sys.stderr)
    print("| champion and challenger | decisions | promotions |", "|---|---|---|", sep="\n")
    for name, found in decisions.items():
        print(f"| {name} | {len(found)} | {np.mean(found):.1%} |")


if __name__ == "__main__":
    main(sys.argv[1])
