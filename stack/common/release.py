"""What is deployed: the jobs, named by their content, the DAGs, and the variable that tells a DAG of them."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stack.common.envs import LOCKS, ROOT

EXPERIMENT, MODEL, TRAINER_SECRET = "fraud-retraining", "fraud", "mlflow-trainer"
# On the image already: Spark itself.
ON_THE_IMAGE = {"pyspark", "py4j"}
DAG_SETTINGS = "dags/retraining/settings.json"  # dags/retraining/settings.py reads it


def source_files(folder: Path) -> list[Path]:
    """Files of a source folder, sorted, without what Python leaves behind."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def zip_of(package: Path) -> bytes:
    """The package as a zip file; equal bytes for equal sources, so that a release is named by its content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in source_files(package):
            entry = zipfile.ZipInfo(str(path.relative_to(package.parent)), date_time=(2018, 1, 1, 0, 0, 0))
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def upload_jobs(s3: Any, bucket: str) -> str:
    """Uploads the Spark application and its pins as `<release>/…`; returns the release, the hash of all of it."""
    folder = ROOT / "spark_app"
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}
    files["fraud_retraining.zip"] = zip_of(folder / "fraud_retraining")
    files |= {f"pins-{image}.txt": (LOCKS / f"spark-image-{image}.txt").read_bytes() for image in ("2.1", "2.2")}
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in files.items())).hexdigest()[:12]
    for name, content in files.items():
        s3.put_object(Bucket=bucket, Key=f"{digest}/{name}", Body=content)
    return digest


def dag_files(told: Mapping[str, str]) -> dict[str, bytes]:
    """Object key -> content of everything that Airflow is given; `told` is what the DAGs know while they are parsed."""
    folder = ROOT / "dags"
    files = {f"dags/{path.relative_to(folder)}": path.read_bytes() for path in source_files(folder)}
    return files | {DAG_SETTINGS: json.dumps(dict(told), sort_keys=True).encode()}


def upload_dags(s3: Any, bucket: str, files: dict[str, bytes]) -> None:
    """Makes the bucket hold these files; objects that are no longer ours go."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="dags/")
    there = {item["Key"]: item["ETag"].strip('"') for page in pages for item in page.get("Contents", ())}
    # Helpers first: a DAG must never be parsed against an older helper.
    for key, content in sorted(files.items(), key=lambda item: -item[0].count("/")):
        if there.get(key) != hashlib.md5(content, usedforsecurity=False).hexdigest():
            s3.put_object(Bucket=bucket, Key=key, Body=content)
    for key in set(there) - set(files):
        s3.delete_object(Bucket=bucket, Key=key)


def pip_properties(image: str) -> dict[str, str]:
    """All packages of the image's lock as Data Proc's `pip:` properties, those that others need among them.

    The value is a bare version: the service puts the `==` before it (docs/data-proc/concepts/settings-list).
    """
    locked = dict(
        line.split(" ")[0].split("==")
        for line in (LOCKS / f"spark-image-{image}.txt").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    )
    return {f"pip:{name}": locked[name] for name in sorted(locked.keys() - ON_THE_IMAGE)}


def retraining_variable(
    buckets: Mapping[str, str],
    cluster: Mapping[str, Any],
    release: str,
    trainer_secret: str,
    **parts: Mapping[str, Any],
) -> dict[str, Any]:
    """The Airflow variable `fraud_retraining`; dags/retraining/settings.py says what it must hold.

    Args:
        buckets: the names of the buckets `lake`, `jobs` and `logs`.
        cluster: what a run's cluster is made of, without its bucket and its packages.
        parts: what else its keys may say, such as `quality`, `score`, `promotion`, `budget` and `prices`; what is not
            said has the application's own default.
    """
    return {
        "lake_bucket": buckets["lake"],
        "jobs_bucket": buckets["jobs"],
        "release": release,
        "model": MODEL,
        "experiment": EXPERIMENT,
        "mlflow_secret_id": trainer_secret,
        "cluster": {**cluster, "bucket": buckets["logs"], "properties": pip_properties(cluster["image"])},
        **{name: dict(part) for name, part in parts.items()},
    }
