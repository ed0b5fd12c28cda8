"""Who gets in: discovery, tokens by JWT and by metadata, refusals, roles on the folder and on one resource."""

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import jwt
import pytest
import requests
import yandexcloud
from yandex.cloud.access import access_pb2
from yandex.cloud.endpoint.api_endpoint_service_pb2 import GetApiEndpointRequest, ListApiEndpointsRequest
from yandex.cloud.endpoint.api_endpoint_service_pb2_grpc import ApiEndpointServiceStub
from yandex.cloud.iam.v1 import key_service_pb2, service_account_pb2, service_account_service_pb2
from yandex.cloud.iam.v1.awscompatibility import access_key_service_pb2
from yandex.cloud.iam.v1.awscompatibility.access_key_service_pb2_grpc import AccessKeyServiceStub
from yandex.cloud.iam.v1.iam_token_service_pb2 import CreateIamTokenRequest, RevokeIamTokenRequest
from yandex.cloud.iam.v1.iam_token_service_pb2_grpc import IamTokenServiceStub
from yandex.cloud.iam.v1.key_service_pb2_grpc import KeyServiceStub
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.lockbox.v1 import payload_service_pb2, secret_pb2, secret_service_pb2
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest, GetNetworkRequest, ListNetworksRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from tests.support.cloud import (
    AIRFLOW,
    DEPLOYER,
    FOLDER,
    KEY_ID,
    NETWORK,
    NOBODY,
    Endpoint,
    finished,
    grant,
    new_key,
    refusal,
    result,
)


def networks(sdk: yandexcloud.SDK, folder: str = FOLDER) -> list[str]:
    return [n.name for n in sdk.client(NetworkServiceStub).List(ListNetworksRequest(folder_id=folder)).networks]


def test_discovery_needs_no_token_and_answers_with_the_grpc_address(endpoint: Endpoint) -> None:
    stub = endpoint.sdk(iam_token="none").client(ApiEndpointServiceStub)
    found = {e.id: e.address for e in stub.List(ListApiEndpointsRequest()).endpoints}
    assert set(found.values()) == {endpoint.address["grpc"]}
    assert stub.Get(GetApiEndpointRequest(api_endpoint_id="dataproc")).address == endpoint.address["grpc"]
    assert refusal(lambda: stub.Get(GetApiEndpointRequest(api_endpoint_id="x"))).code() is grpc.StatusCode.NOT_FOUND


def test_every_service_that_the_sdk_knows_is_discovered(endpoint: Endpoint) -> None:
    stub = endpoint.sdk(iam_token="none").client(ApiEndpointServiceStub)
    found = {e.id for e in stub.List(ListApiEndpointsRequest()).endpoints}
    from yandexcloud._sdk import _supported_modules

    rare = {"ai-assistants", "ai-files", "apigateway-connections"}
    assert {name for _, name in _supported_modules} - found <= rare


def test_login_by_a_signed_jwt(endpoint: Endpoint) -> None:
    assert "default" in networks(endpoint.sdk())


def test_login_on_a_machine_by_its_metadata(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YC_METADATA_ADDR", endpoint.address["metadata"]["airflow"])
    ca = Path(endpoint.address["ca"]).read_bytes()
    assert "default" in networks(yandexcloud.SDK(endpoint=endpoint.address["grpc"], root_certificates=ca))


def test_metadata_wants_its_header_and_caches_the_token(endpoint: Endpoint) -> None:
    address = endpoint.address["metadata"]["airflow"]
    url = f"http://{address}/computeMetadata/v1/instance/service-accounts/default/token"
    assert requests.get(url, timeout=60).status_code == 403
    first, second = (requests.get(url, headers={"Metadata-Flavor": "Google"}, timeout=60).json() for _ in range(2))
    assert first["access_token"].startswith("t1.")
    assert first["token_type"] == "Bearer"
    age = time.time() - endpoint.file.stat().st_mtime
    assert 43200 - age - 5 < first["expires_in"] <= 43200
    assert first["access_token"] == second["access_token"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "has no IAM token"),
        ("Bearer t1.made.up", "not issued by this endpoint"),
        ("Basic {token}", "is invalid"),
    ],
)
def test_a_call_without_a_valid_token_is_unauthenticated(endpoint: Endpoint, header: str, message: str) -> None:
    credentials = grpc.ssl_channel_credentials(Path(endpoint.address["ca"]).read_bytes())
    metadata = [("authorization", header.format(token=endpoint.token("airflow")))] if header else []
    with grpc.secure_channel(endpoint.address["grpc"], credentials) as channel:
        stub = NetworkServiceStub(channel)
        error = refusal(lambda: stub.List(ListNetworksRequest(folder_id=FOLDER), metadata=metadata))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert message in error.details()


