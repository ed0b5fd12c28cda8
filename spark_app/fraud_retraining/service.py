"""How the version that serves does: what was scored then, measured now that labels have arrived, week by week.

Only what was scored live counts, while nobody knew the labels: no day that a version was trained or chosen on.
``service/<Monday>.json`` is written once all labels of its week are known, and again when scores or labels of the week
change (a corrected file). It needs no registry: what a version promised is in ``monitor/reference``.
"""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any, Dict, Mapping, Optional, Sequence, Set, Tuple

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fraud_retraining import dataset, drift
from fraud_retraining.dataset import WEEK, Days, Split
from fraud_retraining.evaluation import bootstrap_average_precision, interval, metrics, scored_week
from fraud_retraining.features import DELAY_DAYS
from fraud_retraining.jobs import log
from fraud_retraining.lake import Lake, Manifest, parts_by_day, prepared_days, unlabelled_days
from fraud_retraining.scoring import digest, last_known, score_manifests

MADE = "service/made.json"
MOST_ROWS = 2_000_000  # of a week that are measured in the driver; whole customers
RESAMPLES = 200
SEED = 42
KNOWN = ["transaction_id", "tx_datetime", "customer_id", "tx_amount", "tx_fraud", "tx_fraud_scenario"]


def measure(lake: Lake, model: str) -> Dict[str, Any]:
    """Measure every week whose labels are known and which is not measured as it is; return what was found by Monday."""
    manifests, scored = lake.manifests(), score_manifests(lake)
    scores, prepared = parts_by_day(scored.values(), "live"), parts_by_day(manifests.values())
    made: Dict[str, str] = lake.files.read_json(MADE) if lake.files.exists(MADE) else {}
    until, rows, unlabelled = (
        last_known(manifests),
        prepared_days(manifests.values()),
        unlabelled_days(manifests.values()),
    )
    done: Dict[str, Any] = {}
    for monday in sorted({monday_of(day) for day in scores}):
        sunday = monday + timedelta(WEEK - 1)
        week = dataset.each_day(Days(monday, sunday))
        there, lacking = (sum(counted.get(day, 0) for day in week) for counted in (rows, unlabelled))
        if until is None or sunday > until or lacking > dataset.UNLABELLED * there:
            continue
        depends = [scores.get(str(day), []) for day in week]
        depends += [prepared.get(str(day), []) for day in dataset.each_day(Days(first_needed(monday), sunday))]
        of = digest(sorted(path for paths in depends for path in paths))
        if made.get(str(monday)) == of:
            continue
        live = {str(day): scores[str(day)] for day in week if str(day) in scores}
        found = {"model": model, **of_week(lake, model, Days(monday, sunday), manifests, live)}
        lake.files.write_json(f"service/{monday}.json", found, replace=True)
        made[str(monday)] = of
        done[str(monday)] = found
        log.info("week of %s in service: %s", monday, in_words(found))
    if done:
        lake.files.write_json(MADE, made, replace=True)
    return done


def monday_of(day: str) -> date:
    found = date.fromisoformat(day)
    return found - timedelta(found.weekday())


def first_needed(monday: date) -> date:
    """The first day whose frauds say which cards were known to be compromised in the week."""
    return monday - timedelta(DELAY_DAYS + WEEK)


def of_week(
    lake: Lake, model: str, week: Days, manifests: Mapping[str, Manifest], live: Mapping[str, Sequence[str]]
) -> Dict[str, Any]:
    """What came of a week's scores: by version as a retrain measures, and what people caught by the lists.

    Args:
        live: parts of scores that count, by day of the week.
    """
    rows = lake.prepared(manifests.values(), first_needed(week.first), week.last).select(*KNOWN)
    scores = lake.files.parquet([lake.files.path(f"scores/{part}") for parts in live.values() for part in parts])
    found = holdout_scores(rows, scores, week)
    days = sorted(live)
    frauds = rows.where("tx_fraud = 1").where(F.to_date("tx_datetime").cast("string").isin(days)).toPandas()
    return {
        "week": [str(week.first), str(week.last)],
        "days": days,
        "versions": {
            version: of_version(of, promised(lake, model, version)) for version, of in found.groupby("version")
        },
        "alerts": caught(lake, frauds, days),
    }


