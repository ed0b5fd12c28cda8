"""How good the default model is over six test weeks, next to the handbook's: ``python -m bench.model FEATURES``.

FEATURES is the Parquet folder that ``features_job.py`` made of the handbook's simulated data
(2018-04-01 .. 2018-08-31). Run with ``PYTHONPATH=spark_app`` in the environment of an image. The evaluation must first
give the published results on the handbook's own split: logistic regression AP .606, random forest .658 (chapter 3).
Beside them stand the best published of each family (chapter 7, after a choice of settings).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from fraud_retraining import dataset, jobs, model, training
from fraud_retraining.evaluation import metrics, scored_week
from fraud_retraining.features import HANDBOOK_FEATURES

HANDBOOK_AS_OF = date(2018, 8, 22)
AS_OF = [date(2018, 7, 18) + timedelta(10 * number) for number in range(6)]
BEST_PUBLISHED = {  # AP, chapter 7
    "logistic regression": 0.623,
    "decision tree": 0.579,
    "random forest": 0.678,
    "XGBoost": 0.687,
    "LSTM with attention": 0.667,
}
SHOWN = ("average_precision", "roc_auc", "card_precision_100", "calibration")


def week_data(rows: DataFrame, as_of: date, train_days: int) -> tuple[DataFrame, pd.DataFrame, pd.DataFrame]:
    """Train rows on Spark, the same in pandas, and the test rows in pandas."""
    split = dataset.split_as_of(as_of, train_days)
    train = dataset.between(rows, split.train)
    test = dataset.holdout(rows, split).orderBy("transaction_id").toPandas()
    return train, train.orderBy("transaction_id").toPandas(), test


def measured(test: pd.DataFrame, scores: np.ndarray) -> dict[str, float]:
    return metrics(scored_week(test), scores)


def classic(classifier: Any, features: Sequence[str], train: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    """Metrics of a classifier that is fitted in memory."""
    fitted = classifier.fit(train[list(features)].astype("float64"), train["tx_fraud"])
    return measured(test, fitted.predict_proba(test[list(features)].astype("float64"))[:, 1])


def default_model(train: DataFrame, test: pd.DataFrame, count: int) -> dict[str, float]:
    """Metrics of what a retrain trains, through Spark."""
    settings = training.Settings()
    weighted = dataset.sample_negatives(train, count, settings.most_negatives, settings.seed)
    return measured(test, model.predict(model.train(weighted, settings.features, count, settings.seed), test))


def table(results: dict[str, list[dict[str, float]]], weeks: list[str]) -> str:
    lines = [
        f"| model | mean AP | {' | '.join(weeks)} | ROC AUC | CP@100 | observed / expected |",
        "|" + "---|" * (len(weeks) + 5),
    ]
    for name, found in results.items():
        precision, *others = ([one[metric] for one in found] for metric in SHOWN)
        cells = [np.mean(precision), *precision, *map(np.mean, others)]
        lines.append(f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    return "\n".join(lines)


def handbooks_split(rows: DataFrame) -> dict[str, list[dict[str, float]]]:
    """The published models and ours on the handbook's test week; all but the last are trained on its seven days."""
    _, train, test = week_data(rows, HANDBOOK_AS_OF, 7)
    published = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(random_state=0)),
        "decision tree of depth 6": DecisionTreeClassifier(max_depth=6, random_state=0),
        "random forest": RandomForestClassifier(random_state=0, n_jobs=-1),
        "ours, handbook's features": XGBClassifier(**model.PARAMETERS),
    }
    found = {name: [classic(one, HANDBOOK_FEATURES, train, test)] for name, one in published.items()}
    all_features = training.Settings().features
    found["ours, all features"] = [classic(XGBClassifier(**model.PARAMETERS), all_features, train, test)]
    on_spark, month, test = week_data(rows, HANDBOOK_AS_OF, 28)
    return {**found, "ours (default: 28 train days)": [default_model(on_spark, test, len(month))]}


def main(spark: SparkSession, folder: str) -> None:
    rows = spark.read.parquet(folder)
    print("Handbook's split (train 2018-07-25 .. 07-31, test 08-08 .. 08-14), handbook's features unless said\n")
    print(table(handbooks_split(rows), ["2018-08-08"]), "\n")
    best = ", ".join(f"{name} {value:.3f}" for name, value in BEST_PUBLISHED.items())
    print(f"Best published of each family (AP, handbook, chapter 7): {best}.\n")
    results: dict[str, list[dict[str, float]]] = {}
    for as_of in AS_OF:
        on_spark, train, test = week_data(rows, as_of, 28)
        found_now = {
            "amount alone": measured(test, test["tx_amount"].to_numpy()),
            "XGBoost's defaults, handbook's features": classic(XGBClassifier(), HANDBOOK_FEATURES, train, test),
            "ours, handbook's features": classic(XGBClassifier(**model.PARAMETERS), HANDBOOK_FEATURES, train, test),
            "ours (default)": default_model(on_spark, test, len(train)),
        }
        for name, one in found_now.items():
            results.setdefault(name, []).append(one)
    print("Six test weeks (their first days), 28 train days, labels known after 7 days\n")
    print(table(results, [str(as_of - timedelta(14)) for as_of in AS_OF]))


if __name__ == "__main__":
    main(jobs.session("bench"), sys.argv[1])
