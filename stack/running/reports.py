"""The report of a retrain, out of MLflow: the page for a browser, with its data and the model card."""

import os
import webbrowser
from pathlib import Path
from typing import Any

from stack.common.console import console
from stack.common.errors import StackError
from stack.common.release import EXPERIMENT
from stack.running.system import Mlflow, System

FILES = ("report.html", "report.md", "report.json", "model_card.md")
SECONDS = 60.0  # for an answer, where a person waits for the whole of it


def newest(mlflow: Mlflow, name: str = "", seconds: float = SECONDS) -> dict[str, Any] | None:
    """The newest finished run of the retrain of this name, or of any."""
    which = f"= '{name}'" if name else "!= ''"
    found = mlflow.get("api/2.0/mlflow/experiments/get-by-name", seconds, experiment_name=EXPERIMENT)
    if found.status_code == 404:
        return None
    found.raise_for_status()
    asked = {
        "experiment_ids": [found.json()["experiment"]["experiment_id"]],
        "filter": f"attributes.status = 'FINISHED' and tags.retrain_run_id {which}",
        "order_by": ["attributes.start_time DESC"],
        "max_results": 1,
    }
    return next(iter(mlflow.post("runs/search", seconds, asked).get("runs", [])), None)


def artifact(mlflow: Mlflow, run_id: str, path: str, seconds: float = SECONDS) -> str | None:
    """The text of a run's file, None if it has no such file."""
    answer = mlflow.get("get-artifact", seconds, path=path, run_uuid=run_id)
    if answer.status_code == 404:
        return None
    answer.raise_for_status()
    return answer.content.decode("utf-8")


def fetch(system: System, name: str) -> Path:
    """Writes the files of a report to `reports/<run>/` of the system's folder; returns the page.

    Raises:
        StackError: there is no such run, or it has no report.
    """
    system.require()
    with system.mlflow() as mlflow:
        run = newest(mlflow, name)
        if run is None:
            what = f"retrain RUN={name}" if name else "retrain"
            raise StackError(
                f"MLflow knows no finished {what}: `make history` and Airflow name the runs that there are."
            )
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        folder = system.where / "reports" / tags["retrain_run_id"]
        found = {file: artifact(mlflow, run["info"]["run_id"], file) for file in FILES}
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


def show(system: System, name: str) -> None:
    """Opens the page where a person has a browser, and says where it is."""
    page = fetch(system, name)
    print(page)  # whole, on a line of its own, for whoever copies it
    if console.is_terminal and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(page.as_uri())
