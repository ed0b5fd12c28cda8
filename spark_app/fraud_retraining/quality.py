"""Rules that a raw row must keep. Every rule has a name; the first one that a row breaks is its reason."""

from __future__ import annotations

from typing import Dict, List, Mapping

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

COLUMNS = [
    "transaction_id",
    "tx_datetime",
    "customer_id",
    "terminal_id",
    "tx_amount",
    "tx_time_seconds",
    "tx_time_days",
    "tx_fraud",
    "tx_fraud_scenario",
]
HEADER_NAMES = ["tranaction_id", *COLUMNS[1:]]  # the lake's own spelling

PREPARED_SCHEMA: Dict[str, str] = {
    "transaction_id": "bigint",
    "tx_datetime": "timestamp",
    "customer_id": "bigint",
    "terminal_id": "bigint",
    "tx_amount": "double",
    "tx_time_seconds": "bigint",
    "tx_time_days": "int",
    "tx_fraud": "int",
    "tx_fraud_scenario": "int",
}

# Conditions that hold for a bad row, over the parsed columns and ``fields``, the number of its raw fields.
RULES: Dict[str, str] = {
    "columns": f"fields != {len(COLUMNS)}",
    "transaction_id": "transaction_id IS NULL OR transaction_id < 0",
    "tx_datetime": "tx_datetime IS NULL",
    "customer_id": "customer_id IS NULL OR customer_id IN (-999999, 999999)",
    "terminal_id": "terminal_id IS NULL OR terminal_id < 0",
    "tx_amount": "tx_amount IS NULL OR tx_amount <= 0",
    "tx_time": "tx_time_seconds IS NULL OR tx_time_days IS NULL OR tx_time_days != floor(tx_time_seconds / 86400)",
    "tx_fraud": "tx_fraud IS NULL OR tx_fraud NOT IN (0, 1) OR tx_fraud_scenario IS NULL",
}
DUPLICATE = "duplicate"
MEANINGS: Dict[str, str] = {**RULES, DUPLICATE: "transaction_id was seen before"}
RULE_NAMES = list(MEANINGS)


def header_names(line: str) -> List[str]:
    """Column names of a header line such as ``# tranaction_id | tx_datetime | …``."""
    return [name.strip() for name in line.lstrip("\ufeff").strip().lstrip("#").split("|")]


def parse(lines: DataFrame, rules: Mapping[str, str] = RULES) -> DataFrame:
    """Raw text to typed columns and the broken rule.

    Args:
        lines: one column ``value``, a raw row without its line end.

    Returns:
        ``line``, the columns of ``PREPARED_SCHEMA`` (null if the text is not such a value) and ``rule``
        (name of the first rule broken, null for a good row).
    """
    fields = F.split("value", ",")
    texts = {name: F.trim(fields[i]) for i, name in enumerate(COLUMNS)}
    shapes = {
        "bigint": r"^-?\d{1,18}$",
        "int": r"^-?\d{1,9}$",
        "double": r"^-?\d{1,12}(\.\d{1,20})?$",
        "timestamp": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$",
    }
    typed = [
        F.when(texts[name].rlike(shapes[kind]), texts[name]).cast(kind).alias(name)
        for name, kind in PREPARED_SCHEMA.items()
    ]
    parsed = lines.select(F.col("value").alias("line"), F.size(fields).alias("fields"), *typed)
    reason = F.coalesce(*[F.when(F.expr(bad), F.lit(name)) for name, bad in rules.items()])
    return parsed.withColumn("rule", reason).drop("fields")


def repeated_ids(parsed: DataFrame, known_ids: DataFrame) -> DataFrame:
    """Ids of good rows that occur more than once, or in ``known_ids`` (column ``transaction_id``: other files' rows).

    Returns:
        ``transaction_id``, once each, and ``known``: whether another file has it.
    """
    ids = parsed.where("rule IS NULL").select("transaction_id")
    within = (
        ids.groupBy("transaction_id").count().where("count > 1").select("transaction_id", F.lit(False).alias("known"))
    )
    across = ids.join(known_ids, "transaction_id", "left_semi").withColumn("known", F.lit(True))
    return within.unionByName(across).groupBy("transaction_id").agg(F.max("known").alias("known"))


def flag_duplicates(parsed: DataFrame, repeated: DataFrame) -> DataFrame:
    """Give the rule ``duplicate`` to good rows whose id was seen before.

    The earliest row of an id stays (by time, then by text, so the outcome does not depend on the order of reading),
    unless another file has it already.

    Args:
        repeated: result of ``repeated_ids``; it is broadcast, so that only the few rows it names are sorted.
    """
    named = F.broadcast(repeated.withColumnRenamed("transaction_id", "repeated_id"))
    matches = F.col("rule").isNull() & (F.col("transaction_id") == F.col("repeated_id"))
    order = Window.partitionBy("transaction_id").orderBy("tx_datetime", "line")
    suspects = parsed.join(named, matches).withColumn("rank", F.row_number().over(order))
    reason = F.when(F.col("known") | (F.col("rank") > 1), F.lit(DUPLICATE))
    judged = suspects.withColumn("rule", reason).select(parsed.columns)
    return parsed.join(named, matches, "left_anti").unionByName(judged)
