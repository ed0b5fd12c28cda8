"""Checked rows become parts of the lake: staged, counted, moved to their places, and then named by a manifest.

The manifest is the switch: before it is written nobody reads the new parts, afterwards nobody the former ones. It names
the former ones until they are gone, so that a run that died in between is finished by the next one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any, Dict, List, Mapping, Optional

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from fraud_retraining import intake, quality, ripening, sharing
from fraud_retraining.errors import RetrainingError
from fraud_retraining.lake import Lake, Manifest, at_once, prepared_days
from fraud_retraining.survey import Batch

STAGED = "transaction_id bigint, tx_fraud int, number int, day string"
BAD = "value string, number int, rule string"


@dataclass(frozen=True)
class Correction:
    """What became of the rows of a file that was prepared before with another content.

    ``labels`` changed or arrived; good rows were ``added`` and ``removed``; ``frauds`` by day were none before.
    """

    labels: int = 0
    added: int = 0
    removed: int = 0
    frauds: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> Dict[str, int]:
        return {"labels": self.labels, "added": self.added, "removed": self.removed}


@dataclass(frozen=True)
class Staged:
    """What was written of one file: rows and ids by day, bad rows by rule."""

    days: Dict[str, Row]
    quarantined: Dict[str, int]

    @property
    def prepared(self) -> int:
        return sum(day["rows"] for day in self.days.values())

    @property
    def ids(self) -> Any:
        if not self.days:
            return None
        found = self.days.values()
        return [min(day["first_id"] for day in found), max(day["last_id"] for day in found)]

    @property
    def ids_digest(self) -> str:
        mixed = 0
        for day in self.days.values():
            mixed ^= day["mixed"]
        return f"{self.prepared}:{mixed & (2**64 - 1):016x}"


def publish(
    lake: Lake, rows: DataFrame, batch: Batch, duplicates: int, manifests: Mapping[str, Manifest], run_id: str
) -> List[Manifest]:
    """Publish every file of the batch; return their manifests.

    Args:
        rows: the batch's rows with every rule.
        duplicates: how many of them are some.
        manifests: those of the lake.
    """
    staging = f"staging/{run_id}"
    any_bad = bool(duplicates or any(facts.quarantined for facts in batch.surveys.values()))
    lake.files.delete(staging)
    try:
        stage(lake, rows, batch, any_bad, staging)
        staged = count(lake, batch, staging)
        check(batch, staged)
        changes = corrections(lake, batch, manifests, staged, staging)
        seen = day_of(manifests, staged)
        found = dict(manifests)
        for number in sorted(batch.files):
            manifest = describe(batch, number, staged[number], found, run_id)
            former, change = manifests.get(manifest["file"]), changes.get(number)
            manifest.update({"corrected": change.to_dict()} if change else {})
            manifest.update(labels_of(former, change, staged[number], seen))
            found[manifest["file"]] = manifest
        done = [found[name] for name in sorted(batch.names.values())]
        move(lake, batch, found, staging)
    finally:
        lake.files.delete(staging)
    for manifest in done:
        switch(lake, manifest, manifests.get(manifest["file"]))
    return done


def day_of(manifests: Mapping[str, Manifest], staged: Mapping[int, Staged]) -> date:
    """The day of the lake with what is published now."""
    days = [
        *prepared_days(manifests.values()),
        *(date.fromisoformat(day) for each in staged.values() for day in each.days),
    ]
    today = datetime.now(timezone.utc).date()
    return ripening.lake_day(max(days, default=today), today)


def labels_of(former: Optional[Manifest], change: Optional[Correction], staged: Staged, seen: date) -> Dict[str, Any]:
    """What a manifest keeps of when its frauds were known."""
    if former is None:
        return ripening.first_seen({day: row["frauds"] for day, row in staged.days.items()}, seen)
    return ripening.seen_again(former, change.frauds if change else {}, seen)


# Columns of which hardly two values are equal: a dictionary of them is built, found too large and thrown away.
UNIQUE = {f"parquet.enable.dictionary#{name}": "false" for name in ("transaction_id", "tx_datetime", "tx_time_seconds")}


def stage(lake: Lake, rows: DataFrame, batch: Batch, any_bad: bool, staging: str) -> None:
    """Write good rows by file and day, bad rows by file and rule below ``staging``, each in a stable order."""
    good = rows.where("rule IS NULL").select("number", *quality.PREPARED_SCHEMA, quality.day_of().alias("day"))
    ordered = by_day(good, batch).sortWithinPartitions("number", "day", "tx_datetime", "transaction_id")
    written = ordered.write.mode("overwrite").partitionBy("number", "day").options(**UNIQUE)
    written.parquet(lake.files.path(f"{staging}/prepared"))
    if not any_bad:
        return
    bad = rows.where("rule IS NOT NULL").withColumn("file", quality.by_number(batch.names, "string"))
    ordered = bad.repartition("number", "rule").sortWithinPartitions("number", "rule", "line")
    ordered = ordered.select("number", "line", "file", "rule")
    ordered.write.mode("overwrite").partitionBy("number", "rule").json(lake.files.path(f"{staging}/quarantine"))


def by_day(good: DataFrame, batch: Batch) -> DataFrame:
    """The rows with each file's day in one task, such that tasks have about as many rows.

    Hashed, days meet in one task by chance, of a month in sixteen tasks up to five or six, and all others wait for it.
    """
    sizes = {(number, day): rows for number in batch.files for day, rows in batch.surveys[number].days.items()}
    if not sizes:
        return good.repartition(1)
    spark = good.sparkSession
    tasks = min(len(sizes), int(spark.conf.get("spark.sql.shuffle.partitions")))
    task_of, numbers = sharing.assign(sizes, tasks), sharing.numbers_hashed_to(spark, tasks)
    first: Dict[int, date] = {}
    offset: Dict[int, int] = {}
    listed: List[str] = []  # the numbers of each file's days, one file after the other
    for number in sorted(batch.files):
        days = batch.surveys[number].days
        if days:
            first[number], offset[number] = min(days), len(listed)
            every = ((number, min(days) + timedelta(n)) for n in range((max(days) - min(days)).days + 1))
            listed += [str(numbers[task_of.get(key, 0)]) for key in every]
    place = quality.by_number(offset, "int") + F.datediff("day", quality.by_number(first, "date"))
    # A text is one literal, however many days there are.
    return good.repartition(tasks, F.expr(f"cast(split('{','.join(listed)}', ',') AS array<int>)")[place])


def count(lake: Lake, batch: Batch, staging: str) -> Dict[int, Staged]:
    """What was really written of each file."""
    found = {number: Staged({}, {}) for number in batch.files}
    if lake.files.list(f"{staging}/prepared"):
        rows = (
            lake.files.folder("parquet", f"{staging}/prepared", STAGED)
            .groupBy("number", "day")
            .agg(
                F.count(F.lit(1)).alias("rows"),
                F.min("transaction_id").alias("first_id"),
                F.max("transaction_id").alias("last_id"),
                F.expr("count_if(tx_fraud IS NULL)").alias("unlabelled"),
                F.expr("count_if(tx_fraud = 1)").alias("frauds"),
                F.expr("bit_xor(xxhash64(transaction_id))").alias("mixed"),
            )
        )
        for row in rows.collect():
            found[row["number"]].days[row["day"]] = row
    if lake.files.list(f"{staging}/quarantine"):
        for row in lake.files.folder("text", f"{staging}/quarantine", BAD).groupBy("number", "rule").count().collect():
            found[row["number"]].quarantined[row["rule"]] = row["count"]
    return found


def check(batch: Batch, staged: Mapping[int, Staged]) -> None:
    """Rows in are rows out and rows in quarantine."""
    for number, raw in batch.files.items():
        seen, done = batch.surveys[number].rows, staged[number]
        if done.prepared + sum(done.quarantined.values()) != seen:
            raise RetrainingError(
                f"{raw.info.path}: {seen} rows in, {done.prepared} prepared and {done.quarantined} quarantined;"
                " the file changed while it was read, or this is a defect; run prepare again"
            )


def corrections(
    lake: Lake, batch: Batch, manifests: Mapping[str, Manifest], staged: Mapping[int, Staged], staging: str
) -> Dict[int, Correction]:
    """What became of the rows of each file that was prepared before with another content, by the file's number."""
    former = {
        number: manifests[raw.name]
        for number, raw in batch.files.items()
        if manifests.get(raw.name, {}).get("fingerprint", raw.fingerprint) != raw.fingerprint
    }
    if not former:
        return {}
    parts = [(number, part) for number, manifest in former.items() for part in manifest["parts"]]
    empty = lake.spark.createDataFrame([], "number int, transaction_id bigint, tx_fraud int, day string")
    before = after = empty
    if parts:
        paths = [lake.files.path(f"prepared/{part}") for _, part in parts]
        before = lake.files.numbered("parquet", paths, [number for number, _ in parts], "number")
    if any(each.days for each in staged.values()):
        after = lake.files.folder("parquet", f"{staging}/prepared", STAGED).where(F.col("number").isin(list(former)))
    keys = ["number", "transaction_id"]
    both = before.select(*keys, F.col("tx_fraud").alias("old"), F.lit(True).alias("was")).join(
        after.select(*keys, "day", F.col("tx_fraud").alias("new"), F.lit(True).alias("stays")), keys, "full_outer"
    )
    changes = both.groupBy("number", "day").agg(
        F.expr("count_if(was AND stays AND NOT old <=> new)").alias("labels"),
        F.expr("count_if(was IS NULL)").alias("added"),
        F.expr("count_if(stays IS NULL)").alias("removed"),
        F.expr("count_if(new = 1 AND NOT old <=> 1)").alias("frauds"),
    )
    by_day = changes.collect()
    return {number: summed([row for row in by_day if row["number"] == number]) for number in former}


