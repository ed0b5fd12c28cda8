"""Secrets: versions, payloads by both protocols, generated passwords, and that no payload lies about."""

import sqlite3
import string
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue
from yandex.cloud.lockbox.v1 import payload_pb2, secret_pb2
from yandex.cloud.lockbox.v1 import payload_service_pb2 as payload_service
from yandex.cloud.lockbox.v1 import secret_service_pb2 as service
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub

from tests.support.cloud import FOLDER, Endpoint, finished, refusal, result


def make_secret(endpoint: Endpoint, name: str, **entries: str | bytes) -> Any:
    sdk = endpoint.sdk()
    request = service.CreateSecretRequest(folder_id=FOLDER, name=name, version_payload_entries=changes(entries))
    return result(sdk, sdk.client(SecretServiceStub).Create(request), secret_pb2.Secret)


def changes(entries: dict[str, str | bytes]) -> list[Any]:
    kinds = {key: "binary_value" if isinstance(value, bytes) else "text_value" for key, value in entries.items()}
    fields: list[dict[str, Any]] = [{"key": key, kinds[key]: value} for key, value in entries.items()]
    return [service.PayloadEntryChange(**each) for each in fields]


def payload(endpoint: Endpoint, secret: str, version: str = "") -> dict[str, str | bytes]:
    request = payload_service.GetPayloadRequest(secret_id=secret, version_id=version)
    answer = endpoint.sdk().client(PayloadServiceStub).Get(request)
    return {entry.key: getattr(entry, entry.WhichOneof("value")) for entry in answer.entries}


def add_version(endpoint: Endpoint, secret: str, base: str = "", **entries: str | bytes) -> Any:
    sdk = endpoint.sdk()
    request = service.AddVersionRequest(secret_id=secret, base_version_id=base, payload_entries=changes(entries))
    return result(sdk, sdk.client(SecretServiceStub).AddVersion(request), secret_pb2.Version)


def test_what_goes_in_comes_out_by_both_protocols(endpoint: Endpoint) -> None:
    secret = make_secret(endpoint, "both", username="mlflow", password="pässword", blob=b"\x00\xff")
    assert secret.status == secret_pb2.Secret.ACTIVE
    assert list(secret.current_version.payload_entry_keys) == ["username", "password", "blob"]
    assert payload(endpoint, secret.id) == {"username": "mlflow", "password": "pässword", "blob": b"\x00\xff"}
    answer = endpoint.rest("GET", f"/lockbox/v1/secrets/{secret.id}/payload", endpoint.token_of_deployer())
    assert answer.json() == {
        "versionId": secret.current_version.id,
        "entries": [
            {"key": "username", "textValue": "mlflow"},
            {"key": "password", "textValue": "pässword"},
            {"key": "blob", "binaryValue": "AP8="},
        ],
    }


