"""What is true while a run goes on and after it has ended: its tasks, clusters, models and alerts."""

import contextlib
import sqlite3
import time
from datetime import UTC, datetime
from typing import Any

import requests
from yandex.cloud.dataproc.v1.job_pb2 import Job
from yandex.cloud.dataproc.v1.job_service_pb2 import ListJobsRequest
from yandex.cloud.dataproc.v1.job_service_pb2_grpc import JobServiceStub

from local_cloud.report import Usage, usage
from stack.common import release
from stack.local.airflow_api import SWEEP
from tests.drill.stack import DrillStack


def seconds_of(text: str | None) -> float:
    """UNIX time of one of Airflow's times; a time that is not there yet is infinitely late."""
    return datetime.fromisoformat(text).timestamp() if text else float("inf")


def task(stack: DrillStack, run_id: str, task_id: str) -> dict[str, Any]:
    return stack.airflow.call("GET", f"dags/{stack.dag}/dagRuns/{run_id}/taskInstances/{task_id}")


def summary(stack: DrillStack, run_id: str) -> dict[str, str]:
    """Task -> its state and the number of tries."""
    tasks = stack.airflow.tasks(run_id, stack.dag)
    return {name: f"{task['state']} ({task['try_number']})" for name, task in tasks.items()}


def has_cluster(stack: DrillStack, status: int) -> bool:
    return any(cluster.status == status for cluster in stack.clusters_alive())


def has_expired(stack: DrillStack) -> bool:
    """True if there is a cluster and its label says that its time is over."""
    stamp = datetime.now(UTC).strftime("%Y%m%dt%H%M%Sz")
    return any(cluster.labels["expires"] < stamp for cluster in stack.clusters_alive())


def job_runs(stack: DrillStack, script: str) -> bool:
    """True if a job of that script has begun and not ended."""
    service = stack.cloud.client(JobServiceStub)
    return any(
        job.name.endswith(script) and job.status in (Job.PROVISIONING, Job.PENDING, Job.RUNNING)
        for cluster in stack.clusters_alive()
        for job in service.List(ListJobsRequest(cluster_id=cluster.id)).jobs
    )


def name_of(stack: DrillStack, run_id: str) -> str | None:
    """The run's name in the plan, or None if there is no plan (yet)."""
    with contextlib.suppress(requests.HTTPError):
        return str(stack.airflow.xcom(run_id, "check", "run", stack.dag))
    return None


def clusters_of(stack: DrillStack, run_id: str) -> list[Usage]:
    """Every cluster that the Airflow run has ever had, oldest first."""
    name = name_of(stack, run_id)
    return [one for one in usage(stack.state.folder / "cloud") if one.labels.get("run") == name]


def deletions(stack: DrillStack, cluster_id: str) -> list[float]:
    """UNIX times of the calls that the cloud took to delete a cluster."""
    with contextlib.closing(sqlite3.connect(stack.state.folder / "cloud" / "state.db")) as store:
        rows = store.execute(
            "SELECT time FROM calls WHERE method LIKE '%ClusterService/Delete' AND resource = ? AND code = 'OK'",
            (cluster_id,),
        )
        return [row[0] for row in rows]


def who_deleted(stack: DrillStack, run_id: str) -> str:
    """Who deleted the run's clusters, oldest first; the sweep has its turn if the run has left one."""
    if stack.clusters_alive():
        assert stack.sweep()["state"] == "success"
    asked = [deletions(stack, cluster.id) for cluster in clusters_of(stack, run_id)]
    by = [task_at(stack, run_id, times[-1]) if times else "nobody" for times in asked]
    return ", ".join(by) or "never made"


def task_at(stack: DrillStack, run_id: str, moment: float) -> str:
    """Whose doing something of that moment was: the run's `create` or `delete`, or the sweep's."""
    tasks = stack.airflow.tasks(run_id, stack.dag)
    if moment < seconds_of(tasks["cluster.create"]["end_date"]):
        return "create"
    sweeps = stack.airflow.call("GET", f"dags/{SWEEP}/dagRuns", params={"order_by": "-id", "limit": 5})["dag_runs"]
    if any(seconds_of(run["start_date"]) <= moment <= seconds_of(run["end_date"]) for run in sweeps):
        return "sweep"
    return "delete"


def finished_runs(stack: DrillStack, name: str | None) -> set[str]:
    """Ids of the finished MLflow runs of a retrain; a training that was tried again has several."""
    query = f"tags.retrain_run_id = '{name}' and attributes.status = 'FINISHED'"
    experiment = stack.mlflow("experiments/get-by-name", experiment_name=release.EXPERIMENT)["experiment"]
    found = stack.mlflow("runs/search", {"experiment_ids": [experiment["experiment_id"]], "filter": query})
    return {run["info"]["run_id"] for run in found.get("runs", [])}


def was_alerted(stack: DrillStack, run_id: str, seconds: float) -> bool:
    """Whether a message about the failure of the run has come, waiting for it so long."""
    deadline = time.monotonic() + seconds
    while not (told := any("failed" in text and run_id in text for text in stack.webhook.texts)):
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    return told


def give_alias(stack: DrillStack, version: str, model: str = "serving") -> None:
    """Moves `champion` as a person does in MLflow's page."""
    stack.mlflow("registered-models/alias", {"name": model, "alias": "champion", "version": version})