def summed(rows: List[Row]) -> Correction:
    """A file's correction of the changes of its days; what was removed is of none."""
    totals = {name: sum(row[name] for row in rows) for name in ("labels", "added", "removed")}
    return Correction(**totals, frauds={row["day"]: row["frauds"] for row in rows if row["frauds"]})


def describe(batch: Batch, number: int, staged: Staged, manifests: Mapping[str, Manifest], run_id: str) -> Manifest:
    """The manifest of one file; ``manifests`` has those of all earlier ones."""
    raw, facts = batch.files[number], batch.surveys[number]
    quarantined = {rule: staged.quarantined[rule] for rule in quality.RULE_NAMES if rule in staged.quarantined}
    origin = [intake.FORM, raw.name, facts.content, staged.ids_digest, sorted(quarantined.items())]
    digest = hashlib.sha256(repr(origin).encode()).hexdigest()[:12]
    name = f"{raw.info.first_day}-{digest}"
    days = sorted(staged.days)
    return {
        "file": raw.name,
        "form": intake.FORM,
        "size": raw.info.size,
        "fingerprint": raw.fingerprint,
        "content": facts.content,
        "digest": digest,
        "rows": facts.rows,
        "prepared": staged.prepared,
        "quarantined": quarantined,
        "seen": facts.ids,
        "ids": staged.ids,
        "ids_digest": staged.ids_digest,
        "earlier": intake.digests(intake.meeting(raw.name, facts.ids, manifests.values())),
        "first_day": days[0] if days else None,
        "last_day": days[-1] if days else None,
        "parts": {f"day={day}/{name}.parquet": staged.days[day]["rows"] for day in days},
        "unlabelled": {day: staged.days[day]["unlabelled"] for day in days if staged.days[day]["unlabelled"]},
        "quarantine": [f"rule={rule}/{name}.json" for rule in quarantined],
        "run_id": run_id,
    }