def test_a_token_expires(new_endpoint: Callable[..., Endpoint]) -> None:
    """Its time is put back in the state, so that no test waits and none is late."""
    short = new_endpoint(token_seconds=600).start()
    sdk = short.machine("airflow")
    assert networks(sdk)
    with contextlib.closing(sqlite3.connect(short.state / "state.db", timeout=60, isolation_level=None)) as database:
        ((expires,),) = database.execute("SELECT expires FROM tokens")
        assert 0 < expires - time.time() <= 600
        database.execute("UPDATE tokens SET expires = expires - 601")
    error = refusal(lambda: networks(sdk))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "has expired" in error.details()


def test_a_token_can_be_revoked(endpoint: Endpoint) -> None:
    admin = endpoint.sdk().client(IamTokenServiceStub)
    token = admin.Create(CreateIamTokenRequest(jwt=signed(endpoint))).iam_token
    assert networks(endpoint.sdk(iam_token=token))
    assert admin.Revoke(RevokeIamTokenRequest(iam_token=token)).subject_id == DEPLOYER
    assert refusal(lambda: networks(endpoint.sdk(iam_token=token))).code() is grpc.StatusCode.UNAUTHENTICATED


def signed(endpoint: Endpoint, key: str = "", algorithm: str = "PS256", kid: str = KEY_ID, **claims: object) -> str:
    now = int(time.time())
    audience = f"https://iam.{endpoint.address['grpc']}/iam/v1/tokens"
    everything = {"iss": DEPLOYER, "aud": audience, "iat": now, "exp": now + 3600, **claims}
    return jwt.encode(everything, key or endpoint.private_key, algorithm=algorithm, headers={"kid": kid})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aud": "https://elsewhere/iam/v1/tokens"}, "Audience"),
        ({"exp": 1000}, "expired"),
        ({"iss": AIRFLOW}, "issuer"),
        ({"kid": "ajeunknown0000000001"}, "no service account has the authorised key"),
        ({"algorithm": "RS256"}, "alg"),
        ({"key": new_key()[0]}, "Signature verification failed"),
    ],
    ids=["audience", "expired", "issuer", "unknown key", "algorithm", "signature"],
)
def test_a_wrong_jwt_is_refused_with_the_reason(endpoint: Endpoint, changes: dict[str, str], message: str) -> None:
    stub = endpoint.sdk(iam_token="none").client(IamTokenServiceStub)
    error = refusal(lambda: stub.Create(CreateIamTokenRequest(jwt=signed(endpoint, **changes))))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert message.lower() in error.details().lower()


def test_a_missing_role_is_named_with_subject_and_folder(endpoint: Endpoint) -> None:
    stub = endpoint.machine("airflow").client(NetworkServiceStub)
    error = refusal(lambda: stub.Create(CreateNetworkRequest(folder_id=FOLDER, name="mine")))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    for part in ("vpc.admin", f"{AIRFLOW} (airflow)", FOLDER):
        assert part in error.details()


def test_a_foreign_folder_is_denied_even_to_an_admin(endpoint: Endpoint) -> None:
    error = refusal(lambda: networks(endpoint.sdk(), "b1gforeign0000000001"))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    for part in ("vpc.user", DEPLOYER, "b1gforeign0000000001"):
        assert part in error.details()


def test_an_account_without_roles_sees_nothing_until_it_gets_one_on_the_folder(
    new_endpoint: Callable[..., Endpoint],
) -> None:
    own = new_endpoint().start()
    nobody = own.machine("nobody")
    assert refusal(lambda: networks(nobody)).code() is grpc.StatusCode.PERMISSION_DENIED
    grant(own.sdk(), FolderServiceStub, FOLDER, "viewer", NOBODY)
    assert networks(nobody) == ["default"]


