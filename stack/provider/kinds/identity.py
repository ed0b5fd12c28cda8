"""Accounts, rights, keys and secrets."""

import threading
from typing import Any, ClassVar

from stack.provider.kinds.api import Api
from stack.provider.kinds.base import Kind, one
from stack.provider.messages import Json

LOCK = threading.Lock()  # rights of one resource, and versions of one secret, are changed one after the other


class ServiceAccount(Kind):
    service, own = "iam.v1.ServiceAccountService", "service_account_id"
    compared = whole_updates = True

    def told(self, api: Api, message: Json, values: Json) -> Json:
        return {"service_account_id": message["id"], "expires_at": message.get("expires_at", "")}


class Member(Kind):
    """A role of one account on one resource: nothing of it can be changed."""

    compared = True

    def __init__(self, service: str, resource: str) -> None:
        self.service, self.resource = service, resource
        self.anew = frozenset({resource, "role", "member"})

    def binding(self, values: Json) -> Json:
        kind, _, identity = values["member"].partition(":")
        return {"role_id": values["role"], "subject": {"type": kind, "id": identity}}

    def bindings(self, api: Api, resource: str) -> list[Json] | None:
        answer = api.find(f"{self.service}/ListAccessBindings", {"resource_id": resource, "page_size": 1000})
        return answer["access_bindings"] if answer else None

    def change_one(self, api: Api, values: Json, action: str) -> None:
        delta = {"action": action, "access_binding": self.binding(values)}
        with LOCK:
            self.bindings(api, values[self.resource])
            request = {"resource_id": values[self.resource], "access_binding_deltas": [delta]}
            api.do(f"{self.service}/UpdateAccessBindings", request)

    def create(self, api: Api, values: Json) -> None:
        self.change_one(api, values, "ADD")
        values["id"] = "/".join([values[self.resource], values["role"], values["member"]])

    def read(self, api: Api, values: Json) -> Json | None:
        there = self.bindings(api, values[self.resource])
        return {} if there and self.binding(values) in there else None

    def delete(self, api: Api, values: Json) -> None:
        self.change_one(api, values, "REMOVE")


class SymmetricKey(Kind):
    service, own = "kms.v1.SymmetricKeyService", "key_id"
    same = (*Kind.same, "default_algorithm", "deletion_protection")
    compared = whole_updates = True

    def more(self, values: Json) -> Json:
        return {"rotation_period": seconds(values["rotation_period"])}

    def told(self, api: Api, message: Json, values: Json) -> Json:
        period = message.get("rotation_period", "")
        found = {
            "rotation_period": values["rotation_period"] if seconds(values["rotation_period"]) == period else period
        }
        return found | {"symmetric_key_id": message["id"], "rotated_at": message.get("rotated_at", "")}


def seconds(duration: Any) -> str | None:
    """`8760h` as the API has it: `31536000s`."""
    return f"{int(duration[:-1]) * 3600}s" if isinstance(duration, str) and duration.endswith("h") else None


class Secret(Kind):
    """It is always asked for without a version, also one whose password Lockbox is to make. Updates say everything."""

    service, own = "lockbox.v1.SecretService", "secret_id"
    same = (*Kind.same, "deletion_protection", "kms_key_id")
    anew = Kind.anew | {"kms_key_id"}
    whole_updates = True
    defaults: ClassVar = {
        f"password_payload_specification.include_{each}": True
        for each in ("digits", "lowercase", "punctuation", "uppercase")
    } | {"password_payload_specification.length": 36}

    def more(self, values: Json) -> Json:
        specification = one(values["password_payload_specification"])
        return {"password_payload_specification": given(specification)} if specification else {}

    def create(self, api: Api, values: Json) -> None:
        request = {**self.fields(values), "create_version": False}
        values["id"] = api.do(f"{self.service}/Create", request)[0][self.own]

    def update(self, api: Api, prior: Json, values: Json) -> None:
        before, after = self.fields(prior), self.fields(values)
        paths = [path for path in {**before, **after} if before.get(path) != after.get(path)]
        fields = {name: value for name, value in after.items() if name not in ("folder_id", "kms_key_id")}
        api.do(f"{self.service}/Update", {self.own: prior["id"], **fields, "update_mask": paths})

    def told(self, api: Api, message: Json, values: Json) -> Json:
        specification = message.get("password_payload_specification")
        return {"password_payload_specification": [specified(specification)] if specification else []}


def given(specification: Json) -> Json:
    return {name: value for name, value in specification.items() if value not in (None, "")}


def specified(message: Json) -> Json:
    names = ("password_key", "included_punctuation", "excluded_punctuation")
    switches = [f"include_{each}" for each in ("digits", "lowercase", "punctuation", "uppercase")]
    found = {name: message.get(name, "") for name in names} | {name: message.get(name, True) for name in switches}
    return found | {"length": int(message["length"])}


class SecretVersion(Kind):
    """Without entries: the password is Lockbox's to make. Reading it is reading the payload."""

    service, own = "lockbox.v1.SecretService", "version_id"
    anew = frozenset({"secret_id", "description", "entries"})

    def create(self, api: Api, values: Json) -> None:
        with LOCK:
            secret = api.call(f"{self.service}/Get", {"secret_id": values["secret_id"]})
            values["id"] = add_version(api, secret, [])

    def message(self, api: Api, values: Json) -> Json | None:
        request = {"secret_id": values["secret_id"], "version_id": values["id"]}
        return {} if api.find("lockbox.v1.PayloadService/Get", request) is not None else None

    def delete(self, api: Api, values: Json) -> None:
        destroy_version(api, values["secret_id"], values["id"])


def add_version(api: Api, secret: Json, entries: list[Json]) -> str:
    """The id of a new version of a secret, that has these entries and what its last one has."""
    base = {"base_version_id": secret["current_version"]["id"]} if "current_version" in secret else {}
    request = {"secret_id": secret["id"], **base, "payload_entries": entries}
    return str(api.do("lockbox.v1.SecretService/AddVersion", request)[0]["version_id"])


def destroy_version(api: Api, secret: str, version: str) -> None:
    request = {"secret_id": secret, "version_id": version}
    api.do("lockbox.v1.SecretService/ScheduleVersionDestruction", request)


class StaticAccessKey(Kind):
    """The key goes straight into a secret; the state has its id and that of the secret's version."""

    service, own = "iam.v1.awscompatibility.AccessKeyService", "access_key_id"
    same = ("service_account_id", "description")
    anew = frozenset({"service_account_id", "description"})

    def create(self, api: Api, values: Json) -> None:
        made = api.call(f"{self.service}/Create", self.fields(values))
        target = one(values["output_to_lockbox"])
        told = {"access_key": made["access_key"]["key_id"], "secret_key": made["secret"]}
        entries = [{"key": target[f"entry_for_{name}"], "text_value": value} for name, value in told.items()]
        secret = {"id": target["secret_id"]}
        values["id"] = made["access_key"]["id"]
        values["output_to_lockbox_version_id"] = add_version(api, secret, entries)

    def told(self, api: Api, message: Json, values: Json) -> Json:
        empty = dict.fromkeys(("access_key", "secret_key", "encrypted_secret_key", "key_fingerprint"), "")
        return {"output_to_lockbox_version_id": values["output_to_lockbox_version_id"], **empty}

    def delete(self, api: Api, values: Json) -> None:
        api.call(f"{self.service}/Delete", {self.own: values["id"]})
        secret = one(values["output_to_lockbox"])["secret_id"]
        destroy_version(api, secret, values["output_to_lockbox_version_id"])
