"""Airflow's REST API as the operator uses it: runs, their tasks and logs, what is due. Airflow 3, and 2.11."""

import ast
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from stack.common.errors import StackError

RETRAIN, SCORE, SWEEP, MONITOR = "retrain", "score", "sweep", "monitor"
DAGS = (RETRAIN, SCORE, MONITOR, SWEEP)  # that run by themselves
ATTEMPTS, PAUSE = 5, 2  # of a call, and seconds between two


@dataclass(frozen=True)
class Login:
    """Where Airflow is and how one gets in. `headers` are the vendor's own; `hint` says what to do if it refuses."""

    url: str
    password: str = field(repr=False)
    version: str = "3"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    hint: str = ""


class Airflow:
    """A logged-in client. A token is renewed when the server no longer takes it.

    Args:
        seconds: for the answer to one call.
        attempts: of a call whose server is away or busy.
    """

    def __init__(self, login: Login, seconds: float = 60, attempts: int | None = None) -> None:
        self.login, self.url, self.seconds, self.attempts = login, login.url, seconds, attempts or ATTEMPTS
        self.session = requests.Session()
        self.session.headers.update(login.headers)
        self.is_2 = login.version.startswith("2.")
        if self.is_2:
            self.session.auth = ("admin", login.password)
        self.api = f"{self.url}/api/{'v1' if self.is_2 else 'v2'}"

    def log_in(self) -> None:
        """Gets a token. Raises StackError if the password is refused; Airflow 2 has had it with the call itself."""
        body = {"username": "admin", "password": self.login.password}
        answer = None if self.is_2 else self.session.post(f"{self.url}/auth/token", json=body, timeout=self.seconds)
        if answer is None or answer.status_code == 401:
            raise StackError(f"Airflow at {self.url} refuses the log-in of `admin`; {self.login.hint}.")
        answer.raise_for_status()
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Calls `/api/v2/<path>`; returns the JSON answer. Raises requests.HTTPError for a refusal."""
        for attempt in range(1, max(self.attempts, 2) + 1):
            last = attempt >= self.attempts
            try:
                answer = self.session.request(method, f"{self.api}/{path}", timeout=self.seconds, **options)
            except requests.ConnectionError:
                if last:
                    raise
                time.sleep(PAUSE)  # the API server is being restarted
                continue
            if answer.status_code == 401:
                self.log_in()
                continue
            if method == "GET" and answer.status_code >= 500 and not last:
                time.sleep(PAUSE)  # its database was busy for longer than it waits: SQLite has one writer at a time
                continue
            answer.raise_for_status()
            return answer.json() if answer.content else None
        raise StackError(f"Airflow at {self.url} refuses the log-in of `admin`; {self.login.hint}.")

    def unpause(self, *dags: str) -> None:
        for dag in dags or (SWEEP, SCORE, RETRAIN):
            self.call("PATCH", f"dags/{dag}", json={"is_paused": False})

    def trigger(self, dag: str, conf: Mapping[str, Any]) -> str:
        """Starts a run; returns its id."""
        body = {"conf": dict(conf)} | ({} if self.is_2 else {"logical_date": None})
        return str(self.call("POST", f"dags/{dag}/dagRuns", json=body)["dag_run_id"])

    def runs(self, dag: str = RETRAIN, limit: int = 100) -> list[dict[str, Any]]:
        """Runs of a DAG, newest first."""
        return self.call("GET", f"dags/{dag}/dagRuns", params={"order_by": "-id", "limit": limit})["dag_runs"]

    def tasks(self, run_id: str, dag: str = RETRAIN) -> dict[str, dict[str, Any]]:
        """task_id -> its newest instance in the run."""
        path = f"dags/{dag}/dagRuns/{run_id}/taskInstances"
        return {task["task_id"]: task for task in self.call("GET", path)["task_instances"]}

    def log(self, run_id: str, task_id: str, attempt: int, dag: str = RETRAIN) -> list[str]:
        """Lines of a task's log."""
        path = f"dags/{dag}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        answer = self.call("GET", path, params={"full_content": True}, headers={"Accept": "application/json"})
        if self.is_2:  # pairs of a worker and its text, as Python writes them
            return [line for _, text in ast.literal_eval(answer["content"]) for line in text.splitlines()]
        lines = []
        for item in answer["content"]:
            lines.append(str(item["event"]))
            lines += [f"{cause['exc_type']}: {cause['exc_value']}" for cause in item.get("error_detail") or ()]
        return lines

    def xcom(self, run_id: str, task_id: str, key: str = "return_value", dag: str = RETRAIN) -> Any:
        return self.call("GET", f"dags/{dag}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}")["value"]

    def answer(self, run_id: str) -> dict[str, str] | None:
        """What a person answered to the retrain's question whether a version may serve; None: nobody was asked."""
        with contextlib.suppress(requests.HTTPError):  # there is no such value
            return dict(self.xcom(run_id, "approve"))
        return None

    def answer_url(self, run_id: str, task_id: str) -> str:
        """Where a person answers what a task of the retrain asks."""
        return f"{self.run_url(run_id)}/tasks/{task_id}/required_actions"

    def next_run(self, dag: str) -> tuple[bool, str | None]:
        """(whether the DAG is paused, when its schedule starts the next run)."""
        found = self.call("GET", f"dags/{dag}")
        return found["is_paused"], found.get("next_dagrun_run_after") or found.get("next_dagrun_create_after")

    def health(self) -> dict[str, str]:
        """Component -> its status; a component that this Airflow does not have is left out."""
        path = "health" if self.is_2 else "monitor/health"
        found = self.call("GET", path)
        return {name: each["status"] for name, each in found.items() if each.get("status")}

    def run_url(self, run_id: str, dag: str = RETRAIN) -> str:
        return (
            f"{self.url}/dags/{dag}/grid?dag_run_id={run_id}" if self.is_2 else f"{self.url}/dags/{dag}/runs/{run_id}"
        )
