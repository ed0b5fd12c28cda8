"""Rules that a raw row must keep. Every rule has a name; the first one that a row breaks is its reason."""

from __future__ import annotations

from datetime import date
from typing import Dict, List, Mapping

from pyspark.sql import Column, DataFrame, Window
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

# Conditions that hold for a bad row, over the parsed columns, ``fields`` (the number of its raw fields) and
# ``unlabelled`` (both fields of its label are empty: it has not arrived, and is null until a corrected file brings it).
RULES: Dict[str, str] = {
    "columns": f"fields != {len(COLUMNS)}",
    "transaction_id": "transaction_id IS NULL OR transaction_id < 0",
    "tx_datetime": "tx_datetime IS NULL",
    "customer_id": "customer_id IS NULL OR customer_id IN (-999999, 999999)",
    "terminal_id": "terminal_id IS NULL OR terminal_id < 0",
    "tx_amount": "tx_amount IS NULL OR tx_amount <= 0",
    "tx_time": "tx_time_seconds IS NULL OR tx_time_days IS NULL OR tx_time_days != floor(tx_time_seconds / 86400)",
    "tx_fraud": "NOT unlabelled AND (tx_fraud IS NULL OR tx_fraud NOT IN (0, 1) OR tx_fraud_scenario IS NULL)",
}
WITH_REFUNDS = {**RULES, "tx_amount": "tx_amount IS NULL OR tx_amount = 0"}
# Rules that need the whole file, or the lake.
TX_DAY, PERIOD, DUPLICATE = "tx_day", "period", "duplicate"
MEANINGS: Dict[str, str] = {
    "columns": f"a row has {len(COLUMNS)} fields",
    "transaction_id": "a whole number of at most 18 digits, 0 or more",
    "tx_datetime": "YYYY-MM-DD HH:MM:SS",
    "customer_id": "a whole number of at most 18 digits, neither -999999 nor 999999",
    "terminal_id": "a whole number of at most 18 digits, 0 or more",
    "tx_amount": "a decimal number without exponent, above 0",
    "tx_time": "whole numbers, tx_time_days being the whole days of tx_time_seconds",
    "tx_fraud": "tx_fraud is 0 or 1, tx_fraud_scenario a whole number; or both are empty, the label has not arrived",
    TX_DAY: "the day of tx_datetime is the one that tx_time_days says, counted as in most rows of the file",
    PERIOD: "tx_datetime lies in the days that the file covers, or not long before them",
    DUPLICATE: "no earlier row has this transaction_id",
}
RULE_NAMES = list(MEANINGS)
FAR_DAYS = 3650  # a day further than this from its file's first one is no day of the file's, whatever the file holds


def header_names(line: str) -> List[str]:
    """Column names of a header line such as ``# tranaction_id | tx_datetime | …``."""
    return [name.strip() for name in line.lstrip("\ufeff").strip().lstrip("#").split("|")]


SHAPES = {
    "bigint": r"^-?\d{1,18}$",
    "int": r"^-?\d{1,9}$",
    "double": r"^-?\d{1,12}(\.\d{1,20})?$",
    "timestamp": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$",
}
DIGITS = {"bigint": 18, "int": 9}


def value(text: Column, kind: str) -> Column:
    """The value of a text, null if it has not the shape of its kind.

    A number that is written as Spark would write it has the shape, and is told without an expression over text.
    """
    shaped = F.when(text.rlike(SHAPES[kind]), text).cast(kind)
    if kind not in DIGITS:
        return shaped
    number, most = text.cast(kind), 10 ** DIGITS[kind] - 1
    return F.when((number.cast("string") == text) & number.between(-most, most), number).otherwise(shaped)


def parse(lines: DataFrame, rules: Mapping[str, str] = RULES) -> DataFrame:
    """Raw text to typed columns and the broken rule.

    Args:
        lines: ``value``, a raw row without its line end; other columns stay.

    Returns:
        those other columns, ``line``, the columns of ``PREPARED_SCHEMA`` (null if the text is not such a value) and
        ``rule`` (name of the first rule broken, null for a good row).
    """
    fields = F.split("value", ",")
    texts = {name: F.trim(fields[i]) for i, name in enumerate(COLUMNS)}
    typed = [value(texts[name], kind).alias(name) for name, kind in PREPARED_SCHEMA.items()]
    others = [name for name in lines.columns if name != "value"]
    unlabelled = ((texts["tx_fraud"] == "") & (texts["tx_fraud_scenario"] == "")).alias("unlabelled")
    parsed = lines.select(*others, F.col("value").alias("line"), F.size(fields).alias("fields"), unlabelled, *typed)
    reason = F.coalesce(*[F.when(F.expr(bad), F.lit(name)) for name, bad in rules.items()])
    return parsed.withColumn("rule", reason).drop("fields", "unlabelled")


