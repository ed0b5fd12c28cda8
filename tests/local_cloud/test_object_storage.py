"""The front before the object store: what Object Storage refuses, and the settings of buckets that Terraform reads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trustme", reason="the endpoint's own requirements are not installed here (requirements/stack.txt)")

import boto3
import trustme
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local_cloud.core.config import ObjectStore as Behind
from local_cloud.object_storage import checks
from local_cloud.object_storage.errors import S3Error
from local_cloud.object_storage.front import Front, Server
from local_cloud.object_storage.request import Request
from local_cloud.object_storage.settings import Settings
from local_cloud.object_storage.signature import tokens_of
from stack.cloud import buckets
from stack.cloud.account import Account
from stack.common.storage import storage_client
from tests.support.cloud import BUCKET, Endpoint, ObjectStore

KEY, SECRET, TOKEN = "local", "object-store-secret", "t1.right.token"
PATHS = Config(s3={"addressing_style": "path"})


@pytest.fixture
def behind() -> Iterator[ObjectStore]:
    store = ObjectStore()
    yield store
    store.close()


@pytest.fixture
def front(behind: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The front over TLS, since boto3 puts checksums behind a body only there."""
    authority = trustme.CA()
    certificate = tmp_path / "server.pem"
    issued = authority.issue_cert("localhost", "logs.localhost")
    certificate.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    settings = Settings(tmp_path / "settings.json")
    store = Behind(behind.url, KEY, SECRET)
    server = Server(Front(store, settings, lambda token: token == TOKEN), certificate=certificate).start()
    yield server
    server.close()


@pytest.fixture
def s3(front: Server) -> Any:
    return storage_client(front.url, KEY, SECRET)


def as_the_operator(front: Server, monkeypatch: pytest.MonkeyPatch, token: str = TOKEN) -> Any:
    """The client of bootstrap and destroy: an IAM token, no signature."""
    monkeypatch.delenv("YC_STORAGE_ACCESS_KEY", raising=False)
    monkeypatch.setenv("YC_STORAGE_ENDPOINT_URL", front.url)
    return Account("a test", token).object_store()


def newest_client(front: Server) -> Any:
    """A client of another make: its checksums are those of boto3 since 1.36, not Content-MD5."""
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    return boto3.client("s3", endpoint_url=front.url, region_name="x", config=PATHS, **keys)


def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_upload_with_a_token_has_no_checksum_behind_its_body(
    front: Server, behind: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_the_operator(front, monkeypatch).put_object(Bucket=BUCKET, Key="a b/ä", Body=b"x")
    assert behind.objects == {f"{BUCKET}/a%20b/%C3%A4": b"x"}
    headers = {name.lower() for name in behind.requests[-1][2]}
    assert "x-yacloud-subjecttoken" not in headers, "the store behind gets a signature and no token"
    assert "authorization" in headers


def test_an_unsigned_checksum_behind_the_body_is_refused(front: Server, behind: ObjectStore) -> None:
    careless = boto3.client("s3", endpoint_url=front.url, region_name="x", config=Config(signature_version=UNSIGNED))
    careless.meta.events.register(
        "request-created.s3", lambda request, **_: request.headers.__setitem__("X-YaCloud-SubjectToken", TOKEN)
    )
    code, message = refused(lambda: careless.put_object(Bucket=BUCKET, Key="k", Body=b"x"))
    assert (code, "x-amz-checksum-crc32" in message) == ("NotImplemented", True)
    assert behind.objects == {}


def test_a_signed_upload_reaches_the_store_as_it_was_signed(s3: Any, behind: ObjectStore) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"x")
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"x"
    headers = {name.lower(): value for name, value in behind.requests[-1][2].items()}
    assert "Credential=local/" in headers["authorization"]


