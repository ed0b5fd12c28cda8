"""What Managed Airflow refuses of a request.

Source: docs/managed-airflow/concepts/update-policy as read 2026-11-26, en/_includes/mdb/maf/limits, and the classes
that the provider's documentation lists. Whether 3.0 and 3.1 are really closed is open: users still made 3.x clusters in
September 2026, so only what the vendor has moved away from (2.8, 2.10) is refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from local_cloud.core.identity import ACCOUNT_TYPE
from local_cloud.core.store import Store
from local_cloud.services.airflow import errors

CLOSED = {
    "2.8": "the service moves 2.8 to 2.11 since February 2026",
    "2.10": "the service moves 2.10 to 2.11 since February 2026",
}
# Class -> cores, GB.
PRESETS = {
    f"c{cores}-m{gib}": (cores, gib)
    for cores, gib in ((1, 2), (1, 4), (2, 4), (2, 8), (4, 8), (4, 16), (8, 16), (8, 32))
}
_PARTS = ("webserver", "scheduler", "dag_processor", "triggerer", "worker")
SUBNET, SECURITY_GROUP = "yandex.cloud.vpc.v1.Subnet", "yandex.cloud.vpc.v1.SecurityGroup"
LOG_GROUP = "yandex.cloud.logging.v1.LogGroup"
# Airflow and Python of a cluster that asks for none.
DEFAULT = ("3.1", "3.12")


def check_cluster(store: Store, request: Any) -> None:
    """Raises INVALID_ARGUMENT, or NOT_FOUND for a subnet or a group that does not exist."""
    version = request.config.airflow_version
    if version and not re.fullmatch(r"\d+\.\d+", version):
        raise errors.not_a_version(version)
    if version in CLOSED:
        raise errors.closed_version(version, CLOSED[version])
    if version and int(version.split(".")[0]) >= 3 and not request.config.HasField("dag_processor"):
        raise errors.no_dag_processor(version)
    check_parts(request.config)
    for subnet in request.network.subnet_ids:
        store.get(SUBNET, subnet)
    check_named(store, request, request.network.security_group_ids)


def check_update(store: Store, request: Any) -> None:
    """Raises INVALID_ARGUMENT, or NOT_FOUND for a group, an account or a log group that does not exist."""
    check_parts(request.config_spec)
    check_named(store, request, request.network_spec.security_group_ids)


def check_parts(config: Any) -> None:
    for part, resources in parts(config):
        if resources.resource_preset_id not in PRESETS:
            raise errors.preset(part, resources.resource_preset_id, PRESETS)
    worker = config.worker
    if config.HasField("worker") and not 1 <= worker.min_count <= worker.max_count:
        raise errors.workers(worker.min_count, worker.max_count)


def check_named(store: Store, request: Any, groups: Iterable[str]) -> None:
    for group in groups:
        store.get(SECURITY_GROUP, group)
    if request.service_account_id:
        store.get(ACCOUNT_TYPE, request.service_account_id)
    if request.logging.log_group_id:
        store.get(LOG_GROUP, request.logging.log_group_id)


def parts(config: Any) -> Iterator[tuple[str, Any]]:
    """The components that a cluster has, each with its class."""
    for part in _PARTS:
        if config.HasField(part):
            yield part, getattr(config, part).resources


def holding(row: Any) -> Mapping[str, float]:
    """What a cluster takes of the quotas; of its workers the largest number counts."""
    total = {
        "managed-airflow.clusters.count": 1.0,
        "managed-airflow.cpu.count": 0.0,
        "managed-airflow.memory.size": 0.0,
    }
    for part, resources in parts(row.message.config):
        cores, gib = PRESETS.get(resources.resource_preset_id, (0, 0))
        component = getattr(row.message.config, part)
        count = component.max_count if part == "worker" else component.count
        total["managed-airflow.cpu.count"] += cores * count
        total["managed-airflow.memory.size"] += (gib << 30) * count
    return total
