"""A provider `yandex` for real Terraform, that has the real one's schema and makes what it is told to make up.

What the commands around Terraform depend on is made for real: secrets, service accounts, networks, Data Proc's
neighbours in the API of `local_cloud`, buckets in an S3 server. All else is accepted, given an id and remembered by
Terraform's state alone. It refuses what the cloud refuses: to delete what is protected, or a bucket that is not empty.

    python tests/bootstrap/provider.py FOLDER    # configuration: FOLDER/provider.json; prints TF_REATTACH_PROVIDERS
"""

import gzip
import importlib.machinery
import importlib.util
import json
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import grpc
import msgpack
import yandexcloud
from botocore.config import Config
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
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

Json = dict[str, Any]
UNKNOWN = msgpack.ExtType(0, b"\0")
ERROR = 1
MESSAGES: dict[str, dict[int, str]] = {
    "Value": {1: "bytes msgpack", 2: "bytes json"},
    "Diagnostic": {1: "int32 severity", 2: "string summary", 3: "string detail"},
    "ReadRequest": {1: "string type_name", 2: "Value state"},
    "ReadResponse": {1: "Value state", 2: "repeated Diagnostic diagnostics"},
    "ChangeRequest": {1: "string type_name", 2: "Value prior", 3: "Value new", 4: "Value config"},
    "PlanResponse": {1: "Value state", 4: "repeated Diagnostic diagnostics", 5: "bool legacy_type_system"},
    "ApplyResponse": {1: "Value state", 3: "repeated Diagnostic diagnostics", 4: "bool legacy_type_system"},
}