def test_an_account_made_by_the_api_logs_in_with_its_key_until_it_is_deleted(endpoint: Endpoint) -> None:
    admin = endpoint.sdk()
    accounts, keys = admin.client(ServiceAccountServiceStub), admin.client(KeyServiceStub)
    made = accounts.Create(service_account_service_pb2.CreateServiceAccountRequest(folder_id=FOLDER, name="made"))
    account = result(admin, made, service_account_pb2.ServiceAccount)
    key = keys.Create(key_service_pb2.CreateKeyRequest(service_account_id=account.id))
    grant(admin, FolderServiceStub, FOLDER, "viewer", account.id)
    document = {"id": key.key.id, "service_account_id": account.id, "private_key": key.private_key}
    assert "default" in networks(endpoint.sdk(service_account_key=document))
    listed = keys.List(key_service_pb2.ListKeysRequest(service_account_id=account.id)).keys
    assert [each.public_key for each in listed] == [key.key.public_key]
    gone = accounts.Delete(service_account_service_pb2.DeleteServiceAccountRequest(service_account_id=account.id))
    assert not finished(admin, gone).HasField("error")
    error = refusal(lambda: networks(endpoint.sdk(service_account_key=document)))
    assert error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE)
    assert "no service account has the authorised key" in error.details()


def test_a_static_key_is_the_object_stores(endpoint: Endpoint) -> None:
    stub = endpoint.sdk().client(AccessKeyServiceStub)
    key = stub.Create(access_key_service_pb2.CreateAccessKeyRequest(service_account_id=AIRFLOW))
    store = endpoint.config["object_store"]
    assert (key.access_key.key_id, key.secret) == (store["access_key"], store["secret_key"])
    assert key.access_key.service_account_id == AIRFLOW


def test_a_role_on_one_secret_opens_that_one_only(endpoint: Endpoint) -> None:
    admin, airflow = endpoint.sdk(), endpoint.machine("airflow")
    ids = []
    for name in ("bound", "unbound"):
        request = secret_service_pb2.CreateSecretRequest(folder_id=FOLDER, name=name)
        request.version_payload_entries.add(key="password", text_value="s3cret")
        ids.append(result(admin, admin.client(SecretServiceStub).Create(request), secret_pb2.Secret).id)
    grant(admin, SecretServiceStub, ids[0], "lockbox.payloadViewer", AIRFLOW)
    stub = airflow.client(PayloadServiceStub)
    payload = stub.Get(payload_service_pb2.GetPayloadRequest(secret_id=ids[0]))
    assert [(e.key, e.text_value) for e in payload.entries] == [("password", "s3cret")]
    error = refusal(lambda: stub.Get(payload_service_pb2.GetPayloadRequest(secret_id=ids[1])))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "lockbox.payloadViewer" in error.details()
    bindings = admin.client(SecretServiceStub).ListAccessBindings(
        access_pb2.ListAccessBindingsRequest(resource_id=ids[0])
    )
    assert [(b.role_id, b.subject.id) for b in bindings.access_bindings] == [("lockbox.payloadViewer", AIRFLOW)]


def test_a_role_on_a_resource_does_not_reach_others_that_a_request_mentions(endpoint: Endpoint) -> None:
    """Whoever administers one secret must not create a cluster by naming that secret in some field of the request."""
    admin = endpoint.sdk()
    request = secret_service_pb2.CreateSecretRequest(folder_id=FOLDER, name="lever")
    secret = result(admin, admin.client(SecretServiceStub).Create(request), secret_pb2.Secret)
    grant(admin, SecretServiceStub, secret.id, "admin", NOBODY)
    stub = endpoint.machine("nobody").client(NetworkServiceStub)
    error = refusal(lambda: stub.Create(CreateNetworkRequest(folder_id=FOLDER, name="x", description=secret.id)))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert refusal(lambda: stub.Get(GetNetworkRequest(network_id=NETWORK))).code() is grpc.StatusCode.PERMISSION_DENIED
