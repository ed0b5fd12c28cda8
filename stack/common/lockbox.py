"""Secrets in Lockbox: found by name, read, written only if they differ."""

import json
from collections.abc import Mapping
from typing import Any

import yandexcloud
from yandex.cloud.access.access_pb2 import AccessBinding, SetAccessBindingsRequest, Subject
from yandex.cloud.lockbox.v1.payload_service_pb2 import GetPayloadRequest
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub
from yandex.cloud.lockbox.v1.secret_pb2 import Secret
from yandex.cloud.lockbox.v1.secret_service_pb2 import (
    AddVersionRequest,
    CreateSecretRequest,
    GetSecretRequest,
    ListSecretsRequest,
    PayloadEntryChange,
)
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub


def secret(cloud: yandexcloud.SDK, secret_id: str) -> Secret:
    return cloud.client(SecretServiceStub).Get(GetSecretRequest(secret_id=secret_id))


def secrets_by_name(cloud: yandexcloud.SDK, folder_id: str) -> dict[str, Secret]:
    service = cloud.client(SecretServiceStub)
    found: dict[str, Secret] = {}
    token = ""
    while True:
        page = service.List(ListSecretsRequest(folder_id=folder_id, page_size=100, page_token=token))
        found |= {secret.name: secret for secret in page.secrets}
        token = page.next_page_token
        if not token:
            return found


def payload(cloud: yandexcloud.SDK, secret_id: str) -> dict[str, str]:
    """The text entries of a secret's current version."""
    answer = cloud.client(PayloadServiceStub).Get(GetPayloadRequest(secret_id=secret_id))
    return {entry.key: entry.text_value for entry in answer.entries}


def put_secret(
    cloud: yandexcloud.SDK, folder_id: str, known: dict[str, Secret], name: str, entries: dict[str, str]
) -> str:
    """Makes the secret hold these entries; a new version only if they differ. Returns its id."""
    service = cloud.client(SecretServiceStub)
    changes = [PayloadEntryChange(key=key, text_value=value) for key, value in entries.items()]
    if name not in known:
        request = CreateSecretRequest(folder_id=folder_id, name=name, version_payload_entries=changes)
        return cloud.wait_operation_and_get_result(service.Create(request), response_type=Secret).response.id
    secret = known[name]
    # A secret that Terraform has made has no version before the first deployment.
    if not secret.current_version.id or payload(cloud, secret.id) != entries:
        cloud.wait_operation_and_get_result(
            service.AddVersion(AddVersionRequest(secret_id=secret.id, payload_entries=changes))
        )
    return secret.id


def new_password(cloud: yandexcloud.SDK, secret_id: str) -> None:
    """Lets Lockbox make another password, by the secret's own rules; the former versions stay."""
    service = cloud.client(SecretServiceStub)
    current = service.Get(GetSecretRequest(secret_id=secret_id)).current_version.id
    request = AddVersionRequest(secret_id=secret_id, base_version_id=current)
    cloud.wait_operation_and_get_result(service.AddVersion(request))


def let_read(cloud: yandexcloud.SDK, secret_id: str, account_id: str) -> None:
    """Lets one service account, and nobody else by this binding, read one secret."""
    binding = AccessBinding(role_id="lockbox.payloadViewer", subject=Subject(id=account_id, type="serviceAccount"))
    cloud.wait_operation_and_get_result(
        cloud.client(SecretServiceStub).SetAccessBindings(
            SetAccessBindingsRequest(resource_id=secret_id, access_bindings=[binding])
        )
    )


def put_for_airflow(
    cloud: yandexcloud.SDK, folder_id: str, known: dict[str, Secret], values: Mapping[str, Mapping[str, Any]]
) -> None:
    """Airflow's connections and variables, by the names under which its Lockbox back-end looks for them."""
    for name, value in values.items():
        put_secret(cloud, folder_id, known, name, {"value": json.dumps(value, sort_keys=True)})
