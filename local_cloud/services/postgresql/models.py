"""Clusters and their hosts as the store keeps them, and what they take of the cloud's quotas."""

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.wrappers_pb2 import BoolValue
from yandex.cloud.mdb.postgresql.v1 import cluster_pb2, database_pb2, user_pb2

from local_cloud.core import schema
from local_cloud.core.quotas import Holding
from local_cloud.core.resources import Row, new_id
from local_cloud.pricing import PRESETS

CLUSTER, HOST, USER, DATABASE = (
    f"yandex.cloud.mdb.postgresql.v1.{name}" for name in ("Cluster", "Host", "User", "Database")
)
CONNECTIONS = 50  # of a user who asks for none
_DISKS = {"network-hdd": "mdb.hdd.size"}


def complete(cluster: Any) -> None:
    """What the service says of a cluster though nobody asked."""
    cluster.health = cluster_pb2.Cluster.ALIVE
    config = cluster.config
    for part in ("access", "performance_diagnostics", "disk_size_autoscaling", f"postgresql_config_{config.version}"):
        if schema.has(config, part):
            getattr(config, part).SetInParent()
    pooler = cluster_pb2.ConnectionPoolerConfig
    config.pooler_config.pooling_mode = config.pooler_config.pooling_mode or pooler.SESSION
    config.backup_retain_period_days.value = config.backup_retain_period_days.value or 7
    if not cluster.maintenance_window.WhichOneof("policy"):
        cluster.maintenance_window.anytime.SetInParent()


def new_host(cluster: Row, resources: Any, specification: Any, first: bool) -> Any:
    """A host as a request describes it; its name is made up like the service's, and the first one is the master."""
    kind = cluster_pb2.Host
    host = kind(name=f"rc1{specification.zone_id[-1:]}-{new_id(HOST)[3:]}.mdb.local", cluster_id=cluster.key)
    schema.merge(specification, host)
    host.resources.CopyFrom(resources)
    host.priority.value = host.priority.value
    host.role, host.health = kind.MASTER if first else kind.REPLICA, kind.ALIVE
    return host


def new_user(cluster: Row, specification: Any) -> Any:
    """A user as a request describes it, without the password."""
    user = user_pb2.User(cluster_id=cluster.key, login=BoolValue(value=True), conn_limit=CONNECTIONS)
    schema.merge(specification, user)
    user.conn_limit = specification.conn_limit.value or CONNECTIONS
    user.auth_method = user.auth_method or user_pb2.AUTH_METHOD_PASSWORD
    user.user_password_encryption = user.user_password_encryption or user_pb2.USER_PASSWORD_ENCRYPTION_SCRAM_SHA_256
    user.settings.SetInParent()
    return user


def new_database(cluster: Row, specification: Any) -> Any:
    database = database_pb2.Database(cluster_id=cluster.key, lc_collate="C", lc_ctype="C")
    schema.merge(specification, database)
    return database


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
