"""Data Processing ("Dataproc"): clusters that are checked like the cloud's, and jobs that really run."""

import logging
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message
from yandex.cloud.dataproc.v1 import (
    cluster_service_pb2,
    common_pb2,
    job_pb2,
    job_service_pb2,
    subcluster_pb2,
)

from local_cloud import cluster_checks, schema, service, spark
from local_cloud.config import Image
from local_cloud.errors import ApiError, invalid, not_found, precondition, unimplemented
from local_cloud.iam import TokenCache
from local_cloud.metadata import Metadata
from local_cloud.objects import Objects
from local_cloud.operations import Call, Verb, timestamp
from local_cloud.store import Row, belongs, new_id, status_of

if TYPE_CHECKING:
    from local_cloud.cloud import Cloud

log = logging.getLogger(__name__)
CLUSTER, SUBCLUSTER, JOB = (f"yandex.cloud.dataproc.v1.{name}" for name in ("Cluster", "Subcluster", "Job"))
# What the service takes where a request leaves a host's resources open.
DEFAULT_PRESET, DEFAULT_DISK_TYPE, DEFAULT_DISK_SIZE = "s2.small", "network-ssd", 20 << 30
_LETTER = {cluster_checks.MASTER: "m", cluster_checks.DATA: "d", cluster_checks.COMPUTE: "c"}
_LOG_PAGE = 1 << 20
_TAIL = 64 << 10
_FINAL = ("DONE", "ERROR", "CANCELLED")


