"""Settings compared on time-ordered weeks: ``python -m bench.search FEATURES`` (``PYTHONPATH=spark_app``).

The folds are the four test weeks before those that bench/model.py reports, so nothing was chosen on a reported week.
FEATURES: see bench/model.py.
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from typing import Any

import numpy as np
from xgboost import XGBClassifier

from bench.model import classic, week_data
from fraud_retraining import jobs, model
from fraud_retraining.features import ALL_FEATURES

AS_OF = [date(2018, 6, 20) + timedelta(5 * number) for number in range(4)]
OTHERS: list[dict[str, Any]] = [
    {},
    {"max_depth": 2},
    {"max_depth": 4},
    {"max_depth": 6},
    {"learning_rate": 0.05, "n_estimators": 200},
    {"learning_rate": 0.3, "n_estimators": 33},
    {"n_estimators": 200},
]


def main(folder: str) -> None:
    rows = jobs.session("bench").read.parquet(folder)
    folds = [week_data(rows, as_of, 28)[1:] for as_of in AS_OF]
    print("| settings | mean AP |", "|---|---|", sep="\n")
    for changed in OTHERS:
        classifier = XGBClassifier(**{**model.PARAMETERS, **changed})
        found = [classic(classifier, ALL_FEATURES, train, test)["average_precision"] for train, test in folds]
        name = ", ".join(f"{key} {value}" for key, value in changed.items()) or "default"
        print(f"| {name} | {np.mean(found):.3f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
