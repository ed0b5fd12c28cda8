"""Where a cluster's jobs run: on this machine, as `spark-submit` of the image's own pyspark.

All that clusters and jobs know of it is the protocol `Engine`. `LocalEngine` runs a job in one process; `YarnEngine`
(yarn_engine.py) on a ResourceManager and NodeManagers that live as long as the cluster.
"""

import logging
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from local_cloud.core.calls import Stop
from local_cloud.core.config import Config, Image, ObjectStore
from local_cloud.core.context import Listener, Machine, Site
from local_cloud.core.faults import Fault
from local_cloud.core.object_store import ObjectStoreClient
from local_cloud.core.resources import Row
from local_cloud.services.dataproc import classes, errors, spark
from local_cloud.services.dataproc.models import specification_of

log = logging.getLogger(__name__)
_TAIL = 64 << 10
Started = Callable[[int, float], None]  # told the process id and its start time (UNIX seconds)


@dataclass(frozen=True)
class Submission:
    """A job that is ready to run: whose it is, its command line, its folder, its whole environment."""

    cluster: str
    job: str
    argv: list[str]
    folder: Path
    environment: Mapping[str, str]
    deploy_mode: str = "client"


class Engine(Protocol):
    """The machines of all clusters, and what runs on them. A cluster's life is its own: prepare, open, close."""

    def image(self, version: str) -> Image:
        """The image of a version; raises INVALID_ARGUMENT with those offered."""

    def prepare(self, cluster: Row, subclusters: Sequence[Any]) -> None:
        """Look at all that a cluster needs before it is made; raises FAILED_PRECONDITION."""

    def open(self, cluster: Row, subclusters: Sequence[Any], wait: bool = True) -> None:
        """Let the cluster's machines run; with `wait`, until they do."""

    def close(self, cluster: str) -> None:
        """End the cluster's machines and everything that they ran."""

    def shutdown(self) -> None:
        """Close every cluster; the endpoint ends."""

    def submission(self, cluster: Row, job: Row) -> Submission:
        """Write the job's properties and say how it is run."""

    def run(self, submission: Submission, stop: Stop, started: Started) -> int:
        """Run a job to its end and return its exit status; raises CANCELLED or UNAVAILABLE when it is told to stop."""

    def befall(self, submission: Submission, fault: Fault) -> None:
        """What is to happen to one of the cluster's hosts while the job runs; returns at once."""

    def end_left_behind(self, pid: int, started: float) -> None:
        """End a job that outlived the endpoint."""

    def why(self, submission: Submission) -> str:
        """Why a job has failed, by its log."""

    def read_log(self, job: Row, start: int, size: int) -> bytes:
        """So many bytes of a job's output, from a position on; none as long as there is no output."""

    def keep_log(self, cluster: Row, job: Row) -> None:
        """Copy the log to where the cloud keeps it; a job does not fail because that did."""


