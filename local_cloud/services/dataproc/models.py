"""Clusters, subclusters, hosts and jobs as the store keeps them."""

from collections.abc import Iterator, Mapping
from typing import Any

from yandex.cloud.dataproc.v1 import cluster_pb2, job_pb2, subcluster_pb2

from local_cloud.core import schema
from local_cloud.core.hardware import disk_quotas, machine_quotas
from local_cloud.core.resources import Row, new_id, status_of, timestamp
from local_cloud.pricing import PRESETS

CLUSTER, SUBCLUSTER, JOB = (f"yandex.cloud.dataproc.v1.{name}" for name in ("Cluster", "Subcluster", "Job"))
MASTER, DATA, COMPUTE = subcluster_pb2.MASTERNODE, subcluster_pb2.DATANODE, subcluster_pb2.COMPUTENODE
HDFS, YARN, SPARK = cluster_pb2.HadoopConfig.HDFS, cluster_pb2.HadoopConfig.YARN, cluster_pb2.HadoopConfig.SPARK
# What the service takes if a request leaves a host's resources open.
DEFAULT_PRESET, DEFAULT_DISK_TYPE, DEFAULT_DISK_SIZE = "s2.small", "network-ssd", 20 << 30
JOB_KINDS = ("pyspark_job", "spark_job")
FINAL = ("DONE", "ERROR", "CANCELLED")
_LETTER = {MASTER: "m", DATA: "d", COMPUTE: "c"}


def subcluster_quotas(row: Row) -> Mapping[str, float]:
    """What a subcluster's hosts take of Compute's quotas: machines, cores, memory and disks of the cloud's own."""
    message = row.message
    preset, count, disk = PRESETS.get(message.resources.resource_preset_id, {}), message.hosts_count, message.resources
    machines = machine_quotas(preset.get("vcpu", 0), preset.get("ram_gb", 0) << 30, count)
    return {**machines, **disk_quotas(disk.disk_type_id, disk.disk_size, count)}


def is_light(hadoop: Any) -> bool:
    """A light cluster names its services and leaves HDFS out; without any, the service takes a set that has HDFS."""
    return bool(hadoop.services) and HDFS not in hadoop.services


def new_subcluster(cluster: Row, specification: Any) -> Any:
    """A subcluster as a request describes it, with the service's defaults."""
    message = subcluster_pb2.Subcluster(id=new_id(CLUSTER), cluster_id=cluster.key)
    schema.merge(specification, message)
    message.created_at.CopyFrom(timestamp())
    message.resources.resource_preset_id = message.resources.resource_preset_id or DEFAULT_PRESET
    message.resources.disk_type_id = message.resources.disk_type_id or DEFAULT_DISK_TYPE
    message.resources.disk_size = message.resources.disk_size or DEFAULT_DISK_SIZE
    return message


def hosts_of(cluster: Row, subcluster: Row) -> Iterator[Any]:
    """The hosts of one subcluster; their names are made from its id, so that they stay the same."""
    zone, letter = cluster.message.zone_id[-1], _LETTER[subcluster.message.role]
    for number in range(subcluster.message.hosts_count):
        yield subcluster_pb2.Host(
            name=f"rc1{zone}-dataproc-{letter}-{subcluster.key[-8:]}{number}.mdb.local",
            subcluster_id=subcluster.key,
            health=cluster.message.health,
            role=subcluster.message.role,
        )


def set_job_status(job: Any, status: int) -> None:
    """Set a job's status and, with it, the times that it tells."""
    job.status = status
    if status == job_pb2.Job.RUNNING:
        job.started_at.CopyFrom(timestamp())
    if status_of(job) in FINAL:
        job.finished_at.CopyFrom(timestamp())


def specification_of(job: Any) -> Any:
    """The PysparkJob or SparkJob inside a Job message."""
    return getattr(job, job.WhichOneof("job_spec"))
