"""Gradient-boosted trees: trained on Spark, kept as a native booster that scores without it."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Sequence

import numpy as np
import pandas as pd
import xgboost
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from xgboost.spark import SparkXGBClassifier

PARAMETERS: Dict[str, Any] = {"n_estimators": 100, "max_depth": 3, "learning_rate": 0.1}
ROWS_PER_WORKER = 5_000_000


def train(rows: DataFrame, features: Sequence[str], count: int, seed: int) -> xgboost.Booster:
    """Train on ``features`` (numbers, null if unknown), ``tx_fraud`` (0 or 1) and ``weight``.

    The rows are put in the order of ``transaction_id`` first: the same rows and seed give the same booster.

    Args:
        count: number of rows; it decides the number of workers, one for each 5 million.
    """
    slots = rows.sparkSession.sparkContext.defaultParallelism
    workers = max(1, min(slots, round(count / ROWS_PER_WORKER)))
    ordered = rows.repartition(workers, F.expr(f"pmod(transaction_id, {workers})")).sortWithinPartitions(
        "transaction_id"
    )
    assembler = VectorAssembler(inputCols=list(features), outputCol="features", handleInvalid="keep")
    classifier = SparkXGBClassifier(
        features_col="features",
        label_col="tx_fraud",
        weight_col="weight",
        num_workers=workers,
        random_state=seed,
        tree_method="hist",
        **PARAMETERS,
    )
    booster = classifier.fit(assembler.transform(ordered).select("features", "tx_fraud", "weight")).get_booster()
    booster.feature_names = list(features)
    return booster


def predict(booster: xgboost.Booster, rows: pd.DataFrame) -> np.ndarray:
    """Probability of fraud for each row; takes the booster's own features out of ``rows``, in its order."""
    data = rows[booster.feature_names].astype("float64")
    return booster.predict(xgboost.DMatrix(data)).astype("float64")


def score(rows: DataFrame, boosters: Mapping[str, xgboost.Booster], keep: Sequence[str]) -> DataFrame:
    """Score rows with every booster in one pass, on the executors.

    Returns:
        The columns ``keep`` and one double column for each booster, named by its key.
    """
    raw = {name: bytes(booster.save_raw("ubj")) for name, booster in boosters.items()}
    names: Dict[str, List[str]] = {name: booster.feature_names for name, booster in boosters.items()}
    needed = sorted({feature for features in names.values() for feature in features} | set(keep))

    def score_batches(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        loaded = {name: load(content, names[name]) for name, content in raw.items()}
        for batch in batches:
            scored = batch[list(keep)].copy()
            for name, booster in loaded.items():
                scored[name] = predict(booster, batch)
            yield scored

    kept = [f"{name} {kind}" for name, kind in rows.select(*keep).dtypes]
    schema = ", ".join(kept + [f"`{name}` double" for name in raw])
    return rows.select(*needed).mapInPandas(score_batches, schema)


def load(raw: bytes, features: Sequence[str]) -> xgboost.Booster:
    """Booster from its raw bytes."""
    booster = xgboost.Booster()
    booster.load_model(bytearray(raw))
    booster.feature_names = list(features)
    return booster
