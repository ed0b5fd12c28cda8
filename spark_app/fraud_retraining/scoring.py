"""Scores of new transactions by the version that serves, and for each day the cards that people shall look at.

A prepared row gets one score, by the version that served when it was scored first. ``scores/manifest/<raw file>.json``
is the switch: only parts that a manifest names count, so a run that dies leaves nothing that anybody reads, and of two
runs at once one counts. A corrected file adds what has no score yet and takes no score away: what people were shown is
a fact. The list of a day is a function of the day's scores.

===================================  ==============================================================================
``scores/day=…/*.parquet``           ``COLUMNS``, one row a transaction
``scores/manifest/<raw file>.json``  the digest of the prepared file that is scored, its parts with their rows, and
                                     which of them are ``live``: scored while nobody knew their labels
``alerts/YYYY-MM-DD.parquet, .csv``  the most suspicious cards of a day, ``ALERT_COLUMNS``, most suspicious first
``alerts/made.json``                 by day what its list was made of
``runs/<run id>/score.json``         what a run of the job ``score`` did
===================================  ==============================================================================
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

import pandas as pd
import xgboost
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from fraud_retraining import explanation, features, model
from fraud_retraining.days import BUDGET, newest_complete
from fraud_retraining.errors import RetrainingError
from fraud_retraining.jobs import step
from fraud_retraining.lake import Files, Lake, Manifest, at_once, part_day, parts_by_day, prepared_days

KEPT = ["transaction_id", "tx_datetime", "customer_id", "terminal_id", "tx_amount"]
COLUMNS = [*KEPT, "score", "version", "run_id", "reasons"]
ALERT_COLUMNS = ["rank", *KEPT, "score", *[f"reason_{n + 1}" for n in range(explanation.REASONS)], "version", "run_id"]
MADE = "alerts/made.json"
SCHEMA = (
    "transaction_id bigint, tx_datetime timestamp, customer_id bigint, terminal_id bigint, tx_amount double,"
    " score double, version string, run_id string, reasons array<string>"
)
BEFORE = -1  # the number of files whose rows are history alone
STAGED = "transaction_id bigint, number int, day string"


@dataclass(frozen=True)
class Scorer:
    """Who scores: a version with its booster, in a run; ``budget`` is how many cards a day people look at."""

    version: str
    booster: xgboost.Booster
    run_id: str
    budget: int = BUDGET


def score_lake(lake: Lake, scorer: Scorer) -> Dict[str, Any]:
    """Score every prepared row that has no score yet, and bring the days' lists up to date.

    Returns:
        What the run did: its files and rows, and the days whose lists are new.
    """
    manifests, scored = lake.manifests(), score_manifests(lake)
    pending = [manifest for name, manifest in sorted(manifests.items()) if is_pending(manifest, scored)]
    if pending:
        with step(f"score {len(pending)} files") as say:
            done = one_pass(lake, pending, manifests, scored, scorer)
            say(f"{sum(manifest['added'] for manifest in done)} rows by version {scorer.version}")
            scored.update({manifest["file"]: manifest for manifest in done})
    with step("alerts") as say:
        days = make_alerts(lake, scorer.budget)
        say(f"{len(days)} days" + (f", {days[0]} .. {days[-1]}" if days else ""))
    done = [manifest for _, manifest in sorted(scored.items()) if manifest["run_id"] == scorer.run_id]
    return {
        "run_id": scorer.run_id,
        "version": scorer.version,
        "files": [manifest["file"] for manifest in done],
        "rows": sum(manifest["added"] for manifest in done),
        "budget": scorer.budget,
        "alert_days": days,
    }


def score_manifests(lake: Lake) -> Dict[str, Manifest]:
    """By raw file what of it is scored."""
    paths = [f"scores/manifest/{info.name}" for info in lake.files.list("scores/manifest")]
    return {manifest["file"]: manifest for manifest in at_once(lake.files.read_json, paths)}


def is_pending(manifest: Manifest, scored: Mapping[str, Manifest]) -> bool:
    """Whether a prepared file, as it is now, is not scored yet."""
    return scored.get(manifest["file"], {}).get("digest") != manifest["digest"]


def one_pass(
    lake: Lake,
    pending: Sequence[Manifest],
    manifests: Mapping[str, Manifest],
    scored: Mapping[str, Manifest],
    scorer: Scorer,
) -> List[Manifest]:
    """Score the pending files' rows that have no score; return their manifests, ``added`` being the new rows."""
    staging = f"staging/score-{scorer.run_id}"
    names = {
        number: digest([manifest["digest"], scorer.version, scorer.run_id]) for number, manifest in enumerate(pending)
    }
    known = last_known(manifests)
    lake.files.delete(staging)
    try:
        counts = stage(lake, pending, manifests, scored, scorer, staging)
        done = []
        for number, manifest in enumerate(pending):
            before = scored.get(manifest["file"], {"parts": {}, "live": []})
            parts = {f"day={day}/{names[number]}.parquet": rows for day, rows in counts.get(number, {}).items()}
            done.append(
                {
                    "file": manifest["file"],
                    "digest": manifest["digest"],
                    "parts": {**before["parts"], **parts},
                    "run_id": scorer.run_id,
                    "version": scorer.version,
                    "live": [*before["live"], *(part for part in parts if known is None or part_day(part) > known)],
                    "added": sum(parts.values()),
                }
            )
        places = {f"number={number}": name for number, name in names.items()}

        def move(path: str) -> None:
            number, day = path.split("/")[-3:-1]
            lake.files.move(path, f"scores/{day}/{places[number]}.parquet")

        at_once(move, lake.files.walk(staging))
    finally:
        lake.files.delete(staging)
    at_once(lambda each: lake.files.write_json(f"scores/manifest/{each['file']}.json", each, replace=True), done)
    return done


