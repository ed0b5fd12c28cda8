"""Managed databases and Airflows for the tests of the cloud's API."""

from typing import Any

from yandex.cloud.airflow.v1 import cluster_service_pb2 as airflow
from yandex.cloud.mdb.postgresql.v1 import cluster_service_pb2 as postgresql

from tests.support.cloud import DATAPROC, FOLDER, NETWORK, SUBNET
from tests.support.compute import GIB


def postgresql_request(name: str, **changes: Any) -> Any:
    """A cluster of one host; `changes` are paths within the request, joined by two underscores."""
    request = postgresql.CreateClusterRequest(folder_id=FOLDER, name=name, environment="PRODUCTION", network_id=NETWORK)
    request.config_spec.version = "17"
    request.config_spec.resources.resource_preset_id = "s3-c2-m8"
    request.config_spec.resources.disk_type_id = "network-ssd"
    request.config_spec.resources.disk_size = 10 * GIB
    request.host_specs.add(zone_id="ru-central1-a", subnet_id=SUBNET)
    request.database_specs.add(name="mlflow", owner="mlflow")
    request.user_specs.add(name="mlflow", password="not-a-secret")
    return changed(request, changes)


def airflow_request(name: str, **changes: Any) -> Any:
    request = airflow.CreateClusterRequest(folder_id=FOLDER, name=name, admin_password="not-a-secret")
    request.config.airflow_version = "3.1"
    for part in ("webserver", "scheduler", "dag_processor"):
        component = getattr(request.config, part)
        component.count, component.resources.resource_preset_id = 1, "c1-m4"
    request.config.worker.min_count, request.config.worker.max_count = 1, 2
    request.config.worker.resources.resource_preset_id = "c1-m4"
    request.network.subnet_ids.append(SUBNET)
    request.code_sync.s3.bucket = "dags"
    request.service_account_id = DATAPROC
    return changed(request, changes)


def changed(request: Any, changes: dict[str, Any]) -> Any:
    for path, value in changes.items():
        *parents, name = path.split("__")
        target = request
        for parent in parents:
            target = target[int(parent)] if parent.isdecimal() else getattr(target, parent)
        if value is None:
            target.ClearField(name)
        elif isinstance(value, list):
            target.ClearField(name)
            getattr(target, name).extend(value)
        else:
            setattr(target, name, value)
    return request
