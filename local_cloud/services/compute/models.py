"""Machines and disks as the store keeps them, and what they take of the cloud's quotas."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from yandex.cloud.compute.v1 import disk_pb2

from local_cloud.core import schema
from local_cloud.core.hardware import DEFAULT_DISK, disk_quotas, machine_quotas
from local_cloud.core.quotas import Holding
from local_cloud.core.resources import Row, new_id, status_of, timestamp

INSTANCE, DISK, SNAPSHOT, SCHEDULE = (
    f"yandex.cloud.compute.v1.{name}" for name in ("Instance", "Disk", "Snapshot", "SnapshotSchedule")
)
ADDRESS, SUBNET, SECURITY_GROUP = (f"yandex.cloud.vpc.v1.{name}" for name in ("Address", "Subnet", "SecurityGroup"))


def _instance(row: Row) -> Mapping[str, float]:
    """A stopped machine takes no cores and no memory; an address that is not reserved counts with its machine."""
    resources, running = row.message.resources, status_of(row.message) != "STOPPED"
    return machine_quotas(resources.cores if running else 0, resources.memory if running else 0)


HOLDINGS: Mapping[str, Holding] = {
    INSTANCE: _instance,
    DISK: lambda row: disk_quotas(row.message.type_id, row.message.size),
    SNAPSHOT: lambda row: {"compute.snapshots.count": 1},
    SCHEDULE: lambda row: {"compute.snapshotSchedules.count": 1},
}


def new_disk(instance: Row, specification: Any) -> Any:
    """The disk that a machine's `disk_spec` asks for."""
    disk = disk_pb2.Disk(
        id=new_id(DISK),
        folder_id=instance.folder,
        zone_id=instance.message.zone_id,
        status=disk_pb2.Disk.READY,
        block_size=4096,
        instance_ids=[instance.key],
    )
    schema.merge(specification, disk)
    disk.type_id = disk.type_id or DEFAULT_DISK
    disk.source_image_id, disk.source_snapshot_id = specification.image_id, specification.snapshot_id
    disk.created_at.CopyFrom(timestamp())
    return disk


def attached(instance: Any) -> Iterator[Any]:
    """The machine's disks, the boot disk first."""
    if instance.HasField("boot_disk"):
        yield instance.boot_disk
    yield from instance.secondary_disks


def free_address(subnet: Any, taken: set[str]) -> str:
    """The next address of a subnet, whose first two are the gateway's and the name server's; empty if there is none."""
    for block in subnet.v4_cidr_blocks:
        for number, host in enumerate(ipaddress.ip_network(block).hosts()):
            if number >= 2 and str(host) not in taken:
                return str(host)
    return ""