def test_versions_pile_up_and_the_newest_is_current_until_told_otherwise(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    stub = sdk.client(SecretServiceStub)
    secret = make_secret(endpoint, "versions", a="1", b="1")
    first = secret.current_version.id
    second = add_version(endpoint, secret.id, first, b="2")
    assert payload(endpoint, secret.id) == {"a": "1", "b": "2"}
    assert payload(endpoint, secret.id, first) == {"a": "1", "b": "1"}
    assert stub.Get(service.GetSecretRequest(secret_id=secret.id)).current_version.id == second.id
    listed = stub.ListVersions(service.ListVersionsRequest(secret_id=secret.id)).versions
    assert [version.id for version in listed] == [first, second.id]
    finished(sdk, stub.SetCurrentVersion(service.SetCurrentVersionRequest(secret_id=secret.id, version_id=first)))
    assert payload(endpoint, secret.id) == {"a": "1", "b": "1"}


def test_a_version_of_another_secret_is_not_given(endpoint: Endpoint) -> None:
    one, other = make_secret(endpoint, "one", a="1"), make_secret(endpoint, "another", a="2")
    error = refusal(lambda: payload(endpoint, one.id, other.current_version.id))
    assert error.code() is grpc.StatusCode.NOT_FOUND


def test_a_version_set_for_destruction_is_shut_and_can_be_kept(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    stub = sdk.client(SecretServiceStub)
    secret = make_secret(endpoint, "doomed", a="1")
    names = {"secret_id": secret.id, "version_id": secret.current_version.id}
    request = service.ScheduleVersionDestructionRequest(**names, pending_period=Duration(seconds=3600))
    version = result(sdk, stub.ScheduleVersionDestruction(request), secret_pb2.Version)
    assert version.status == secret_pb2.Version.SCHEDULED_FOR_DESTRUCTION
    assert refusal(lambda: payload(endpoint, secret.id)).code() is grpc.StatusCode.FAILED_PRECONDITION
    finished(sdk, stub.CancelVersionDestruction(service.CancelVersionDestructionRequest(**names)))
    assert payload(endpoint, secret.id) == {"a": "1"}


def test_an_inactive_secret_is_shut(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    stub = sdk.client(SecretServiceStub)
    secret = make_secret(endpoint, "inactive", a="1")
    finished(sdk, stub.Deactivate(service.DeactivateSecretRequest(secret_id=secret.id)))
    assert refusal(lambda: payload(endpoint, secret.id)).code() is grpc.StatusCode.FAILED_PRECONDITION
    finished(sdk, stub.Activate(service.ActivateSecretRequest(secret_id=secret.id)))
    assert payload(endpoint, secret.id) == {"a": "1"}


@pytest.mark.parametrize(
    ("fields", "length", "letters"),
    [
        ({}, 36, string.ascii_letters + string.digits + string.punctuation),
        ({"length": 20, "include_punctuation": BoolValue(value=False)}, 20, string.ascii_letters + string.digits),
        ({"length": 12, "included_punctuation": "-_"}, 12, string.ascii_letters + string.digits + "-_"),
    ],
)
def test_a_password_is_generated_as_asked(
    endpoint: Endpoint, request: pytest.FixtureRequest, fields: dict[str, Any], length: int, letters: str
) -> None:
    sdk = endpoint.sdk()
    specification = secret_pb2.PasswordPayloadSpecification(password_key="password", **fields)
    name = f"generated-{len(request.node.name)}-{length}"
    asked = service.CreateSecretRequest(folder_id=FOLDER, name=name, password_payload_specification=specification)
    secret = result(sdk, sdk.client(SecretServiceStub).Create(asked), secret_pb2.Secret)
    first = str(payload(endpoint, secret.id)["password"])
    assert len(first) == length
    assert set(first) <= set(letters)
    assert any(letter.isdigit() for letter in first)
    add_version(endpoint, secret.id)
    assert payload(endpoint, secret.id)["password"] != first


def asked_for_a_password(name: str, **fields: Any) -> Any:
    specification = secret_pb2.PasswordPayloadSpecification(password_key="password", length=20)
    return service.CreateSecretRequest(
        folder_id=FOLDER, name=name, password_payload_specification=specification, **fields
    )


def test_no_password_is_made_where_the_request_says_no_version(endpoint: Endpoint) -> None:
    """What Terraform's provider always says; a version of its own then makes the password."""
    sdk = endpoint.sdk()
    stub = sdk.client(SecretServiceStub)
    request = asked_for_a_password("without-version", create_version=BoolValue(value=False))
    secret = result(sdk, stub.Create(request), secret_pb2.Secret)
    assert not secret.HasField("current_version")
    assert not stub.ListVersions(service.ListVersionsRequest(secret_id=secret.id)).versions
    error = refusal(lambda: payload(endpoint, secret.id))
    assert (error.code(), "has no version" in error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    add_version(endpoint, secret.id)
    assert len(payload(endpoint, secret.id)["password"]) == 20


def test_what_is_said_of_a_first_version_must_fit(endpoint: Endpoint) -> None:
    stub = endpoint.sdk().client(SecretServiceStub)
    yes = BoolValue(value=True)
    assert result(
        endpoint.sdk(), stub.Create(asked_for_a_password("with-version", create_version=yes)), secret_pb2.Secret
    ).current_version.id
    empty = service.CreateSecretRequest(folder_id=FOLDER, name="empty", create_version=yes)
    both = asked_for_a_password("both-payloads", version_payload_entries=changes({"a": "1"}))
    for request, complaint in ((empty, "create_version: is true"), (both, "only one of them may be set")):
        error = refusal(lambda: stub.Create(request))  # noqa: B023
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert complaint in error.details()


def test_values_have_64_kilobytes_together(endpoint: Endpoint) -> None:
    make_secret(endpoint, "just-fits", a="x" * (32 << 10), b="x" * (32 << 10))
    error = refusal(lambda: make_secret(endpoint, "too-large", a="x" * (32 << 10), b="x" * (32 << 10), c=b"x"))
    assert (error.code(), "65537 bytes together" in error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, True)


def test_a_payload_is_only_where_it_belongs(endpoint: Endpoint) -> None:
    """Not in the log of calls, nor in an operation's stored request, nor in files that others can read."""
    marker = "marker-5f1c8d"
    secret = make_secret(endpoint, "marked", password=marker)
    payload(endpoint, secret.id)
    database = sqlite3.connect(f"file:{endpoint.state / 'state.db'}?mode=ro", uri=True)
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    holding = [t for t in tables if any(marker in str(row) for row in database.execute(f"SELECT * FROM {t}"))]
    assert holding == ["payloads"]
    assert marker not in endpoint.log()
    modes = {file.name: file.stat().st_mode & 0o777 for file in endpoint.state.glob("state.db*")}
    assert set(modes.values()) == {0o600}, modes
    sdk = endpoint.sdk()
    finished(sdk, sdk.client(SecretServiceStub).Delete(service.DeleteSecretRequest(secret_id=secret.id)))
    rows = database.execute("SELECT data FROM payloads").fetchall()
    assert rows
    assert all(marker not in str(payload_pb2.Payload.FromString(data)) for (data,) in rows)
