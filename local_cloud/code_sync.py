"""Managed Airflow's code synchronisation: the `dags` bucket is copied to Airflow's folder again and again.

    python -m local_cloud.code_sync --endpoint URL --bucket NAME --folder FOLDER [--interval SECONDS]

Credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY).
"""

import argparse
import logging
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

log = logging.getLogger("code_sync")


def sync(store: Any, bucket: str, folder: Path, seen: dict[str, str]) -> int:
    """Makes `folder` equal to the bucket's objects; returns how many files changed.

    Args:
        seen: key -> ETag of what an earlier call has written; brought up to date.
    """
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    there = {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", ())}
    changed = 0
    for key, etag in there.items():
        target = (folder / key).resolve()
        if not target.is_relative_to(folder.resolve()) or key.endswith("/"):
            continue
        if seen.get(key) == etag and target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.new")  # Airflow must never parse half a file
        draft.write_bytes(store.get_object(Bucket=bucket, Key=key)["Body"].read())
        draft.replace(target)
        changed += 1
    for path in [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"]:
        if str(path.relative_to(folder)) not in there:
            path.unlink()
            changed += 1
    seen.clear()
    seen.update(there)
    return changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--interval", type=float, default=3, help="seconds between two looks (default 3)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = Config(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    store = boto3.client("s3", endpoint_url=options.endpoint, config=settings)
    (options.folder / "dags").mkdir(parents=True, exist_ok=True)
    seen: dict[str, str] = {}
    while True:
        try:
            if changed := sync(store, options.bucket, options.folder, seen):
                log.info("%d files of %s changed", changed, options.bucket)
        except (BotoCoreError, ClientError) as problem:
            log.warning("cannot read %s: %s", options.bucket, problem)
        time.sleep(options.interval)


if __name__ == "__main__":
    main()
