"""A bucket's settings that the store behind cannot keep: what Terraform writes, and reads at every plan.

Kept as they were sent, in one JSON file. They have no effect on objects: no version is kept, nothing expires.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from local_cloud.object_storage import errors
from local_cloud.object_storage.request import Request

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n<{0} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{1}</{0}>'


@dataclass(frozen=True)
class Setting:
    """A sub-resource of buckets: the root of its XML (none: JSON), and what a bucket without one answers."""

    root: str = ""
    missing: str = ""
    empty: str = ""

    def check(self, body: bytes) -> None:
        """Raises `S3Error` for a body that is not of the setting's form."""
        if not self.root:
            _check_policy(body)
            return
        try:
            root = ElementTree.fromstring(body).tag.rpartition("}")[2]
        except ElementTree.ParseError as problem:
            raise errors.malformed(self.root, problem) from None
        if root != self.root:
            raise errors.malformed(self.root, f"its root is {root}")


SETTINGS: Mapping[str, Setting] = {
    "cors": Setting("CORSConfiguration", missing="NoSuchCORSConfiguration"),
    "encryption": Setting(
        "ServerSideEncryptionConfiguration", missing="ServerSideEncryptionConfigurationNotFoundError"
    ),
    "lifecycle": Setting("LifecycleConfiguration", missing="NoSuchLifecycleConfiguration"),
    "logging": Setting("BucketLoggingStatus", empty=_XML.format("BucketLoggingStatus", "")),
    "object-lock": Setting("ObjectLockConfiguration", missing="ObjectLockConfigurationNotFoundError"),
    "policy": Setting(missing="NoSuchBucketPolicy"),
    "tagging": Setting("Tagging", empty=_XML.format("Tagging", "<TagSet/>")),
    "versioning": Setting("VersioningConfiguration", empty=_XML.format("VersioningConfiguration", "")),
    "website": Setting("WebsiteConfiguration", missing="NoSuchWebsiteConfiguration"),
}


def _check_policy(body: bytes) -> None:
    try:
        statement = json.loads(body)["Statement"]
    except (ValueError, KeyError, TypeError) as problem:
        raise errors.malformed_policy(f"{type(problem).__name__}: {problem}") from None
    if not isinstance(statement, list | dict):
        raise errors.malformed_policy("Statement is no list")


def setting_of(request: Request) -> str:
    """The setting of a bucket that a request is about, or an empty string."""
    return "" if request.key else next((name for name in SETTINGS if name in request.query), "")


class Settings:
    """Bucket -> setting -> body; safe for threads, and there again after a restart."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._kept: dict[str, dict[str, str]] = json.loads(file.read_text()) if file.exists() else {}

    def answer(self, request: Request) -> tuple[int, bytes]:
        """HTTP status and body for GET, PUT or DELETE of a setting; raises `S3Error`."""
        name, bucket = setting_of(request), request.bucket
        setting = SETTINGS[name]
        if request.method == "GET":
            text = self._kept.get(bucket, {}).get(name, setting.empty)
            if not text:
                raise errors.not_set(setting.missing, bucket, name)
            return 200, text.encode()
        if request.method == "PUT":
            setting.check(request.body)
        with self._lock:
            kept = self._kept.setdefault(bucket, {})
            kept.pop(name, None)
            if request.method == "PUT":
                kept[name] = request.body.decode()
            self._write()
        return (200 if request.method == "PUT" else 204), b""

    def forget(self, bucket: str) -> None:
        """The bucket is gone."""
        with self._lock:
            if self._kept.pop(bucket, None) is not None:
                self._write()

    def _write(self) -> None:
        draft = self._file.with_name(f"{self._file.name}.new")
        draft.write_text(json.dumps(self._kept))
        draft.replace(self._file)