def test_a_batch_of_deletions_needs_its_md5(front: Server, s3: Any, behind: ObjectStore) -> None:
    careless = newest_client(front)
    batch = {"Objects": [{"Key": "k"}]}
    code, message = refused(lambda: careless.delete_objects(Bucket=BUCKET, Delete=batch))
    assert (code, message) == ("InvalidRequest", "Missing required header for this request: Content-MD5")
    s3.delete_objects(Bucket=BUCKET, Delete=batch)
    verb, target, headers = behind.requests[-1]
    assert (verb, target) == ("POST", f"/{BUCKET}?delete")
    assert not [name for name in headers if name.lower().startswith("x-amz-checksum")]
    too_many = {"Objects": [{"Key": f"{n}"} for n in range(1001)]}
    assert refused(lambda: s3.delete_objects(Bucket=BUCKET, Delete=too_many))[0] == "MalformedXML"


def test_a_batch_that_is_refused_for_its_checksum_is_deleted_one_by_one(front: Server, behind: ObjectStore) -> None:
    """Even by a client that cannot make the digest that the store wants."""
    careless = newest_client(front)
    assert buckets.delete(careless, BUCKET, [{"Key": "a"}, {"Key": "b", "VersionId": "7"}]) == 2
    asked = [(verb, target) for verb, target, _ in behind.requests]
    assert asked == [("DELETE", f"/{BUCKET}/a"), ("DELETE", f"/{BUCKET}/b?versionId=7")]


def test_a_batch_that_is_refused_for_another_reason_is_not_tried_again() -> None:
    class Shut:
        def delete_objects(self, **_: object) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DeleteObjects")

    with pytest.raises(ClientError, match="AccessDenied"):
        buckets.delete(Shut(), "b", [{"Key": "k"}])


def test_a_digest_must_be_that_of_the_body(s3: Any) -> None:
    wrong = {"Bucket": BUCKET, "Key": "k", "Body": b"x"}
    assert refused(lambda: s3.put_object(**wrong, ContentMD5="AAAAAAAAAAAAAAAAAAAAAA=="))[0] == "BadDigest"
    assert refused(lambda: s3.put_object(**wrong, ContentMD5="short"))[0] == "InvalidDigest"


@pytest.mark.parametrize("name", ["Upper", "a..b", "under_score", "-begins", "x" * 64])
def test_a_bucket_has_a_name_that_the_cloud_takes(name: str) -> None:
    with pytest.raises(S3Error, match="3 to 63 lowercase letters"):
        checks.check(Request("PUT", f"/{name}", {}))
    checks.check(Request("PUT", "/fraud-lake.2", {}))


