"""The generic store: services that nobody wrote a line for behave by their descriptors."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1 import disk_pb2, disk_service_pb2
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.lockbox.v1 import secret_service_pb2
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.mdb.postgresql.v1 import cluster_pb2 as postgresql_pb2
from yandex.cloud.mdb.postgresql.v1 import cluster_service_pb2 as postgresql_service_pb2
from yandex.cloud.mdb.postgresql.v1 import database_pb2, database_service_pb2
from yandex.cloud.mdb.postgresql.v1.cluster_service_pb2_grpc import ClusterServiceStub as PostgresqlStub
from yandex.cloud.mdb.postgresql.v1.database_service_pb2_grpc import DatabaseServiceStub
from yandex.cloud.operation.operation_service_pb2 import CancelOperationRequest, GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub
from yandex.cloud.vpc.v1 import network_pb2, network_service_pb2, subnet_pb2, subnet_service_pb2
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from tests.support.cloud import DEPLOYER, FOLDER, NETWORK, Endpoint, finished, refusal, result

NETWORK_CREATE = "yandex.cloud.vpc.v1.NetworkService/Create"


def make_network(endpoint: Endpoint, name: str, **fields: Any) -> Any:
    sdk = endpoint.sdk()
    request = network_service_pb2.CreateNetworkRequest(folder_id=FOLDER, name=name, **fields)
    return result(sdk, sdk.client(NetworkServiceStub).Create(request), network_pb2.Network)


def make_disk(endpoint: Endpoint, name: str, **fields: Any) -> Any:
    sdk = endpoint.sdk()
    request = disk_service_pb2.CreateDiskRequest(
        folder_id=FOLDER, name=name, zone_id="ru-central1-a", size=10 << 30, **fields
    )
    return result(sdk, sdk.client(DiskServiceStub).Create(request), disk_pb2.Disk)


def test_create_is_an_operation_that_is_not_done_at_first(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    request = network_service_pb2.CreateNetworkRequest(folder_id=FOLDER, name="asynchronous", labels={"a": "b"})
    operation = sdk.client(NetworkServiceStub).Create(request)
    metadata = network_service_pb2.CreateNetworkMetadata()
    assert operation.metadata.Unpack(metadata)
    assert (operation.done, operation.created_by) == (False, DEPLOYER)
    network = result(sdk, operation, network_pb2.Network)
    assert network.id == metadata.network_id
    assert (network.name, dict(network.labels), network.folder_id) == ("asynchronous", {"a": "b"}, FOLDER)
    assert network.created_at.seconds > 0


def test_a_disk_has_a_status_and_keeps_its_fields(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    disk = make_disk(endpoint, "data", type_id="network-ssd")
    assert disk.status == disk_pb2.Disk.READY
    found = sdk.client(DiskServiceStub).Get(disk_service_pb2.GetDiskRequest(disk_id=disk.id))
    assert found == disk
    assert (found.size, found.type_id, found.zone_id) == (10 << 30, "network-ssd", "ru-central1-a")


def test_update_changes_what_the_mask_names_and_nothing_else(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    disk = make_disk(endpoint, "masked", description="old", labels={"keep": "me"})
    request = disk_service_pb2.UpdateDiskRequest(
        disk_id=disk.id, name="renamed", description="new", update_mask=FieldMask(paths=["description"])
    )
    changed = result(sdk, sdk.client(DiskServiceStub).Update(request), disk_pb2.Disk)
    assert (changed.name, changed.description, dict(changed.labels)) == ("masked", "new", {"keep": "me"})
    request = disk_service_pb2.UpdateDiskRequest(disk_id=disk.id, update_mask=FieldMask(paths=["labels"]))
    assert not dict(result(sdk, sdk.client(DiskServiceStub).Update(request), disk_pb2.Disk).labels)


def test_a_mask_that_names_nothing_is_refused(endpoint: Endpoint) -> None:
    disk = make_disk(endpoint, "wrong-mask")
    request = disk_service_pb2.UpdateDiskRequest(disk_id=disk.id, update_mask=FieldMask(paths=["colour"]))
    error = refusal(lambda: endpoint.sdk().client(DiskServiceStub).Update(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "'colour'" in error.details()


def test_delete_removes_and_then_nothing_is_found(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    network = make_network(endpoint, "short-lived")
    stub = sdk.client(NetworkServiceStub)
    done = finished(sdk, stub.Delete(network_service_pb2.DeleteNetworkRequest(network_id=network.id)))
    assert done.response.type_url.endswith("google.protobuf.Empty")
    for call in (
        lambda: stub.Get(network_service_pb2.GetNetworkRequest(network_id=network.id)),
        lambda: stub.Delete(network_service_pb2.DeleteNetworkRequest(network_id=network.id)),
    ):
        error = refusal(call)
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert network.id in error.details()


def test_a_name_is_taken_once_in_a_folder_and_free_again_after_delete(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    network, other = make_network(endpoint, "taken"), make_network(endpoint, "other")
    stub = sdk.client(NetworkServiceStub)
    for call in (
        lambda: stub.Create(network_service_pb2.CreateNetworkRequest(folder_id=FOLDER, name="taken")),
        lambda: stub.Update(network_service_pb2.UpdateNetworkRequest(network_id=other.id, name="taken")),
    ):
        error = refusal(call)
        assert error.code() is grpc.StatusCode.ALREADY_EXISTS
        assert network.id in error.details()
    finished(sdk, stub.Delete(network_service_pb2.DeleteNetworkRequest(network_id=network.id)))
    make_network(endpoint, "taken")


def test_lists_come_in_pages(endpoint: Endpoint) -> None:
    made = {make_disk(endpoint, f"page-{number}").id for number in range(5)}  # boot disks of instances have no name
    stub, token, pages = endpoint.sdk().client(DiskServiceStub), "", []
    while True:
        request = disk_service_pb2.ListDisksRequest(folder_id=FOLDER, page_size=2, page_token=token)
        answer = stub.List(request)
        pages.append([disk.id for disk in answer.disks])
        if not (token := answer.next_page_token):
            break
    listed = [disk for page in pages for disk in page]
    assert max(map(len, pages)) == 2
    assert len(listed) == len(set(listed))
    assert made <= set(listed)
    error = refusal(lambda: stub.List(disk_service_pb2.ListDisksRequest(folder_id=FOLDER, page_token="!")))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name="filter-1"', {"filter-1"}),
        ("name = 'filter-1'", {"filter-1"}),
        ('name!="filter-1" AND labels.kind="x"', {"filter-2"}),
        ('labels.kind="y"', set()),
    ],
)
def test_lists_are_filtered(endpoint: Endpoint, text: str, expected: set[str]) -> None:
    stub = endpoint.sdk().client(DiskServiceStub)
    for name in ("filter-1", "filter-2"):
        if not stub.List(disk_service_pb2.ListDisksRequest(folder_id=FOLDER, filter=f'name="{name}"')).disks:
            make_disk(endpoint, name, labels={"kind": "x"})
    answer = stub.List(disk_service_pb2.ListDisksRequest(folder_id=FOLDER, filter=text))
    assert {disk.name for disk in answer.disks} == expected


@pytest.mark.parametrize("text", ["name", 'colour="red"', 'name > "a"'])
def test_a_filter_that_is_not_understood_is_refused(endpoint: Endpoint, text: str) -> None:
    stub = endpoint.sdk().client(DiskServiceStub)
    error = refusal(lambda: stub.List(disk_service_pb2.ListDisksRequest(folder_id=FOLDER, filter=text)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"folder_id": ""}, "folder_id: is required"),
        ({"name": "x" * 101}, "name: length is 101, expected <=100"),
        ({"labels": {"Big": "x"}}, "labels: key 'Big': 'Big' does not match the pattern"),
        ({"labels": {"small": "Big"}}, "labels['small']: 'Big' does not match the pattern"),
        ({"labels": {f"l{n}": "x" for n in range(65)}}, "labels: number of entries is 65, expected <=64"),
        ({"version_payload_entries": [{"text_value": "x"}]}, "version_payload_entries[0].key: is required"),
    ],
)
def test_requests_are_held_against_the_clouds_own_rules(
    endpoint: Endpoint, changes: dict[str, Any], complaint: str
) -> None:
    stub = endpoint.sdk().client(SecretServiceStub)
    request = secret_service_pb2.CreateSecretRequest(**{"folder_id": FOLDER, "name": "ruled", **changes})
    error = refusal(lambda: stub.Create(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert complaint in error.details()


def test_a_subnet_takes_its_network_and_is_listed_among_its_operations(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    stub = sdk.client(SubnetServiceStub)
    request = subnet_service_pb2.CreateSubnetRequest(
        folder_id=FOLDER,
        network_id=NETWORK,
        zone_id="ru-central1-b",
        name="default-b",
        v4_cidr_blocks=["10.129.0.0/24"],
    )
    subnet = result(sdk, stub.Create(request), subnet_pb2.Subnet)
    assert (subnet.network_id, list(subnet.v4_cidr_blocks)) == (NETWORK, ["10.129.0.0/24"])
    operations = stub.ListOperations(subnet_service_pb2.ListSubnetOperationsRequest(subnet_id=subnet.id)).operations
    assert [operation.description for operation in operations] == ["Create Subnet"]


def test_children_belong_to_their_parent_and_go_with_it(endpoint: Endpoint) -> None:
    """A managed PostgreSQL cluster and a database in it: resources whose keys are a parent's id and a name."""
    sdk = endpoint.sdk()
    clusters, databases = sdk.client(PostgresqlStub), sdk.client(DatabaseServiceStub)
    request = postgresql_service_pb2.CreateClusterRequest(
        folder_id=FOLDER, name="pg", environment="PRODUCTION", network_id=NETWORK
    )
    request.config_spec.version = "16"
    request.config_spec.resources.resource_preset_id = "s3-c2-m8"
    request.host_specs.add(zone_id="ru-central1-a")
    request.database_specs.add(name="first", owner="mlflow")
    request.user_specs.add(name="mlflow", password="not-a-secret")
    cluster = result(sdk, clusters.Create(request), postgresql_pb2.Cluster)
    assert (cluster.status, cluster.config.version) == (postgresql_pb2.Cluster.RUNNING, "16")
    specification = database_pb2.DatabaseSpec(name="mlflow", owner="mlflow")
    made = database_service_pb2.CreateDatabaseRequest(cluster_id=cluster.id, database_spec=specification)
    assert result(sdk, databases.Create(made), database_pb2.Database).owner == "mlflow"
    asked = database_service_pb2.GetDatabaseRequest(cluster_id=cluster.id, database_name="mlflow")
    assert databases.Get(asked).cluster_id == cluster.id
    elsewhere = database_service_pb2.GetDatabaseRequest(cluster_id="other", database_name="mlflow")
    assert refusal(lambda: databases.Get(elsewhere)).code() is grpc.StatusCode.NOT_FOUND
    assert refusal(lambda: databases.Create(made)).code() is grpc.StatusCode.ALREADY_EXISTS
    finished(sdk, clusters.Delete(postgresql_service_pb2.DeleteClusterRequest(cluster_id=cluster.id)))
    assert refusal(lambda: databases.Get(asked)).code() is grpc.StatusCode.NOT_FOUND


