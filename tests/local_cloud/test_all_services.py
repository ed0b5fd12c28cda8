"""Every service of the SDK lives through Create, Get, List, Update, Delete, though nobody wrote a line for it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trustme", reason="the endpoint's own requirements are not installed here (requirements/stack.txt)")

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from local_cloud.cloud import Cloud
from local_cloud.core import schema
from local_cloud.core.config import Config, ObjectStore, ServiceAccount
from local_cloud.core.context import Listener, Machine, Site, new_context
from local_cloud.core.errors import ApiError
from local_cloud.core.resources import Row
from local_cloud.core.store import Store
from local_cloud.services.registry import services as all_services
from tests.support.cloud import CLOUD, DEPLOYER, FOLDER, NETWORK

CYCLE = {"Create", "Get", "List", "Delete"}
# Services whose messages follow none of the API's conventions (numbers as keys, lists of another type, no key at all),
# and what needs real surroundings and has tests of its own: clusters of Data Processing, users and databases of a
# cluster, buckets of an object store.
BEYOND = {
    "yandex.cloud.cdn.v1.OriginGroupService",
    "yandex.cloud.cdn.v1.OriginService",
    "yandex.cloud.cdn.v1.ResourceRulesService",
    "yandex.cloud.dataproc.v1.ClusterService",
    "yandex.cloud.datasphere.v2.jobs.ProjectJobService",
    "yandex.cloud.iam.v1.OAuthClientSecretService",
    "yandex.cloud.iam.v1.OAuthClientService",
    "yandex.cloud.loadtesting.api.v1.AgentService",
    "yandex.cloud.mdb.postgresql.v1.DatabaseService",
    "yandex.cloud.mdb.postgresql.v1.UserService",
    "yandex.cloud.resourcemanager.v1.FolderService",
    "yandex.cloud.serverless.mcpgateway.v1.McpGatewayService",
    "yandex.cloud.serverless.workflows.v1.WorkflowService",
    "yandex.cloud.smartwebsecurity.v1.load_balancer.DomainService",
    "yandex.cloud.spark.v1.environment.EnvironmentService",
    "yandex.cloud.storage.v1.BucketService",
    "yandex.cloud.ytsaurus.v1.ClusterService",
}


def services() -> list[ServiceDescriptor]:
    found = [service for package in schema.packages() for service in schema.load_package(package)]
    return [s for s in found if set(s.methods_by_name) >= CYCLE and s.full_name not in BEYOND]


class Client:
    """Calls methods by their descriptors, as the deployer, and waits for operations."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._token = f"Bearer {cloud.context.identity.issue(DEPLOYER)[0]}"

    def call(self, method: MethodDescriptor, request: Any) -> Any:
        answer: Any = self.cloud.call(method, request, self._token, "grpc")
        if not schema.is_operation(method):
            return answer
        deadline = time.monotonic() + 60
        while not (operation := self.cloud.context.operations.get(answer.id)).done:
            assert time.monotonic() < deadline, "not done"
            time.sleep(0.002)
        assert not operation.HasField("error"), operation.error.message
        return operation

    def newest(self, service: ServiceDescriptor) -> Row:
        resource = schema.resource_of(service)
        assert resource is not None
        return self.cloud.context.store.select(resource.full_name)[-1]


def no_machine(machine: Machine) -> Listener:
    raise AssertionError(f"no test here starts a machine, this one did: {machine}")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    state: Path = tmp_path_factory.mktemp("state")
    network = {"@type": "yandex.cloud.vpc.v1.Network", "id": NETWORK, "folderId": FOLDER, "name": "default"}
    accounts = {"deployer": ServiceAccount(DEPLOYER, ("admin",))}
    objects = ObjectStore("http://127.0.0.1:1", "local", "secret")
    config = Config(
        state, CLOUD, FOLDER, accounts, timings={"default": 0.0}, resources=(network,), object_store=objects
    )
    store = Store(state / "state.db")
    context = new_context(config, store, "localhost:1")
    files = [state / name for name in ("bundle", "ca", "pair")]
    site = Site({"grpc": "localhost:1", "rest": "localhost:2"}, files[0], no_machine, *files[1:])
    yield Client(Cloud(context, all_services(context, site)))
    store.close()


def filled(method: MethodDescriptor, values: dict[str, str]) -> Any:
    """A request with those of the values that it has fields for, also inside a `<resource>_spec`."""
    request: Any = schema.new(method.input_type)
    for name in schema.string_fields(method.input_type):
        setattr(request, name, values.get(name, ""))
    for field in method.input_type.fields:
        if field.name.endswith("_spec") and field.message_type and "name" in schema.string_fields(field.message_type):
            getattr(request, field.name).name = values["name"]
    return request


@pytest.mark.parametrize("service", services(), ids=lambda service: service.full_name.removeprefix("yandex.cloud."))
def test_a_resource_lives_its_life(client: Client, service: ServiceDescriptor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.cloud, "check", lambda call: None)  # the requests are nearly empty
    methods, keys = service.methods_by_name, schema.key_fields(service)
    common = {"name": "all-services", "folder_id": FOLDER, **{key: NETWORK for key in keys if key.endswith("_id")}}
    client.call(methods["Create"], filled(methods["Create"], common))
    row = client.newest(service)
    own = row.message.DESCRIPTOR.fields_by_name.get(schema.own_id(service, row.message.DESCRIPTOR))
    value = getattr(row.message, own.name) if own else row.name
    named = {**common, **{key: value for key in keys if key not in row.parents}}
    got = client.call(methods["Get"], filled(methods["Get"], named))
    assert got.SerializeToString() == row.message.SerializeToString()
    listed = client.call(methods["List"], filled(methods["List"], {"folder_id": FOLDER, **row.parents}))
    lists = [getattr(listed, field.name) for field in listed.DESCRIPTOR.fields if field.is_repeated]
    assert row.message in [item for items in lists for item in items]
    if "Update" in methods and "description" in schema.string_fields(methods["Update"].input_type):
        change = filled(methods["Update"], {**named, "description": "new"})
        if schema.has(change, "update_mask") and schema.has(row.message, "description"):
            change.update_mask.paths.append("description")
            client.call(methods["Update"], change)
            assert client.newest(service).message.description == "new"
    client.call(methods["Delete"], filled(methods["Delete"], named))
    with pytest.raises(ApiError, match="not found"):
        client.call(methods["Get"], filled(methods["Get"], named))