DAY_NUMBER = "cast(floor(unix_timestamp(tx_datetime) / 86400) AS int)"  # in days since 1970, UTC


def day_of() -> Column:
    """What ``to_date`` says of ``tx_datetime``, without a calendar for each row."""
    return F.expr(f"date_from_unix_date({DAY_NUMBER})")


def with_shift(parsed: DataFrame) -> DataFrame:
    """Adds ``shift``, the day that ``tx_time_days`` counts from, in days since 1970."""
    return parsed.withColumn("shift", F.expr(f"{DAY_NUMBER} - tx_time_days"))


def cells(parsed: DataFrame, starts: Mapping[int, date]) -> DataFrame:
    """Rows of each file by the rule that they break, by ``shift`` and by day.

    Args:
        starts: the first day of each file, by its ``number``.

    Returns:
        ``number``, ``rule``, ``shift`` and ``day`` (null if they cannot be the file's, whatever it holds), ``rows``,
        ``first_id``, ``last_id``, and two digests of the text, ``mixed`` and ``summed``.
    """
    near = F.abs(F.datediff(day_of(), by_number(starts, "date"))) <= FAR_DAYS
    some = F.col("tx_time_days").between(0, 10 * FAR_DAYS)
    keys = ["number", "rule", F.when(some, F.col("shift")).alias("shift"), F.when(near, day_of()).alias("day")]
    return (
        with_shift(parsed)
        .groupBy(*keys)
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.min("transaction_id").alias("first_id"),
            F.max("transaction_id").alias("last_id"),
            F.expr("bit_xor(xxhash64(line))").alias("mixed"),
            F.expr("sum(shiftright(xxhash64(line), 32))").alias("summed"),  # two equal rows are nothing to the other
        )
    )


def by_number(values: Mapping[int, object], kind: str) -> Column:
    """The value of each row's file: a literal array, which costs neither a join nor a job."""
    listed = [F.lit(values.get(number)).cast(kind) for number in range(max(values) + 1)]
    return F.array(*listed)[F.col("number")]


def flag_days(
    parsed: DataFrame, usual: Mapping[int, int], first: Mapping[int, date], last: Mapping[int, date]
) -> DataFrame:
    """Give the rules ``tx_day`` and ``period`` to good rows of another day than their file's facts allow.

    Args:
        usual, first, last: ``shift`` of most rows and closed range of days, by the file's ``number``; rows of other
            files are left out.
    """
    known = with_shift(parsed.where(F.col("number").isin(list(usual))))
    reason = F.coalesce(
        F.col("rule"),
        F.when(F.col("shift") != by_number(usual, "int"), F.lit(TX_DAY)),
        F.when(~day_of().between(by_number(first, "date"), by_number(last, "date")), F.lit(PERIOD)),
    )
    return known.withColumn("rule", reason).select(parsed.columns)


# 64 ids share a word, one bit each: ids come in order, so counting them takes a 64th of the rows.
WORD = "shiftright(transaction_id, 6)"
BIT = "shiftleft(1L, cast(transaction_id & 63 AS int))"


def crowded_words(ids: DataFrame) -> DataFrame:
    """Words (``word``, ids / 64) in which an id of ``transaction_id`` occurs more than once."""
    bits = F.expr(f"bit_count(bit_or({BIT}))").alias("bits")
    words = ids.groupBy(F.expr(WORD).alias("word")).agg(F.count(F.lit(1)).alias("rows"), bits)
    return words.where("rows != bits").select("word")


def flag_duplicates(suspects: DataFrame) -> DataFrame:
    """Give the rule ``duplicate`` to good rows whose id an earlier row has.

    Earlier is the row of the earlier file, in a file that of the earlier time, then by text: so the outcome depends
    neither on the order of reading nor on the order in which the files came.

    Args:
        suspects: good rows with ``place``, that of their file among all.

    Returns:
        the same rows with ``rule``.
    """
    order = Window.partitionBy("transaction_id").orderBy("place", "tx_datetime", "line")
    late = F.row_number().over(order) > 1
    return suspects.withColumn("rule", F.when(late, F.lit(DUPLICATE)))
