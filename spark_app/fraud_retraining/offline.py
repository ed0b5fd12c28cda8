"""Features and evaluation straight from a folder of raw files, for people and for checks; the lake is left alone."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any, Dict, List, Sequence, Tuple

from mlflow.exceptions import MlflowException
from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from fraud_retraining import (
    dataset,
    days,
    duplicates,
    evaluation,
    features,
    intake,
    model,
    preparation,
    quality,
    scoring,
    tournament,
    tracking,
    training,
)
from fraud_retraining.errors import QualityError, RetrainingError
from fraud_retraining.intake import Raw
from fraud_retraining.jobs import log
from fraud_retraining.lake import RAW_FORM, FileInfo, Files, not_raw, sort_out
from fraud_retraining.output import check_apart, check_content, check_folder
from fraud_retraining.reporting import gather
from fraud_retraining.reporting.content import Report
from fraud_retraining.survey import Batch, survey

# A transaction of amount 0 is a fault of the lake, and a transaction of the handbook: its features are computed.
RULES = {**quality.RULES, "tx_amount": "tx_amount IS NULL OR tx_amount < 0"}


def raw_files(files: Files) -> List[FileInfo]:
    """Raw files of a folder, or of its ``raw/`` if it is a lake.

    Raises:
        RetrainingError: there are none, or something else lies beside them.
    """
    found, strange = sort_out(files.list("raw") if files.exists("raw") else files.list(""))
    if strange:
        raise RetrainingError(not_raw(strange))
    if not found:
        raise RetrainingError(f"{files.root} holds no raw file (expected {RAW_FORM}); check LAKE")
    return found


def covering(found: Sequence[FileInfo], first: date, last: date) -> List[FileInfo]:
    """Files that can hold rows of [first, last], those that came late among them."""
    begins = [info.first_day for info in found]
    late = timedelta(days.LATE_DAYS)
    return [
        info for info, start, end in zip(found, begins, [*begins[1:], date.max]) if start - late <= last and end > first
    ]


def clean_rows(files: Files, found: Sequence[FileInfo]) -> DataFrame:
    """Good rows of raw files, each id once (``quality.PREPARED_SCHEMA``)."""
    headers = [intake.read_header(files, info) for info in found]
    before = intake.ends([info.first_day for info in found])
    raw = [Raw(info, "", end) for info, end in zip(found, before)]
    try:
        parsed = preparation.parse(files, found, headers, RULES).persist()
        batch = Batch(dict(enumerate(raw)), parsed, survey(parsed, raw, days.LATE_DAYS))
    except Py4JJavaError as error:
        broken = [why for info in found for why in [preparation.why_unreadable(files, info)] if why]
        raise broken[0] if broken else error from None
    rows = batch.good_or_bad()
    found_twice = duplicates.find(files, rows, batch.names, [])
    for number in batch.files:
        say_left_out(files, batch, number, found_twice.counts.get(number, 0))
    flagged = found_twice.flag(rows)
    return flagged.where("rule IS NULL").select(*quality.PREPARED_SCHEMA)


def say_left_out(files: Files, batch: Batch, number: int, duplicates: int) -> None:
    """Say how many rows of a file broke rules.

    Raises:
        QualityError: all of them; what is made of no row would look like the features of an empty file.
    """
    info, facts = batch.files[number].info, batch.surveys[number]
    broken = {**facts.quarantined, **({quality.DUPLICATE: duplicates} if duplicates else {})}
    bad = sum(broken.values())
    if bad:
        log.warning("%s: %d of %d rows broke rules and are left out: %s", info.path, bad, facts.rows, broken)
    if bad and sum(facts.quarantined.values()) == facts.rows:
        worst = max(facts.quarantined, key=lambda rule: facts.quarantined[rule])
        shown = batch.good_or_bad().where((F.col("number") == number) & (F.col("rule") == worst))
        raise QualityError(
            f"{info.path}: all {facts.rows} rows broke quality rules, most of them rule '{worst}' (the rule:"
            f" {quality.MEANINGS[worst]}), for example {', '.join(preparation.examples(files, info, shown))};"
            " mend the file or take it out of the folder"
        )


def write_features(spark: SparkSession, folder: str, out: str) -> None:
    """Write Parquet, one row a transaction: the raw columns and ``features.ALL_FEATURES``.

    Raises:
        RetrainingError: the output would destroy something.
    """
    files = Files(spark, folder)
    check_folder(files, Files(spark, out), [*quality.PREPARED_SCHEMA, *features.HANDBOOK_FEATURES])
    rows = features.all_features(clean_rows(files, raw_files(files)))
    rows.select(*as_models_take_them(rows)).write.mode("overwrite").parquet(out)


def write_scores(spark: SparkSession, folder: str, uri: str, out: str, budget: int) -> List[str]:
    """Write ``scores/`` (Parquet) and ``alerts/YYYY-MM-DD.csv`` and ``.parquet`` of a folder of raw files.

    Args:
        uri: a model as MLflow names it, or a folder that holds one.

    Returns:
        The days that have a list.

    Raises:
        RetrainingError: the output would destroy something, or there is no such model.
    """
    files, target = Files(spark, folder), Files(spark, out)
    check_apart(files, target.root)
    check_content(target, "", "scores|alerts")
    check_content(target, "scores", "day=.*|_SUCCESS")
    check_content(target, "alerts", r"\d{4}-\d\d-\d\d\.(csv|parquet)")
    try:
        scorer = scoring.Scorer(uri, tracking.load_booster(uri, features.ALL_FEATURES), "by hand", budget=budget)
    except (MlflowException, OSError) as error:
        raise RetrainingError(
            f"MODEL={uri} is no model: {str(error).splitlines()[0]}; name a folder with a file MLmodel, or"
            " models:/NAME/VERSION or models:/NAME@champion with MLFLOW_TRACKING_URI"
        ) from error
    rows = features.all_features(clean_rows(files, raw_files(files))).withColumn("number", F.lit(0)).persist()
    target.delete("alerts")
    scoring.score(rows, scorer).drop("number").write.mode("overwrite").partitionBy("day").parquet(target.path("scores"))
    return scoring.write_lists(target, target.folder("parquet", "scores", scoring.SCHEMA), budget)


def as_models_take_them(rows: DataFrame) -> List[Column]:
    """The columns, the features among them in the type of the registered models' signature."""
    return [F.col(name).cast("double") if name in features.ALL_FEATURES else F.col(name) for name in rows.columns]


