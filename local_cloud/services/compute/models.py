"""Machines and disks as the store keeps them, and what they take of the cloud's quotas."""

import hashlib
import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from yandex.cloud.compute.v1 import disk_pb2, image_pb2, instance_pb2

from local_cloud.core import schema
from local_cloud.core.hardware import DEFAULT_DISK, GIB, disk_quotas, machine_quotas
from local_cloud.core.identity import PUBLIC_IMAGES
from local_cloud.core.quotas import Holding
from local_cloud.core.resources import Row, new_id, status_of, timestamp

INSTANCE, DISK, SNAPSHOT, SCHEDULE, IMAGE = (
    f"yandex.cloud.compute.v1.{name}" for name in ("Instance", "Disk", "Snapshot", "SnapshotSchedule", "Image")
)
# Families of images that everybody may use, and the least that a disk of them has.
FAMILIES = {f"debian-{number}{edition}": 3 * GIB for number in (11, 12, 13) for edition in ("", "-oslogin")}
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
    name_source(disk, specification)
    disk.created_at.CopyFrom(timestamp())
    return disk


def name_source(disk: Any, specification: Any) -> None:
    """What a new disk was made of: an image or a snapshot, never both."""
    if source := specification.WhichOneof("source"):
        setattr(disk, f"source_{source}", getattr(specification, source))


def public_image(family: str) -> Any:
    """The newest image of a family: the same one at each call."""
    identity = f"fd8{hashlib.sha256(family.encode()).hexdigest()[:17]}"
    made = Timestamp(seconds=1_790_000_000)
    return image_pb2.Image(
        id=identity,
        folder_id=PUBLIC_IMAGES,
        created_at=made,
        name=f"{family}-v20260921",
        family=family,
        status=image_pb2.Image.READY,
        storage_size=FAMILIES[family] // 2,
        min_disk_size=FAMILIES[family],
        os=image_pb2.Os(type=image_pb2.Os.LINUX),
    )


def complete(instance: Any) -> None:
    """What the service says of a machine though nobody asked: defaults, and how its parts are called on it."""
    options, kind = instance.metadata_options, instance_pb2
    for field in options.DESCRIPTOR.fields:
        default = kind.DISABLED if field.name == "aws_v1_http_token" else kind.ENABLED
        setattr(options, field.name, getattr(options, field.name) or default)
    instance.scheduling_policy.SetInParent()
    instance.placement_policy.SetInParent()
    instance.network_settings.type = instance.network_settings.type or kind.NetworkSettings.STANDARD
    instance.resources.core_fraction = instance.resources.core_fraction or 100
    for number, interface in enumerate(instance.network_interfaces):
        interface.index = str(number)
        digest = hashlib.sha256(f"{instance.id} {number}".encode()).hexdigest()
        interface.mac_address = ":".join(["d0", "0d", *(digest[at : at + 2] for at in range(0, 8, 2))])
    for disk in attached(instance):
        name_attached(disk)


def name_attached(disk: Any) -> None:
    """A disk is written to, and called by its own id, unless something else was asked for."""
    disk.mode = disk.mode or instance_pb2.AttachedDisk.READ_WRITE
    disk.device_name = disk.device_name or disk.disk_id


def attached(instance: Any) -> Iterator[Any]:
    """The machine's disks, the boot disk first."""
    if instance.HasField("boot_disk"):
        yield instance.boot_disk
    yield from instance.secondary_disks


def addresses(subnet: Any) -> Iterator[str]:
    """All that machines of a subnet may have: the first two of each range are the gateway's and the name server's."""
    for block in subnet.v4_cidr_blocks:
        yield from (str(host) for number, host in enumerate(ipaddress.ip_network(block).hosts()) if number >= 2)
