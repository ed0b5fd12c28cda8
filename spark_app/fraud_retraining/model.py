"""Gradient-boosted trees: trained on Spark, kept as a native booster that scores without it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Sequence

import numpy as np
import pandas as pd
import xgboost
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from xgboost.spark import SparkXGBClassifier

from fraud_retraining.sharing import assign, numbers_hashed_to

PARAMETERS: Dict[str, Any] = {"n_estimators": 100, "max_depth": 3, "learning_rate": 0.1}
ROWS_PER_WORKER = 5_000_000
BUCKETS_PER_WORKER = 64


def train(rows: DataFrame, features: Sequence[str], count: int, seed: int) -> xgboost.Booster:
    """Train on ``features`` (numbers, null if unknown), ``tx_fraud`` (0 or 1) and ``weight``.

    The rows are put in the order of ``transaction_id`` first: the same rows and seed give the same booster.

    Args:
        count: number of rows; it decides the number of workers, one for each 5 million.
    """
    slots = rows.sparkSession.sparkContext.defaultParallelism
    ordered = even_parts(rows, max(1, min(slots, round(count / ROWS_PER_WORKER))))
    with planned_ahead(rows.sparkSession):
        booster = fit(ordered, features, ordered.rdd.getNumPartitions(), seed)
    booster.feature_names = list(features)
    return booster


@contextmanager
def planned_ahead(spark: SparkSession) -> Iterator[None]:
    """Plans are not adapted while they run: of one that is, Spark knows the number of parts only after running it.

    XGBoost asks for that number, and would have its rows made and shuffled once for each time that it asks.
    """
    before = spark.conf.get("spark.sql.adaptive.enabled")
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    try:
        yield
    finally:
        spark.conf.set("spark.sql.adaptive.enabled", before)


def fit(ordered: DataFrame, features: Sequence[str], workers: int, seed: int) -> xgboost.Booster:
    """XGBoost on rows that have a part for each worker."""
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
    return classifier.fit(assembler.transform(ordered).select("features", "tx_fraud", "weight")).get_booster()


def even_parts(rows: DataFrame, workers: int) -> DataFrame:
    """The rows in a part for each worker, each in the order of ``transaction_id``; fewer parts if there are fewer rows.

    A worker without rows stops XGBoost, and the one with the most makes all others wait. So ids are hashed into
    buckets, which are assigned to the workers by their sizes.
    """
    if workers > 1:
        buckets = BUCKETS_PER_WORKER * workers
        bucket = f"cast(pmod(xxhash64(transaction_id, 3), {buckets}) AS int)"
        sizes = {row["bucket"]: row["count"] for row in rows.groupBy(F.expr(bucket).alias("bucket")).count().collect()}
        workers = max(1, min(workers, len(sizes)))
        parts, numbers = assign(sizes, workers), numbers_hashed_to(rows.sparkSession, workers)
        listed = ", ".join(str(numbers[parts.get(number, 0)]) for number in range(buckets))
        rows = rows.repartition(workers, F.expr(f"array({listed})[{bucket}]"))
    else:
        rows = rows.repartition(1)
    return rows.sortWithinPartitions("transaction_id")


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