def test_who_asks_is_known(front: Server, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = {"Bucket": BUCKET}
    nobody = storage_client(front.url)
    assert refused(lambda: nobody.get_bucket_versioning(**ask))[0] == "AccessDenied"
    stranger = as_the_operator(front, monkeypatch, "t1.wrong.token")
    assert refused(lambda: stranger.put_object(**ask, Key="k", Body=b""))[0] == "AccessDenied"
    forger = storage_client(front.url, KEY, "wrong" * 5)
    assert refused(lambda: forger.get_bucket_versioning(**ask))[0] == "SignatureDoesNotMatch"
    other = storage_client(front.url, "nobody", SECRET)
    assert refused(lambda: other.get_bucket_versioning(**ask))[0] == "InvalidAccessKeyId"


def test_settings_that_a_bucket_has_not(s3: Any) -> None:
    ask = {"Bucket": BUCKET}
    assert "Status" not in s3.get_bucket_versioning(**ask)
    assert s3.get_bucket_tagging(**ask)["TagSet"] == [], "Terraform takes a 404 here for a bucket that is gone"
    assert "LoggingEnabled" not in s3.get_bucket_logging(**ask)
    for call, code in (
        (s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
        (s3.get_bucket_encryption, "ServerSideEncryptionConfigurationNotFoundError"),
        (s3.get_bucket_policy, "NoSuchBucketPolicy"),
        (s3.get_bucket_cors, "NoSuchCORSConfiguration"),
        (s3.get_bucket_website, "NoSuchWebsiteConfiguration"),
        (s3.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError"),
    ):
        assert refused(lambda: call(**ask))[0] == code  # noqa: B023
    assert refused(lambda: s3.get_bucket_versioning(Bucket="gone"))[0] == "NoSuchBucket"


def test_settings_are_read_as_they_were_written_also_after_a_restart(s3: Any, tmp_path: Path) -> None:
    ask = {"Bucket": BUCKET}
    s3.put_bucket_versioning(**ask, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}
    s3.put_bucket_lifecycle_configuration(**ask, LifecycleConfiguration={"Rules": [rule]})
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "abj1"}}
    s3.put_bucket_encryption(**ask, ServerSideEncryptionConfiguration={"Rules": [encryption]})
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*"}]})
    s3.put_bucket_policy(**ask, Policy=policy)
    s3.put_bucket_tagging(**ask, Tagging={"TagSet": [{"Key": "owner", "Value": "us"}]})
    assert s3.get_bucket_versioning(**ask)["Status"] == "Enabled"
    assert s3.get_bucket_lifecycle_configuration(**ask)["Rules"][0]["Expiration"] == {"Days": 3}
    found = s3.get_bucket_encryption(**ask)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert found["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == "abj1"
    assert s3.get_bucket_policy(**ask)["Policy"] == policy
    assert s3.get_bucket_tagging(**ask)["TagSet"] == [{"Key": "owner", "Value": "us"}]
    assert json.loads((tmp_path / "settings.json").read_text())[BUCKET]["policy"] == policy
    s3.delete_bucket_policy(**ask)
    assert refused(lambda: s3.get_bucket_policy(**ask))[0] == "NoSuchBucketPolicy"


def test_a_setting_that_is_none_is_refused(s3: Any) -> None:
    assert refused(lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy="{}"))[0] == "MalformedPolicy"


def test_a_bucket_may_be_named_by_the_host_as_terraforms_provider_does(behind: ObjectStore, tmp_path: Path) -> None:
    """The store behind knows paths alone, so the front looks at the signature and makes its own."""
    front = Front(Behind(behind.url, KEY, SECRET), Settings(tmp_path / "settings.json"), lambda token: False)

    def ask(method: str, target: str, body: bytes = b"", secret: str = SECRET) -> bytes:
        made = AWSRequest(method, f"http://{BUCKET}.storage.yandexcloud.net{target}", data=body)
        S3SigV4Auth(Credentials(KEY, secret), "s3", "ru-central1").add_auth(made)
        headers = {name.lower(): value for name, value in made.headers.items()}
        headers["host"] = f"{BUCKET}.storage.yandexcloud.net"
        return front.answer(Request(method, target, headers, body)).body

    ask("PUT", "/?versioning", b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
    assert b"Enabled" in ask("GET", "/?versioning")
    ask("PUT", "/a/k", b"x")
    assert behind.objects == {f"{BUCKET}/a/k": b"x"}
    with pytest.raises(S3Error, match="check the secret key"):
        ask("PUT", "/a/k", b"y", secret="wrong" * 5)


def test_a_token_of_the_cloud_opens_the_store(
    endpoint: Endpoint, behind: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = Front(Behind(behind.url, KEY, SECRET), Settings(tmp_path / "s.json"), tokens_of(endpoint.state))
    server = Server(front).start()
    as_the_operator(server, monkeypatch, endpoint.token("airflow")).put_object(Bucket=BUCKET, Key="k", Body=b"x")
    assert behind.objects == {f"{BUCKET}/k": b"x"}
    made_up = as_the_operator(server, monkeypatch, "t1.made.up")
    assert refused(lambda: made_up.put_object(Bucket=BUCKET, Key="k", Body=b"x"))[0] == "AccessDenied"
    server.close()


def test_the_authority_is_read_by_anybody_and_nothing_else_is(behind: ObjectStore, tmp_path: Path) -> None:
    """As machines and playbooks fetch the vendor's: without credentials."""
    path = "/cloud-certs/CA.pem"
    store = Front(Behind(behind.url, KEY, SECRET), Settings(tmp_path / "kept.json"), lambda _: False, {path: b"PEM"})
    assert store.answer(Request("GET", path, {})).body == b"PEM"
    for method, other in (("PUT", path), ("DELETE", path)):
        with pytest.raises(S3Error):
            store.answer(Request(method, other, {}))
