"""What YARN has of a cluster's hosts, as the service deals it out, and by how much it is scaled down on this machine.

Source: the service's documentation (docs/data-proc/concepts: spark-sql, "Resource allocation", and settings-list), and
what the images' own configuration makes of it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local_cloud.pricing import PRESETS
from local_cloud.services.dataproc.models import COMPUTE, DATA, MASTER

GIB = 1024  # MiB
STEP = 64  # MiB; with the factor in sixteenths, a GiB is still a whole number of steps
SIXTEENTHS = 16
APPLICATION_MASTER = GIB  # MiB, in client mode; a JVM of this size is not made smaller
LEAST = 768  # MiB of a host besides the application master, below which no executor starts
SHARE = "dataproc:nodemanager_available_memory_ratio"
_VISIBLE = 0.97  # of a preset's memory: the kernel keeps the rest for itself
_PROPERTY = re.compile(r"spark\.(executor|driver)\.memory$")


@dataclass(frozen=True)
class Node:
    """What a NodeManager offers: virtual cores, and memory in MiB."""

    cores: int
    memory: int

    def scaled(self, factor: float) -> "Node":
        rest = int((self.memory - APPLICATION_MASTER) * factor) // STEP * STEP
        return Node(self.cores, APPLICATION_MASTER + rest)


@dataclass(frozen=True)
class Hosts:
    """A subcluster whose hosts run a NodeManager: `count` of them now, and `most` when it has grown."""

    node: Node
    count: int
    most: int


def node(preset: str, share: float) -> Node:
    size = PRESETS[preset]
    return Node(size["vcpu"], int(size["ram_gb"] * GIB * _VISIBLE * share) // GIB * GIB)


def hosts_of(subclusters: Iterable[Any], properties: Mapping[str, str]) -> list[Hosts]:
    """The hosts of a cluster's Subcluster messages that work for YARN."""
    share = float(properties.get(SHARE, 0.8))
    return [
        Hosts(
            node(each.resources.resource_preset_id, share),
            each.hosts_count,
            max(each.hosts_count, each.autoscaling_config.max_hosts_count),
        )
        for each in subclusters
        if each.role in (COMPUTE, DATA)
    ]


def master_of(subclusters: Iterable[Any], properties: Mapping[str, str]) -> Node:
    preset = next(each.resources.resource_preset_id for each in subclusters if each.role == MASTER)
    return node(preset, float(properties.get(SHARE, 0.8)))


def factor(hosts: Iterable[Hosts], memory: float) -> float:
    """By how much hosts shrink so that all of them, grown, fit into `memory` MiB: 1, or so many sixteenths; maybe 0.

    Application masters keep their size, so that what is scaled is what executors have.
    """
    count = sum(each.most for each in hosts)
    offered = sum(each.most * (each.node.memory - APPLICATION_MASTER) for each in hosts)
    fits = (memory - count * APPLICATION_MASTER) / offered if offered else 1
    return max(0, min(SIXTEENTHS, int(fits * SIXTEENTHS))) / SIXTEENTHS


def defaults(node: Node, master: Node, deploy_mode: str) -> dict[str, str]:
    """The sizes that the service gives to a job which says none, unscaled."""
    kept = 0 if deploy_mode == "cluster" else APPLICATION_MASTER
    per_host = 2 if deploy_mode == "cluster" else 1
    container = (node.memory - kept) // per_host // GIB * GIB
    driver = node.memory // 4 if deploy_mode == "cluster" else master.memory - overhead_of(master.memory)
    return {
        "spark.submit.deployMode": deploy_mode,
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.minExecutors": "1",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",  # the service has YARN's shuffle service instead
        "spark.executor.cores": str(max(1, (node.cores - (1 if kept else 0)) // per_host)),
        "spark.executor.memory": f"{container - overhead_of(container)}m",
        "spark.driver.memory": f"{driver}m",
        "spark.yarn.am.cores": "1",
        "spark.yarn.am.memory": "640m",
    }


def overhead_of(memory: int) -> int:
    """MiB that Spark adds to a JVM's heap if it is not told."""
    return max(384, memory // 10)


def scaled(properties: Mapping[str, str], factor: float) -> dict[str, str]:
    """Spark's properties with the memory of executors and driver scaled, the overhead that Spark would add included."""
    made = dict(properties)
    for name in properties if factor < 1 else ():
        if _PROPERTY.match(name):
            heap = mebibytes(properties[name])
            overhead = f"{name}Overhead"
            beside = mebibytes(properties[overhead]) if overhead in properties else overhead_of(heap)
            made[name] = f"{int(heap * factor)}m"
            made[overhead] = f"{int(beside * factor)}m"
    return made


def mebibytes(text: str) -> int:
    """A size as Spark reads it: `2g`, `1500m`; without a unit it is MiB.

    >>> mebibytes("2g"), mebibytes("1500m"), mebibytes("512")
    (2048, 1500, 512)
    """
    found = re.fullmatch(r"(\d+)\s*([kmgt]?)b?", text.strip().lower())
    if not found:
        raise ValueError(f"{text!r} is no size of memory; one like 1500m or 2g is expected")
    return int(int(found[1]) * {"": 1, "k": 1 / GIB, "m": 1, "g": GIB, "t": GIB * GIB}[found[2]])
