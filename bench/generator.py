"""The generator against the handbook's simulator, written row by row as there: `python -m bench.generator`.

Prints a Markdown table of medians. The row-by-row side draws exactly what the handbook's code draws, and so remakes its
published data, but keeps rows in lists where the handbook pays for pandas: a faster opponent than the original. Both
sides make the days of 5,000 customers and 10,000 terminals, once as a table in memory and once as weekly text files;
making the customers and terminals is timed on both sides.
"""

import argparse
import csv
import random
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from simulator import COLUMNS, HEADER, Faults, Generator

START = datetime(2018, 4, 1)
CUSTOMERS, TERMINALS, RADIUS = 5_000, 10_000, 5.0
NO_FAULTS = Faults(0, 0, 0, 0, 0, 0)


def handbook_profiles() -> tuple[list[tuple[float, float, float, float]], np.ndarray]:
    """Customers as (x, y, mean amount, transactions a day) and the places of terminals, shape (terminals, 2)."""
    np.random.seed(0)
    uniform = np.random.uniform
    customers = [(uniform(0, 100), uniform(0, 100), uniform(5, 100), uniform(0, 4)) for _ in range(CUSTOMERS)]
    np.random.seed(1)
    return customers, np.array([(uniform(0, 100), uniform(0, 100)) for _ in range(TERMINALS)])


def handbook_transactions(days: int) -> list[list[float]]:
    """Rows (seconds, day, customer, terminal, amount) in order of time: one draw at a time, customer by customer."""
    customers, places = handbook_profiles()
    rows = []
    for customer, (x, y, mean, rate) in enumerate(customers):
        reach = list(np.where(np.sqrt(np.sum(np.square([x, y] - places), axis=1)) < RADIUS)[0])
        random.seed(customer)
        np.random.seed(customer)
        for day in range(days):
            for _ in range(np.random.poisson(rate)):
                second = int(np.random.normal(86_400 / 2, 20_000))
                if 0 < second < 86_400:
                    amount = np.random.normal(mean, mean / 2)
                    if amount < 0:
                        amount = np.random.uniform(0, mean * 2)
                    if reach:
                        place = random.choice(reach)
                        rows.append([second + day * 86_400, day, customer, place, np.round(amount, decimals=2)])
    return sorted(rows, key=lambda row: row[0])


def handbook(days: int) -> pl.DataFrame:
    """The simulator of chapter 3, its three fraud scenarios included, with the lake's columns.

    A fraud drawn on day d depends on the next 14 days, so the last 14 of `days` differ from those of a longer run.
    """
    seconds, day, customer, terminal, amount = (
        np.array(values) for values in zip(*handbook_transactions(days), strict=True)
    )
    scenario = np.where(amount > 220, 1, 0)
    for first in range(day.max()):
        chosen = np.random.RandomState(first).choice(TERMINALS, 2, replace=False)
        scenario[(day >= first) & (day < first + 28) & np.isin(terminal, chosen)] = 2
    for first in range(day.max()):
        chosen = np.random.RandomState(first).choice(CUSTOMERS, 3, replace=False)
        exposed = np.flatnonzero((day >= first) & (day < first + 14) & np.isin(customer, chosen))
        random.seed(first)
        fraudulent = random.sample(list(exposed), k=len(exposed) // 3)
        amount[fraudulent] *= 5
        scenario[fraudulent] = 3
    times = [str(START + timedelta(seconds=int(second))) for second in seconds]
    ids = np.arange(len(seconds))
    columns = (ids, times, customer, terminal, amount, seconds, day, (scenario > 0).astype(int), scenario)
    return pl.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def handbook_files(days: int, folder: Path) -> int:
    """`handbook` as weekly files, row by row; gives the number of rows."""
    rows = handbook(days).rows()
    for first in range(0, days, 7):
        with (folder / f"{(START + timedelta(first)).date()}.txt").open("w", newline="") as file:
            file.write(HEADER.decode())
            csv.writer(file, lineterminator="\n").writerows(row for row in rows if first <= row[6] < first + 7)
    return len(rows)


def ours(days: int) -> int:
    """Every day as a table; gives the number of rows."""
    world = Generator(customers=CUSTOMERS, terminals=TERMINALS, start=START.date(), faults=NO_FAULTS)
    return sum(world.day(START.date() + timedelta(day)).height for day in range(days))


def ours_files(days: int, folder: Path, compress: bool = False) -> int:
    """Weekly files; gives the number of rows."""
    world = Generator(customers=CUSTOMERS, terminals=TERMINALS, start=START.date(), faults=NO_FAULTS)
    weeks = ((START.date() + timedelta(first), min(7, days - first)) for first in range(0, days, 7))
    return sum(world.write_file(folder, first, count, compress=compress).rows for first, count in weeks)


def rows_per_second(run: Callable[[], int], repeats: int) -> float:
    """Median over `repeats` runs."""
    speeds = []
    for _ in range(repeats):
        began = time.perf_counter()
        rows = run()
        speeds.append(rows / (time.perf_counter() - began))
    return median(speeds)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.generator", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, default=14, help="days for the row-by-row side (%(default)s)")
    parser.add_argument("--our-days", type=int, default=91, help="days for ours (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the median counts (%(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = rows_per_second(lambda: handbook(args.days).height, args.repeats)
        files = rows_per_second(lambda: handbook_files(args.days, folder), args.repeats)
        results = [
            ("table in memory", table, rows_per_second(lambda: ours(args.our_days), args.repeats)),
            ("weekly `.txt` files", files, rows_per_second(lambda: ours_files(args.our_days, folder), args.repeats)),
            (
                "weekly `.txt.gz` files",
                None,
                rows_per_second(lambda: ours_files(args.our_days, folder, True), args.repeats),
            ),
        ]
    print(f"Rows per second, medians of {args.repeats}; {args.days} days row by row, {args.our_days} days ours.\n")
    print("| | row by row | ours | ratio |\n|---|--:|--:|--:|")
    for what, theirs, our in results:
        print(f"| {what} | {f'{theirs:,.0f} | {our:,.0f} | {our / theirs:.0f}' if theirs else f'- | {our:,.0f} | -'} |")


if __name__ == "__main__":
    main()
