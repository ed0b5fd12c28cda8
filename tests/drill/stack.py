"""The drill's stack: the live scheduler, jobs that only pretend, DAGs and faults that change from case to case."""

import contextlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
from botocore.exceptions import ClientError
from yandex.cloud.dataproc.v1.cluster_service_pb2 import DeleteClusterRequest
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub

from local_cloud.core.ports import is_free
from stack.common import lockbox, release
from stack.common.envs import ROOT
from stack.common.files import write_private
from stack.common.java import ensure_jars, find_java
from stack.local import demo, deploy, supervisor
from stack.local.airflow_api import DAG, SWEEP
from stack.local.ports import FIRST_BASE, LAST_BASE, PORTS, STEP
from stack.local.state import FOLDER_ID, State
from tests.drill.webhook import Webhook
from tests.support.running_stack import ENDED, RunningStack
from tests.support.waiting import wait_until

SCHEDULE = "0 0 1 1 *"  # of its own a DAG runs once, when it is unpaused: not in the midst of a case
STAND_IN = "stand-in"  # the release of the jobs that only pretend
# What else takes Airflow five minutes to notice: a worker that no longer answers, a scheduler that has died.
NOTICES_SOON = """[scheduler]
task_instance_heartbeat_timeout = 30
task_instance_heartbeat_timeout_detection_interval = 3
scheduler_health_check_threshold = 30
orphaned_tasks_check_interval = 5
"""


def configure_airflow(state: State) -> None:
    """To be called before Airflow's scheduler starts."""
    folder = state.folder / "airflow"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "airflow.cfg").write_text(NOTICES_SOON)


def free_bases() -> list[int]:
    """First ports of the ranges that are free. Parts of the drill begin together, so none may take just the first."""
    bases = range(FIRST_BASE, LAST_BASE + 1, STEP)
    return [base for base in bases if all(is_free(base + place) for place in range(len(PORTS)))]


@dataclass(frozen=True)
class Before:
    """What was true before a run: its raw file and the champion."""

    file: str
    champion: str | None
    runs: frozenset[str]


