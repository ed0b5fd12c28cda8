"""Machines, disks and groups for the tests of the cloud's API."""

from typing import Any

from yandex.cloud.compute.v1 import disk_pb2, disk_service_pb2, instance_pb2, instance_service_pb2
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from tests.support.cloud import FOLDER, SUBNET, Endpoint, result

GIB = 1 << 30
ZONE = "ru-central1-a"


def disk_request(name: str, gib: int = 10, **fields: Any) -> Any:
    return disk_service_pb2.CreateDiskRequest(
        folder_id=FOLDER, name=name, **{"zone_id": ZONE, "size": gib * GIB, **fields}
    )


def make_disk(endpoint: Endpoint, name: str, gib: int = 10, **fields: Any) -> Any:
    sdk = endpoint.sdk()
    return result(sdk, sdk.client(DiskServiceStub).Create(disk_request(name, gib, **fields)), disk_pb2.Disk)


def instance_request(name: str, cores: int = 2, gib: int = 4, disk_gib: int = 10, **fields: Any) -> Any:
    """A machine with a boot disk of its own on the endpoint's subnet; `fields` take the place of what it says."""
    given: dict[str, Any] = {
        "zone_id": ZONE,
        "platform_id": "standard-v3",
        "resources_spec": {"cores": cores, "memory": gib * GIB, "core_fraction": 100},
        "boot_disk_spec": {"auto_delete": True, "disk_spec": {"size": disk_gib * GIB, "type_id": "network-ssd"}},
        "network_interface_specs": [{"subnet_id": SUBNET, "primary_v4_address_spec": {}}],
        **fields,
    }
    return instance_service_pb2.CreateInstanceRequest(folder_id=FOLDER, name=name, **given)


def make_instance(endpoint: Endpoint, name: str, **fields: Any) -> Any:
    sdk = endpoint.sdk()
    operation = sdk.client(InstanceServiceStub).Create(instance_request(name, **fields))
    return result(sdk, operation, instance_pb2.Instance)