class LocalEngine:
    """One metadata service for each cluster that runs, one process for each job."""

    def __init__(self, config: Config, site: Site) -> None:
        self._config = config
        self._site = site
        self._objects = ObjectStoreClient(config.object_store) if config.object_store else None
        self._metadata: dict[str, Listener] = {}

    def image(self, version: str) -> Image:
        """The image of a version: `2.1`, or a patch of it like `2.1.15`; raises INVALID_ARGUMENT with those offered."""
        for offered, image in self._config.images.items():
            if version == offered or version.startswith(f"{offered}."):
                return image
        raise errors.unknown_image(version, self._config.images)

    def prepare(self, cluster: Row, subclusters: Sequence[Any]) -> None:
        """Look at the bucket and the packages; raises FAILED_PRECONDITION."""
        if self._objects is None:
            raise errors.no_object_store()
        if problem := self._objects.problem_of(cluster.message.bucket):
            raise errors.cannot_start(cluster, problem)
        config = cluster.message.config
        runtime = runtime_of(self.image(config.version_id))
        if mismatches := spark.pip_mismatches(runtime, config.hadoop.properties):
            raise errors.wrong_packages(cluster, config.version_id, mismatches)
        (self._cluster_folder(cluster.key) / "conf").mkdir(parents=True, exist_ok=True)

    def open(self, cluster: Row, subclusters: Sequence[Any], wait: bool = True) -> None:
        """Let the cluster's machines answer: they have the identity of its service account."""
        message = cluster.message
        self.close(cluster.key)
        machine = Machine(cluster.key, cluster.name, message.zone_id, message.service_account_id)
        self._metadata[cluster.key] = self._site.open_metadata(machine)

    def close(self, cluster: str) -> None:
        if listener := self._metadata.pop(cluster, None):
            listener.close()

    def shutdown(self) -> None:
        for cluster in list(self._metadata):
            self.close(cluster)

    def submission(self, cluster: Row, job: Row) -> Submission:
        """Write the job's properties and say how it is run."""
        specification = specification_of(job.message)
        image = self.image(cluster.message.config.version_id)
        runtime = runtime_of(image)
        folder = self._job_folder(job)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / "job.properties"
        places = dict.fromkeys(("spark.local.dir", "spark.jars.ivy"), str(folder / "tmp"))
        properties = self._properties(cluster, {**places, **specification.properties})
        spark.write_properties(file, properties)
        argv = spark.command(runtime, file, job.name or job.key, specification)
        configuration = self._cluster_folder(cluster.key) / "conf"
        extra = {**self._endpoints(cluster), **self._job_environment(cluster), **classes.environment(image)}
        environment = spark.environment(image, runtime, configuration, folder, extra)
        mode = properties["spark.submit.deployMode"]
        return Submission(cluster.key, job.key, argv, folder, environment, mode)

    def run(self, submission: Submission, stop: Stop, started: Started) -> int:
        """Run a job to its end and return its exit status; raises CANCELLED or UNAVAILABLE when it is told to stop.

        `started` is told what `end_left_behind` recognises the process by.
        """
        try:
            return spark.run(submission.argv, submission.folder, submission.environment, stop, started)
        except spark.JobStopped:
            raise errors.job_stopped(stop.reason) from None
        except OSError as error:
            raise errors.job_not_run(submission.argv[0], error) from error

    def befall(self, submission: Submission, fault: Fault) -> None:
        """Nothing can: raises INTERNAL, so that a test which asks for it does not pass without it."""
        raise errors.no_hosts(fault.node)

    def end_left_behind(self, pid: int, started: float) -> None:
        """End a job that outlived the endpoint."""
        spark.end_left_behind(pid, started)

    def why(self, submission: Submission) -> str:
        """Why a job has failed, by its log."""
        file = submission.folder / spark.LOG_NAME
        tail = _read_part(file, max(0, file.stat().st_size - _TAIL), _TAIL)
        return spark.reason(tail.decode(errors="replace"))

    def read_log(self, job: Row, start: int, size: int) -> bytes:
        """So many bytes of a job's output, from a position on; none as long as there is no output."""
        return _read_part(self._log_file(job), start, size)

    def keep_log(self, cluster: Row, job: Row) -> None:
        """Copy the log to where the cloud keeps it; a job does not fail because that did."""
        file = self._log_file(job)
        key = f"dataproc/clusters/{cluster.key}/jobs/{job.key}/driveroutput.000000000"
        if self._objects is not None and file.exists():
            try:
                self._objects.upload(file, cluster.message.bucket, key)
            except Exception as error:
                log.warning(
                    "the log of job %s was not copied to %s/%s: %s", job.key, cluster.message.bucket, key, error
                )

    def _log_file(self, job: Row) -> Path:
        return self._job_folder(job) / spark.LOG_NAME

    def _job_folder(self, job: Row) -> Path:
        return self._cluster_folder(job.message.cluster_id) / "jobs" / job.key

    def _cluster_folder(self, cluster: str) -> Path:
        return self._config.state / "clusters" / cluster

    def _properties(self, cluster: Row, job: Mapping[str, str]) -> dict[str, str]:
        store, config = self._store(), cluster.message.config
        defaults = {
            "spark.hadoop.fs.s3a.endpoint": store.endpoint,
            "spark.hadoop.fs.s3a.endpoint.region": store.region,
            **self._config.spark_defaults,
        }
        image = self.image(config.version_id)
        return spark.on_one_machine(defaults, spark.properties(defaults, image, config.hadoop.properties, job))

    def _job_environment(self, cluster: Row) -> dict[str, str]:
        """What a job's process finds in its environment besides the cloud's services."""
        return {}

    def _endpoints(self, cluster: Row) -> dict[str, str]:
        """What a job finds in its environment: where the cloud's services are, and what to trust."""
        store, bundle = self._store(), str(self._site.bundle)
        return {
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
            "YC_METADATA_ADDR": self._metadata[cluster.key].address,
            "YC_ENDPOINT": self._site.addresses["rest"],
            "SSL_CERT_FILE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": bundle,
        }

    def _store(self) -> ObjectStore:
        store = self._config.object_store
        if store is None:
            raise errors.no_object_store()
        return store


def runtime_of(image: Image) -> spark.Runtime:
    try:
        return spark.inspect(image)
    except (OSError, subprocess.SubprocessError) as error:
        detail = spark.reason(error.stderr) if isinstance(error, subprocess.CalledProcessError) else error
        raise errors.unusable_image(image.python, detail) from error


def _read_part(file: Path, start: int, size: int) -> bytes:
    """So many bytes of a file from a position on; of a file that does not exist, none."""
    if not file.exists():
        return b""
    with file.open("rb") as stream:
        stream.seek(start)
        return stream.read(size)