def holdout_scores(rows: DataFrame, scores: DataFrame, week: Days) -> pd.DataFrame:
    """Labels and scores of the week's rows as a retrain's test week has them: without cards known to be compromised."""
    delay = Days(week.first - timedelta(DELAY_DAYS), week.first - timedelta(1))
    test = dataset.holdout(rows, Split(train=delay, delay=delay, test=week), DELAY_DAYS)
    test = test.join(scores.select("transaction_id", "score", "version"), "transaction_id").persist()
    try:
        found = dataset.sample_customers(test, test.count(), MOST_ROWS).toPandas()
    finally:
        test.unpersist()
    return found.sort_values("transaction_id", ignore_index=True)


def of_version(rows: pd.DataFrame, promise: Optional[float]) -> Dict[str, Any]:
    """Metrics in service, AP with its 95 % interval; null where the rows have one class only.

    ``worse`` says that what the version promised lies above the whole interval.
    """
    frauds = int(rows["tx_fraud"].sum())
    result: Dict[str, Any] = {"rows": len(rows), "frauds": frauds, "promised": promise, "worse": False}
    if not 0 < frauds < len(rows):
        return {**result, "average_precision": None, "interval": None, "card_precision_100": None}
    week, scores = scored_week(rows), rows["score"].to_numpy()
    resampled = bootstrap_average_precision(week, {"served": scores}, RESAMPLES, SEED)["served"]
    spread = list(interval(resampled)) if len(resampled) else None
    measured = metrics(week, scores)
    return {
        **result,
        "worse": bool(spread and promise is not None and promise > spread[1]),
        "average_precision": measured["average_precision"],
        "interval": spread,
        "card_precision_100": measured["card_precision_100"],
    }


def promised(lake: Lake, model: str, version: str) -> Optional[float]:
    """AP of a version on the week that it won; None if nobody knows."""
    path = drift.reference_path(model, version)
    return float(lake.files.read_json(path)["average_precision"]) if lake.files.exists(path) else None


def caught(lake: Lake, frauds: pd.DataFrame, days: Sequence[str]) -> Dict[str, Any]:
    """What of the days' frauds lies on cards of their day's list: rows by kind of fraud, and money."""
    listed: Set[Tuple[str, int]] = set()
    cards = 0
    for day in days:
        path = f"alerts/{day}.parquet"
        if lake.files.exists(path):
            found = pd.read_parquet(io.BytesIO(lake.files.read_bytes(path)), columns=["customer_id"])["customer_id"]
            listed.update((day, card) for card in found)
            cards += len(found)
    day_of = frauds["tx_datetime"].dt.strftime("%Y-%m-%d") if len(frauds) else []
    hit = np.array([place in listed for place in zip(day_of, frauds["customer_id"])], dtype=bool)
    kinds: Dict[str, Dict[str, int]] = {}
    for kind, one in zip(frauds["tx_fraud_scenario"], hit):
        counts = kinds.setdefault(str(kind), {"frauds": 0, "caught": 0})
        counts["frauds"] += 1
        counts["caught"] += int(one)
    amounts = frauds["tx_amount"].to_numpy("float64")
    return {
        "cards": cards,
        "kinds": dict(sorted(kinds.items())),
        "money": {"frauds": round(float(amounts.sum()), 2), "caught": round(float(amounts[hit].sum()), 2)},
    }


def is_worse(found: Mapping[str, Any]) -> bool:
    """Whether a version did worse in the week than it promised."""
    return any(one["worse"] for one in found["versions"].values())


def in_words(found: Mapping[str, Any]) -> str:
    """One line about a week, for a log."""
    money = found["alerts"]["money"]
    texts = [f"{money['caught']:.0f} of {money['frauds']:.0f} of money lost lies on listed cards"]
    for version, one in found["versions"].items():
        if one["average_precision"] is None:
            texts.append(f"version {version}: {one['frauds']} frauds in {one['rows']} rows, nothing to measure")
            continue
        promise = "" if one["promised"] is None else f", promised {one['promised']:.3f}"
        worse = ": WORSE THAN PROMISED" if one["worse"] else ""
        low, high = one["interval"] or (float("nan"),) * 2
        texts.append(f"version {version}: AP {one['average_precision']:.3f} [{low:.3f}, {high:.3f}]{promise}{worse}")
    return "; ".join(texts)