def move(lake: Lake, batch: Batch, manifests: Mapping[str, Manifest], staging: str) -> None:
    """Move staged files to the places that their manifests name."""
    targets = {}
    for number, name in batch.names.items():
        for area, places in (("prepared", manifests[name]["parts"]), ("quarantine", manifests[name]["quarantine"])):
            targets.update(
                {f"{staging}/{area}/number={number}/{place.split('/')[0]}": f"{area}/{place}" for place in places}
            )
    moves = [(staged, targets[staged.rpartition("/")[0]]) for staged in lake.files.walk(staging)]
    at_once(lambda each: lake.files.move(*each), moves)


def switch(lake: Lake, manifest: Manifest, old: Optional[Manifest]) -> None:
    """From here on the file's new parts count, and the former ones do not."""
    former = sorted(set(paths(old)) - set(paths(manifest))) if old else []
    path = f"manifest/{manifest['file']}.json"
    lake.files.write_json(path, {**manifest, "former": former} if former else manifest, replace=old is not None)
    if former:
        remove_former(lake, {**manifest, "former": former})


def remove_former(lake: Lake, manifest: Manifest) -> Manifest:
    """Delete what a manifest has replaced; return the manifest without mention of it."""
    at_once(lake.files.delete, manifest["former"])
    left = {key: value for key, value in manifest.items() if key != "former"}
    lake.files.write_json(f"manifest/{manifest['file']}.json", left, replace=True)
    return left


def finish(lake: Lake, manifests: Mapping[str, Manifest]) -> Dict[str, Manifest]:
    """Delete what runs that died had replaced and not deleted yet; return the manifests that change by it."""
    return {name: remove_former(lake, manifest) for name, manifest in manifests.items() if manifest.get("former")}


def paths(manifest: Manifest) -> List[str]:
    """Everything that was written of a file, relative to the lake."""
    stem = f"{manifest['file'].split('.')[0]}-{manifest['digest']}.json"  # as a manifest of form 1 has it
    bad = manifest.get("quarantine", [f"rule={rule}/{stem}" for rule in manifest["quarantined"]])
    return [*(f"prepared/{part}" for part in manifest["parts"]), *(f"quarantine/{part}" for part in bad)]
