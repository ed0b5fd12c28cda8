"""Raw files to clean, partitioned Parquet: one file at a time, in the order of time, each at most once."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Iterable, List, Optional, Tuple

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fraud_retraining import quality
from fraud_retraining.errors import BrokenFileError, QualityError, RetrainingError
from fraud_retraining.jobs import log, step
from fraud_retraining.lake import FileInfo, Files, Lake, part_day

Manifest = Dict[str, Any]
KNOWN_IDS_SCHEMA = "transaction_id bigint"


def prepare(lake: Lake, run_id: str, max_quarantine: float = 0.01) -> Dict[str, Any]:
    """Prepare every raw file that has no manifest yet and write ``runs/<run_id>/prepare.json``.

    Args:
        max_quarantine: largest share of a file's rows that may break rules.

    Returns:
        The content of ``prepare.json``.

    Raises:
        BrokenFileError, QualityError: the file is named; files before it are prepared, it and those after it are not.
    """
    started = time.monotonic()
    manifests = lake.manifests()
    raw = lake.raw_files()
    check_unchanged(raw, manifests)
    fresh = [info for info in raw if info.name not in manifests]
    log.info("%d raw files in %s, %d to prepare", len(raw), lake.files.root, len(fresh))
    for info in fresh:
        with step(f"prepare {info.name}") as say:
            manifest = prepare_file(lake, info, manifests.values(), run_id, max_quarantine)
            manifests[info.name] = manifest
            say(f"{manifest['rows']} rows, {sum(manifest['quarantined'].values())} to quarantine")
    done = [manifests[name] for name in sorted(manifests) if manifests[name]["run_id"] == run_id]
    report = summary(run_id, done, round(time.monotonic() - started, 1))
    lake.files.write_json(f"runs/{run_id}/prepare.json", report, replace=True)
    return report


def summary(run_id: str, done: List[Manifest], seconds: float) -> Dict[str, Any]:
    """Totals over the files of one run."""
    return {
        "run_id": run_id,
        "files": [manifest["file"] for manifest in done],
        "rows": sum(manifest["rows"] for manifest in done),
        "prepared": sum(manifest["prepared"] for manifest in done),
        "quarantined": {
            rule: total
            for rule in quality.RULE_NAMES
            for total in [sum(manifest["quarantined"].get(rule, 0) for manifest in done)]
            if total
        },
        "first_day": min((manifest["first_day"] for manifest in done if manifest["parts"]), default=None),
        "last_day": max((manifest["last_day"] for manifest in done if manifest["parts"]), default=None),
        "seconds": seconds,
    }


def check_unchanged(raw: List[FileInfo], manifests: Dict[str, Manifest]) -> None:
    """Raise if a raw file is no longer the one that was prepared."""
    for info in raw:
        manifest = manifests.get(info.name)
        if manifest and (info.size, info.etag) != (manifest["size"], manifest["etag"]):
            raise BrokenFileError(
                f"{info.path} changed after it was prepared: {info.size} bytes (ETag {info.etag}), prepared were"
                f" {manifest['size']} bytes (ETag {manifest['etag']}); restore it, or delete"
                f" manifest/{info.name}.json to prepare it again"
            )


def prepare_file(lake: Lake, info: FileInfo, known: Iterable[Manifest], run_id: str, max_quarantine: float) -> Manifest:
    """Check, clean and publish one raw file; return its manifest."""
    staging = f"staging/{run_id}/{info.name}"
    header = read_header(lake.files, info)
    parsed = quality.parse(lake.spark.read.text(info.path).where(F.col("value") != header)).persist()
    try:
        seen = survey(parsed)
        overlapping = [other for other in known if overlap(other["ids"], seen["ids"])]
        repeated = quality.repeated_ids(parsed, known_ids(lake, overlapping)).persist()
        check_threshold(info, {quality.DUPLICATE: repeated.count()}, seen["rows"], max_quarantine)
        stage(lake, quality.flag_duplicates(parsed, repeated), info.name, staging)
        repeated.unpersist()
        counts, quarantined = staged_counts(lake, staging)
        check_threshold(info, quarantined, seen["rows"], max_quarantine)
        if counts + sum(quarantined.values()) != seen["rows"]:
            raise RetrainingError(
                f"{info.path}: {seen['rows']} rows in, {counts} prepared and {quarantined} quarantined;"
                " the file changed while it was read, or this is a defect; run prepare again"
            )
        origin = [info.name, info.size, seen["content"], sorted(other["digest"] for other in overlapping)]
        digest = hashlib.sha256(repr(origin).encode()).hexdigest()[:12]
        parts = publish(lake, staging, f"{info.name.split('.')[0]}-{digest}")
    except Py4JJavaError as error:
        raise BrokenFileError(f"{info.path} cannot be read: {root_cause(error)}; upload the file again") from error
    finally:
        parsed.unpersist()
        lake.files.delete(staging)
    manifest = {
        "file": info.name,
        "size": info.size,
        "etag": info.etag,
        "digest": digest,
        "rows": seen["rows"],
        "prepared": counts,
        "quarantined": quarantined,
        "ids": seen["ids"],
        "first_day": part_day(parts[0]).isoformat() if parts else None,
        "last_day": part_day(parts[-1]).isoformat() if parts else None,
        "parts": parts,
        "run_id": run_id,
    }
    lake.files.write_json(f"manifest/{info.name}.json", manifest, replace=False)
    return manifest


def read_header(files: Files, info: FileInfo) -> str:
    """First line of the file as Spark reads it.

    Raises:
        BrokenFileError: it is not the header of the lake's nine columns.
    """
    try:
        line = files.first_line(info).decode("utf-8").lstrip("\ufeff").rstrip("\r\n")
    except Py4JJavaError as error:
        raise BrokenFileError(f"{info.path} cannot be read: {root_cause(error)}; upload the file again") from error
    except UnicodeDecodeError as error:
        raise BrokenFileError(f"{info.path} is not text ({error}); expected comma-separated lines") from error
    if quality.header_names(line) != quality.HEADER_NAMES:
        raise BrokenFileError(
            f"{info.path} begins with {line[:120]!r}; expected the header"
            f" '# {' | '.join(quality.HEADER_NAMES)}'; upload the file again or take it out of raw/"
        )
    return line


def survey(parsed: DataFrame) -> Dict[str, Any]:
    """Number of rows, range of the good rows' ids (None without any), fingerprint of the content."""
    good_id = F.when(F.col("rule").isNull(), F.col("transaction_id"))
    row = parsed.agg(
        F.count(F.lit(1)).alias("rows"),
        F.min(good_id).alias("first_id"),
        F.max(good_id).alias("last_id"),
        F.expr("bit_xor(xxhash64(line))").alias("content"),
    ).collect()[0]
    ids = None if row["first_id"] is None else [row["first_id"], row["last_id"]]
    return {"rows": row["rows"], "ids": ids, "content": row["content"]}


