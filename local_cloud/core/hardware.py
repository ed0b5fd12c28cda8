"""What machines and disks there are: zones, platforms and their configurations, types of disks (`platforms.json`)."""

import json
from collections.abc import Mapping
from pathlib import Path

from local_cloud.core.errors import invalid, precondition

_TABLE = json.loads((Path(__file__).parents[1] / "platforms.json").read_text())
ZONES: list[str] = _TABLE["zones"]
# Platform by the name that host classes of managed services have of it.
PLATFORMS: Mapping[str, str] = _TABLE["names"]
DEFAULT_DISK = "network-hdd"
GIB = 1 << 30


def check_zone(zone: str, name: str = "zone_id") -> None:
    """Raises INVALID_ARGUMENT."""
    if zone not in ZONES:
        raise invalid(f"{name}: unknown zone {zone!r}; known are {ZONES}")


def check_platform(platform: str, zone: str) -> None:
    """Raises INVALID_ARGUMENT, or FAILED_PRECONDITION for one that the zone does not have."""
    if platform not in _TABLE["platforms"]:
        raise invalid(f"platform_id: unknown platform {platform!r}; known are {sorted(_TABLE['platforms'])}")
    if platform in _TABLE["absent"].get(zone, ()):
        raise precondition(f'platform "{platform}" is unavailable in zone "{zone}"')


def check_configuration(platform: str, cores: int, memory: int, fraction: int) -> None:
    """Cores, bytes of memory and share of a core (percent) as the platform offers them; raises INVALID_ARGUMENT."""
    offered = _TABLE["platforms"][platform]
    kind = offered.get(str(fraction))
    if kind is None:
        raise invalid(
            f'the specified core fraction {fraction} is not available on platform "{platform}"; '
            f"allowed core fractions: {', '.join(offered)}"
        )
    if cores not in kind["cores"]:
        raise invalid(
            f'the specified number of cores {cores} is not available on platform "{platform}" at {fraction}%; '
            f"allowed core number: {', '.join(map(str, kind['cores']))}"
        )
    allowed = [share * cores for share in kind["gib_per_core"] if share * cores <= kind.get("most_gib", 4096)]
    if memory / GIB not in allowed:
        raise invalid(
            f'the specified amount of memory {memory / GIB:g}GB is not available on platform "{platform}" with {cores} '
            f"cores; allowed memory size: {', '.join(f'{gib:g}GB' for gib in allowed)}"
        )


def check_disk(kind: str, size: int, name: str) -> None:
    """A type that there is, and a size (bytes) that it may have; raises INVALID_ARGUMENT."""
    if kind not in _TABLE["disks"]:
        raise invalid(f"{name}: unknown disk type {kind!r}; known are {sorted(_TABLE['disks'])}")
    unit = _TABLE["disks"][kind].get("unit_gib")
    if unit and (not size or size % (unit * GIB)):
        raise invalid(f"{name}: a {kind} disk has {size / GIB:g} GB, expected a multiple of {unit} GB")


def disk_quotas(kind: str, size: int, count: int = 1) -> dict[str, float]:
    """What so many disks take of Compute's quotas."""
    of_the_kind = _TABLE["disks"].get(kind or DEFAULT_DISK, {}).get("quota")
    return {"compute.disks.count": count, **({of_the_kind: size * count} if of_the_kind else {})}


def machine_quotas(cores: int, memory: int, count: int = 1) -> dict[str, float]:
    """What so many running machines take of Compute's quotas."""
    return {
        "compute.instances.count": count,
        "compute.instanceCores.count": cores * count,
        "compute.instanceMemory.size": memory * count,
    }
