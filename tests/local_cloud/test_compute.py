"""Machines, their disks and their addresses: what is made with them, what is refused, what is in use."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1 import disk_pb2, disk_service_pb2, instance_pb2
from yandex.cloud.compute.v1 import instance_service_pb2 as service
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.vpc.v1 import (
    address_pb2,
    address_service_pb2,
    network_pb2,
    network_service_pb2,
    subnet_pb2,
    subnet_service_pb2,
)
from yandex.cloud.vpc.v1.address_service_pb2_grpc import AddressServiceStub
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from tests.support.cloud import FOLDER, SUBNET, Endpoint, finished, refusal, result
from tests.support.compute import GIB, disk_request, instance_request, make_disk, make_instance

SPECIFIED = {"type_id": "network-hdd", "size": 10 * GIB}


def instances(endpoint: Endpoint) -> Any:
    return endpoint.sdk().client(InstanceServiceStub)


def delete(endpoint: Endpoint, key: str) -> Any:
    return finished(endpoint.sdk(), instances(endpoint).Delete(service.DeleteInstanceRequest(instance_id=key)))


def disk(endpoint: Endpoint, key: str) -> Any:
    return endpoint.sdk().client(DiskServiceStub).Get(disk_service_pb2.GetDiskRequest(disk_id=key))


def address(endpoint: Endpoint, name: str) -> Any:
    sdk = endpoint.sdk()
    request = address_service_pb2.CreateAddressRequest(
        folder_id=FOLDER, name=name, external_ipv4_address_spec={"zone_id": "ru-central1-a"}
    )
    return result(sdk, sdk.client(AddressServiceStub).Create(request), address_pb2.Address)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"folder_id": ""}, "INVALID_ARGUMENT", "folder_id: is required"),
        ({"zone_id": "mars"}, "INVALID_ARGUMENT", "unknown zone 'mars'"),
        ({"platform_id": "standard-v9"}, "INVALID_ARGUMENT", "unknown platform 'standard-v9'"),
        (
            {"platform_id": "standard-v1", "zone_id": "ru-central1-d"},
            "FAILED_PRECONDITION",
            'platform "standard-v1" is unavailable in zone "ru-central1-d"',
        ),
        (
            {"resources_spec": {"cores": 3, "memory": 4 * GIB}},
            "INVALID_ARGUMENT",
            'number of cores 3 is not available on platform "standard-v3" at 100%; allowed core number: 2, 4',
        ),
        (
            {"resources_spec": {"cores": 2, "memory": 3 * GIB}},
            "INVALID_ARGUMENT",
            'the specified amount of memory 3GB is not available on platform "standard-v3" with 2 cores',
        ),
        (
            {"resources_spec": {"cores": 2, "memory": 2 * GIB, "core_fraction": 5}},
            "INVALID_ARGUMENT",
            'core fraction 5 is not available on platform "standard-v3"; allowed core fractions: 20, 50, 100',
        ),
        ({"boot_disk_spec": {"disk_spec": {"size": GIB, "type_id": "tape"}}}, "INVALID_ARGUMENT", "unknown disk type"),
        (
            {"boot_disk_spec": {"disk_spec": {"size": 100 * GIB, "type_id": "network-ssd-io-m3"}}},
            "INVALID_ARGUMENT",
            "has 100 GB, expected a multiple of 93 GB",
        ),
        ({"boot_disk_spec": {}}, "INVALID_ARGUMENT", "boot_disk_spec.disk: exactly one of"),
        ({"boot_disk_spec": {"disk_id": "fhmnone"}}, "NOT_FOUND", "Disk 'fhmnone' not found"),
        ({"network_interface_specs": []}, "INVALID_ARGUMENT", "network_interface_specs: is required"),
        ({"network_interface_specs": [{"subnet_id": "e9bnone"}]}, "NOT_FOUND", "Subnet 'e9bnone' not found"),
        (
            {"network_interface_specs": [{"subnet_id": SUBNET, "security_group_ids": ["enpnone"]}]},
            "NOT_FOUND",
            "SecurityGroup 'enpnone' not found",
        ),
        (
            {"network_interface_specs": [{"subnet_id": SUBNET, "security_group_ids": ["enp"] * 6}]},
            "INVALID_ARGUMENT",
            "network_interface_specs[0].security_group_ids: number of entries is 6, expected <=5",
        ),
        (
            {"zone_id": "ru-central1-b"},
            "INVALID_ARGUMENT",
            "is in zone 'ru-central1-a', the instance in 'ru-central1-b'",
        ),
        ({"service_account_id": "ajenone"}, "NOT_FOUND", "ServiceAccount 'ajenone' not found"),
        ({"name": "Upper"}, "INVALID_ARGUMENT", "name: 'Upper' does not match"),
        ({"hostname": "a.b"}, "INVALID_ARGUMENT", "hostname: 'a.b' does not match"),
        ({"labels": {"a/b": "c"}}, "INVALID_ARGUMENT", "labels: key 'a/b'"),
        ({"metadata": {"user-data": "x" * 262145}}, "INVALID_ARGUMENT", "metadata['user-data']: length is 262145"),
        ({"metadata": {str(n): "x" * 200000 for n in range(3)}}, "INVALID_ARGUMENT", "expected at most 524288"),
    ],
)
def test_a_machine_that_the_cloud_would_refuse_is_refused(
    endpoint: Endpoint, changes: dict[str, Any], code: str, message: str
) -> None:
    request = instance_request(**{"name": "refused", **{k: v for k, v in changes.items() if k != "folder_id"}})
    if "folder_id" in changes:
        request.folder_id = changes["folder_id"]
    error = refusal(lambda: instances(endpoint).Create(request))
    assert error.code().name == code
    assert message in error.details()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 0}, "size: is required"),
        ({"size": 1 << 20}, "size: value is 1.04858e+06, expected 4194304-"),
        ({"zone_id": ""}, "zone_id: is required"),
        ({"zone_id": "ru-central1-c"}, "unknown zone"),
        ({"type_id": "network-ssd-nonreplicated"}, "has 10 GB, expected a multiple of 93 GB"),
        ({"type_id": "nvme"}, "unknown disk type 'nvme'"),
    ],
)
def test_a_disk_that_the_cloud_would_refuse_is_refused(
    endpoint: Endpoint, changes: dict[str, Any], message: str
) -> None:
    stub = endpoint.sdk().client(DiskServiceStub)
    error = refusal(lambda: stub.Create(disk_request("refused", **changes)))
    assert (error.code(), message in error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, True), error.details()


def test_a_machine_has_disks_addresses_and_a_name_and_takes_its_own_with_it(endpoint: Endpoint) -> None:
    own = make_disk(endpoint, "of-its-own", 20)
    data = [{"disk_id": own.id, "device_name": "data"}, {"auto_delete": True, "disk_spec": SPECIFIED}]
    machine = make_instance(endpoint, "whole", hostname="whole", secondary_disk_specs=data)
    assert machine.status == instance_pb2.Instance.RUNNING
    assert machine.fqdn == "whole.ru-central1.internal"
    boot, second = disk(endpoint, machine.boot_disk.disk_id), disk(endpoint, machine.secondary_disks[1].disk_id)
    assert (boot.size, boot.type_id, list(boot.instance_ids)) == (10 * GIB, "network-ssd", [machine.id])
    (interface,) = machine.network_interfaces
    assert (interface.index, interface.primary_v4_address.address.rpartition(".")[0]) == ("0", "10.128.0")
    other = make_instance(endpoint, "other")
    assert other.network_interfaces[0].primary_v4_address.address != interface.primary_v4_address.address
    stub = endpoint.sdk().client(DiskServiceStub)
    error = refusal(lambda: stub.Delete(disk_service_pb2.DeleteDiskRequest(disk_id=own.id)))
    assert (error.code(), "is attached to" in error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    error = refusal(lambda: instances(endpoint).Create(instance_request("thief", boot_disk_spec={"disk_id": own.id})))
    assert "is attached to" in error.details()
    delete(endpoint, machine.id)
    delete(endpoint, other.id)
    for gone in (boot.id, second.id):
        assert refusal(lambda: disk(endpoint, gone)).code() is grpc.StatusCode.NOT_FOUND  # noqa: B023
    assert not disk(endpoint, own.id).instance_ids, "a disk without auto_delete stays, and is free"


def test_a_data_disk_is_attached_and_detached(endpoint: Endpoint) -> None:
    sdk, stub = endpoint.sdk(), instances(endpoint)
    machine, data = make_instance(endpoint, "attached"), make_disk(endpoint, "attached-data")
    attach = service.AttachInstanceDiskRequest(instance_id=machine.id, attached_disk_spec={"disk_id": data.id})
    after = result(sdk, stub.AttachDisk(attach), instance_pb2.Instance)
    assert [each.disk_id for each in after.secondary_disks] == [data.id]
    assert list(disk(endpoint, data.id).instance_ids) == [machine.id]
    detach = service.DetachInstanceDiskRequest(instance_id=machine.id, disk_id=data.id)
    assert not result(sdk, stub.DetachDisk(detach), instance_pb2.Instance).secondary_disks
    assert refusal(lambda: stub.DetachDisk(detach)).code() is grpc.StatusCode.INVALID_ARGUMENT
    delete(endpoint, machine.id)


def test_a_disk_grows_and_never_shrinks(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    stub, made = sdk.client(DiskServiceStub), make_disk(endpoint, "grows")
    mask = FieldMask(paths=["size"])
    grow = disk_service_pb2.UpdateDiskRequest(disk_id=made.id, size=12 * GIB, update_mask=mask)
    assert result(sdk, stub.Update(grow), disk_pb2.Disk).size == 12 * GIB
    shrink = disk_service_pb2.UpdateDiskRequest(disk_id=made.id, size=11 * GIB, update_mask=mask)
    error = refusal(lambda: stub.Update(shrink))
    assert "11 GB is less than the 12 GB" in error.details()


def test_hardware_is_changed_while_the_machine_is_stopped(endpoint: Endpoint) -> None:
    sdk, stub = endpoint.sdk(), instances(endpoint)
    machine = make_instance(endpoint, "resized")
    change = service.UpdateInstanceRequest(
        instance_id=machine.id,
        resources_spec={"cores": 4, "memory": 8 * GIB, "core_fraction": 100},
        update_mask=FieldMask(paths=["resources_spec"]),
    )
    error = refusal(lambda: stub.Update(change))
    assert (error.code(), "it must be STOPPED" in error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    finished(sdk, stub.Stop(service.StopInstanceRequest(instance_id=machine.id)))
    assert result(sdk, stub.Update(change), instance_pb2.Instance).resources.cores == 4
    change.resources_spec.cores = 3
    assert "allowed core number" in refusal(lambda: stub.Update(change)).details()
    delete(endpoint, machine.id)


def test_an_address_in_use_is_not_deleted(endpoint: Endpoint) -> None:
    """What taking `mlflow.public` back meets: the machine has to let go of its address first."""
    sdk, stub = endpoint.sdk(), instances(endpoint)
    addresses = sdk.client(AddressServiceStub)
    reserved = address(endpoint, "reserved")
    value = reserved.external_ipv4_address.address
    assert (reserved.reserved, reserved.used, value.count(".")) == (True, False, 3)
    nat = {"subnet_id": SUBNET, "primary_v4_address_spec": {"one_to_one_nat_spec": {"address": value}}}
    machine = make_instance(endpoint, "public", network_interface_specs=[nat])
    assert machine.network_interfaces[0].primary_v4_address.one_to_one_nat.address == value
    ask = address_service_pb2.GetAddressRequest(address_id=reserved.id)
    assert addresses.Get(ask).used
    error = refusal(lambda: stub.Create(instance_request("second", network_interface_specs=[nat])))
    assert (error.code(), "is in use already" in error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    remove = address_service_pb2.DeleteAddressRequest(address_id=reserved.id)
    error = refusal(lambda: addresses.Delete(remove))
    assert (error.code(), f"({value}) is in use" in error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    release = service.RemoveInstanceOneToOneNatRequest(instance_id=machine.id, network_interface_index="0")
    after = result(sdk, stub.RemoveOneToOneNat(release), instance_pb2.Instance)
    assert not after.network_interfaces[0].primary_v4_address.HasField("one_to_one_nat")
    assert not addresses.Get(ask).used
    again = service.AddInstanceOneToOneNatRequest(
        instance_id=machine.id, network_interface_index="0", one_to_one_nat_spec={"address": value}
    )
    finished(sdk, stub.AddOneToOneNat(again))
    delete(endpoint, machine.id)
    assert not addresses.Get(ask).used
    assert not finished(sdk, addresses.Delete(remove)).HasField("error")
    unknown = {"subnet_id": SUBNET, "primary_v4_address_spec": {"one_to_one_nat_spec": {"address": value}}}
    error = refusal(lambda: stub.Create(instance_request("third", network_interface_specs=[unknown])))
    assert "is not reserved in this cloud" in error.details()


def test_a_protected_address_is_not_deleted(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    stub, made = sdk.client(AddressServiceStub), address(endpoint, "protected")
    request = address_service_pb2.DeleteAddressRequest(address_id=made.id)
    for protection in (True, False):
        change = address_service_pb2.UpdateAddressRequest(
            address_id=made.id, deletion_protection=protection, update_mask=FieldMask(paths=["deletion_protection"])
        )
        finished(sdk, stub.Update(change))
        if protection:
            assert "deletion protection" in refusal(lambda: stub.Delete(request)).details()
    assert not finished(sdk, stub.Delete(request)).HasField("error")


def test_a_machine_that_fails_leaves_no_disk_and_no_address_in_use(new_endpoint: Callable[..., Endpoint]) -> None:
    endpoint = new_endpoint().start()
    endpoint.faults({"method": "*InstanceService/Create", "when": "operation", "code": "INTERNAL", "message": "lost"})
    sdk = endpoint.sdk()
    reserved = address(endpoint, "reserved")
    spec = {"one_to_one_nat_spec": {"address": reserved.external_ipv4_address.address}}
    nics = [{"subnet_id": SUBNET, "primary_v4_address_spec": spec}]
    request = instance_request("fails", network_interface_specs=nics)
    assert finished(sdk, instances(endpoint).Create(request)).error.message == "lost"
    assert not sdk.client(DiskServiceStub).List(disk_service_pb2.ListDisksRequest(folder_id=FOLDER)).disks
    stub = sdk.client(AddressServiceStub)
    assert not stub.Get(address_service_pb2.GetAddressRequest(address_id=reserved.id)).used


def test_an_address_is_one_of_its_subnet(endpoint: Endpoint) -> None:
    """Two deployments have the same ranges in networks of their own, and a machine at the same address in each."""
    sdk = endpoint.sdk()
    network = network_service_pb2.CreateNetworkRequest(folder_id=FOLDER, name="beside")
    other = result(sdk, sdk.client(NetworkServiceStub).Create(network), network_pb2.Network)
    request = subnet_service_pb2.CreateSubnetRequest(
        folder_id=FOLDER, name="beside", network_id=other.id, zone_id="ru-central1-a", v4_cidr_blocks=["10.128.0.0/24"]
    )
    beside = result(sdk, sdk.client(SubnetServiceStub).Create(request), subnet_pb2.Subnet)
    at = "10.128.0.77"  # of both

    def nic(subnet: str) -> dict[str, Any]:
        return {"network_interface_specs": [{"subnet_id": subnet, "primary_v4_address_spec": {"address": at}}]}

    for name, subnet in (("here", SUBNET), ("there", beside.id)):
        made = make_instance(endpoint, name, **nic(subnet))
        assert made.network_interfaces[0].primary_v4_address.address == at
    error = refusal(lambda: instances(endpoint).Create(instance_request("again", **nic(SUBNET))))
    assert f"{at!r} is in use already in subnet {SUBNET!r}" in error.details()
