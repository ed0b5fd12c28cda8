"""What the tests of the simulator share: days of a world, rows of a file, and its faults counted by hand."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from simulator import Faults, Generator

START = date(2018, 4, 1)
NO_FAULTS = Faults(**dict.fromkeys(asdict(Faults()), 0.0))
MANY_FAULTS = Faults(**dict.fromkeys(asdict(Faults()), 0.05))
GOOD_ROW = re.compile(rb"\d+,\d{4}-\d\d-\d\d ([01]\d|2[0-3]):[0-5]\d:[0-5]\d,\d+,\d+,\d+\.\d+,\d+,\d+,(0,0|1,[123])")


def days_from(first: int, count: int) -> list[date]:
    return [START + timedelta(i) for i in range(first, first + count)]


def many_days(world: Generator, first: int, count: int) -> pl.DataFrame:
    return pl.concat(world.day(day) for day in days_from(first, count))


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()[1:]


FAULTY: dict[str, Callable[[list[bytes]], bool]] = {
    "tx_datetime": lambda row: row[1][11:13] == b"24",
    "customer_id": lambda row: row[2] in (b"-999999", b"999999"),
    "terminal_id": lambda row: row[3] in (b"Err", b"None"),
    "tx_amount": lambda row: row[4] == b"0.0",
    "tx_time_days": lambda row: int(row[6]) != int(row[5]) // 86_400,
}


def count_faults(path: Path) -> dict[str, int]:
    """Faults found by looking at the text alone; asserts that no row has two."""
    rows = [line.split(b",") for line in lines(path)]
    seen: set[bytes] = set()
    found: Counter[str] = Counter(dict.fromkeys(["transaction_id", *FAULTY], 0))
    for row in rows:
        names = [name for name, is_faulty in FAULTY.items() if is_faulty(row)]
        names += ["transaction_id"] if row[0] in seen else []
        assert len(names) <= 1, row
        seen.add(row[0])
        found.update(names)
    return dict(found)