def stage(
    lake: Lake,
    pending: Sequence[Manifest],
    manifests: Mapping[str, Manifest],
    scored: Mapping[str, Manifest],
    scorer: Scorer,
    staging: str,
) -> Dict[int, Dict[str, int]]:
    """Write the new scores by file and day below ``staging``; return their rows, by file and day.

    Raises:
        RetrainingError: a row got no score.
    """
    numbers = {part: number for number, manifest in enumerate(pending) for part in manifest["parts"]}
    if not numbers:
        return {}
    rows = features_of(lake, manifests, numbers)
    expected = sum(manifest["prepared"] for manifest in pending)
    known = known_scores(lake, pending, numbers, scored)
    if known is not None:
        rows = rows.join(known, "transaction_id", "left_anti")
        paths = [lake.files.path(f"prepared/{part}") for part in numbers]
        expected = lake.files.parquet(paths).join(known, "transaction_id", "left_anti").count()
    rows = rows.persist()
    try:
        score(rows, scorer).write.mode("overwrite").partitionBy("number", "day").parquet(lake.files.path(staging))
    finally:
        rows.unpersist()
    counts: Dict[int, Dict[str, int]] = {}
    if lake.files.list(staging):
        counts = by_day(lake.files.folder("parquet", staging, STAGED))
    written = sum(sum(days.values()) for days in counts.values())
    if written != expected:
        raise RetrainingError(
            f"{expected} rows have no score, {written} were scored; the lake changed meanwhile, or this is a defect;"
            " run score again"
        )
    return counts


def by_day(rows: DataFrame) -> Dict[int, Dict[str, int]]:
    """Number of rows by file and day."""
    counts: Dict[int, Dict[str, int]] = {}
    for row in rows.groupBy("number", "day").count().collect():
        counts.setdefault(row["number"], {})[row["day"]] = row["count"]
    return counts


def known_scores(
    lake: Lake, pending: Sequence[Manifest], parts: Iterable[str], scored: Mapping[str, Manifest]
) -> Optional[DataFrame]:
    """``transaction_id`` of rows that may be among the pending ones and have a score; None if there are none.

    They have it by a former state of their file, or of another file that had them before a correction.
    """
    days, files = {part_day(part) for part in parts}, {manifest["file"] for manifest in pending}
    known = [
        lake.files.path(f"scores/{part}")
        for manifest in scored.values()
        for part in manifest["parts"]
        if manifest["file"] in files or part_day(part) in days
    ]
    return lake.files.parquet(known).select("transaction_id") if known else None


def features_of(lake: Lake, manifests: Mapping[str, Manifest], numbers: Mapping[str, int]) -> DataFrame:
    """Features of some parts with the ``number`` of each: as a retrain's, by the same code and from as much history."""
    days = [part_day(part) for part in numbers]
    first = min(days) - timedelta(features.HISTORY_DAYS)
    parts = [
        part for manifest in manifests.values() for part in manifest["parts"] if first <= part_day(part) <= max(days)
    ]
    paths = [lake.files.path(f"prepared/{part}") for part in parts]
    rows = lake.files.numbered("parquet", paths, [numbers.get(part, BEFORE) for part in parts], "number")
    return features.all_features(rows, ["number"]).where(F.col("number") != BEFORE)