def messages() -> dict[str, Any]:
    """A message class for each entry of MESSAGES; only numbers and wire types count."""
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="stand_in.proto", package="stand_in", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, declaration in fields.items():
            *label, type_name, field_name = declaration.split()
            field = message.field.add(name=field_name, number=number)
            field.label = kind.LABEL_REPEATED if label else kind.LABEL_OPTIONAL
            if type_name in MESSAGES:
                field.type, field.type_name = kind.TYPE_MESSAGE, f".stand_in.{type_name}"
            else:
                field.type = kind.Type.Value(f"TYPE_{type_name.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"stand_in.{name}")) for name in MESSAGES}


MESSAGE = messages()


# ------------------------------------------------------------------------------------------------ values and schemas
def load(value: Any) -> Any:
    return msgpack.unpackb(value.msgpack, strict_map_key=False) if value.msgpack else None


def dump(value: Any) -> Any:
    return MESSAGE["Value"](msgpack=msgpack.packb(value))


def members(nesting: str, value: Any) -> list[Any]:
    if nesting in ("single", "group"):
        return [value]
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def walk(spec: Json, value: Any, visit: Callable[[str, Json, Any], Any]) -> None:
    """Replaces every attribute of a block or object, at any depth, by what `visit(name, spec, value)` returns."""
    if not isinstance(value, dict):
        return
    for name, attribute in spec.get("attributes", {}).items():
        value[name] = visit(name, attribute, value.get(name))
        if nested := attribute.get("nested_type"):
            for member in members(nested["nesting_mode"], value[name]):
                walk(nested, member, visit)
    for name, inner in spec.get("block_types", {}).items():
        for member in members(inner["nesting_mode"], value.get(name)):
            walk(inner["block"], member, visit)


def planned(_: str, attribute: Json, value: Any) -> Any:
    if attribute.get("write_only"):
        return None
    return UNKNOWN if value is None and attribute.get("computed") else value


def unwritten(_: str, attribute: Json, value: Any) -> Any:
    return None if attribute.get("write_only") else value


def made(name: str, attribute: Json, value: Any) -> Any:
    """A value for what the provider sets."""
    if value != UNKNOWN:
        return value
    kind = attribute.get("type")
    if kind == "string":
        return secrets.token_hex(10) if name.endswith("id") else f"203.0.113.{secrets.randbelow(250)}"
    if kind in ("number", "bool"):
        return 0 if kind == "number" else False
    return {"list": [], "set": [], "map": {}}.get(kind[0]) if isinstance(kind, list) else None


# ------------------------------------------------------------------------------------------------ what is real
class Refused(Exception):
    """The cloud would not do it."""


class Cloud:
    """Makes and removes what is real; each method takes and returns a resource's values."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, json.loads((folder / "provider.json").read_text())
        store = self.config["object_store"]
        self.s3 = boto3.client(
            "s3",
            endpoint_url=store["endpoint"],
            aws_access_key_id=store["access_key"],
            region_name="ru-central1",
            aws_secret_access_key=store["secret_key"],
            config=Config(s3={"addressing_style": "path"}),
        )

    @property
    def sdk(self) -> Any:
        root = Path(self.config["ca"]).read_bytes()
        key = self.config["key"]
        return yandexcloud.SDK(endpoint=self.config["grpc"], service_account_key=key, root_certificates=root)

    def done(self, sdk: Any, operation: Any, kind: Any = None) -> Any:
        return sdk.wait_operation_and_get_result(operation, response_type=kind).response

    def wait(self, kind: str) -> None:
        """Takes the time that a test asks for, or fails as it asks for: FOLDER/trouble.json, {type: seconds | text}."""
        file = self.folder / "trouble.json"
        trouble = json.loads(file.read_text()).get(kind) if file.exists() else None
        if isinstance(trouble, str):
            raise Refused(trouble)
        with (self.folder / "calls").open("a") as calls:
            calls.write(f"{kind}\n")
        time.sleep(trouble or 0)

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
        values["id"] = self.done(sdk, sdk.client(SecretServiceStub).Create(request), secret_pb2.Secret).id

    def remove_lockbox_secret(self, sdk: Any, values: Json) -> None:
        self.done(sdk, sdk.client(SecretServiceStub).Delete(lockbox.DeleteSecretRequest(secret_id=values["id"])))

    def make_iam_service_account_static_access_key(self, sdk: Any, values: Json) -> None:
        (target,) = values["output_to_lockbox"]
        changes = [
            lockbox.PayloadEntryChange(key=target[f"entry_for_{name}"], text_value=self.config["object_store"][name])
            for name in ("access_key", "secret_key")
        ]
        request = lockbox.AddVersionRequest(secret_id=target["secret_id"], payload_entries=changes)
        self.done(sdk, sdk.client(SecretServiceStub).AddVersion(request))

    def make_iam_service_account(self, sdk: Any, values: Json) -> None:
        request = accounts.CreateServiceAccountRequest(**{key: values[key] for key in ("folder_id", "name", "labels")})
        stub = sdk.client(ServiceAccountServiceStub)
        values["id"] = self.done(sdk, stub.Create(request), service_account_pb2.ServiceAccount).id

    def remove_iam_service_account(self, sdk: Any, values: Json) -> None:
        request = accounts.DeleteServiceAccountRequest(service_account_id=values["id"])
        self.done(sdk, sdk.client(ServiceAccountServiceStub).Delete(request))

    def make_vpc_network(self, sdk: Any, values: Json) -> None:
        request = vpc.CreateNetworkRequest(**{key: values[key] for key in ("folder_id", "name", "labels")})
        values["id"] = self.done(sdk, sdk.client(NetworkServiceStub).Create(request), network_pb2.Network).id

    def remove_vpc_network(self, sdk: Any, values: Json) -> None:
        self.done(sdk, sdk.client(NetworkServiceStub).Delete(vpc.DeleteNetworkRequest(network_id=values["id"])))

    def make_storage_bucket(self, _: Any, values: Json) -> None:
        self.s3.create_bucket(Bucket=values["bucket"])
        values["id"] = values["bucket"]

    def remove_storage_bucket(self, _: Any, values: Json) -> None:
        there = self.s3.list_objects_v2(Bucket=values["bucket"]).get("Contents", [])
        if there:
            raise Refused(f"the bucket {values['bucket']} is not empty: {[item['Key'] for item in there]}")
        self.s3.delete_bucket(Bucket=values["bucket"])


# ------------------------------------------------------------------------------------------------ the protocol
def handlers(specs: Json, data_sources: Json, cloud: Cloud) -> dict[str, tuple[str, Callable[..., Any]]]:
    """Call -> (request message, handler), in place of those that a schema alone cannot answer."""

    def plan(request: Any, _: Any) -> Any:
        new = load(request.new)
        walk(specs[request.type_name]["block"], new, unwritten if load(request.prior) else planned)
        return MESSAGE["PlanResponse"](state=dump(new), legacy_type_system=True)

    def apply(request: Any, _: Any) -> Any:
        prior, new = load(request.prior), load(request.new)
        try:
            if new is None:
                cloud.remove(request.type_name, prior)
            else:
                walk(specs[request.type_name]["block"], new, made)
                if prior is None:
                    cloud.make(request.type_name, new)
        except Exception as problem:
            diagnostic = MESSAGE["Diagnostic"](severity=ERROR, summary=type(problem).__name__, detail=str(problem))
            return MESSAGE["ApplyResponse"](state=dump(prior), diagnostics=[diagnostic], legacy_type_system=True)
        return MESSAGE["ApplyResponse"](state=dump(new), legacy_type_system=True)

    def read_data(request: Any, _: Any) -> Any:
        value = load(request.state)
        cloud.wait(f"data.{request.type_name}")
        walk(data_sources[request.type_name]["block"], value, lambda *each: made(each[0], each[1], planned(*each)))
        return MESSAGE["ReadResponse"](state=dump(value))

    return {
        "PlanResourceChange": ("ChangeRequest", plan),
        "ApplyResourceChange": ("ChangeRequest", apply),
        "ReadResource": ("ReadRequest", lambda request, _: MESSAGE["ReadResponse"](state=request.state)),
        "ReadDataSource": ("ReadRequest", read_data),
    }


class Service(grpc.GenericRpcHandler):
    """The schema's own service, with these calls answered instead of refused."""

    def __init__(self, schema: grpc.GenericRpcHandler, calls: dict[str, tuple[str, Callable[..., Any]]]) -> None:
        self.schema, self.calls = schema, calls

    def service(self, details: Any) -> Any:
        call = details.method.rpartition("/")[2]
        if call not in self.calls:
            return self.schema.service(details)
        request, handler = self.calls[call]
        return grpc.unary_unary_rpc_method_handler(
            handler,
            request_deserializer=MESSAGE[request].FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


def schema_server(folder: Path) -> Any:
    """The module `with-schema-provider` of that folder."""
    loader = importlib.machinery.SourceFileLoader("with_schema_provider", str(folder / "with-schema-provider"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def main() -> None:
    cloud = Cloud(Path(sys.argv[1]))
    schemas = Path(cloud.config["schemas"])
    server = schema_server(schemas)
    document = json.loads(gzip.decompress((schemas / "yandex-schema.json.gz").read_bytes()))
    ((address, provider),) = document["provider_schemas"].items()
    schema_only = server.service
    calls = handlers(provider["resource_schemas"], provider["data_source_schemas"], cloud)
    server.service = lambda provider: Service(schema_only(provider), calls)
    running, entry = server.serve(provider)
    print(json.dumps({address: entry}), flush=True)
    running.wait_for_termination()


if __name__ == "__main__":
    main()
