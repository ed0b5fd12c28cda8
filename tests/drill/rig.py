"""The drill's machine: a whole stack with the live scheduler, its victims, and what is true after a run has ended."""

import contextlib
import json
import os
import random
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import requests
from botocore.exceptions import ClientError
from yandex.cloud.dataproc.v1.cluster_pb2 import Cluster
from yandex.cloud.dataproc.v1.cluster_service_pb2 import DeleteClusterRequest, ListClustersRequest
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.dataproc.v1.job_pb2 import Job
from yandex.cloud.dataproc.v1.job_service_pb2 import ListJobsRequest
from yandex.cloud.dataproc.v1.job_service_pb2_grpc import JobServiceStub

from local_cloud.report import Usage, usage
from stack.common import lockbox, release
from stack.common.envs import ROOT
from stack.local import demo, deploy, supervisor
from stack.local.airflow_api import DAG, SWEEP, Airflow
from stack.local.ports import FIRST_BASE, LAST_BASE, PORTS, STEP, port_is_free
from stack.local.state import FOLDER_ID, State, write_private

ENDED = ("success", "failed")
PATIENCE = 600  # seconds a run may take
SCHEDULE = "0 0 1 1 *"  # of its own the DAG runs once, when it is unpaused
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # a JVM that only starts a script need not be optimised
STAND_IN = "stand-in"  # the release of the jobs that only pretend
# What else takes Airflow five minutes to notice: a worker that no longer answers, a scheduler that has died.
IMPATIENT = """[scheduler]
task_instance_heartbeat_timeout = 30
task_instance_heartbeat_timeout_detection_interval = 3
scheduler_health_check_threshold = 30
orphaned_tasks_check_interval = 5
"""


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE, pause: float = 0.2) -> Any:
    """The condition's value as soon as it is true; fails after `patience` seconds. A server may be away meanwhile."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            if value := condition():
                return value
        time.sleep(pause)
    raise AssertionError(f"not within {patience:.0f} s: {what}")


def seconds(text: str | None) -> float:
    """UNIX time of one of Airflow's times; a time that is not there yet is infinitely late."""
    return datetime.fromisoformat(text).timestamp() if text else float("inf")


def free_bases() -> list[int]:
    """First ports of the ranges that are free. Parts of the drill begin together, so none may take just the first."""
    bases = range(FIRST_BASE, LAST_BASE + 1, STEP)
    return [base for base in bases if all(port_is_free(base + place) for place in range(len(PORTS)))]


