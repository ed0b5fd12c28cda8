"""The bucket of backups, and the artifacts, which lie in another."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config


def client(credentials: str, endpoint: str, region: str, ca: str) -> Any:
    """S3 in the name of the credential of that name (a file in AWS's format)."""
    lines = Path(os.environ["CREDENTIALS_DIRECTORY"], credentials).read_text().splitlines()
    key = dict(map(str.strip, line.split("=", 1)) for line in lines if "=" in line)
    config = Config(
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    return boto3.client("s3", endpoint_url=endpoint, region_name=region, verify=ca, config=config, **key)


def objects(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", ())


def artifacts() -> Iterator[dict[str, Any]]:
    """Key, bytes and etag of every object below the artifacts' destination."""
    place = urlsplit(os.environ["ARTIFACTS"])
    endpoint, region = os.environ["MLFLOW_S3_ENDPOINT_URL"], os.environ["AWS_DEFAULT_REGION"]
    s3 = client("artifacts", endpoint, region, os.environ["AWS_CA_BUNDLE"])
    prefix = place.path.strip("/")
    for item in objects(s3, place.netloc, f"{prefix}/" if prefix else ""):
        yield {"key": item["Key"], "bytes": item["Size"], "etag": item["ETag"].strip('"')}


def digest(file: Path) -> str:
    """SHA-256."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


class Backups:
    """The folders of backups, one each, below the prefix."""

    def __init__(self) -> None:
        endpoint, region = os.environ["BACKUP_ENDPOINT"], os.environ["BACKUP_REGION"]
        self.s3 = client("backups", endpoint, region, os.environ["BACKUP_CA"])
        self.bucket, self.prefix = os.environ["BACKUP_BUCKET"], os.environ["BACKUP_PREFIX"].strip("/")

    def folders(self) -> dict[str, bool]:
        """Id -> whether it is complete, oldest first."""
        found: dict[str, bool] = {}
        for item in objects(self.s3, self.bucket, f"{self.prefix}/"):
            name, _, file = item["Key"].removeprefix(f"{self.prefix}/").partition("/")
            found[name] = found.get(name, False) or file == "manifest.json"
        return dict(sorted(found.items()))

    def upload(self, name: str, file: Path) -> None:
        self.s3.upload_file(str(file), self.bucket, f"{self.prefix}/{name}/{file.name}")

    def complete(self, manifest: dict[str, Any]) -> None:
        """Writes the manifest, with which the backup counts."""
        key = f"{self.prefix}/{manifest['id']}/manifest.json"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=json.dumps(manifest, indent=1).encode())

    def find(self, name: str) -> dict[str, Any]:
        """The manifest of a backup, or of the `latest`."""
        complete = [key for key, whole in self.folders().items() if whole]
        if not complete or (name != "latest" and name not in complete):
            sys.exit(
                f"s3://{self.bucket}/{self.prefix} has no complete backup {name}; "
                f"it has {', '.join(complete) or 'none at all'}."
            )
        name = complete[-1] if name == "latest" else name
        return json.load(self.s3.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{name}/manifest.json")["Body"])

    def fetch(self, backup: str, name: str, sha256: str, folder: str) -> Path:
        """A file of a backup, in `folder`; fails unless it is what the manifest says."""
        file = Path(folder, name)
        self.s3.download_file(self.bucket, f"{self.prefix}/{backup}/{name}", str(file))
        if digest(file) != sha256:
            sys.exit(f"{name} of backup {backup} has SHA-256 {digest(file)}, its manifest says {sha256}: take another.")
        return file

    def prune(self) -> None:
        """Keeps the newest BACKUP_KEEP complete backups, and what is newer than the oldest of them."""
        keep, found = os.environ["BACKUP_KEEP"], self.folders()
        oldest = [name for name, complete in found.items() if complete][-int(keep) :][0]
        for name in found:
            if name < oldest:
                keys = [item["Key"] for item in objects(self.s3, self.bucket, f"{self.prefix}/{name}/")]
                # The manifest goes first: a half-removed backup does not count.
                for key in sorted(keys, key=lambda key: not key.endswith("manifest.json")):
                    self.s3.delete_object(Bucket=self.bucket, Key=key)
                print(f"changed: backup {name} removed, {keep} newer ones are kept")
