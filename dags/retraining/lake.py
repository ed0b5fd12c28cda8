"""The lake as the DAGs see it: its objects, its small JSON files, and raw files that no finished retrain has used."""

import io
import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

CONNECTION = "object_storage"


def client() -> Any:
    """An S3 client by the Airflow connection `object_storage` (login, password, extra: endpoint_url, region_name)."""
    import boto3
    from botocore.config import Config

    from dags.retraining import compat

    connection = compat.connection(CONNECTION)
    # Newer boto3 adds checksums that stores other than Amazon's need not know; one before 1.36 has no such setting.
    names = ("request_checksum_calculation", "response_checksum_validation")
    without_checksums: dict[str, Any] = {name: "when_required" for name in names if name in Config.OPTION_DEFAULTS}
    return boto3.client(
        "s3",
        aws_access_key_id=connection.login,
        aws_secret_access_key=connection.password,
        endpoint_url=connection.extra_dejson["endpoint_url"],
        region_name=connection.extra_dejson.get("region_name"),
        config=Config(
            s3={"addressing_style": "path"}, retries={"mode": "standard", "max_attempts": 5}, **without_checksums
        ),
    )


def names(s3: Any, bucket: str, prefix: str) -> list[str]:
    """Names of the objects right under `prefix`, sorted, without the prefix."""
    return sorted(name for name in objects(s3, bucket, prefix) if name)


def objects(s3: Any, bucket: str, prefix: str) -> dict[str, Any]:
    """Objects right under `prefix` by name, with their Size, ETag and LastModified."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    return {item["Key"][len(prefix) :]: item for page in pages for item in page.get("Contents", ())}


def read(s3: Any, bucket: str, key: str) -> Any | None:
    """A JSON object of the lake, or None."""
    try:
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None


def write(s3: Any, bucket: str, key: str, value: Any) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=io.BytesIO(json.dumps(value, indent=1).encode()))


def is_raw(name: str) -> bool:
    """True for a data file's name: `YYYY-MM-DD.txt`, also gzipped."""
    return PurePosixPath(name).name.removesuffix(".gz").endswith(".txt")


def unused(raw: Iterable[str], used: Iterable[str], as_of: str | None = None) -> list[str]:
    """Raw files that are in no finished retrain, oldest first; those that begin on the day `as_of` or later wait."""
    return sorted(name for name in set(raw) - set(used) if is_raw(name) and name < (as_of or "9"))
