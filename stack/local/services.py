"""The programs of one local stack: how each is started and how one sees that it is ready.

python -m stack.local.services STATE NAME      # runs one of them in the foreground; what supervisord does
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from stack.local.programs.airflow import airflow_command, dag_sync
from stack.local.programs.answers import airflow_is_healthy, answers, listens
from stack.local.programs.cloud import cloud
from stack.local.programs.mlflow import mlflow
from stack.local.programs.object_store import object_store
from stack.local.programs.program import Program
from stack.local.state import State

PROGRAMS: dict[str, Callable[[State], Program]] = {
    "object-store": object_store,
    "cloud": cloud,
    "mlflow": mlflow,
    "dag-sync": dag_sync,
    "airflow-api": airflow_command("api-server"),
    "airflow-scheduler": airflow_command("scheduler"),
    "airflow-dag-processor": airflow_command("dag-processor"),
    "airflow-triggerer": airflow_command("triggerer"),
}

READY: dict[str, Callable[[State], bool]] = {
    "object-store": lambda state: listens(state.ports["object_store"]),
    "cloud": lambda state: (state.folder / "cloud" / "endpoint.json").exists() and listens(state.ports["cloud"]),
    "mlflow": lambda state: answers(f"{state.url('mlflow')}/health"),
    "airflow-api": lambda state: answers(f"{state.url('airflow')}/api/v2/monitor/health"),
    "airflow-scheduler": lambda state: airflow_is_healthy(state, "scheduler"),
    "airflow-dag-processor": lambda state: airflow_is_healthy(state, "dag_processor"),
    "airflow-triggerer": lambda state: airflow_is_healthy(state, "triggerer"),
    "dag-sync": lambda state: (state.folder / "airflow" / "code" / "dags").exists(),
}


def main() -> None:
    folder, name = sys.argv[1:]
    program = PROGRAMS[name](State(Path(folder)))
    os.chdir(folder)
    os.execvpe(program.command[0], program.command, program.environment)


if __name__ == "__main__":
    main()
