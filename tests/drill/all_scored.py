"""Compares the rows of a lake with their scores: rows, scores, and rows with other than one score, as JSON.

Run by image 2.2's Python, which reads Parquet: ADDRESS BUCKET, with the store's key in the environment.
"""

import io
import json
import sys
from collections import Counter

import boto3
import pandas as pd


def main(address: str, bucket: str) -> None:
    s3 = boto3.client("s3", endpoint_url=address, region_name="ru-central1")

    def read(key: str) -> bytes:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def parts(manifests: str) -> list:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=manifests, Delimiter="/").get("Contents", [])
        return [part for item in listed for part in json.loads(read(item["Key"]))["parts"]]

    def rows(folder: str, manifests: str, columns: list) -> pd.DataFrame:
        found = [pd.read_parquet(io.BytesIO(read(f"{folder}/{part}")), columns=columns) for part in parts(manifests)]
        return pd.concat(found) if found else pd.DataFrame(columns=columns)

    prepared = rows("prepared", "manifest/", ["transaction_id"])
    scored = rows("scores", "scores/manifest/", ["transaction_id", "version", "run_id"])
    times = Counter(scored["transaction_id"])
    odd = [int(one) for one in {*prepared["transaction_id"], *times} if times[one] != 1]
    versions = {run: sorted(set(of["version"])) for run, of in scored.groupby("run_id")}
    print(json.dumps({"rows": len(prepared), "scores": len(scored), "odd": odd[:5], "versions": versions}))


if __name__ == "__main__":
    main(*sys.argv[1:])