def evaluate(spark: SparkSession, folder: str, as_of: date, resamples: int = 200) -> Dict[str, Any]:
    """Train with the default settings as a retrain on ``as_of`` would, and measure on its test week.

    Returns:
        windows, rows, metrics with 95 % intervals over resampled customers, settings, seconds.
    """
    return evaluate_and_report(spark, folder, as_of, resamples)[0]


def evaluate_and_report(
    spark: SparkSession, folder: str, as_of: date, resamples: int = 200
) -> Tuple[Dict[str, Any], Report]:
    """The result of ``evaluate``, and its report."""
    started = time.monotonic()
    settings = training.Settings()
    files = Files(spark, folder)
    split, rows = read(files, as_of, settings)
    data = training.make_data(rows, as_of, split, settings, digest="")
    booster = model.train(data.train, settings.features, data.counts["train_rows"], settings.seed)
    scored = model.score(data.test, {"score": booster}, training.KEYS).toPandas()
    scored = scored.sort_values("transaction_id", ignore_index=True)
    week, scores = evaluation.scored_week(scored), scored["score"].to_numpy()
    amount_only = evaluation.metrics(week, scored["tx_amount"].to_numpy())["average_precision"]
    resampled = evaluation.resampled_metrics(week, scores, resamples, settings.seed)
    spread = evaluation.spread(resampled)
    measured = evaluation.metrics(week, scores)
    found = {
        "as_of": as_of.isoformat(),
        "windows": split.to_dict(),
        "rows": {**data.counts, "test_rows": len(scored), "test_frauds": int(week.labels.sum())},
        **{name: {"value": value, "interval": spread[name]} for name, value in measured.items()},
        "amount_only_average_precision": amount_only,
        "resamples": {"drawn": resamples, "with_both_classes": len(resampled)},
        "settings": {**asdict(settings), **model.PARAMETERS, "resamples": resamples},
        "seconds": round(time.monotonic() - started, 1),
    }
    candidate = tournament.Candidate("evaluated", training.CHALLENGER, measured, scores)
    names = settings.features
    sampled = gather.samples(data.train, data.counts["train_rows"], data.test, len(scored), names)
    parts = {
        **gather.of_week(week, [candidate], [], settings.seed),
        **gather.of_inputs(booster, None, sampled, names, settings.seed),
    }
    return found, gather.evaluation(week, candidate, found, parts)


def read(files: Files, as_of: date, settings: training.Settings) -> Tuple[dataset.Split, DataFrame]:
    """The split as of a day, fitted to the days that the folder has, and the clean rows that it needs."""
    wanted = dataset.split_as_of(as_of, settings.train_days)
    found = covering(raw_files(files), training.first_day_needed(wanted), wanted.test.last)
    rows = clean_rows(files, found)
    day = F.to_date("tx_datetime")
    rows = rows.where(day.between(F.lit(training.first_day_needed(wanted)), F.lit(wanted.test.last))).persist()
    available = sorted(row["day"] for row in rows.select(day.alias("day")).distinct().collect())
    return dataset.fit_to_lake(wanted, available), rows
