"""What the stand-in makes and removes for real, in the API of `local_cloud` and in an S3 server."""

import json
import time
from pathlib import Path
from typing import Any

import yandexcloud
from google.protobuf.wrappers_pb2 import BoolValue
from yandex.cloud.iam.v1 import service_account_pb2
from yandex.cloud.iam.v1 import service_account_service_pb2 as accounts
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.lockbox.v1 import secret_pb2
from yandex.cloud.lockbox.v1 import secret_service_pb2 as lockbox
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.vpc.v1 import network_pb2
from yandex.cloud.vpc.v1 import network_service_pb2 as vpc
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from stack.common.storage import storage_client
from tests.bootstrap.messages import Json
from tests.support.cloud import finished, result


class Refused(Exception):
    """The cloud would not do it."""


class Cloud:
    """Makes and removes what is real; each method takes and returns a resource's values."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, json.loads((folder / "provider.json").read_text())
        store = self.config["object_store"]
        self.s3 = storage_client(store["endpoint"], store["access_key"], store["secret_key"])

    @property
    def sdk(self) -> Any:
        root = Path(self.config["ca"]).read_bytes()
        key = self.config["key"]
        return yandexcloud.SDK(endpoint=self.config["grpc"], service_account_key=key, root_certificates=root)

    def wait(self, kind: str) -> None:
        """Waits while a test asks for it, or fails as it asks for: FOLDER/trouble.json, {type: "hold" | error}."""
        trouble = self.trouble(kind)
        if trouble not in (None, "hold"):
            raise Refused(trouble)
        with (self.folder / "calls").open("a") as calls:
            calls.write(f"{kind}\n")
        while self.trouble(kind) == "hold":
            time.sleep(0.05)

    def trouble(self, kind: str) -> str | None:
        file = self.folder / "trouble.json"
        return json.loads(file.read_text()).get(kind) if file.exists() else None

    def make(self, kind: str, values: Json) -> None:
        self.wait(kind)
        if action := getattr(self, f"make_{kind.removeprefix('yandex_')}", None):
            action(self.sdk, values)

    def remove(self, kind: str, values: Json) -> None:
        self.wait(kind)
        if values.get("deletion_protection") in (True, "true"):
            raise Refused(f"{kind} {values.get('name')} is protected from deletion")
        if action := getattr(self, f"remove_{kind.removeprefix('yandex_')}", None):
            action(self.sdk, values)

    def make_lockbox_secret(self, sdk: Any, values: Json) -> None:
        request = lockbox.CreateSecretRequest(**{key: values[key] for key in ("folder_id", "name", "labels")})
        for spec in values["password_payload_specification"]:
            request.password_payload_specification.password_key = spec["password_key"]
            request.password_payload_specification.length = int(spec["length"])
            punctuation = BoolValue(value=bool(spec["include_punctuation"]))
            request.password_payload_specification.include_punctuation.CopyFrom(punctuation)
        values["id"] = result(sdk, sdk.client(SecretServiceStub).Create(request), secret_pb2.Secret).id

    def remove_lockbox_secret(self, sdk: Any, values: Json) -> None:
        finished(sdk, sdk.client(SecretServiceStub).Delete(lockbox.DeleteSecretRequest(secret_id=values["id"])))

    def make_iam_service_account_static_access_key(self, sdk: Any, values: Json) -> None:
        (target,) = values["output_to_lockbox"]
        changes = [
            lockbox.PayloadEntryChange(key=target[f"entry_for_{name}"], text_value=self.config["object_store"][name])
            for name in ("access_key", "secret_key")
        ]
        request = lockbox.AddVersionRequest(secret_id=target["secret_id"], payload_entries=changes)
        finished(sdk, sdk.client(SecretServiceStub).AddVersion(request))

    def make_iam_service_account(self, sdk: Any, values: Json) -> None:
        request = accounts.CreateServiceAccountRequest(**{key: values[key] for key in ("folder_id", "name", "labels")})
        stub = sdk.client(ServiceAccountServiceStub)
        values["id"] = result(sdk, stub.Create(request), service_account_pb2.ServiceAccount).id

    def remove_iam_service_account(self, sdk: Any, values: Json) -> None:
        request = accounts.DeleteServiceAccountRequest(service_account_id=values["id"])
        finished(sdk, sdk.client(ServiceAccountServiceStub).Delete(request))

    def make_vpc_network(self, sdk: Any, values: Json) -> None:
        request = vpc.CreateNetworkRequest(**{key: values[key] for key in ("folder_id", "name", "labels")})
        values["id"] = result(sdk, sdk.client(NetworkServiceStub).Create(request), network_pb2.Network).id

    def remove_vpc_network(self, sdk: Any, values: Json) -> None:
        finished(sdk, sdk.client(NetworkServiceStub).Delete(vpc.DeleteNetworkRequest(network_id=values["id"])))

    def make_storage_bucket(self, _: Any, values: Json) -> None:
        self.s3.create_bucket(Bucket=values["bucket"])
        values["id"] = values["bucket"]

    def remove_storage_bucket(self, _: Any, values: Json) -> None:
        there = self.s3.list_objects_v2(Bucket=values["bucket"]).get("Contents", [])
        if there:
            raise Refused(f"the bucket {values['bucket']} is not empty: {[item['Key'] for item in there]}")
        self.s3.delete_bucket(Bucket=values["bucket"])
