"""Clusters as a real YARN: a ResourceManager, a NodeManager for each compute host, jobs placed as on the service."""

import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from local_cloud.core.calls import Stop
from local_cloud.core.config import Config
from local_cloud.core.context import Site
from local_cloud.core.faults import Fault
from local_cloud.core.resources import Row
from local_cloud.services.dataproc import errors, spark, yarn, yarn_sizes
from local_cloud.services.dataproc.engine import LocalEngine, Started, Submission, runtime_of
from local_cloud.services.dataproc.models import is_light
from local_cloud.services.dataproc.yarn import NotStarted, Yarn

log = logging.getLogger(__name__)
_ALIVE = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
_SUBMITTED = re.compile(r"Submitted application (application_\d+_\d+)")
_FIRST_EXECUTOR = 600.0  # seconds
_PATIENCE, _HASTE = (
    30.0,
    5.0,
)  # seconds for an application to end: of a job that ran to its end, of one that was stopped


class YarnEngine(LocalEngine):
    """Clusters whose jobs run in YARN's containers; a client's driver is a process of the master, as on the service."""

    def __init__(self, config: Config, site: Site) -> None:
        super().__init__(config, site)
        half = psutil.virtual_memory().total / 2**20 / 2
        self._memory = config.yarn_memory_gib * yarn_sizes.GIB or half  # MiB
        self._yarn: dict[str, Yarn] = {}
        self._sizes: dict[str, Mapping[str, str]] = {}
        self._factor: dict[str, float] = {}

    def prepare(self, cluster: Row, subclusters: Sequence[Any]) -> None:
        self._plan(cluster, subclusters)
        super().prepare(cluster, subclusters)

    def open(self, cluster: Row, subclusters: Sequence[Any], wait: bool = True) -> None:
        super().open(cluster, subclusters)
        hosts = self._plan(cluster, subclusters)
        version, properties = cluster.message.config.version_id, cluster.message.config.hadoop.properties
        image = self.image(version)
        if not image.yarn:
            raise errors.no_yarn(version)
        runtime = runtime_of(image)
        program = yarn.Program(
            f"{image.java_home}/bin/java",
            f"{image.yarn}/*:{runtime.spark_home}/jars/*",
            {**spark.machine(image, runtime), **self._endpoints(cluster)},
            {key.removeprefix("yarn:"): value for key, value in properties.items() if key.startswith("yarn:")},
        )
        factor = self._factor[cluster.key]
        folder = self._cluster_folder(cluster.key) / "yarn"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "staging").mkdir(exist_ok=True, mode=0o700)
        scaled = [yarn_sizes.Hosts(each.node.scaled(factor), each.count, each.most) for each in hosts]
        mine = self._yarn[cluster.key] = Yarn(folder, program, scaled, yarn.minimum_allocation(factor))
        mine.start()
        log.info("cluster %s: YARN with %s, memory times %s", cluster.key, scaled, factor)
        if wait:
            self._wait(cluster.name, mine)

    def close(self, cluster: str) -> None:
        super().close(cluster)
        if mine := self._yarn.pop(cluster, None):
            mine.close()
        else:  # of an endpoint that was killed
            yarn.end_left_behind(self._cluster_folder(cluster) / "yarn")

    def shutdown(self) -> None:
        for cluster in [*self._yarn]:
            self.close(cluster)
        super().shutdown()

    def submission(self, cluster: Row, job: Row) -> Submission:
        self._wait(cluster.name, self._yarn[cluster.key])
        made = super().submission(cluster, job)
        if (factor := self._factor[cluster.key]) < 1:
            scale = f"{round(factor * yarn_sizes.SIXTEENTHS)}/{yarn_sizes.SIXTEENTHS}"
            text = (
                f"local_cloud: memory of hosts, executors and driver is {scale} of the cloud's, to fit this machine\n"
            )
            with (made.folder / spark.LOG_NAME).open("a") as output:
                output.write(text)
        return made

    def run(self, submission: Submission, stop: Stop, started: Started) -> int:
        """Run a job to its end; whatever of it is left in YARN then is ended."""
        mine = self._yarn[submission.cluster]
        try:
            return super().run(submission, stop, started)
        finally:
            self._finish(mine, submission, _PATIENCE if not stop.reason else _HASTE)

    def befall(self, submission: Submission, fault: Fault) -> None:
        threading.Thread(target=self._befall, args=(submission, fault), daemon=True, name="fault").start()

    def _befall(self, submission: Submission, fault: Fault) -> None:
        """As soon as the job has an executor, and `delay` seconds later."""
        mine = self._yarn[submission.cluster]

        def has_executor() -> bool:
            return any(mine.executors(each) for each in applications_of(submission))

        if not yarn.wait_for(has_executor, _FIRST_EXECUTOR, pause=0.5):
            log.warning("job %s never had an executor, so no host was %s", submission.job, fault.node)
            return
        time.sleep(fault.delay)
        if fault.node == "added":
            mine.add()
        if fault.node == "added" or not mine.nodes:
            return
        name = mine.victim(applications_of(submission)[-1])
        log.info("the host %s of cluster %s is %s", name, submission.cluster, fault.node)
        mine.lose(name) if fault.node == "lost" else mine.preempt(name)

    def _plan(self, cluster: Row, subclusters: Sequence[Any]) -> list[yarn_sizes.Hosts]:
        """The cluster's hosts; notes by what factor they are scaled, and the sizes of jobs that say none."""
        properties = cluster.message.config.hadoop.properties
        hosts = yarn_sizes.hosts_of(subclusters, properties)
        factor = yarn_sizes.factor(hosts, self._memory)
        smallest = min(hosts, key=lambda each: each.node.memory)
        if smallest.node.scaled(factor).memory - yarn_sizes.APPLICATION_MASTER < yarn_sizes.LEAST:
            count = sum(each.most for each in hosts)
            needed = f"{count} times {(yarn_sizes.APPLICATION_MASTER + yarn_sizes.LEAST) / 1024:.2f} GiB at least"
            raise errors.too_small(cluster, needed, self._memory)
        mode = "client" if is_light(cluster.message.config.hadoop) else "cluster"
        master = yarn_sizes.master_of(subclusters, properties)
        self._factor[cluster.key] = factor
        self._sizes[cluster.key] = yarn_sizes.defaults(smallest.node, master, mode)
        return hosts

    def _wait(self, name: str, mine: Yarn) -> None:
        try:
            mine.wait_ready()
        except NotStarted as error:
            raise errors.yarn_not_started(name, error) from error

    def _properties(self, cluster: Row, job: Mapping[str, str]) -> dict[str, str]:
        """As on the service: sizes by the hosts unless the cluster or the job says others; YARN places the job."""
        config, store = cluster.message.config, self._store()
        image = self.image(config.version_id)
        home = runtime_of(image).spark_home
        defaults = {
            "spark.hadoop.fs.s3a.endpoint": store.endpoint,
            "spark.hadoop.fs.s3a.endpoint.region": store.region,
            **self._sizes[cluster.key],
            **{key: value for key, value in self._config.spark_defaults.items() if not key.startswith(_OWN)},
        }
        made = spark.properties(defaults, image, config.hadoop.properties, job)
        return yarn_sizes.scaled(made, self._factor[cluster.key]) | {
            "spark.master": "yarn",
            "spark.yarn.jars": f"local:{home}/jars/*",
            "spark.yarn.stagingDir": f"file://{self._cluster_folder(cluster.key)}/yarn/staging",
            "spark.driver.host": "127.0.0.1",
        }

    def _job_environment(self, cluster: Row) -> dict[str, str]:
        image = self.image(cluster.message.config.version_id)
        conf = str(self._yarn[cluster.key].conf)
        # spark-submit reads s3a:// addresses itself in cluster mode, before a driver's class path exists.
        return {"HADOOP_CONF_DIR": conf, "YARN_CONF_DIR": conf, "SPARK_DIST_CLASSPATH": f"{image.jars}/*"}

    def _finish(self, mine: Yarn, submission: Submission, seconds: float) -> None:
        """End the job's applications, if any is left, and add what a driver in YARN has said to the job's log.

        An application that was not stopped ends by itself, as soon as its master sees that the driver is gone.
        """
        applications = applications_of(submission)

        def are_over() -> bool:
            return not any(mine.state_of(each) in _ALIVE or mine.executors(each) for each in applications)

        if seconds > _HASTE:
            yarn.wait_for(are_over, seconds, pause=0.2)
        for each in applications:
            if mine.state_of(each) in _ALIVE:
                mine.kill(each)
        yarn.wait_for(are_over, seconds, pause=0.2)
        if submission.deploy_mode == "cluster":
            for each in applications:
                append_logs(submission.folder / spark.LOG_NAME, mine.master_logs(each))


# What the configuration of one machine says of its single process has no meaning here.
_OWN = ("spark.master", "spark.driver.memory", "spark.executor.memory", "spark.submit.deployMode")


def applications_of(submission: Submission) -> list[str]:
    """Ids of the applications that a job has submitted so far, by what its spark-submit says of them."""
    file = submission.folder / spark.LOG_NAME
    return list(dict.fromkeys(_SUBMITTED.findall(file.read_text(errors="replace")))) if file.exists() else []


def append_logs(file: Path, logs: Sequence[Path]) -> None:
    """Add a driver's own output to the job's: its standard error first, so that what it printed is the end."""
    with file.open("ab") as whole:
        for each in sorted(logs, key=lambda path: path.name != "stderr"):
            whole.write(each.read_bytes())