class Receiver:
    """A loopback HTTP server that stands for the chat's incoming webhook and keeps the texts of all messages."""

    def __init__(self) -> None:
        texts: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                texts.append(body["text"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.texts, self.server = texts, ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass(frozen=True)
class Before:
    """What was true before a run: its raw file and the champion."""

    file: str
    champion: str | None
    runs: frozenset[str]


@dataclass
class Rig:
    """One stack in a folder of its own."""

    state: State
    receiver: Receiver = field(default_factory=Receiver)
    orphans: list[psutil.Process] = field(default_factory=list)
    deployed: dict[str, bytes] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------ up and down
    def up(self) -> None:
        options = demo.Options(self.state.folder, schedule=SCHEDULE, force=True)
        demo.prepare_machine(options)
        if not self.state.exists:
            self.state.create(random.choice(free_bases()))
        (self.state.folder / "airflow").mkdir(exist_ok=True)
        (self.state.folder / "airflow" / "airflow.cfg").write_text(IMPATIENT)
        demo.bring_up(self.state, options)
        self.deployed = release.dag_files(SCHEDULE)
        self.real = release.upload_jobs(self.s3, "jobs")
        package = release.zip_of(ROOT / "spark_app" / "fraud_retraining")
        self.s3.put_object(Bucket="jobs", Key=f"{STAND_IN}/fraud_retraining.zip", Body=package)
        for path in (Path(__file__).parent / "stand_in").glob("*.py"):
            self.s3.put_object(Bucket="jobs", Key=f"{STAND_IN}/{path.name}", Body=path.read_bytes())
        self.use()
        self.reset(None)
        self.airflow.unpause()
        self.ended(until(self.airflow.runs, "the first run of the schedule")[0]["dag_run_id"])

    def down(self) -> None:
        supervisor.stop(self.state, lambda _: None)
        self.end_orphans()

    def use(self, release: str = STAND_IN, hours: float = 6, **changes: str) -> None:
        """What the next runs are told: the jobs (the real application or the stand-ins), a cluster's life, the rest."""
        deploy.put_secrets(self.state, release, "2.2")
        known, variable = lockbox.secrets_by_name(self.cloud, FOLDER_ID), "airflow/variables/fraud_retraining"
        told = json.loads(lockbox.payload(self.cloud, known[variable].id)["value"]) | changes
        told["cluster"]["hours"] = hours
        if release == STAND_IN:
            told["spark"] = {"spark.driver.extraJavaOptions": QUICK_JAVA}
        alert = {"conn_type": "http", "password": self.receiver.url}
        values = {variable: told, "airflow/connections/alert_slack": alert}
        lockbox.put_for_airflow(self.cloud, FOLDER_ID, known, values)

    def upload(self, changes: Mapping[str, tuple[str, str]] = MappingProxyType({}), schedule: str = SCHEDULE) -> None:
        """Brings the DAGs to Airflow, each file that is named with (old, new) text replaced; by default as they are."""
        files = release.dag_files(schedule)
        for name, (old, new) in changes.items():
            key = next(key for key in files if key.endswith(f"/{name}.py"))
            text = files[key].decode()
            assert text.count(old) == 1, f"{key} has {text.count(old)} times {old!r}, 1 was expected"
            files[key] = text.replace(old, new).encode()
        if files != self.deployed:
            release.upload_dags(self.s3, "dags", files)
            demo.wait_for_code(self.state, files)
            self.deployed = files

    @cached_property
    def airflow(self) -> Airflow:
        return Airflow(self.state)

    @cached_property
    def s3(self) -> Any:
        return deploy.object_store(self.state)

    @cached_property
    def cloud(self) -> Any:
        return deploy.sdk(self.state)

    # ------------------------------------------------------------------------------------------ faults and kills
    def faults(self, *rules: dict[str, Any]) -> None:
        """Puts rules into force; none ends all. The name makes the count of each rule a new one."""
        write_private(self.state.folder / "cloud" / "faults.json", json.dumps(rules))

    def kill(self, victim: str, run_id: str, task_id: str) -> None:
        """kill -9 of the process of a running task with its supervisor, or of one of the stack's programs."""
        if victim == "worker":
            instance = self.task(run_id, task_id)["id"]
            found = [p for p in psutil.process_iter(["cmdline"]) if instance in " ".join(p.info["cmdline"] or ())]
            assert found, f"no process of the task {task_id} ({instance})"
        else:
            program = psutil.Process(supervisor.rpc(self.state).getProcessInfo(victim)["pid"])
            self.orphans += program.children(recursive=True)
            found = [program]
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def freeze(self, program: str, duration: float) -> None:
        """One of the stack's programs stands still for so many seconds."""
        process = psutil.Process(supervisor.rpc(self.state).getProcessInfo(program)["pid"])
        process.suspend()
        time.sleep(duration)
        process.resume()

    def mark(self, path: str, **state: str) -> None:
        """What a person does in Airflow's UI: `path` is a run or `<run>/taskInstances/<task>`."""
        self.airflow.call("PATCH", f"dags/{DAG}/dagRuns/{path}", json=state)

    def end_orphans(self) -> None:
        """Ends what a killed program has left; another machine would have died with it."""
        for process in self.orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.orphans.clear()

    # ------------------------------------------------------------------------------------------ runs
    def bring(self) -> Before:
        """A new raw file, of which Airflow is told: the scheduler starts a run for it."""
        first = date(2018, 4, 1)
        used = self.s3.list_objects_v2(Bucket="lake", Prefix="retrained/").get("KeyCount", 0)
        name = f"{first + timedelta(weeks=used)}.txt"
        before = Before(name, self.champion(), self.run_ids())
        self.s3.put_object(Bucket="lake", Key=f"raw/{name}", Body=b"news\n")
        self.airflow.announce()
        return before

    def run_ids(self) -> frozenset[str]:
        return frozenset(run["dag_run_id"] for run in self.airflow.runs())

    def new_run(self, known: frozenset[str]) -> str:
        """Waits until there is a run that was not known."""
        return str(next(iter(until(lambda: self.run_ids() - known, "a new run", 60))))

    def task(self, run_id: str, task_id: str) -> dict[str, Any]:
        return self.airflow.call("GET", f"dags/{DAG}/dagRuns/{run_id}/taskInstances/{task_id}")

    def run(self, run_id: str, dag: str = DAG) -> dict[str, Any]:
        return self.airflow.call("GET", f"dags/{dag}/dagRuns/{run_id}")

    def ended(self, run_id: str, dag: str = DAG, patience: float = PATIENCE) -> dict[str, Any]:
        """Waits until the run has ended and returns it."""
        until(lambda: self.run(run_id, dag)["state"] in ENDED, f"the end of {dag} {run_id}", patience, 0.5)
        return self.run(run_id, dag)

    def sweep(self) -> dict[str, Any]:
        """One turn of the DAG `sweep`."""
        made = self.airflow.call("POST", f"dags/{SWEEP}/dagRuns", json={"logical_date": None})
        return self.ended(made["dag_run_id"], SWEEP, 120)

    # ------------------------------------------------------------------------------------------ what is true
    def alive(self) -> list[Cluster]:
        return list(self.cloud.client(ClusterServiceStub).List(ListClustersRequest(folder_id=FOLDER_ID)).clusters)

    def cluster_is(self, status: int) -> bool:
        return any(cluster.status == status for cluster in self.alive())

    def is_expired(self) -> bool:
        """True where there is a cluster and its label says that its time is over."""
        stamp = datetime.now(UTC).strftime("%Y%m%dt%H%M%Sz")
        return any(cluster.labels["expires"] < stamp for cluster in self.alive())

    def job_runs(self, script: str) -> bool:
        """True where a job of that script has begun and not ended."""
        service = self.cloud.client(JobServiceStub)
        return any(
            job.name.endswith(script) and job.status in (Job.PROVISIONING, Job.PENDING, Job.RUNNING)
            for cluster in self.alive()
            for job in service.List(ListJobsRequest(cluster_id=cluster.id)).jobs
        )

    def clusters(self, run_id: str) -> list[Usage]:
        """Every cluster that the Airflow run has ever had, oldest first."""
        name = self.name_of(run_id)
        return [one for one in usage(self.state.folder / "cloud") if one.labels.get("run") == name]

    def name_of(self, run_id: str) -> str | None:
        """The run's name in the plan, or None where there is no plan (yet)."""
        with contextlib.suppress(requests.HTTPError):
            return str(self.airflow.xcom(run_id, "check", "run"))
        return None

    def deletions(self, cluster_id: str) -> list[float]:
        """UNIX times of the calls that the cloud took to delete a cluster."""
        with contextlib.closing(sqlite3.connect(self.state.folder / "cloud" / "state.db")) as store:
            rows = store.execute(
                "SELECT time FROM calls WHERE method LIKE '%ClusterService/Delete' AND resource = ? AND code = 'OK'",
                (cluster_id,),
            )
            return [row[0] for row in rows]

    def mlflow(self, path: str, **query: str) -> Any:
        login = ("admin", self.state.secrets["mlflow_admin_password"])
        answer = requests.get(f"{self.state.url('mlflow')}/api/2.0/mlflow/{path}", params=query, auth=login, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def champion(self, model_name: str = release.MODEL) -> str | None:
        """Version that the alias names, or None."""
        model = self.mlflow("registered-models/get", name=model_name)["registered_model"]
        return {item["alias"]: item["version"] for item in model.get("aliases", [])}.get("champion")

    def marker(self, file: str) -> str | None:
        """The run that says it has used the raw file."""
        try:
            found = self.s3.get_object(Bucket="lake", Key=f"retrained/{file}.json")["Body"].read()
        except ClientError:
            return None
        return str(json.loads(found)["run"])

    def finished_runs(self, name: str | None) -> set[str]:
        """Ids of the finished MLflow runs of a retrain; a training that was tried again has several."""
        server = deploy.Mlflow(self.state)
        query = f"tags.retrain_run_id = '{name}' and attributes.status = 'FINISHED'"
        body = {"experiment_ids": [server.experiment_id(release.EXPERIMENT)], "filter": query}
        answer = server.session.post(f"{server.url}/2.0/mlflow/runs/search", json=body, timeout=60)
        answer.raise_for_status()
        return {run["info"]["run_id"] for run in answer.json().get("runs", [])}

    def who_deleted(self, run_id: str) -> str:
        """Who deleted the run's clusters, oldest first; the sweep has its turn where the run has left one."""
        if self.alive():
            assert self.sweep()["state"] == "success"
        asked = [self.deletions(cluster.id) for cluster in self.clusters(run_id)]
        by = [self.task_at(run_id, times[-1]) if times else "nobody" for times in asked]
        return ", ".join(by) or "never made"

    def task_at(self, run_id: str, moment: float) -> str:
        """Whose doing something of that moment was: the run's `create` or `delete`, or the sweep's."""
        tasks = self.airflow.tasks(run_id)
        if moment < seconds(tasks["cluster.create"]["end_date"]):
            return "create"
        sweeps = self.airflow.call("GET", f"dags/{SWEEP}/dagRuns", params={"order_by": "-id", "limit": 5})["dag_runs"]
        if any(seconds(run["start_date"]) <= moment <= seconds(run["end_date"]) for run in sweeps):
            return "sweep"
        return "delete"

    def was_alerted(self, run_id: str, patience: float) -> bool:
        """Whether a message about the failure of the run has come, waiting for it so long."""
        deadline = time.monotonic() + patience
        while not (told := any("failed" in text and run_id in text for text in self.alerts)):
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        return told

    @property
    def alerts(self) -> list[str]:
        return self.receiver.texts

    def summary(self, run_id: str) -> dict[str, str]:
        return {name: f"{task['state']} ({task['try_number']})" for name, task in self.airflow.tasks(run_id).items()}

    # ------------------------------------------------------------------------------------------ between cases
    def reset(self, before: Before | None) -> None:
        """As before the case: no rule, no orphan, no active run, no cluster, no unused file, every program ready."""
        self.faults()
        self.end_orphans()
        self.upload()
        for run in self.airflow.runs():
            if run["state"] not in ENDED:
                self.airflow.call("PATCH", f"dags/{DAG}/dagRuns/{run['dag_run_id']}", json={"state": "failed"})
        list(supervisor.start(self.state, list(supervisor.PROGRAMS)))
        for cluster in self.alive():
            self.cloud.wait_operation_and_get_result(
                self.cloud.client(ClusterServiceStub).Delete(DeleteClusterRequest(cluster_id=cluster.id))
            )
        if before and not self.marker(before.file):
            self.s3.delete_object(Bucket="lake", Key=f"raw/{before.file}")


@contextlib.contextmanager
def rig() -> Iterator[Rig]:
    """A rig that is up. DRILL_STATE=<folder> leaves it running there, where a failed case is to be looked at."""
    kept = os.environ.get("DRILL_STATE")
    folder = Path(kept or tempfile.mkdtemp(prefix="drill-"))  # short, since a Unix socket lies in it
    stack = Rig(State(folder))
    try:
        stack.up()
        yield stack
    finally:
        stack.receiver.close()
        if not kept:
            stack.down()
            shutil.rmtree(folder)
