"""Airflow as the managed service runs it: DAGs from a bucket, connections and variables from Lockbox."""

import os
from collections.abc import Callable

from local_cloud.services.airflow.environment import Cloud, Place, Secrets, environment
from stack.common.envs import ENVS, ROOT
from stack.local.programs.program import Program, base_environment, object_store_client, script
from stack.local.state import FOLDER_ID, State


def airflow_environment(state: State) -> dict[str, str]:
    """Managed Airflow's, with its own identity."""
    page, ports = state.url("airflow"), state.ports
    place = Place(state.folder / "airflow", ports["airflow"], ports["airflow_logs"], page)
    names = ("password", "fernet", "session", "jwt")
    secrets = Secrets(**{name: state.secrets[f"airflow_{name}"] for name in names})
    cloud = Cloud(FOLDER_ID, state.cloud_endpoint, state.metadata_address, state.ca)
    path = {"PATH": f"{ENVS / 'airflow' / 'bin'}:{os.environ['PATH']}"}
    return base_environment() | dict(environment(place, secrets, cloud)) | path


def airflow_command(*arguments: str) -> Callable[[State], Program]:
    return lambda state: Program([script("airflow", "airflow"), *arguments], airflow_environment(state))


def dag_sync(state: State) -> Program:
    """Copies the bucket of DAGs to Airflow's folder, as the managed service does."""
    folder = state.folder / "airflow" / "code"
    options = ["--endpoint", state.url("object_store"), "--bucket", "dags", "--folder", str(folder)]
    return Program(
        [script("stack", "python"), "-m", "local_cloud.code_sync", *options],
        base_environment() | object_store_client(state) | {"PYTHONPATH": str(ROOT)},
    )
