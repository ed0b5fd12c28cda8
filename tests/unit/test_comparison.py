"""The engines that features are compared with, on few rows, against the definitions."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from bench import comparison
from stack.common.envs import ensure
from tests.spark.reference import features
from tests.spark.transactions import random_rows
from tests.support import ROOT

START = datetime(2018, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.DataFrame]:
    """A lake's rows as bench.comparison makes them, and what is right, by definition."""
    folder = tmp_path_factory.mktemp("rows")
    given = random_rows(1, 400, 60, customers=8, terminals=5)
    frame = pl.DataFrame(
        {
            "transaction_id": range(len(given)),
            "tx_datetime": [START + timedelta(seconds=row["t"]) for row in given],
            "customer_id": [row["customer"] for row in given],
            "terminal_id": [row["terminal"] for row in given],
            "tx_amount": [row["cents"] / 100 for row in given],
            "tx_time_seconds": [row["t"] for row in given],
            "tx_time_days": [row["t"] // 86400 for row in given],
            "tx_fraud": [row["fraud"] for row in given],
            "tx_fraud_scenario": [row["fraud"] for row in given],
        }
    )
    (folder / "lake").mkdir()
    frame.write_parquet(folder / "lake/part-0.parquet")
    made = comparison.inputs(folder / "lake", folder)["ordinary keys"]
    kept = pl.read_parquet(made)["transaction_id"].to_list()
    assert 200 < len(kept) < len(given), "rows of one card in the same second are left out"
    right = pl.DataFrame(features([given[number] for number in kept])).with_columns(transaction_id=pl.Series(kept))
    right.write_parquet(folder / "right.parquet")
    return made, comparison.whole_numbers(folder / "right.parquet")


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_an_engine_gives_what_the_definitions_say(rows: tuple[Path, pl.DataFrame], tmp_path: Path, engine: str) -> None:
    given, right = rows
    command = [ensure("bench"), "-m", "bench.engines", engine, given, "1", tmp_path / "out.parquet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(json.loads(done.stdout)) == {"seconds", "cpu", "peak_gib"}
    comparison.check_equal("few", engine, comparison.whole_numbers(tmp_path / "out.parquet"), right)
    with pytest.raises(SystemExit, match="differs from ours in frauds_7"):
        comparison.check_equal("few", engine, right, right.with_columns(pl.col("frauds_7") + 1))
