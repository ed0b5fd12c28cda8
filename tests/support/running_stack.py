"""A whole stack that runs on this machine: what tests ask of its Airflow, MLflow, cloud and object store."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import requests
import yandexcloud
from yandex.cloud.dataproc.v1.cluster_pb2 import Cluster
from yandex.cloud.dataproc.v1.cluster_service_pb2 import ListClustersRequest
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub

from stack.common import release
from stack.local import deploy
from stack.local.airflow_api import DAG, SWEEP, Airflow
from stack.local.state import FOLDER_ID, State
from tests.support.waiting import wait_until

ENDED = ("success", "failed")


@dataclass
class RunningStack:
    """One stack in a folder of its own."""

    state: State

    @cached_property
    def airflow(self) -> Airflow:
        return Airflow(self.state)

    @cached_property
    def s3(self) -> Any:
        return deploy.object_store(self.state)

    @cached_property
    def cloud(self) -> yandexcloud.SDK:
        return deploy.sdk(self.state)

    def run(self, run_id: str, dag: str = DAG) -> dict[str, Any]:
        return self.airflow.call("GET", f"dags/{dag}/dagRuns/{run_id}")

    def run_ids(self) -> frozenset[str]:
        return frozenset(run["dag_run_id"] for run in self.airflow.runs())

    def wait_for_new_run(self, known: frozenset[str]) -> str:
        """The id of a run that was not known, as soon as there is one."""
        return str(next(iter(wait_until(lambda: self.run_ids() - known, "a new run"))))

    def has_ended(self, run_id: str, dag: str = DAG) -> bool:
        return self.run(run_id, dag)["state"] in ENDED

    def wait_for_end(self, run_id: str, dag: str = DAG, seconds: float = 900) -> dict[str, Any]:
        """The run, as soon as it has ended."""
        wait_until(lambda: self.has_ended(run_id, dag), f"the end of {dag} {run_id}", seconds, 0.5)
        return self.run(run_id, dag)

    def sweep(self) -> dict[str, Any]:
        """One turn of the DAG `sweep`."""
        made = self.airflow.call("POST", f"dags/{SWEEP}/dagRuns", json={"logical_date": None})
        return self.wait_for_end(made["dag_run_id"], SWEEP)

    def clusters_alive(self) -> list[Cluster]:
        return list(self.cloud.client(ClusterServiceStub).List(ListClustersRequest(folder_id=FOLDER_ID)).clusters)

    def mlflow(self, path: str, body: dict[str, Any] | None = None, **query: str) -> Any:
        """MLflow's REST API in the name of its administrator: POST if there is a body."""
        login = ("admin", self.state.secrets["mlflow_admin_password"])
        url = f"{self.state.url('mlflow')}/api/2.0/mlflow/{path}"
        answer = requests.request("POST" if body else "GET", url, params=query, json=body, auth=login, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def aliases(self, model: str = release.MODEL) -> dict[str, str]:
        """Alias -> version."""
        found = self.mlflow("registered-models/get", name=model)["registered_model"]
        return {item["alias"]: item["version"] for item in found.get("aliases", [])}

    def champion(self, model: str = release.MODEL) -> str | None:
        """The version that serves, or None."""
        return self.aliases(model).get("champion")
