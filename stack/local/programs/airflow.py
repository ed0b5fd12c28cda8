"""Airflow as the managed service runs it: DAGs from a bucket, connections and variables from Lockbox."""

import json
import os
from collections.abc import Callable

from stack.common.envs import ENVS, ROOT
from stack.common.files import write_private
from stack.local.programs.program import Program, base_environment, object_store_client, script
from stack.local.state import FOLDER_ID, State


def airflow_environment(state: State) -> dict[str, str]:
    """Managed Airflow's settings: DAGs from a bucket, connections and variables from Lockbox, its own identity."""
    home = state.folder / "airflow"
    home.mkdir(exist_ok=True)
    passwords = home / "passwords.json"
    write_private(passwords, json.dumps({"admin": state.secrets["airflow_password"]}))
    lockbox = {"folder_id": FOLDER_ID, "endpoint": state.cloud_endpoint}
    connection = {"conn_type": "yandexcloud", "extra": {"endpoint": state.cloud_endpoint, "folder_id": FOLDER_ID}}
    settings = {
        "CORE__DAGS_FOLDER": str(home / "code" / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__FERNET_KEY": state.secrets["airflow_fernet"],
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "CORE__EXECUTION_API_SERVER_URL": f"{state.url('airflow')}/execution/",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(state.ports["airflow"]),
        "API__BASE_URL": state.url("airflow"),
        "API__WORKERS": "1",
        "API__SECRET_KEY": state.secrets["airflow_session"],
        "API_AUTH__JWT_SECRET": state.secrets["airflow_jwt"],
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "LOGGING__WORKER_LOG_SERVER_PORT": str(state.ports["airflow_logs"]),
        "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
        "SECRETS__BACKEND": "airflow.providers.yandex.secrets.lockbox.LockboxSecretBackend",
        "SECRETS__BACKEND_KWARGS": json.dumps(lockbox),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return (
        base_environment()
        | {f"AIRFLOW__{key}": value for key, value in settings.items()}
        | {
            "PATH": f"{ENVS / 'airflow' / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(home / "code"),  # Managed Airflow imports `from dags.x import y`
            "AIRFLOW_HOME": str(home),
            "AIRFLOW_CONN_YANDEXCLOUD_DEFAULT": json.dumps(connection),
            "YC_METADATA_ADDR": state.metadata_address,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(state.ca),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
    )


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
