"""Five engines on the same rows: ``python -m bench.comparison FEATURES SCRATCH PLAN`` (environment `stack`).

FEATURES is a folder of Parquet with ``PREPARED_SCHEMA``; PLAN says in JSON how each engine of bench/engines.py is run:
``{"ours": {"command": [...], "environment": {...}}, ...}``. Ordinary keys, the same rows on 100 customers and 100
terminals, and four times the rows; of a lake that is large enough as it is, its rows alone. Whole numbers of a result
(counts; sums of cents and of frauds, which are means times counts) must be equal for every row and every engine that
ends, or the program fails.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

RUNS = 3
LARGE = 15_000_000  # rows of a lake that is large enough as it is, and that each engine works on once
GIVE_UP_AFTER = 25  # times the seconds that ours took for all of its runs
LONGEST = 6 * 3600.0
WINDOWS = (1, 7, 30)
NAMES = {
    "ours": "ours (Spark, growing frames)",
    "sliding": "Spark, sliding RANGE frames",
    "pandas": "the handbook's pandas",
    "polars": "Polars",
    "duckdb": "DuckDB",
}


@dataclass(frozen=True)
class Run:
    """What one engine needed; None where it did not end."""

    seconds: float | None = None
    cpu: float | None = None
    peak_gib: float | None = None
    why: str = ""


def inputs(features: Path, scratch: Path) -> dict[str, Path]:
    """A file for each kind of rows, without transactions of one card in the same second."""
    rows = pl.scan_parquet(features / "*.parquet").select(
        *["transaction_id", "tx_datetime", "customer_id", "terminal_id", "tx_amount", "tx_time_seconds"],
        *["tx_time_days", "tx_fraud", "tx_fraud_scenario"],
    )
    frames, made = {"ordinary keys": rows}, {}
    if rows.select(pl.len()).collect().item() < LARGE:
        apart = [pl.col(name) * 4 for name in ("transaction_id", "customer_id", "terminal_id")]
        copies = [rows.with_columns(*[column + copy for column in apart]) for copy in range(4)]
        frames["100 heavy keys"] = rows.with_columns(pl.col("customer_id") % 100, pl.col("terminal_id") % 100)
        frames["four times the rows"] = pl.concat(copies)
    for name, frame in frames.items():
        made[name] = scratch / f"{name.replace(' ', '-')}.parquet"
        frame.unique(["customer_id", "tx_datetime"], keep="none").sort("transaction_id").sink_parquet(made[name])
    return made


def run(how: dict[str, Any], engine: str, rows: Path, runs: int, out: Path, limit: float) -> Run:
    command = [*how["command"], engine, str(rows), str(runs), str(out)]
    try:
        done = subprocess.run(
            command, env=os.environ | how["environment"], capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return Run(why=f"more than {GIVE_UP_AFTER} times ours")
    if done.returncode in (-9, 137) or "OutOfMemory" in done.stderr or "MemoryError" in done.stderr:
        return Run(why="out of memory")
    if done.returncode:
        raise SystemExit(f"{engine} failed with status {done.returncode}:\n{done.stderr[-3000:]}")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def whole_numbers(result: Path) -> dict[str, int]:
    """Of the whole numbers of a result one for each column, which any other value of any row makes another.

    They are counts, and sums of cents and of frauds, each times a hash of its row's id; summed up modulo 2**64, so that
    results of any order and size can be compared.
    """
    files = result / "*.parquet" if result.is_dir() else result
    columns = {}
    for days in WINDOWS:
        cards, seen = f"customer_id_nb_tx_{days}day_window", f"terminal_id_nb_tx_{days}day_window"
        columns |= {
            cards: pl.col(cards),
            f"cents_{days}": pl.col(f"customer_id_avg_amount_{days}day_window") * pl.col(cards) * 100,
            seen: pl.col(seen),
            f"frauds_{days}": pl.col(f"terminal_id_risk_{days}day_window") * pl.col(seen),
        }
    columns |= {name: pl.col(name) for name in ("tx_during_weekend", "tx_during_night")}
    row = pl.col("transaction_id").cast(pl.Int64).hash(seed=1)
    sums = {name: (row * (value.round().cast(pl.UInt64) + 1)).sum() for name, value in columns.items()}
    frame = pl.scan_parquet(files).select(rows=pl.len(), **sums)
    return dict(frame.collect(engine="streaming").row(0, named=True))


def check_equal(kind: str, engine: str, found: dict[str, int], expected: dict[str, int]) -> None:
    if found != expected:
        different = [name for name in expected if found[name] != expected[name]]
        raise SystemExit(f"{kind}: {engine} differs from ours in {', '.join(different)}")


def line(kind: str, count: int, engine: str, one: Run, base: Run, small: Run | None) -> str:
    if one.seconds is None or one.cpu is None or one.peak_gib is None:
        return f"| {kind} | {NAMES[engine]} | {one.why} | - | - | - | - |"
    growth = f"{one.seconds / small.seconds / 4:.2f}" if small and small.seconds else "-"
    ratio = one.seconds / base.seconds if base.seconds else float("nan")
    cells = f"{one.seconds:.1f} | {ratio:.2f} | {count / one.cpu:,.0f} | {one.peak_gib:.1f} | {growth}"
    return f"| {kind} | {NAMES[engine]} | {cells} |"


def main(features: Path, scratch: Path, plan: dict[str, dict[str, Any]]) -> None:
    scratch.mkdir(parents=True, exist_ok=True)
    files = inputs(features, scratch)
    first: dict[str, Run] = {}
    print("| rows | engine | seconds | ratio to ours | rows / s and core | peak, GiB | growth |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for kind, rows in files.items():
        count = pl.scan_parquet(rows).select(pl.len()).collect().item()
        runs = 1 if count >= LARGE else RUNS
        base, expected = Run(), dict[str, int]()
        for engine, how in plan.items():
            out = scratch / f"{engine}-{rows.name}"
            limit = GIVE_UP_AFTER * base.seconds * (runs + 2) if base.seconds else LONGEST
            one = run(how, engine, rows, runs, out, limit)
            if engine == "ours":
                base, expected = one, whole_numbers(out)
            elif one.seconds:
                check_equal(kind, engine, whole_numbers(out), expected)
            remove(out)
            first.setdefault(engine, one)
            small = first[engine] if kind == "four times the rows" else None
            print(line(f"{kind}, {count:,}", count, engine, one, base, small), flush=True)


def remove(result: Path) -> None:
    """A file, a folder, or nothing."""
    if result.is_dir():
        shutil.rmtree(result)
    else:
        result.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
