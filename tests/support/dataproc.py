"""Data Processing for the tests: a cluster as the SDK's wrapper takes it, jobs, their logs and their processes."""

from pathlib import Path
from typing import Any

import psutil
import yandexcloud
from yandex.cloud.dataproc.v1 import cluster_pb2, cluster_service_pb2, job_pb2, job_service_pb2
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.dataproc.v1.job_service_pb2_grpc import JobServiceStub

from tests.support.cloud import BUCKET, DATAPROC, FOLDER, SUBNET

HOST = {"resource_preset": "s3-c2-m8", "disk_type": "network-ssd", "disk_size": 20}
CREATE_CLUSTER = "yandex.cloud.dataproc.v1.ClusterService/Create"


def cluster_fields(name: str, **changes: Any) -> dict[str, Any]:
    """A light cluster, as the wrapper's create_cluster takes it."""
    fields = {
        "cluster_name": name,
        "folder_id": FOLDER,
        "zone": "ru-central1-a",
        "subnet_id": SUBNET,
        "service_account_id": DATAPROC,
        "s3_bucket": BUCKET,
        "cluster_image_version": "2.2",
        "services": ["YARN", "SPARK"],
        "ssh_public_keys": "ssh-ed25519 AAAA somebody",
        "datanode_count": 0,
        "computenode_count": 2,
        "labels": {"owner": "tests"},
        **{f"{node}_{key}": value for node in ("masternode", "computenode") for key, value in HOST.items()},
    }
    return {**fields, **changes}


def create_request(name: str) -> Any:
    """The request that the wrapper sends, for tests that must not wait for the answer."""

    class Recorder:
        request: Any = None

        def create_operation_and_get_result(self, request: Any, **_: Any) -> Any:
            self.request = request
            return type("Result", (), {"response": cluster_pb2.Cluster()})

    from yandexcloud._wrappers.dataproc import Dataproc

    recorder = Recorder()
    Dataproc(sdk=recorder).create_cluster(**cluster_fields(name))
    return recorder.request


def clusters(sdk: yandexcloud.SDK) -> list[Any]:
    """Every cluster of the folder."""
    return list(sdk.client(ClusterServiceStub).List(cluster_service_pb2.ListClustersRequest(folder_id=FOLDER)).clusters)


def submit(sdk: yandexcloud.SDK, cluster: str, script: Path, *args: str, **fields: Any) -> Any:
    """Start a job and return the operation."""
    job = job_pb2.PysparkJob(main_python_file_uri=f"file://{script}", args=args, **fields)
    request = job_service_pb2.CreateJobRequest(cluster_id=cluster, name="job", pyspark_job=job)
    return sdk.client(JobServiceStub).Create(request)


def job_of(sdk: yandexcloud.SDK, operation: Any) -> Any:
    """The job that an operation has started, as it is now."""
    metadata = job_service_pb2.CreateJobMetadata()
    operation.metadata.Unpack(metadata)
    request = job_service_pb2.GetJobRequest(cluster_id=metadata.cluster_id, job_id=metadata.job_id)
    return sdk.client(JobServiceStub).Get(request)


def log_of(sdk: yandexcloud.SDK, job: Any, **fields: Any) -> Any:
    """One page of a job's log."""
    request = job_service_pb2.ListJobLogRequest(cluster_id=job.cluster_id, job_id=job.id, **fields)
    return sdk.client(JobServiceStub).ListLog(request)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
