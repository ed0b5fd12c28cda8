"""Transactions for tests of the Spark application: prepared rows, and raw files of the lake (valid on Python 3.8)."""

from __future__ import annotations

import gzip
import random
from datetime import datetime, timedelta, timezone

START = datetime(2018, 4, 1, tzinfo=timezone.utc)
HEADER = (
    "# tranaction_id | tx_datetime | customer_id | terminal_id | tx_amount"
    " | tx_time_seconds | tx_time_days | tx_fraud | tx_fraud_scenario"
)
# Amounts at the edges of the features.
CENTS = [1, 100, 250, 251, 1000, 2500, 2501, 22_000, 22_001]
# How a raw row breaks each rule: its fields before and after.
FAULTS = {
    "columns": lambda fields: fields[:8],
    "transaction_id": lambda fields: ["x", *fields[1:]],
    "tx_datetime": lambda fields: [fields[0], "2018-04-01 24:00:00", *fields[2:]],
    "customer_id": lambda fields: [*fields[:2], "-999999", *fields[3:]],
    "terminal_id": lambda fields: [*fields[:3], "Err", *fields[4:]],
    "tx_amount": lambda fields: [*fields[:4], "0", *fields[5:]],
    "tx_time": lambda fields: [*fields[:6], "9", *fields[7:]],
    "tx_fraud": lambda fields: [*fields[:7], "2", fields[8]],
    "duplicate": lambda fields: ["0", *fields[1:]],
}


def prepared(spark, rows):
    """Prepared DataFrame from dictionaries with t (seconds since START), customer, terminal, cents, fraud."""
    from fraud_retraining.quality import PREPARED_SCHEMA

    values = [
        (
            number,
            START + timedelta(seconds=row["t"]),
            row["customer"],
            row["terminal"],
            row["cents"] / 100,
            row["t"],
            row["t"] // 86400,
            row["fraud"],
            row["fraud"],
        )
        for number, row in enumerate(rows)
    ]
    return spark.createDataFrame(values, ", ".join(f"{name} {kind}" for name, kind in PREPARED_SCHEMA.items()))


def random_rows(seed, count, days, customers=3, terminals=3, fraud=0.5):
    """Rows for ``prepared`` in the order of time, many of them at midnight, with amounts at the edges."""
    draw = random.Random(seed)
    times = sorted(draw.choice([draw.randrange(days * 86400), draw.randrange(days) * 86400]) for _ in range(count))
    return [
        {
            "t": t,
            "customer": draw.randrange(customers),
            "terminal": draw.randrange(terminals),
            "cents": draw.choice([*CENTS, draw.randrange(1, 30_000)]),
            "fraud": int(draw.random() < fraud),
        }
        for t in times
    ]


def line(number, day=1):
    """A good row of a raw file, its id and its second of the day by its number."""
    seconds = (day - 1) * 86400 + number % 86400
    time = f"2018-04-{day:02d} {number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}"
    return f"{number},{time},{number % 7},{number % 5},{number % 90 + 1}.5,{seconds},{day - 1},0,0"


def write(root, name, lines, header=HEADER, end="\n"):
    """A raw file of the lake at ``root``; packed if its name says so."""
    path = root / "raw" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(text + end for text in [header, *lines]).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return path
