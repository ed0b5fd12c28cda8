"""A cluster on YARN and the jobs on it, as the DAG `retrain` asks for them."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yandexcloud
from yandex.cloud.dataproc.v1.job_service_pb2 import CancelJobRequest
from yandex.cloud.dataproc.v1.job_service_pb2_grpc import JobServiceStub

from dags.retraining import plan
from tests.support.cloud import DATAPROC, Endpoint, finished
from tests.support.dataproc import cluster_fields, job_of, log_of, submit
from tests.support.variable import SETTINGS
from tests.support.waiting import wait_until

GIB = 8  # of this machine, for all hosts of a cluster
PRESET = "s3-c2-m8"
LONG = 600  # seconds until a busy machine must have done it
CLUSTER = SETTINGS["cluster"] | {
    "service_account_id": DATAPROC,
    "master_preset": PRESET,
    "compute_preset": PRESET,
    "properties": {},
}


def planned(hosts: int, most: int | None = None, **spark: str) -> dict[str, Any]:
    """What the DAG plans for a cluster of so many hosts."""
    growing = {"max_hosts": most} if most else {}
    settings = SETTINGS | {"spark": spark, "cluster": CLUSTER | growing}
    return plan.make(settings, "http://mlflow", plan.Run("manual__1", datetime(2018, 7, 1, tzinfo=UTC), hosts=hosts))


@dataclass
class Job:
    """A job that was submitted."""

    cluster: "RunningCluster"
    operation: Any

    @property
    def log(self) -> str:
        return str(log_of(self.cluster.sdk, job_of(self.cluster.sdk, self.operation)).content)

    def says(self, text: str) -> str:
        """The first line of its log that begins so, as soon as there is one; its operation must not fail before."""

        def found() -> list[str]:
            lines = [line for line in self.log.splitlines() if line.startswith(text)]
            assert lines or not self.ended, self.log
            return lines

        return str(wait_until(found, f"{text} in the job's log", LONG)[0])

    @property
    def ended(self) -> bool:
        return bool(job_of(self.cluster.sdk, self.operation).HasField("finished_at"))

    def end(self) -> str:
        """The message of its failure, or nothing."""
        return str(finished(self.cluster.sdk, self.operation, seconds=2 * LONG).error.message)

    def cancel(self) -> None:
        job = job_of(self.cluster.sdk, self.operation)
        request = CancelJobRequest(cluster_id=job.cluster_id, job_id=job.id)
        finished(self.cluster.sdk, self.cluster.sdk.client(JobServiceStub).Cancel(request))

    def application(self) -> dict[str, str]:
        """What the ResourceManager says of its application: `State`, `Final-State` and more."""
        (name,) = set(re.findall(r"Submitted application (application_\d+_\d+)", self.log))
        said = self.cluster.yarn_client("ApplicationCLI", "application", "-status", name)
        return dict(re.findall(r"^\t([\w -]+?) : (.*)$", said, re.M))


@dataclass
class RunningCluster:
    id: str
    endpoint: Endpoint
    sdk: yandexcloud.SDK
    plan: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.endpoint.state / "clusters" / self.id / "yarn"

    def ask(self, name: str) -> dict[str, Any]:
        """A bean of the ResourceManager."""
        site = ElementTree.parse(self.folder / "conf" / "yarn-site.xml")
        values = {each.findtext("name"): each.findtext("value") for each in site.iter("property")}
        address = (
            f"http://{values['yarn.resourcemanager.webapp.address']}/jmx?qry=Hadoop:service=ResourceManager,{name}"
        )
        with urllib.request.urlopen(address, timeout=60) as answer:
            return dict(json.load(answer)["beans"][0])

    def queue(self) -> dict[str, int]:
        """What is given out at the moment."""
        return self.ask("name=QueueMetrics,q0=root")

    def nodes(self) -> list[dict[str, Any]]:
        """The hosts, and what runs on each."""
        return list(json.loads(self.ask("name=RMNMInfo")["LiveNodeManagers"]))

    def yarn_client(self, program: str, *words: str) -> str:
        """YARN's own command line."""
        image = self.endpoint.config["images"]["2.2"]
        (pyspark,) = Path(image["python"]).parent.parent.glob("lib/python*/site-packages/pyspark")
        classes = f"{self.folder / 'conf'}:{image['yarn']}/*:{pyspark}/jars/*"
        command = [f"{image['java_home']}/bin/java", "-cp", classes, f"org.apache.hadoop.yarn.client.cli.{program}"]
        return subprocess.run([*command, *words], capture_output=True, text=True, timeout=120).stdout

    def submit(self, script: Path, *args: str, job: str = "train", **properties: str) -> Job:
        told = self.plan[job]["properties"] | properties
        return Job(self, submit(self.sdk, self.id, script, *args, properties=told))

    def active_nodes(self) -> int:
        return int(self.ask("name=ClusterMetrics")["NumActiveNMs"])


@contextmanager
def new_cluster(endpoint: Endpoint, name: str, hosts: int, most: int | None = None) -> Iterator[RunningCluster]:
    """A cluster with the sizes and properties of the DAG's plan; deleted in the end, with all that it ran."""
    made = planned(hosts, most)
    fields = cluster_fields(name, computenode_count=hosts, properties=made["cluster"]["properties"])
    if most:
        fields |= {"computenode_max_hosts_count": most}
    sdk = endpoint.machine("airflow")
    wrapper = sdk.wrappers.Dataproc()
    cluster = RunningCluster(wrapper.create_cluster(**fields).response.id, endpoint, sdk, made)
    try:
        yield cluster
    finally:
        wrapper.delete_cluster(cluster.id)


def inject(endpoint: Endpoint, *rules: dict[str, Any]) -> None:
    (endpoint.state / "faults.json").write_text(json.dumps(rules))