def overlap(one: Optional[List[int]], other: Optional[List[int]]) -> bool:
    """Whether two closed ranges meet; an empty range (None) meets nothing."""
    return one is not None and other is not None and one[0] <= other[1] and other[0] <= one[1]


def known_ids(lake: Lake, manifests: List[Manifest]) -> DataFrame:
    """Column ``transaction_id`` of everything that was prepared from these files."""
    paths = [lake.files.path(f"prepared/{part}") for manifest in manifests for part in manifest["parts"]]
    if not paths:
        return lake.spark.createDataFrame([], KNOWN_IDS_SCHEMA)
    return lake.spark.read.parquet(*paths).select("transaction_id")


def check_threshold(info: FileInfo, quarantined: Dict[str, int], rows: int, max_quarantine: float) -> None:
    """Raise if too large a share of the file's rows broke rules."""
    bad = sum(quarantined.values())
    if bad <= max_quarantine * rows:
        return
    worst = max(quarantined, key=lambda rule: quarantined[rule])
    raise QualityError(
        f"{info.path}: {bad} of {rows} rows ({bad / rows:.2%}) broke quality rules, allowed are {max_quarantine:.2%};"
        f" most of them rule '{worst}' ({quarantined[worst]} rows: {quality.MEANINGS[worst]});"
        " mend the file or raise --max-quarantine"
    )


def stage(lake: Lake, flagged: DataFrame, file: str, staging: str) -> None:
    """Write good rows by day and bad rows by rule below ``staging``, each in a stable order."""
    good = flagged.where(F.col("rule").isNull()).select(*quality.PREPARED_SCHEMA, F.to_date("tx_datetime").alias("day"))
    by_day = good.repartition("day").sortWithinPartitions("day", "tx_datetime", "transaction_id")
    by_day.write.mode("overwrite").partitionBy("day").parquet(lake.files.path(f"{staging}/prepared"))
    bad = flagged.where(F.col("rule").isNotNull()).select("line", F.lit(file).alias("file"), "rule")
    by_rule = bad.repartition("rule").sortWithinPartitions("rule", "line")
    by_rule.write.mode("overwrite").partitionBy("rule").json(lake.files.path(f"{staging}/quarantine"))


def staged_counts(lake: Lake, staging: str) -> Tuple[int, Dict[str, int]]:
    """Rows that were written: prepared ones, and bad ones by rule."""
    prepared = 0
    if lake.files.list(f"{staging}/prepared"):
        prepared = lake.spark.read.parquet(lake.files.path(f"{staging}/prepared")).count()
    quarantined = {}
    if lake.files.list(f"{staging}/quarantine"):
        bad = lake.spark.read.text(lake.files.path(f"{staging}/quarantine")).groupBy("rule").count()
        quarantined = {row["rule"]: row["count"] for row in bad.collect()}
    return prepared, {rule: quarantined[rule] for rule in quality.RULE_NAMES if rule in quarantined}


def publish(lake: Lake, staging: str, name: str) -> List[str]:
    """Move staged files to their places under stable names; return the prepared parts, sorted by day."""
    moves = []
    for area, suffix in (("prepared", "parquet"), ("quarantine", "json")):
        for folder in lake.files.list(f"{staging}/{area}"):
            (staged,) = lake.files.list(f"{staging}/{area}/{folder.name}")
            moves.append((f"{staging}/{area}/{folder.name}/{staged.name}", f"{area}/{folder.name}/{name}.{suffix}"))
    with ThreadPoolExecutor(8) as pool:  # an object store takes its time for each
        list(pool.map(lambda move: lake.files.move(*move), moves))
    targets = (target for _, target in moves if target.startswith("prepared/"))
    return sorted(target[len("prepared/") :] for target in targets)


def root_cause(error: Py4JJavaError) -> str:
    """First line of the innermost Java exception."""
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return str(cause.toString()).splitlines()[0]
