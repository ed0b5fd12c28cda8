"""What Managed PostgreSQL refuses of a request.

Source: yandex-cloud/docs, en/_includes/mdb/mpg-limits (disks and hosts by type of disk),
en/_includes/mdb/mpg/note-info-user-name-and-pass-limits; versions as read 2026-11-26 (14 is gone, 18 is there).
"""

import re
from typing import Any

from local_cloud.core.hardware import GIB, PLATFORMS, check_platform, check_zone
from local_cloud.services.postgresql import errors

VERSIONS = {f"{number}{edition}" for number in (15, 16, 17, 18) for edition in ("", "-1c")}
# Type of disk -> least and most of GB on a host, the step between sizes, least number of hosts.
DISKS = {
    "network-ssd": (10, 4096, 1, 1),
    "network-hdd": (10, 2048, 1, 1),
    "network-ssd-nonreplicated": (93, 10230, 93, 3),
    "network-ssd-io-m3": (93, 10230, 93, 1),
    "local-ssd": (100, 1500, 100, 3),
}
MOST_HOSTS = 16
_PRESET = re.compile(r"[bsmcig][1-3]\.\w+|[bsmci][2-4]a?-c\d+-m\d+")
_USER = re.compile(r"(?!pg_)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}")
RESERVED = {"admin", "repl", "monitor", "postgres"}
_GENERATION = {"1": "Intel Broadwell", "2": "Intel Cascade Lake", "3": "Intel Ice Lake"}


def check_cluster(request: Any) -> None:
    """Raises INVALID_ARGUMENT, or FAILED_PRECONDITION for a platform that the zone does not have."""
    check_version(request.config_spec.version)
    resources = request.config_spec.resources
    check_resources(resources, len(request.host_specs))
    for number, host in enumerate(request.host_specs):
        check_zone(host.zone_id, f"host_specs[{number}].zone_id")
        if generation := _GENERATION.get(resources.resource_preset_id[1:2]):
            check_platform(PLATFORMS[generation], host.zone_id)
    for user in request.user_specs:
        check_user(user)


def check_version(version: str) -> None:
    if version and version not in VERSIONS:
        raise errors.version(version, VERSIONS)


def check_resources(resources: Any, hosts: int) -> None:
    if resources.resource_preset_id and not _PRESET.fullmatch(resources.resource_preset_id):
        raise errors.preset(resources.resource_preset_id)
    if not resources.disk_type_id:
        return
    if resources.disk_type_id not in DISKS:
        raise errors.disk_type(resources.disk_type_id, DISKS)
    low, high, unit, least = DISKS[resources.disk_type_id]
    size = resources.disk_size / GIB
    if not low <= size <= high or size % unit:
        raise errors.disk_size(resources.disk_type_id, size, low, high, unit)
    if hosts and not least <= hosts <= MOST_HOSTS:
        raise errors.hosts(resources.disk_type_id, hosts, least, MOST_HOSTS)


def check_user(user: Any) -> None:
    if not _USER.fullmatch(user.name) or user.name in RESERVED or user.name.startswith("mdb_"):
        raise errors.user_name(user.name)
    if user.password:
        check_password(user.name, user.password)


def check_password(user: str, password: str) -> None:
    if not 8 <= len(password) <= 128:
        raise errors.password_length(user, len(password))
