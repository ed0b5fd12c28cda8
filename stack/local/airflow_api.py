"""Airflow's REST API as the operator uses it: unpause, announce data, watch runs."""

import contextlib
import time
from typing import Any

import requests

from stack.common.errors import StackError
from stack.common.waiting import wait_until
from stack.local.state import State

DAG, SCORE, SWEEP = "retrain", "score", "sweep"
LAKE_ASSET = "fraud-lake"
ATTEMPTS, PAUSE = 5, 2  # of a call, and seconds between two
DAGS_TIMEOUT = 120  # seconds until Airflow must have parsed the DAGs


class Airflow:
    """A logged-in client. A token is renewed when the server no longer takes it."""

    def __init__(self, state: State) -> None:
        self.url, self.password = state.url("airflow"), state.secrets["airflow_password"]
        self.session = requests.Session()

    def log_in(self) -> None:
        body = {"username": "admin", "password": self.password}
        answer = self.session.post(f"{self.url}/auth/token", json=body, timeout=30)
        answer.raise_for_status()
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Calls `/api/v2/<path>`; returns the JSON answer. Raises requests.HTTPError for a refusal."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self.session.request(method, f"{self.url}/api/v2/{path}", timeout=60, **options)
            except requests.ConnectionError:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(PAUSE)  # the API server is being restarted
                continue
            if answer.status_code == 401:
                self.log_in()
                continue
            if method == "GET" and answer.status_code >= 500 and attempt < ATTEMPTS:
                time.sleep(PAUSE)  # its database was busy for longer than it waits: SQLite has one writer at a time
                continue
            answer.raise_for_status()
            return answer.json() if answer.content else None
        raise StackError(f"Airflow at {self.url} refuses the log-in of `admin`; its log is airflow-api.log.")

    def wait_for_dags(self, seconds: float = DAGS_TIMEOUT) -> None:
        """Returns when the DAGs are parsed; raises StackError with an import error, or after so many seconds."""
        if not wait_until(self.has_dags, seconds, 1):
            raise StackError(
                f"Airflow found no `{DAG}`, `{SCORE}` or `{SWEEP}` within {seconds:.0f} s; "
                "see airflow-dag-processor.log."
            )

    def has_dags(self) -> bool:
        if {DAG, SCORE, SWEEP} <= {dag["dag_id"] for dag in self.call("GET", "dags")["dags"]}:
            return True
        for error in self.call("GET", "importErrors")["import_errors"]:
            raise StackError(f"Airflow cannot import {error['filename']}:\n{error['stack_trace']}")
        return False

    def unpause(self, *dags: str) -> None:
        for dag in dags or (SWEEP, SCORE, DAG):
            self.call("PATCH", f"dags/{dag}", json={"is_paused": False})

    def announce(self) -> None:
        """Tells Airflow that the lake has new files; the scheduler starts a run for it."""
        assets = self.call("GET", "assets", params={"name_pattern": LAKE_ASSET})["assets"]
        self.call("POST", "assets/events", json={"asset_id": assets[0]["id"]})

    def runs(self, dag: str = DAG) -> list[dict[str, Any]]:
        """Runs of a DAG, newest first."""
        return self.call("GET", f"dags/{dag}/dagRuns", params={"order_by": "-id", "limit": 100})["dag_runs"]

    def tasks(self, run_id: str, dag: str = DAG) -> dict[str, dict[str, Any]]:
        """task_id -> its newest instance in the run."""
        path = f"dags/{dag}/dagRuns/{run_id}/taskInstances"
        return {task["task_id"]: task for task in self.call("GET", path)["task_instances"]}

    def log(self, run_id: str, task_id: str, attempt: int, dag: str = DAG) -> list[str]:
        """Lines of a task's log."""
        path = f"dags/{dag}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        answer = self.call("GET", path, params={"full_content": True}, headers={"Accept": "application/json"})
        lines = []
        for item in answer["content"]:
            lines.append(str(item["event"]))
            lines += [f"{cause['exc_type']}: {cause['exc_value']}" for cause in item.get("error_detail") or ()]
        return lines

    def xcom(self, run_id: str, task_id: str, key: str = "return_value", dag: str = DAG) -> Any:
        return self.call("GET", f"dags/{dag}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}")["value"]

    def answer(self, run_id: str) -> dict[str, str] | None:
        """What a person answered to the retrain's question whether a version may serve; None: nobody was asked."""
        with contextlib.suppress(requests.HTTPError):  # there is no such value
            return dict(self.xcom(run_id, "approve"))
        return None

    def answer_url(self, run_id: str, task_id: str) -> str:
        """Where a person answers what a task of the retrain asks."""
        return f"{self.run_url(run_id)}/tasks/{task_id}/required_actions"

    def run_url(self, run_id: str, dag: str = DAG) -> str:
        return f"{self.url}/dags/{dag}/runs/{run_id}"
