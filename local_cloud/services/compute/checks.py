"""What Compute refuses of a request.

Source: yandex-cloud/docs, en/compute/concepts/performance-levels and en/_includes/compute-limits;
yandex-cloud/cloudapi, compute/v1. Required fields, names and lengths are in core/rules.json.
"""

from collections.abc import Iterable
from typing import Any

from local_cloud.core.hardware import (
    DEFAULT_DISK,
    check_configuration,
    check_disk,
    check_platform,
    check_zone,
)
from local_cloud.core.identity import ACCOUNT_TYPE
from local_cloud.core.store import Store
from local_cloud.services.compute import errors
from local_cloud.services.compute.models import DISK, IMAGE, SECURITY_GROUP, SUBNET

MOST_METADATA = 512 << 10


def check_new_disk(store: Store, request: Any) -> None:
    check_zone(request.zone_id)
    check_disk(request.type_id or DEFAULT_DISK, request.size, "size")
    check_source(store, request)


def check_source(store: Store, request: Any) -> None:
    """The image of a new disk exists and fits on it."""
    if request.image_id:
        image = store.get(IMAGE, request.image_id)
        if request.size < image.message.min_disk_size:
            raise errors.smaller_than_image(request.size, image)


def check_schedule(store: Store, disks: Iterable[str]) -> None:
    for disk in disks:
        store.get(DISK, disk)


def check_disk_change(store: Store, request: Any) -> None:
    row = store.get(DISK, request.disk_id)
    if request.size:
        check_disk(row.message.type_id or DEFAULT_DISK, request.size, "size")
        if request.size < row.message.size:
            raise errors.disk_shrinks(row, request.size)


def check_instance(store: Store, request: Any) -> None:
    """Hardware that there is in the zone, and disks, subnets, groups and an account that exist."""
    check_zone(request.zone_id)
    check_platform(request.platform_id, request.zone_id)
    check_resources(request.platform_id, request.resources_spec)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in request.metadata.items())
    if size > MOST_METADATA:
        raise errors.metadata_too_large(size, MOST_METADATA)
    if request.service_account_id:
        store.get(ACCOUNT_TYPE, request.service_account_id)
    disks = {"boot_disk_spec": request.boot_disk_spec}
    disks |= {f"secondary_disk_specs[{n}]": each for n, each in enumerate(request.secondary_disk_specs)}
    for name, specification in disks.items():
        check_attached(store, name, specification, request.zone_id)
    for number, interface in enumerate(request.network_interface_specs):
        name = f"network_interface_specs[{number}]"
        subnet = store.get(SUBNET, interface.subnet_id)
        if subnet.message.zone_id != request.zone_id:
            raise errors.wrong_zone(f"{name}.subnet_id", subnet, subnet.message.zone_id, request.zone_id)
        for group in interface.security_group_ids:
            store.get(SECURITY_GROUP, group)


def check_resources(platform: str, resources: Any) -> None:
    check_configuration(platform, resources.cores, resources.memory, resources.core_fraction or 100)


def check_attached(store: Store, name: str, specification: Any, zone: str) -> None:
    if specification.WhichOneof("disk") == "disk_spec":
        check_disk(specification.disk_spec.type_id or DEFAULT_DISK, specification.disk_spec.size, f"{name}.disk_spec")
        check_source(store, specification.disk_spec)
        return
    row = store.get(DISK, specification.disk_id)
    if row.message.zone_id != zone:
        raise errors.wrong_zone(f"{name}.disk_id", row, row.message.zone_id, zone)
    if row.message.instance_ids:
        raise errors.disk_attached(row, list(row.message.instance_ids))