class Dataproc:
    """The service's own behaviour on top of the generic verbs, and what runs on its clusters."""

    def __init__(self, cloud: "Cloud", bundle: Path) -> None:
        self._cloud = cloud
        self._config = cloud.config
        self._bundle = bundle
        self._objects = Objects(cloud.config.object_store) if cloud.config.object_store else None
        self._metadata: dict[str, Metadata] = {}

    def handlers(self) -> dict[str, Any]:
        cluster, job = "yandex.cloud.dataproc.v1.ClusterService", "yandex.cloud.dataproc.v1.JobService"
        return {
            f"{cluster}/Create": Verb(self._create_cluster, self._provision, service.undo_create),
            f"{cluster}/Start": Verb(service.begin_change, self._provision, service.undo_change),
            f"{cluster}/Stop": Verb(service.begin_change, self._stop, service.undo_change),
            f"{cluster}/Delete": Verb(service.begin_delete, self._delete, service.undo_change),
            f"{cluster}/ListHosts": self._hosts,
            f"{job}/Create": Verb(self._create_job, self._run_job, self._end_job, self._interrupted),
            f"{job}/Cancel": Verb(self._begin_cancel, self._cancel),
            f"{job}/ListLog": self._log_page,
        }

    def resume(self) -> None:
        """After a restart: the metadata services of the clusters that run."""
        for row in self._cloud.store.select(CLUSTER):
            if status_of(row.message) == "RUNNING":
                self._open_metadata(row)

    def shutdown(self) -> None:
        for key in list(self._metadata):
            self._close_metadata(key)

    # Clusters

    def _create_cluster(self, call: Call) -> Row:
        request = call.request
        self._image(request.config_spec.version_id)
        cluster_checks.check_layout(request.config_spec)
        cluster_checks.check_surroundings(self._cloud, request)
        row = service.create(call)
        for specification in request.config_spec.subclusters_spec:
            self._add_subcluster(row, specification)
        return row

    def _image(self, version: str) -> Image:
        """The image of a version: `2.1`, or a patch of it like `2.1.15`; raises INVALID_ARGUMENT with those offered."""
        for offered, image in self._config.images.items():
            if version == offered or version.startswith(f"{offered}."):
                return image
        raise invalid(f"config_spec.version_id: unknown image {version!r}; offered are {sorted(self._config.images)}")

    def _add_subcluster(self, cluster: Row, specification: Any) -> None:
        message = subcluster_pb2.Subcluster(id=new_id(CLUSTER), cluster_id=cluster.key)
        schema.merge(specification, message)
        message.created_at.CopyFrom(timestamp())
        message.resources.resource_preset_id = message.resources.resource_preset_id or DEFAULT_PRESET
        message.resources.disk_type_id = message.resources.disk_type_id or DEFAULT_DISK_TYPE
        message.resources.disk_size = message.resources.disk_size or DEFAULT_DISK_SIZE
        self._cloud.store.insert(message, message.id, cluster.folder, {"cluster_id": cluster.key})

    def _provision(self, call: Call) -> Message:
        """What takes the cloud minutes: look at the bucket and the packages, then let the machines answer."""
        row = service.current(call)
        if self._objects is None:
            raise precondition("this endpoint has no object store: set 'object_store' in its configuration")
        if problem := self._objects.problem_of(row.message.bucket):
            raise precondition(f"Cluster {row.name!r} cannot start: {problem}")
        config = row.message.config
        image = self._image(config.version_id)
        if complaints := spark.pip_mismatches(self._runtime(image), config.hadoop.properties):
            text = "; ".join(complaints)
            raise precondition(
                f"Cluster {row.name!r}: image {config.version_id} does not fit the pip properties: {text}"
            )
        folder = self._folder(row.key)
        (folder / "conf").mkdir(parents=True, exist_ok=True)
        spark.write_properties(folder / "conf" / "spark-defaults.conf", self._properties(row, {}))
        self._open_metadata(row)
        with call.cloud.store.transaction():
            row = service.current(call)
            row.message.health = common_pb2.ALIVE
            call.cloud.store.save(row)
        return service.settle(call)

    @staticmethod
    def _runtime(image: Image) -> spark.Runtime:
        try:
            return spark.inspect(image)
        except (OSError, subprocess.SubprocessError) as error:
            detail = spark.reason(error.stderr) if isinstance(error, subprocess.CalledProcessError) else error
            raise precondition(f"the image's interpreter {image.python} cannot be used: {detail}") from error

    def _stop(self, call: Call) -> Message:
        self._cancel_jobs(call.resource)
        self._close_metadata(call.resource)
        return service.settle(call)

    def _delete(self, call: Call) -> Message:
        self._cancel_jobs(call.resource)
        self._close_metadata(call.resource)
        return service.finish_delete(call)

    def _cancel_jobs(self, cluster: str) -> None:
        for job in self._cloud.store.select(JOB, {"cluster_id": cluster}):
            self._cloud.operations.cancel_on(job.key, "Create")

    def _open_metadata(self, row: Row) -> None:
        tokens = TokenCache(self._cloud.identity.issue, row.message.service_account_id)
        facts = {"id": row.key, "name": row.name, "zone": row.message.zone_id}
        self._close_metadata(row.key)
        self._metadata[row.key] = Metadata(self._config.host, 0, tokens, facts)

    def _close_metadata(self, key: str) -> None:
        if listener := self._metadata.pop(key, None):
            listener.close()

    def _hosts(self, call: Call) -> Message:
        cluster = service.named(call)
        zone = cluster.message.zone_id[-1]
        hosts = [
            subcluster_pb2.Host(
                name=f"rc1{zone}-dataproc-{_LETTER[group.message.role]}-{group.key[-8:]}{number}.mdb.local",
                subcluster_id=group.key,
                health=cluster.message.health,
                role=group.message.role,
            )
            for group in self._cloud.store.select(SUBCLUSTER, {"cluster_id": cluster.key})
            for number in range(group.message.hosts_count)
        ]
        answer = cluster_service_pb2.ListClusterHostsResponse()
        numbered = list(enumerate(hosts, start=1))
        page, answer.next_page_token = service.paged(call, numbered, lambda item: item[0])
        answer.hosts.extend(host for _, host in page)
        return answer

    # Jobs

    def _create_job(self, call: Call) -> Row:
        cluster = call.cloud.store.get(CLUSTER, call.request.cluster_id)
        if (status := status_of(cluster.message)) != "RUNNING":
            raise precondition(f"Cluster {cluster.key!r} is {status}; jobs need a RUNNING one")
        kind = call.request.WhichOneof("job_spec")
        if kind is None:
            raise invalid("job_spec: one of pyspark_job and spark_job must be set")
        if kind not in ("pyspark_job", "spark_job"):
            raise unimplemented(f"job_spec: {kind} is not offered by this endpoint; pyspark_job and spark_job are")
        if cluster_checks.is_light(cluster.message.config.hadoop) and getattr(call.request, kind).file_uris:
            raise invalid(f"{kind}.file_uris: Using fileUris is forbidden on lightweight cluster")
        row = service.create(call)
        row.message.created_by = call.subject
        call.cloud.store.save(row)
        return row

    def _run_job(self, call: Call) -> Message:
        """Run spark-submit to its end. The operation fails as the job does, with the line of the log that tells why."""
        store, job = call.cloud.store, service.current(call)
        cluster = store.get(CLUSTER, job.message.cluster_id)
        specification = getattr(job.message, job.message.WhichOneof("job_spec"))
        image = self._image(cluster.message.config.version_id)
        folder = self._folder(cluster.key) / "jobs" / job.key
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / "job.properties"
        places = dict.fromkeys(("spark.local.dir", "spark.jars.ivy"), str(folder / "tmp"))
        spark.write_properties(file, self._properties(cluster, {**places, **specification.properties}))
        argv = spark.command(self._runtime(image), file, job.name or job.key, specification)
        self._set_status(job.key, job_pb2.Job.PENDING)

        def started(pid: int, at: float) -> None:
            store.execute("INSERT INTO processes VALUES (?,?,?)", job.key, pid, at)
            self._set_status(job.key, job_pb2.Job.RUNNING)

        try:
            status = spark.run(argv, folder, self._environment(cluster, image, folder), call.stop, started)
        except spark.JobStopped:
            if call.reason == "shutdown":
                raise ApiError(grpc.StatusCode.UNAVAILABLE, "The endpoint was stopped while the job ran") from None
            raise ApiError(grpc.StatusCode.CANCELLED, "The job was cancelled") from None
        except OSError as error:
            raise ApiError(grpc.StatusCode.INTERNAL, f"{argv[0]} cannot be run: {error}") from error
        finally:
            store.execute("DELETE FROM processes WHERE job = ?", job.key)
            self._keep_log(cluster, job.key, folder / spark.LOG_NAME)
        if status != 0:
            raise ApiError(grpc.StatusCode.INTERNAL, f"Job {job.key} failed with exit status {status}: {_why(folder)}")
        return self._set_status(job.key, job_pb2.Job.DONE)

    def _properties(self, cluster: Row, job: Mapping[str, str]) -> dict[str, str]:
        store, hadoop = self._config.object_store, cluster.message.config.hadoop
        assert store is not None
        endpoint = {"spark.hadoop.fs.s3a.endpoint": store.endpoint, "spark.hadoop.fs.s3a.endpoint.region": store.region}
        image = self._image(cluster.message.config.version_id)
        return spark.properties({**endpoint, **self._config.spark_defaults}, image, hadoop.properties, job)

    def _environment(self, cluster: Row, image: Image, folder: Path) -> dict[str, str]:
        store = self._config.object_store
        assert store is not None
        bundle = str(self._bundle)
        extra = {
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
            "YC_METADATA_ADDR": self._metadata[cluster.key].address,
            "YC_ENDPOINT": self._cloud.addresses["rest"],
            "SSL_CERT_FILE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": bundle,
        }
        return spark.environment(image, self._runtime(image), self._folder(cluster.key) / "conf", folder, extra)

    def _end_job(self, call: Call, error: ApiError) -> None:
        cancelled = error.code is grpc.StatusCode.CANCELLED
        self._set_status(call.resource, job_pb2.Job.CANCELLED if cancelled else job_pb2.Job.ERROR)

    def _interrupted(self, call: Call) -> Message:
        """The endpoint was killed while the job ran: end what is left of it, and say so."""
        for record in call.cloud.store.execute("SELECT * FROM processes WHERE job = ?", call.resource):
            spark.end_left_behind(record["pid"], record["started"])
        call.cloud.store.execute("DELETE FROM processes WHERE job = ?", call.resource)
        raise ApiError(grpc.StatusCode.UNAVAILABLE, "The endpoint was killed while the job ran; the job has been ended")

    def _set_status(self, key: str, status: int) -> Any:
        store = self._cloud.store
        with store.transaction():
            row = store.get(JOB, key)
            row.message.status = status
            if status == job_pb2.Job.RUNNING:
                row.message.started_at.CopyFrom(timestamp())
            if status_of(row.message) in _FINAL:
                row.message.finished_at.CopyFrom(timestamp())
            store.save(row)
        return row.message

    def _begin_cancel(self, call: Call) -> Row:
        row = self._job(call)
        if (status := status_of(row.message)) in _FINAL:
            raise precondition(f"Job {row.key!r} is {status} already")
        self._set_status(row.key, job_pb2.Job.CANCELLING)
        return row

    def _cancel(self, call: Call) -> Message:
        self._cloud.operations.cancel_on(call.resource, "Create")
        return call.cloud.store.get(JOB, call.resource).message

    def _job(self, call: Call) -> Row:
        row = call.cloud.store.get(JOB, call.request.job_id)
        if not belongs(row, "cluster_id", call.request.cluster_id):
            raise not_found(f"Job of cluster {call.request.cluster_id!r}", row.key)
        return row

    def _log_page(self, call: Call) -> Message:
        """One page of the job's output, cut between characters; the token is the offset in bytes."""
        job, token = self._job(call), call.request.page_token
        if token and not token.isdecimal():
            raise invalid(f"page_token: {token!r} was not given out by ListLog")
        file = self._folder(job.message.cluster_id) / "jobs" / job.key / spark.LOG_NAME
        start, size = int(token or 0), call.request.page_size or _LOG_PAGE
        content = _read(file, start, size + 1)
        end = min(size, len(content))
        while 0 < end < len(content) and content[end] & 0xC0 == 0x80:
            end -= 1
        answer = job_service_pb2.ListJobLogResponse(content=content[:end].decode(errors="replace"))
        answer.next_page_token = str(start + end) if end < len(content) else ""
        return answer

    def _keep_log(self, cluster: Row, job: str, file: Path) -> None:
        """Copy the log to where the cloud keeps it; a job does not fail because that did."""
        key = f"dataproc/clusters/{cluster.key}/jobs/{job}/driveroutput.000000000"
        if self._objects is not None and file.exists():
            try:
                self._objects.upload(file, cluster.message.bucket, key)
            except Exception as error:
                log.warning("the log of job %s was not copied to %s/%s: %s", job, cluster.message.bucket, key, error)

    def _folder(self, cluster: str) -> Path:
        return self._config.state / "clusters" / cluster


def _read(file: Path, start: int, size: int) -> bytes:
    if not file.exists():
        return b""
    with file.open("rb") as stream:
        stream.seek(start)
        return stream.read(size)


def _why(folder: Path) -> str:
    file = folder / spark.LOG_NAME
    return spark.reason(_read(file, max(0, file.stat().st_size - _TAIL), _TAIL).decode(errors="replace"))
