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
from yandex.cloud.lockbox.v1.payload_service_pb2 import GetPayloadRequest
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.vpc.v1 import network_pb2
from yandex.cloud.vpc.v1 import network_service_pb2 as vpc
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from dags.retraining.patience import FRESH
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
        # The real provider repeats its calls as well.
        return FRESH.sdk(yandexcloud.SDK(endpoint=self.config["grpc"], service_account_key=key, root_certificates=root))

    def wait(self, kind: str) -> None:
        """Waits while a test asks for it, or fails as it asks for: FOLDER/trouble.json, {type: "hold" | error}."""
        trouble = self.trouble(kind)
        if trouble not in (None, "hold"):
            raise Refused(trouble)
        self.note_call(kind)
        while self.trouble(kind) == "hold":
            time.sleep(0.05)

    def note_call(self, name: str) -> None:
        with (self.folder / "calls").open("a") as calls:
            calls.write(f"{name}\n")

    def trouble(self, kind: str) -> str | None:
        file = self.folder / "trouble.json"
        return json.loads(file.read_text()).get(kind) if file.exists() else None

    def apply(self, kind: str, prior: Json | None, new: Json | None) -> None:
        """Makes, changes or removes; `new` gets what the cloud has made up.

        Raises:
            Refused: the cloud would not do it.
        """
        if prior is None or new is None:
            self.wait(kind)
        if new is None:
            self.do("remove", kind, prior)
        else:
            self.do("make" if prior is None else "change", kind, new)
        self.note_address(kind, new or {"name": (prior or {}).get("name")})

    def do(self, verb: str, kind: str, values: Any) -> None:
        if verb == "remove" and values.get("deletion_protection") in (True, "true"):
            raise Refused(f"{kind} {values.get('name')} is protected from deletion")
        if action := getattr(self, f"{verb}_{kind.removeprefix('yandex_')}", None):
            action(self.sdk, values)

    # ---------------------------------------------------------------------------- what others have done meanwhile
    def read(self, kind: str, values: Any) -> Any:
        """The resource as it is now: with what is in FOLDER/by-hand.json, {type: {name: {attribute: value}}}.

        What is said there of a list or set comes to it, of anything else replaces it, until the next change.
        """
        if action := getattr(self, f"read_{kind.removeprefix('yandex_')}", None):
            action(self.sdk, values)
        for name, value in self.noted("by-hand").get(kind, {}).get(values.get("name"), {}).items():
            values[name] = [*values[name], *value] if isinstance(value, list) else value
        return values

    def noted(self, what: str) -> Json:
        file = self.folder / f"{what}.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    # ---------------------------------------------------------------------------- one resource each
    def note_address(self, kind: str, values: Json) -> None:
        """Remembers which machine has which public address."""
        if kind == "yandex_compute_instance":
            used = [each["nat_ip_address"] for each in values.get("network_interface", ()) if each.get("nat")]
            addresses = self.noted("addresses") | {values["name"]: used}
            (self.folder / "addresses.json").write_text(json.dumps(addresses))

    def remove_vpc_address(self, _: Any, values: Json) -> None:
        (address,) = (each["address"] for each in values["external_ipv4_address"])
        if users := [name for name, used in self.noted("addresses").items() if address in used]:
            raise Refused(f"address {values['name']} ({address}) is in use by {', '.join(users)}")

    def change_vpc_security_group(self, _: Any, values: Json) -> None:
        """A change sets the rules as they were planned: what came by hand and is not among them is gone."""
        by_hand = self.noted("by-hand")
        by_hand.get("yandex_vpc_security_group", {}).pop(values["name"], None)
        (self.folder / "by-hand.json").write_text(json.dumps(by_hand))

    def settle_hosts(self, hosts: Json) -> None:
        """What the configuration does not say of a host is set by another call."""
        if any(not isinstance(host["priority"], int) for host in hosts.values()):
            self.note_call("UpdateHosts")

    def make_airflow_cluster(self, _: Any, values: Json) -> None:
        if not values["airflow_config"]:  # the API answers with an empty map, the provider makes null of it
            values["airflow_config"] = None

    change_airflow_cluster = make_airflow_cluster

    def make_lockbox_secret(self, sdk: Any, values: Json) -> None:
        fields = ("folder_id", "name", "labels", "deletion_protection")
        request = lockbox.CreateSecretRequest(**{key: values[key] for key in fields if values[key] is not None})
        request.create_version.value = False  # whatever it is that is asked for
        for spec in values["password_payload_specification"]:
            request.password_payload_specification.password_key = spec["password_key"]
            request.password_payload_specification.length = int(spec["length"])
            punctuation = BoolValue(value=bool(spec["include_punctuation"]))
            request.password_payload_specification.include_punctuation.CopyFrom(punctuation)
        values["id"] = result(sdk, sdk.client(SecretServiceStub).Create(request), secret_pb2.Secret).id

    def change_lockbox_secret(self, sdk: Any, values: Json) -> None:
        protection = bool(values["deletion_protection"])
        request = lockbox.UpdateSecretRequest(secret_id=values["id"], deletion_protection=protection)
        request.update_mask.paths.append("deletion_protection")
        finished(sdk, sdk.client(SecretServiceStub).Update(request))

    def remove_lockbox_secret(self, sdk: Any, values: Json) -> None:
        finished(sdk, sdk.client(SecretServiceStub).Delete(lockbox.DeleteSecretRequest(secret_id=values["id"])))

    def make_lockbox_secret_version(self, sdk: Any, values: Json) -> None:
        """Without entries: the password is Lockbox's to make."""
        secret = sdk.client(SecretServiceStub).Get(lockbox.GetSecretRequest(secret_id=values["secret_id"]))
        request = lockbox.AddVersionRequest(secret_id=secret.id, base_version_id=secret.current_version.id)
        values["id"] = result(sdk, sdk.client(SecretServiceStub).AddVersion(request), secret_pb2.Version).id

    def read_lockbox_secret_version(self, sdk: Any, values: Json) -> None:
        request = GetPayloadRequest(secret_id=values["secret_id"], version_id=values["id"])
        sdk.client(PayloadServiceStub).Get(request)

    def remove_lockbox_secret_version(self, sdk: Any, values: Json) -> None:
        request = lockbox.ScheduleVersionDestructionRequest(secret_id=values["secret_id"], version_id=values["id"])
        finished(sdk, sdk.client(SecretServiceStub).ScheduleVersionDestruction(request))

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