def score(rows: DataFrame, scorer: Scorer) -> DataFrame:
    """``number``, ``day`` and ``COLUMNS`` of rows with features and ``number``, one line for each.

    ``reasons`` are there for each day's most suspicious cards in each file, else null: whoever is among the most
    suspicious cards of a day is so among those of one of its files.
    """
    day = F.to_date("tx_datetime").cast("string")
    found = model.score(rows, {"score": scorer.booster}, ["number", *KEPT]).withColumn("day", day).persist()
    order = [F.col("score").desc(), F.col("transaction_id")]
    cards = Window.partitionBy("number", "day", "customer_id").orderBy(*order)
    files = Window.partitionBy("number", "day").orderBy(*order)
    best = found.withColumn("place", F.row_number().over(cards)).where("place = 1")
    best = best.withColumn("place", F.row_number().over(files)).where(F.col("place") <= scorer.budget)
    chosen = rows.join(F.broadcast(best.select("transaction_id")), "transaction_id")
    found = found.withColumn("version", F.lit(scorer.version)).withColumn("run_id", F.lit(scorer.run_id))
    found = found.join(explained(chosen, scorer.booster), "transaction_id", "left")
    found = found.select("number", "day", *COLUMNS).repartition("number", "day")
    return found.sortWithinPartitions("number", "day", "tx_datetime", "transaction_id")


def explained(rows: DataFrame, booster: xgboost.Booster) -> DataFrame:
    """``transaction_id`` and ``reasons`` (array of text) of rows with features."""
    raw, names = bytes(booster.save_raw("ubj")), booster.feature_names

    def explain(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        loaded = model.load(raw, names)
        for batch in batches:
            yield pd.DataFrame(
                {"transaction_id": batch["transaction_id"], "reasons": explanation.reasons(loaded, batch)}
            )

    return rows.select("transaction_id", *names).mapInPandas(explain, "transaction_id bigint, reasons array<string>")


def make_alerts(lake: Lake, budget: int) -> List[str]:
    """Bring the days' lists up to date with the scores; return the days whose lists were written.

    Scores that another run writes meanwhile are seen by one of the two: each looks again after it has written.
    """
    written: List[str] = []
    while True:
        parts = parts_by_day(score_manifests(lake).values())
        current = {day: digest(sorted(names)) for day, names in parts.items()}
        made: Dict[str, str] = lake.files.read_json(MADE) if lake.files.exists(MADE) else {}
        days = sorted(day for day in current if made.get(day) != current[day])
        if not days:
            return sorted({*written})
        # Who dies from here on leaves days that are not made, which the next run makes.
        lake.files.write_json(MADE, {day: of for day, of in made.items() if day not in days}, replace=True)
        rows = lake.files.parquet([lake.files.path(f"scores/{part}") for day in days for part in parts[day]])
        write_lists(lake.files, rows, budget)
        lake.files.write_json(MADE, {**made, **{day: current[day] for day in days}}, replace=True)
        written.extend(days)


def last_known(manifests: Mapping[str, Manifest]) -> Optional[date]:
    """The last day whose labels are known: the delay before the newest complete day's end; None without any day."""
    newest, _ = newest_complete(prepared_days(manifests.values()))
    return newest and newest - timedelta(features.DELAY_DAYS)


def digest(names: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]


def write_lists(files: Files, rows: DataFrame, budget: int) -> List[str]:
    """Write ``alerts/<day>.parquet`` for programs and ``.csv`` for people of scored rows; return the days."""
    day = F.to_date("tx_datetime").cast("string")
    found = rows.where("reasons IS NOT NULL").withColumn("day", day).toPandas()

    def write(one: Tuple[str, pd.DataFrame]) -> None:
        listed, binary = most_suspicious(one[1], budget), io.BytesIO()
        listed.to_parquet(binary, index=False)
        files.write_bytes(f"alerts/{one[0]}.parquet", binary.getvalue(), replace=True)
        files.write_bytes(f"alerts/{one[0]}.csv", listed.to_csv(index=False).encode("utf-8"), replace=True)

    at_once(write, found.groupby("day"))
    return sorted(found["day"].unique())


def most_suspicious(rows: pd.DataFrame, budget: int) -> pd.DataFrame:
    """The ``budget`` most suspicious cards among a day's scored rows, each by its most suspicious transaction."""
    ordered = rows.sort_values(["score", "transaction_id"], ascending=[False, True], kind="stable")
    found = ordered.drop_duplicates("customer_id").head(budget).reset_index(drop=True)
    found.insert(0, "rank", found.index + 1)
    for place in range(explanation.REASONS):
        found[f"reason_{place + 1}"] = [one[place] if place < len(one) else None for one in found["reasons"]]
    return found[ALERT_COLUMNS]