def test_what_is_not_offered_says_so(endpoint: Endpoint) -> None:
    stub = endpoint.sdk().client(DiskServiceStub)
    disk = make_disk(endpoint, "unmoved")
    error = refusal(
        lambda: stub.Relocate(disk_service_pb2.RelocateDiskRequest(disk_id=disk.id, destination_zone_id="x"))
    )
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "DiskService/Relocate" in error.details()


def test_an_operation_takes_the_configured_time_and_can_be_cancelled(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint(timings={"vpc.network.create": 60, "default": 0}).start()
    sdk = own.sdk()
    request = network_service_pb2.CreateNetworkRequest(folder_id=FOLDER, name="slow")
    operation = sdk.client(NetworkServiceStub).Create(request)
    operations = sdk.client(OperationServiceStub)
    assert not operations.Get(GetOperationRequest(operation_id=operation.id)).done
    cancelled = operations.Cancel(CancelOperationRequest(operation_id=operation.id))
    assert (cancelled.done, cancelled.error.code) == (True, grpc.StatusCode.CANCELLED.value[0])
    listed = sdk.client(NetworkServiceStub).List(network_service_pb2.ListNetworksRequest(folder_id=FOLDER)).networks
    assert [network.name for network in listed] == ["default"]


def test_a_failed_create_leaves_nothing_or_an_error(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    rule = {"when": "operation", "code": "RESOURCE_EXHAUSTED", "message": "quota vpc.networks", "times": 1}
    endpoint.faults(
        {"method": NETWORK_CREATE, **rule}, {"method": "yandex.cloud.compute.v1.DiskService/Create", **rule}
    )
    request = network_service_pb2.CreateNetworkRequest(folder_id=FOLDER, name="fails")
    done = finished(sdk, sdk.client(NetworkServiceStub).Create(request))
    assert (done.error.code, done.error.message) == (8, "quota vpc.networks")
    disk = disk_service_pb2.CreateDiskRequest(folder_id=FOLDER, name="fails", zone_id="ru-central1-a", size=10 << 30)
    assert finished(sdk, sdk.client(DiskServiceStub).Create(disk)).error.code == 8
    networks = sdk.client(NetworkServiceStub).List(network_service_pb2.ListNetworksRequest(folder_id=FOLDER)).networks
    assert "fails" not in [network.name for network in networks]
    disks = sdk.client(DiskServiceStub).List(disk_service_pb2.ListDisksRequest(folder_id=FOLDER, filter='name="fails"'))
    assert [disk.status for disk in disks.disks] == [disk_pb2.Disk.ERROR]


def test_an_unknown_operation_is_not_found(endpoint: Endpoint) -> None:
    stub = endpoint.sdk().client(OperationServiceStub)
    error = refusal(lambda: stub.Get(GetOperationRequest(operation_id="cecunknown")))
    assert error.code() is grpc.StatusCode.NOT_FOUND
