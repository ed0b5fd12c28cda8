"""The lake as the DAGs see it: its objects, its small JSON files, and raw files that no finished retrain has used."""

import io
import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

CONNECTION = "object_storage"
RAW_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?!\d).*\.txt(\.gz)?", re.DOTALL)  # as the Spark application takes them


def client() -> Any:
    """An S3 client by the Airflow connection `object_storage` (login, password, extra: endpoint_url, region_name)."""
    import boto3
    from botocore.config import Config

    from dags.retraining import compat
    from dags.retraining.patience import Patience

    connection = compat.connection(CONNECTION)
    # Newer boto3 adds checksums that stores other than Amazon's need not know; one before 1.36 has no such setting.
    names = ("request_checksum_calculation", "response_checksum_validation")
    without_checksums: dict[str, Any] = {name: "when_required" for name in names if name in Config.OPTION_DEFAULTS}
    made = boto3.client(
        "s3",
        aws_access_key_id=connection.login,
        aws_secret_access_key=connection.password,
        endpoint_url=connection.extra_dejson["endpoint_url"],
        region_name=connection.extra_dejson.get("region_name"),
        config=Config(
            s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 1}, **without_checksums
        ),
    )
    return Patience(fresh=True).s3(made)


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


def write_new(s3: Any, bucket: str, key: str, value: Any) -> bool:
    """Writes a JSON object unless there is one of that key; says whether it was written."""
    from botocore.exceptions import ClientError

    try:
        s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(value, indent=1).encode(), IfNoneMatch="*")
    except ClientError as problem:
        if problem.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"):
            return False
        raise
    return True


def is_raw(name: str) -> bool:
    """True for a data file's name: `YYYY-MM-DD.txt`, also gzipped, with whatever text behind the day."""
    if not RAW_NAME.fullmatch(name):
        return False
    try:
        return bool(date.fromisoformat(name[: len("YYYY-MM-DD")]))
    except ValueError:
        return False


def unused(raw: Iterable[str], used: Iterable[str], as_of: str | None = None) -> list[str]:
    """Raw files that are in no finished retrain, oldest first; those that begin on the day `as_of` or later wait.

    Raises:
        ValueError: something in `raw/` is no raw file by its name; names it.
    """
    found = [name for name in raw if not name.startswith((".", "_"))]
    if strange := sorted(name for name in found if not is_raw(name)):
        raise ValueError(
            f"raw/ holds {', '.join(strange)}: no raw file by its name; expected YYYY-MM-DD.txt or YYYY-MM-DD.txt.gz, "
            "named by the first day that it covers; rename it, or take it out of raw/"
        )
    return sorted(name for name in set(found) - set(used) if name < (as_of or "9"))


def used(s3: Any, bucket: str, raw: Mapping[str, Any]) -> list[str]:
    """Raw files that a finished retrain has used as they are now; one that came again with other content is not.

    Args:
        raw: the objects of `raw/`.
    """
    markers = objects(s3, bucket, "retrained/")
    found = []
    for name, item in raw.items():
        marker = markers.get(f"{name}.json")
        if not marker:
            continue
        if item["LastModified"] > marker["LastModified"]:  # written again since: the same content may have come again
            known = (read(s3, bucket, f"retrained/{name}.json") or {}).get("etag")
            if known != item["ETag"]:
                continue
        found.append(name)
    return found


def mark_used(s3: Any, bucket: str, run: str, etags: Mapping[str, str]) -> None:
    """Marks raw files as used by a run, but those that have changed since it looked at them: they count as new."""
    now = objects(s3, bucket, "raw/")
    for name, etag in etags.items():
        if name in now and now[name]["ETag"] != etag:
            print(f"raw/{name} has changed during the run: the next one takes it")
            continue
        body = json.dumps({"run": run, "etag": etag}).encode()
        s3.put_object(Bucket=bucket, Key=f"retrained/{name}.json", Body=body)
