"""Compares the rows of a lake with their scores: rows, scores, and rows with other than one score, as JSON.

Run by image 2.2's Python, which reads Parquet: FOLDER, a copy of the lake.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import pandas as pd


def main(folder: str) -> None:
    root = Path(folder)

    def parts(manifests: str) -> list:
        return [part for file in (root / manifests).glob("*.json") for part in json.loads(file.read_text())["parts"]]

    def rows(area: str, manifests: str, columns: list) -> pd.DataFrame:
        found = [pd.read_parquet(root / area / part, columns=columns) for part in parts(manifests)]
        return pd.concat(found) if found else pd.DataFrame(columns=columns)

    prepared = rows("prepared", "manifest", ["transaction_id"])
    scored = rows("scores", "scores/manifest", ["transaction_id", "version", "run_id"])
    times = Counter(scored["transaction_id"])
    odd = [int(one) for one in {*prepared["transaction_id"], *times} if times[one] != 1]
    versions = {run: sorted(set(of["version"])) for run, of in scored.groupby("run_id")}
    print(json.dumps({"rows": len(prepared), "scores": len(scored), "odd": odd[:5], "versions": versions}))


if __name__ == "__main__":
    main(*sys.argv[1:])
