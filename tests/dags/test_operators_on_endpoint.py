"""The unmodified operators of the Airflow provider, against the endpoint.

Runs in an interpreter that has Airflow (requirements/airflow-test.txt); FRAUD_STACK_PYTHON names the endpoint's own.
"""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")
pytest.importorskip("airflow.providers.yandex", reason="apache-airflow-providers-yandex cannot be imported here")

from airflow.providers.yandex.operators.dataproc import (
    DataprocCreateClusterOperator,
    DataprocCreatePysparkJobOperator,
    DataprocDeleteClusterOperator,
)
from yandex.cloud.dataproc.v1 import cluster_service_pb2
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandexcloud.operations import OperationError

from tests.support.cloud import BUCKET, DATAPROC, FOLDER, SUBNET, Endpoint


class TaskInstance:
    """As much of a task instance as the operators ask for."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture(autouse=True)
def connection(cloud: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a worker: the authority, the machine's metadata service and the connection come by the environment."""
    extra = {"endpoint": cloud.address["grpc"], "folder_id": FOLDER, "public_ssh_key": "ssh-ed25519 AAAA somebody"}
    monkeypatch.setenv("AIRFLOW_CONN_YANDEXCLOUD_DEFAULT", json.dumps({"conn_type": "yandexcloud", "extra": extra}))
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", cloud.address["ca"])
    monkeypatch.setenv("YC_METADATA_ADDR", cloud.address["metadata"]["airflow"])


def create(name: str, **changes: Any) -> tuple[str, TaskInstance]:
    """Run the create operator; returns the cluster's id and the task instance with its XComs."""
    host = {"resource_preset": "s3-c2-m8", "disk_type": "network-ssd", "disk_size": 20}
    nodes = {f"{node}_{key}": value for node in ("masternode", "computenode") for key, value in host.items()}
    task_instance = TaskInstance()
    operator = DataprocCreateClusterOperator(
        task_id="create",
        cluster_name=name,
        cluster_image_version="2.2",
        subnet_id=SUBNET,
        services=("YARN", "SPARK"),
        zone="ru-central1-a",
        service_account_id=DATAPROC,
        datanode_count=0,
        computenode_count=1,
        **{"s3_bucket": BUCKET, **nodes, **changes},
    )
    return operator.execute({"task_instance": task_instance}), task_instance


def clusters(cloud: Endpoint) -> list[str]:
    stub = cloud.machine("airflow").client(ClusterServiceStub)
    return [cluster.name for cluster in stub.List(cluster_service_pb2.ListClustersRequest(folder_id=FOLDER)).clusters]


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> str:
    file: Path = tmp_path_factory.mktemp("job") / "main.py"
    file.write_text("import sys\nprint(sys.argv[1:])\nassert sys.argv[1:] != ['fail'], 'as asked'\n")
    return f"file://{file}"


def test_create_job_delete(cloud: Endpoint, main: str) -> None:
    cluster, task_instance = create("operators", labels={"owner": "airflow"})
    assert task_instance.pushed["cluster_id"] == cluster
    assert clusters(cloud) == ["operators"]
    job = DataprocCreatePysparkJobOperator(
        task_id="job", cluster_id=cluster, main_python_file_uri=main, args=["a", "b"]
    )
    job.execute({"task_instance": task_instance})
    failing = DataprocCreatePysparkJobOperator(
        task_id="fail", cluster_id=cluster, main_python_file_uri=main, args=["fail"]
    )
    with pytest.raises(OperationError, match="AssertionError: as asked"):
        failing.execute({"task_instance": task_instance})
    DataprocDeleteClusterOperator(task_id="delete", cluster_id=cluster).execute({"task_instance": task_instance})
    assert clusters(cloud) == []


def test_a_create_that_fails_raises_and_its_cluster_can_be_found_by_name(cloud: Endpoint) -> None:
    with pytest.raises(OperationError, match="bucket 'none' does not exist"):
        create("operators-fail", s3_bucket="none")
    assert clusters(cloud) == ["operators-fail"]
    stub = cloud.machine("airflow").client(ClusterServiceStub)
    left = stub.List(cluster_service_pb2.ListClustersRequest(folder_id=FOLDER)).clusters[0]
    DataprocDeleteClusterOperator(task_id="delete", cluster_id=left.id).execute({"task_instance": TaskInstance()})
    assert clusters(cloud) == []
