"""The report of a retrain, out of the demo's MLflow: the page for a browser, with its data and the model card."""

import os
import webbrowser
from pathlib import Path
from typing import Any

import requests

from stack.common.console import console, say
from stack.common.errors import StackError
from stack.common.release import EXPERIMENT
from stack.local.serving import require_running
from stack.local.state import State

FILES = ("report.html", "report.md", "report.json", "model_card.md")


class MLflow:
    """What the tracking server is asked, by the demo's administrator."""

    def __init__(self, state: State) -> None:
        self.url = state.url("mlflow")
        self.session = requests.Session()
        self.session.auth = ("admin", state.secrets["mlflow_admin_password"])

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Raises requests.HTTPError for a refusal, but for that something is not there."""
        answer = self.session.request(method, f"{self.url}/{path}", timeout=60, **options)
        if answer.status_code != 404:
            answer.raise_for_status()
        return answer

    def run(self, name: str) -> dict[str, Any] | None:
        """The newest finished run of the retrain of this name, or of any."""
        where = "attributes.status = 'FINISHED'" + (f" and tags.retrain_run_id = '{name}'" if name else "")
        found = self.call("GET", "api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": EXPERIMENT})
        if found.status_code == 404:
            return None
        asked = {
            "experiment_ids": [found.json()["experiment"]["experiment_id"]],
            "filter": where,
            "order_by": ["attributes.start_time DESC"],
            "max_results": 1,
        }
        runs = self.call("POST", "api/2.0/mlflow/runs/search", json=asked).json().get("runs", [])
        return runs[0] if runs else None

    def artifact(self, run_id: str, path: str) -> str | None:
        answer = self.call("GET", "get-artifact", params={"path": path, "run_uuid": run_id})
        return None if answer.status_code == 404 else answer.content.decode("utf-8")


def fetch(state: State, name: str) -> Path:
    """Writes the files of a report to `reports/<run>/` of the state folder; returns the page.

    Raises:
        StackError: there is no such run, or it has no report.
    """
    require_running(state)
    mlflow = MLflow(state)
    run = mlflow.run(name)
    if run is None:
        what = f"retrain RUN={name}" if name else "retrain"
        raise StackError(f"MLflow knows no finished {what}: `make history` and Airflow name the runs that there are.")
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    folder = state.folder / "reports" / tags["retrain_run_id"]
    found = {file: mlflow.artifact(run["info"]["run_id"], file) for file in FILES}
    if found[FILES[0]] is None:
        raise StackError(
            f"The run {folder.name} has no {FILES[0]}: an earlier version of the jobs made it. "
            "Retrain (in Airflow, with force), or name another one: `make report RUN=…`."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in found.items():
        if text is not None:
            (folder / file).write_text(text, encoding="utf-8")
    return folder / FILES[0]


def show(state: State, name: str) -> None:
    """Opens the page where a person has a browser, and says where it is."""
    page = fetch(state, name)
    say(f"{page}")
    if console.is_terminal and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(page.as_uri())
