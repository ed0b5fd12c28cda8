"""Clusters and their hosts as the store keeps them, and what they take of the cloud's quotas."""

import re
from collections.abc import Mapping
from typing import Any

from yandex.cloud.mdb.postgresql.v1 import cluster_pb2

from local_cloud.core import schema
from local_cloud.core.quotas import Holding
from local_cloud.core.resources import Row, new_id
from local_cloud.pricing import PRESETS

CLUSTER, HOST = (f"yandex.cloud.mdb.postgresql.v1.{name}" for name in ("Cluster", "Host"))
_DISKS = {"network-hdd": "mdb.hdd.size"}


def new_host(cluster: Row, resources: Any, specification: Any) -> Any:
    """A host as a request describes it; its name is made up like the service's."""
    host = cluster_pb2.Host(
        name=f"rc1{specification.zone_id[-1:]}-{new_id(HOST)[3:]}.mdb.local", cluster_id=cluster.key
    )
    schema.merge(specification, host)
    host.resources.CopyFrom(resources)
    return host


def size_of(preset: str) -> tuple[int, int]:
    """Cores and bytes of memory of a host class; zeros for one that is not known."""
    if match := re.fullmatch(r"\w+-c(\d+)-m(\d+)", preset):
        return int(match[1]), int(match[2]) << 30
    known = PRESETS.get(preset, {})
    return known.get("vcpu", 0), known.get("ram_gb", 0) << 30


def _host(row: Row) -> Mapping[str, float]:
    resources = row.message.resources
    cores, memory = size_of(resources.resource_preset_id)
    disk = _DISKS.get(resources.disk_type_id, "mdb.ssd.size")
    return {"mdb.cpu.count": cores, "mdb.memory.size": memory, disk: resources.disk_size}


HOLDINGS: Mapping[str, Holding] = {CLUSTER: lambda row: {"mdb.clusters.count": 1}, HOST: _host}
