"""Five engines on the same rows: ``python -m bench.comparison FEATURES SCRATCH PLAN`` (environment `stack`).

FEATURES is a folder of Parquet with ``PREPARED_SCHEMA``; PLAN says in JSON how each engine of bench/engines.py is run:
``{"ours": {"command": [...], "environment": {...}}, ...}``. Ordinary keys, the same rows on 100 customers and 100
terminals, and four times the rows. Whole numbers of a result (counts; sums of cents and of frauds, which are means
times counts) must be equal for every row and every engine that ends, or the program fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

RUNS = 3
MOST_FOURFOLD = 15_000_000  # rows; a lake of more is large enough as it is
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
    apart = [pl.col(name) * 4 for name in ("transaction_id", "customer_id", "terminal_id")]
    heavy = rows.with_columns(pl.col("customer_id") % 100, pl.col("terminal_id") % 100)
    frames, made = {"ordinary keys": rows, "100 heavy keys": heavy}, {}
    if rows.select(pl.len()).collect().item() <= MOST_FOURFOLD:
        copies = [rows.with_columns(*[column + copy for column in apart]) for copy in range(4)]
        frames["four times the rows"] = pl.concat(copies)
    for name, frame in frames.items():
        made[name] = scratch / f"{name.replace(' ', '-')}.parquet"
        frame.unique(["customer_id", "tx_datetime"], keep="none").sort("transaction_id").sink_parquet(made[name])
    return made


def run(how: dict[str, Any], engine: str, rows: Path, out: Path, limit: float) -> Run:
    command = [*how["command"], engine, str(rows), str(RUNS), str(out)]
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


def whole_numbers(result: Path) -> pl.DataFrame:
    """Counts, and sums of cents and of frauds, of each row, in the order of ids."""
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
    columns |= {name: pl.col(name) for name in ("transaction_id", "tx_during_weekend", "tx_during_night")}
    frame = pl.scan_parquet(files).select(**{name: value.round().cast(pl.Int64) for name, value in columns.items()})
    return frame.sort("transaction_id").collect()


def check_equal(kind: str, engine: str, found: pl.DataFrame, expected: pl.DataFrame) -> None:
    if not found.equals(expected):
        different = [name for name in expected.columns if not found[name].equals(expected[name])]
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
        base, expected = Run(), pl.DataFrame()
        for engine, how in plan.items():
            out = scratch / f"{engine}-{rows.name}"
            limit = GIVE_UP_AFTER * base.seconds * (RUNS + 2) if base.seconds else LONGEST
            one = run(how, engine, rows, out, limit)
            if engine == "ours":
                base, expected = one, whole_numbers(out)
            elif one.seconds:
                check_equal(kind, engine, whole_numbers(out), expected)
            first.setdefault(engine, one)
            small = first[engine] if kind == "four times the rows" else None
            print(line(f"{kind}, {count:,}", count, engine, one, base, small), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
