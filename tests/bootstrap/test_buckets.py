"""Buckets are emptied for good; the object store gets the operator's token and nothing else does."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from stack.cloud import buckets
from stack.cloud.account import Account
from stack.common.errors import StackError


@mock_aws
def test_versions_markers_and_unfinished_uploads_go_too() -> None:
    s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    s3.create_bucket(Bucket="models")
    s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
    inside = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # a thousand requests would take ten seconds
    for index in range(1000 + 5):
        inside.put_object("models", f"key-{index}", b"1")
    s3.put_object(Bucket="models", Key="key-0", Body=b"2")
    s3.delete_object(Bucket="models", Key="key-1")
    s3.create_multipart_upload(Bucket="models", Key="unfinished")
    assert buckets.empty(s3, "models") == 1000 + 5 + 3
    s3.delete_bucket(Bucket="models")  # refused where anything were left
    assert buckets.empty(s3, "models") == 0, "a bucket that is gone is empty"


def test_an_object_that_cannot_be_deleted_is_named() -> None:
    class Locked:
        def delete_objects(self, **_: object) -> dict[str, Any]:
            return {"Errors": [{"Key": "k", "Code": "AccessDenied", "Message": "locked"}]}

    with pytest.raises(StackError, match=r"s3://b/k cannot be deleted: AccessDenied, locked.*storage.admin"):
        buckets.delete(Locked(), "b", [{"Key": "k"}])


def test_the_object_store_gets_the_token_and_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            seen.append(dict(self.headers.items()))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("YC_STORAGE_ACCESS_KEY", raising=False)
    monkeypatch.setenv("YC_STORAGE_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    Account("a test", "t1.a.token").object_store().put_object(Bucket="b", Key="k", Body=b"x")
    server.shutdown()
    assert seen[0]["X-YaCloud-SubjectToken"] == "t1.a.token"
    assert "Authorization" not in seen[0]


def test_an_account_does_not_show_its_token() -> None:
    assert "t1.a.token" not in repr(Account("a test", "t1.a.token"))
