"""What a later look at the data is compared with: small histograms of the model's inputs and scores, in the lake.

A week's histograms are counted twice: under the challenger's own bins, as its reference, should it ever serve; and
under the champion's bins, as a window that whoever watches for drift compares with the champion's reference. Both are
of a retrain's newest labelled week, out of sample for the model, so like is compared with like.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
import pandas as pd
import xgboost
from pyspark.sql import DataFrame

from fraud_retraining import model
from fraud_retraining.lake import Lake

SCORE = "score"
BINS = 10
MOST_ROWS = 200_000  # at which a share of a tenth is known to a thousandth


def sample(rows: DataFrame, count: int, most: int = MOST_ROWS) -> DataFrame:
    """About ``most`` of ``count`` rows, chosen by a hash of ``transaction_id``."""
    share = round(min(1.0, most / max(count, 1)) * 1_000_000)
    return rows.where(f"pmod(xxhash64(transaction_id, 7), 1000000) < {share}")


def observe(rows: pd.DataFrame, booster: xgboost.Booster) -> pd.DataFrame:
    """The booster's features and its ``score`` of rows."""
    return rows[booster.feature_names].assign(**{SCORE: model.predict(booster, rows)})


def edges(values: np.ndarray) -> List[float]:
    """Inner edges, each a value that occurs, of at most ``BINS`` bins of about equal content; NaN counts nowhere."""
    known = values[~np.isnan(values)]
    if not len(known):
        return []
    return sorted({float(edge) for edge in np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")})


def counts(values: np.ndarray, inner: Sequence[float]) -> List[int]:
    """Values in each bin, an edge belonging to the bin on its left; the last number counts NaN."""
    known = values[~np.isnan(values)]
    found = np.bincount(np.searchsorted(np.asarray(inner), known, side="left"), minlength=len(inner) + 1)
    return [*map(int, found), len(values) - len(known)]


def reference(observed: pd.DataFrame) -> Dict[str, Dict[str, Any]]:
    """``edges`` and ``counts`` of every column."""
    result: Dict[str, Dict[str, Any]] = {}
    for name in observed.columns:
        values = observed[name].to_numpy("float64")
        inner = edges(values)
        result[name] = {"edges": inner, "counts": counts(values, inner)}
    return result


def window(observed: pd.DataFrame, known: Mapping[str, Mapping[str, Any]]) -> Dict[str, List[int]]:
    """Counts under the bins of a reference, of every column that it knows."""
    return {
        name: counts(observed[name].to_numpy("float64"), known[name]["edges"])
        for name in observed.columns
        if name in known
    }


def reference_path(name: str, version: str) -> str:
    return f"monitor/reference/{name}-{version}.json"


def record(
    lake: Lake,
    name: str,
    decision: Mapping[str, Any],
    rows: DataFrame,
    boosters: Mapping[str, xgboost.Booster],
) -> str:
    """Write ``monitor/reference/<model>-<challenger>.json`` and ``monitor/runs/<run id>.json``, if there is a side.

    Args:
        name: the registered model.
        decision: content of ``decision.json``.
        rows: of the test week (a ``sample`` of them) with their features; they are looked at in the driver.
        boosters: by version; a side without one is left out.

    Returns:
        What was written, in words.
    """
    sides: Dict[str, Any] = {s: (decision[s] or {}).get("version") for s in ("challenger", "champion")}
    present = {side: version for side, version in sides.items() if version in boosters}
    needed = sorted({name for version in present.values() for name in boosters[version].feature_names})
    sampled = rows.select(*needed).toPandas() if present else pd.DataFrame()
    common = {key: decision[key] for key in ("run_id", "as_of", "windows")}
    written = []
    for side, version in present.items():
        observed = observe(sampled, boosters[version])
        won = decision[side]["metrics"]["average_precision"]
        about = {**common, "model": name, "version": version, "average_precision": won}
        if side == "challenger":
            path, about["histograms"] = reference_path(name, version), reference(observed)
        elif lake.files.exists(reference_path(name, version)):
            known = lake.files.read_json(reference_path(name, version))["histograms"]
            path, about["counts"] = f"monitor/runs/{decision['run_id']}.json", window(observed, known)
        else:
            written.append(f"version {version} has no reference")
            continue
        lake.files.write_json(path, about, replace=True)
        written.append(path)
    return ", ".join(written) or "no version to watch"
