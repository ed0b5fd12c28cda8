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
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
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
def test_an_engine_gives_what_the_definitions_say(
    rows: tuple[Path, dict[str, int]], tmp_path: Path, engine: str
) -> None:
    given, right = rows
    command = [ensure("bench"), "-m", "bench.engines", engine, given, "1", tmp_path / "out.parquet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(json.loads(done.stdout)) == {"seconds", "cpu", "peak_gib"}
    comparison.check_equal("few", engine, comparison.whole_numbers(tmp_path / "out.parquet"), right)


def test_one_wrong_row_is_seen(rows: tuple[Path, dict[str, int]], tmp_path: Path) -> None:
    _, right = rows
    frame = pl.read_parquet(rows[0].parent / "right.parquet")
    mean, count = (f"customer_id_{name}_7day_window" for name in ("avg_amount", "nb_tx"))
    first = pl.int_range(pl.len()) == 0

    def found(changed: pl.DataFrame) -> dict[str, int]:
        changed.write_parquet(tmp_path / "other.parquet")
        return comparison.whole_numbers(tmp_path / "other.parquet")

    assert found(frame.reverse()) == right
    dearer = frame.with_columns(pl.when(first).then(pl.col(mean) + 0.01 / pl.col(count)).otherwise(mean).alias(mean))
    with pytest.raises(SystemExit, match=r"few: polars differs from ours in cents_7$"):
        comparison.check_equal("few", "polars", found(dearer), right)
    exchanged = frame.with_columns(pl.col("tx_during_night").shift(1, fill_value=pl.col("tx_during_night").last()))
    assert found(exchanged)["tx_during_night"] != right["tx_during_night"]
    with pytest.raises(SystemExit, match="rows"):
        comparison.check_equal("few", "polars", found(frame.head(-1)), right)