@dataclass
class DrillStack(RunningStack):
    """A stack for cases of the drill."""

    webhook: Webhook = field(default_factory=Webhook)
    orphans: list[psutil.Process] = field(default_factory=list)
    deployed: dict[str, bytes] = field(default_factory=dict)
    real: str = ""
    dag: str = DAG  # whose run something befalls

    def start(self) -> None:
        options = demo.Options(self.state.folder, schedule=SCHEDULE, force=True)
        choices = demo.Choices.of(self.state, options)
        demo.prepare_machine(options, choices.image)
        if not self.state.exists:
            self.state.create(random.choice(free_bases()))
        configure_airflow(self.state)
        demo.bring_up(self.state, choices)
        self.prepare()
        self.airflow.unpause(SWEEP, DAG)  # each promotion would start a run of `score`, with a cluster of its own
        self.wait_for_end(wait_until(self.airflow.runs, "the first run of the schedule")[0]["dag_run_id"])

    def prepare(self) -> None:
        """Brings the stand-ins for the jobs; what ran or lived before the drill is ended."""
        self.real = release.upload_jobs(self.s3, "jobs")
        package = release.zip_of(ROOT / "spark_app" / "fraud_retraining")
        self.s3.put_object(Bucket="jobs", Key=f"{STAND_IN}/fraud_retraining.zip", Body=package)
        for path in (Path(__file__).parent / "stand_in").glob("*.py"):
            self.s3.put_object(Bucket="jobs", Key=f"{STAND_IN}/{path.name}", Body=path.read_bytes())
        self.use()
        self.reset(None)

    def stop(self) -> None:
        supervisor.stop(self.state, lambda _: None)
        self.end_orphans()

    def use(self, release: str = STAND_IN, hours: float = 6, **changes: str) -> None:
        """What the next runs are told: the jobs (the real application or the stand-ins), a cluster's life, the rest."""
        deploy.put_secrets(self.state, release, "2.2")
        known, variable = lockbox.secrets_by_name(self.cloud, FOLDER_ID), "airflow/variables/fraud_retraining"
        told = json.loads(lockbox.payload(self.cloud, known[variable].id)["value"]) | changes
        told["cluster"]["hours"] = hours
        alert = {"conn_type": "http", "password": self.webhook.url}
        values = {variable: told, "airflow/connections/alert_slack": alert}
        lockbox.put_for_airflow(self.cloud, FOLDER_ID, known, values)

    def change_engine(self, engine: str) -> None:
        """Lets the cloud run jobs otherwise; no cluster is alive."""
        if engine != self.state.engine:
            if engine == "yarn":
                ensure_jars("yarn-image-2.2", find_java(), lambda _: None)
            self.state.save("engine", engine)
            supervisor.rpc(self.state).stopProcess("cloud", True)
            list(supervisor.start(self.state, ["cloud"]))

    def upload(self, changes: Mapping[str, tuple[str, str]] = MappingProxyType({}), schedule: str = SCHEDULE) -> None:
        """Brings the DAGs to Airflow, each file that is named with (old, new) text replaced; by default as they are."""
        files = release.dag_files({"schedule": schedule, "score_schedule": SCHEDULE})
        for name, (old, new) in changes.items():
            key = next(key for key in files if key.endswith(f"/{name}.py"))
            text = files[key].decode()
            assert text.count(old) == 1, f"{key} has {text.count(old)} times {old!r}, 1 was expected"
            files[key] = text.replace(old, new).encode()
        if files != self.deployed:
            release.upload_dags(self.s3, "dags", files)
            demo.wait_for_code(self.state, files)
            self.deployed = files

    def inject(self, *rules: dict[str, Any]) -> None:
        """Puts fault rules into force; none ends all. The name makes the count of each rule a new one."""
        write_private(self.state.folder / "cloud" / "faults.json", json.dumps(rules))

    def bring_file(self) -> Before:
        """A new raw file, of which Airflow is told: the scheduler starts a run for it."""
        first = date(2018, 4, 1)
        used = self.s3.list_objects_v2(Bucket="lake", Prefix="retrained/").get("KeyCount", 0)
        name = f"{first + timedelta(weeks=used)}.txt"
        before = Before(name, self.champion(), self.run_ids())
        self.s3.put_object(Bucket="lake", Key=f"raw/{name}", Body=b"news\n")
        self.airflow.announce()
        return before

    def used_by(self, file: str) -> str | None:
        """The run that says it has used the raw file."""
        try:
            found = self.s3.get_object(Bucket="lake", Key=f"retrained/{file}.json")["Body"].read()
        except ClientError:
            return None
        return str(json.loads(found)["run"])

    def end_orphans(self) -> None:
        """Ends what a killed program has left; another machine would have died with it."""
        for process in self.orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.orphans.clear()

    def reset(self, before: Before | None) -> None:
        """As before the case: no rule, no orphan, no active run, no cluster, no unused file, every program ready."""
        self.inject()
        self.end_orphans()
        self.upload()
        for run in self.airflow.runs():
            if run["state"] not in ENDED:
                self.airflow.call("PATCH", f"dags/{DAG}/dagRuns/{run['dag_run_id']}", json={"state": "failed"})
        list(supervisor.start(self.state, list(supervisor.PROGRAMS)))
        for cluster in self.clusters_alive():
            self.cloud.wait_operation_and_get_result(
                self.cloud.client(ClusterServiceStub).Delete(DeleteClusterRequest(cluster_id=cluster.id))
            )
        if before and not self.used_by(before.file):
            self.s3.delete_object(Bucket="lake", Key=f"raw/{before.file}")


@contextlib.contextmanager
def drill_stack() -> Iterator[DrillStack]:
    """A stack that runs. DRILL_STATE=<folder> leaves it running there, to look at a case that failed."""
    kept = os.environ.get("DRILL_STATE")
    folder = Path(kept or tempfile.mkdtemp(prefix="drill-"))  # short, since a Unix socket lies in it
    stack = DrillStack(State(folder))
    try:
        stack.start()
        yield stack
    finally:
        stack.webhook.close()
        if not kept:
            stack.stop()
            shutil.rmtree(folder)
