"""The real object store: a public bucket as a lake, the synchronisation of DAGs, and who is let in."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_cloud.code_sync import sync
from local_cloud.core.config import ObjectStore
from local_cloud.object_storage.front import Front, Server
from local_cloud.object_storage.settings import Settings
from stack.cloud import buckets
from stack.cloud.account import Account
from stack.common.errors import StackError
from stack.common.java import ensure_jars, find_java
from stack.common.release import upload_dags
from stack.common.storage import storage_client
from stack.local import services
from stack.local.deploy import make_buckets, object_store
from stack.local.services import listens
from stack.local.state import State
from stack.running import arrivals
from tests.support.waiting import wait_until

HEADER = "# tranaction_id | tx_datetime\n"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    ensure_jars("object-store", find_java())
    stack = State(tmp_path_factory.mktemp("store"))
    stack.create(None)
    with running(stack):
        make_buckets(stack)
        yield stack


class running:
    """The object store of a stack, as a process of the test; `public` lets everybody in, as a public bucket does."""

    def __init__(self, stack: State, public: bool = False) -> None:
        self.stack, self.program = stack, services.object_store(stack)
        if public:
            properties = stack.folder / "object-store.properties"
            properties.write_text(properties.read_text().replace("=aws-v2-or-v4", "=none"))

    def __enter__(self) -> None:
        self.process = subprocess.Popen(self.program.command, env=self.program.environment)
        wait_until(lambda: listens(self.stack.ports["object_store"]), "the object store", seconds=180)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)


@pytest.fixture
def bucket(state: State) -> Iterator[Any]:
    s3 = object_store(state)
    yield s3
    for item in s3.list_objects_v2(Bucket="dags").get("Contents", ()):
        s3.delete_object(Bucket="dags", Key=item["Key"])


def test_only_a_right_signature_is_let_in(state: State) -> None:
    for key, secret in (("nobody", "x" * 24), (state.secrets["object_store_key"], "wrong" * 5)):
        stranger = boto3.client(
            "s3",
            endpoint_url=state.url("object_store"),
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            region_name="ru-central1",
            config=Config(s3={"addressing_style": "path"}),
        )
        with pytest.raises(ClientError, match=r"403|InvalidAccessKeyId|SignatureDoesNotMatch"):
            stranger.list_objects_v2(Bucket="lake")


def test_code_follows_the_bucket_in_both_directions(bucket: Any, tmp_path: Path) -> None:
    seen: dict[str, str] = {}
    upload_dags(bucket, "dags", {"dags/a.py": b"x = 1\n", "dags/deep/b.py": b"y = 1\n"})
    assert sync(bucket, "dags", tmp_path, seen) == 2
    assert (tmp_path / "dags" / "deep" / "b.py").read_bytes() == b"y = 1\n"
    assert sync(bucket, "dags", tmp_path, seen) == 0
    upload_dags(bucket, "dags", {"dags/a.py": b"x = 2\n"})
    assert sync(bucket, "dags", tmp_path, seen) == 2
    assert (tmp_path / "dags" / "a.py").read_bytes() == b"x = 2\n"
    assert not (tmp_path / "dags" / "deep" / "b.py").exists()


def test_a_key_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    class Store:
        def get_paginator(self, _: str) -> "Store":
            return self

        def paginate(self, **_: object) -> list[dict[str, Any]]:
            return [{"Contents": [{"Key": "../outside.py", "ETag": "1"}]}]

    folder = tmp_path / "code"
    folder.mkdir()
    assert sync(Store(), "dags", folder, {}) == 0
    assert not (tmp_path / "outside.py").exists()


@pytest.fixture
def front(state: State, tmp_path: Path) -> Iterator[Server]:
    """The store behind what Object Storage refuses and knows besides."""
    key, secret = state.secrets["object_store_key"], state.secrets["object_store_secret"]
    behind = ObjectStore(state.url("object_store"), key, secret)
    server = Server(Front(behind, Settings(tmp_path / "settings.json"), lambda token: token == "t1.right.token"))
    yield server.start()
    server.close()


def test_the_real_store_works_behind_the_front(state: State, front: Server, tmp_path: Path) -> None:
    """Parts, ranges, copies, lists, a batch of deletions; what Terraform does with a bucket from its first day on."""
    s3 = storage_client(front.url, state.secrets["object_store_key"], state.secrets["object_store_secret"])
    ask = {"Bucket": "behind"}
    s3.create_bucket(**ask)
    assert s3.get_bucket_tagging(**ask)["TagSet"] == []
    s3.put_bucket_versioning(**ask, VersioningConfiguration={"Status": "Enabled"})
    rule = {
        "ID": "old",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
    }
    s3.put_bucket_lifecycle_configuration(**ask, LifecycleConfiguration={"Rules": [rule]})
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * (20 << 12))  # 20 MiB: boto3 sends it in parts
    s3.upload_file(str(large), "behind", "a b/large")
    assert s3.get_object(**ask, Key="a b/large", Range="bytes=255-257")["Body"].read() == b"\xff\x00\x01"
    s3.copy_object(**ask, Key="copy", CopySource={"Bucket": "behind", "Key": "a b/large"})
    assert [item["Key"] for item in s3.list_objects_v2(**ask)["Contents"]] == ["a b/large", "copy"]
    assert s3.head_object(**ask, Key="copy")["ContentLength"] == large.stat().st_size
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        s3.delete_bucket(**ask)
    assert buckets.empty(s3, "behind") == 2
    s3.delete_bucket(**ask)
    s3.create_bucket(**ask)
    assert "Status" not in s3.get_bucket_versioning(**ask), "a new bucket of the same name has no settings"
    s3.delete_bucket(**ask)


def test_the_real_store_refuses_behind_the_front_whom_it_does_not_know(state: State, front: Server) -> None:
    stranger = storage_client(front.url, state.secrets["object_store_key"], "wrong" * 5)
    for call in (stranger.list_objects_v2, stranger.get_bucket_versioning):
        with pytest.raises(ClientError, match=r"403|SignatureDoesNotMatch"):
            call(Bucket="lake")
    with pytest.raises(ClientError, match=r"403|AccessDenied"):
        storage_client(front.url).list_objects_v2(Bucket="lake")


def test_a_token_is_enough_in_front_of_the_real_store(front: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YC_STORAGE_ACCESS_KEY", raising=False)
    monkeypatch.setenv("YC_STORAGE_ENDPOINT_URL", front.url)
    s3 = Account("a test", "t1.right.token").object_store()
    for key in ("k/ä", "k/b c"):
        s3.put_object(Bucket="lake", Key=key, Body=b"x")
    assert s3.get_object(Bucket="lake", Key="k/ä")["Body"].read() == b"x"
    assert buckets.empty(s3, "lake") == 2


@pytest.fixture
def public(tmp_path: Path) -> Iterator[State]:
    """An object store with the public bucket `source`: two data files under a prefix."""
    stack = State(tmp_path / "public")
    stack.create(None)
    folder = stack.folder / "object-store" / "source" / "weekly"
    folder.mkdir(parents=True)
    for name in ("2018-04-08.txt", "2018-04-01.txt", "readme.md"):
        (folder / name).write_text(HEADER)
    with running(stack, public=True):
        yield stack
    shutil.rmtree(stack.folder)


def test_a_public_bucket_is_a_lake(public: State, tmp_path: Path) -> None:
    source = arrivals.source("s3://source/weekly", public.url("object_store"), 10, 0)
    assert [source.name(i) for i in range(3)] == ["2018-04-01.txt", "2018-04-08.txt", None]
    assert source.bring(1, tmp_path).read_text() == HEADER


def test_a_bucket_that_is_not_there_is_one_clear_message(public: State) -> None:
    with pytest.raises(StackError, match=r"FRAUD_LAKE=s3://nowhere cannot be listed.*FRAUD_LAKE_ENDPOINT"):
        arrivals.source("s3://nowhere", public.url("object_store"), 10, 0)
