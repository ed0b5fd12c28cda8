"""The programs of one local stack: how each is started and how it says that it is ready.

python -m stack.local.services STATE NAME      # runs one of them in the foreground; what supervisord does
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from stack.common.envs import ENVS, ROOT, python_of
from stack.common.java import JARS, find_java
from stack.local.state import (
    CLOUD_ID,
    DEPLOYER_KEY,
    FOLDER_ID,
    NETWORK_ID,
    REGION,
    SERVICE_ACCOUNTS,
    SUBNET_ID,
    ZONE,
    State,
    write_private,
)

INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")


@dataclass(frozen=True)
class Program:
    """A command and its whole environment. Secrets go by the environment or by files, never by arguments."""

    command: list[str]
    environment: dict[str, str]


def base_environment() -> dict[str, str]:
    return {"TZ": "UTC", "LANG": "C.UTF-8", **{k: os.environ[k] for k in INHERITED if k in os.environ}}


def script(environment: str, name: str) -> str:
    return str(ENVS / environment / "bin" / name)


# ------------------------------------------------------------------------------------------------ object store
def object_store(state: State) -> Program:
    """S3Proxy over a folder. Answers only to signed requests."""
    data = state.folder / "object-store"
    data.mkdir(exist_ok=True)
    settings = {
        "s3proxy.endpoint": state.url("object_store"),
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": state.secrets["object_store_key"],
        "s3proxy.credential": state.secrets["object_store_secret"],
        # A single PUT larger than this is refused; S3A and boto3 send larger objects in parts.
        "s3proxy.v4-max-non-chunked-request-size": str(1 << 30),
        "jclouds.provider": "filesystem-nio2",
        "jclouds.filesystem.basedir": str(data),
        "jclouds.identity": "unused",
        "jclouds.credential": "unused",
    }
    properties = state.folder / "object-store.properties"
    write_private(properties, "".join(f"{key}={value}\n" for key, value in settings.items()))
    jar = next((JARS / "object-store").glob("s3proxy-*.jar"))
    java = find_java() / "bin" / "java"
    options = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    return Program([str(java), *options, "-jar", str(jar), "--properties", str(properties)], base_environment())


# ------------------------------------------------------------------------------------------------ the cloud
def spark_image(image: str) -> dict[str, str]:
    name = f"spark-image-{image}"
    return {"python": str(python_of(name)), "java_home": str(find_java()), "jars": str(JARS / name)}


def installed_images() -> list[str]:
    return [image for image in ("2.1", "2.2") if python_of(f"spark-image-{image}").exists()]


def cloud_config(state: State) -> dict:
    roles = {
        "airflow": [
            *("dataproc.editor", "vpc.user", "iam.serviceAccounts.user"),
            *("lockbox.payloadViewer", "managed-airflow.integrationProvider", "storage.editor"),
        ],
        # lockbox.payloadViewer is bound on the one secret that jobs need, when that secret is made
        "dataproc": ["dataproc.agent", "dataproc.provisioner", "storage.editor", "logging.writer"],
        "deployer": ["admin"],
    }
    accounts: dict[str, Any] = {name: {"id": SERVICE_ACCOUNTS[name], "roles": roles[name]} for name in roles}
    accounts["deployer"]["key"] = {"id": DEPLOYER_KEY, "public_key": state.secrets["deployer_public_key"]}
    return {
        "state": str(state.folder / "cloud"),
        "host": "127.0.0.1",
        "grpc_port": state.ports["cloud"],
        "rest_port": state.ports["cloud_rest"],
        "cloud_id": CLOUD_ID,
        "folder_id": FOLDER_ID,
        "zone": ZONE,
        "service_accounts": accounts,
        "resources": [
            {"@type": "yandex.cloud.vpc.v1.Network", "id": NETWORK_ID, "folderId": FOLDER_ID, "name": "default"},
            {
                **{"@type": "yandex.cloud.vpc.v1.Subnet", "id": SUBNET_ID, "folderId": FOLDER_ID, "name": "default-a"},
                **{"networkId": NETWORK_ID, "zoneId": ZONE, "v4CidrBlocks": ["10.128.0.0/24"]},
            },
        ],
        "instances": [
            {"name": "airflow", "service_account": "airflow", "metadata_port": state.ports["metadata"]},
        ],
        "object_store": {
            "endpoint": state.url("object_store"),
            "region": REGION,
            "access_key": state.secrets["object_store_key"],
            "secret_key": state.secrets["object_store_secret"],
        },
        "images": {image: spark_image(image) for image in installed_images()},
        "spark_defaults": {"spark.master": "local[2]", "spark.driver.memory": "2g", "spark.ui.enabled": "false"},
        # Seconds; the cloud takes minutes, but one wants to see that it is not at once.
        "timings": {"dataproc.cluster.create": 5, "dataproc.cluster.delete": 2},
    }


def cloud(state: State) -> Program:
    """The embedded Yandex Cloud API."""
    (state.folder / "cloud").mkdir(exist_ok=True)
    config = state.folder / "cloud.json"
    write_private(config, json.dumps(cloud_config(state), indent=1))
    return Program(
        [script("stack", "python"), "-m", "local_cloud", "--config", str(config)],
        base_environment() | {"PYTHONPATH": str(ROOT)},
    )


# ------------------------------------------------------------------------------------------------ MLflow
def mlflow(state: State) -> Program:
    """The tracking server under gunicorn: basic-auth, artifacts through the server into the object store."""
    folder = state.folder / "mlflow"
    folder.mkdir(exist_ok=True)
    auth = folder / "basic_auth.ini"
    write_private(
        auth,
        "[mlflow]\ndefault_permission = READ\nadmin_username = admin\n"
        f"database_uri = sqlite:///{folder}/auth.db\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
    )
    port = state.ports["mlflow"]
    return Program(
        [
            *(script("mlflow", "python"), "-W", "ignore::FutureWarning", "-m", "mlflow", "server"),
            *("--host", "127.0.0.1", "--port", str(port), "--app-name", "basic-auth"),
            *("--workers", "2", "--gunicorn-opts", "--timeout 120 --access-logfile -"),
            *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
            *("--serve-artifacts", "--artifacts-destination", "s3://artifacts/mlflow"),
        ],
        base_environment()
        | object_store_client(state)
        | {
            "PATH": f"{ENVS / 'mlflow' / 'bin'}:{os.environ['PATH']}",
            "MLFLOW_S3_ENDPOINT_URL": state.url("object_store"),
            "MLFLOW_AUTH_CONFIG_PATH": str(auth),
            "MLFLOW_AUTH_ADMIN_PASSWORD": state.secrets["mlflow_admin_password"],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": state.secrets["mlflow_session"],
            "MLFLOW_SERVER_ALLOWED_HOSTS": f"127.0.0.1:{port},localhost:{port}",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
    )


def object_store_client(state: State) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": state.secrets["object_store_key"],
        "AWS_SECRET_ACCESS_KEY": state.secrets["object_store_secret"],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


# ------------------------------------------------------------------------------------------------ Airflow
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
    return Program(
        [
            *(script("stack", "python"), "-m", "local_cloud.code_sync"),
            *("--endpoint", state.url("object_store"), "--bucket", "dags", "--folder", str(folder)),
        ],
        base_environment() | object_store_client(state) | {"PYTHONPATH": str(ROOT)},
    )


PROGRAMS: dict[str, Callable[[State], Program]] = {
    "object-store": object_store,
    "cloud": cloud,
    "mlflow": mlflow,
    "dag-sync": dag_sync,
    "airflow-api": airflow_command("api-server"),
    "airflow-scheduler": airflow_command("scheduler"),
    "airflow-dag-processor": airflow_command("dag-processor"),
}


# ------------------------------------------------------------------------------------------------ readiness
def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(url, timeout=5).ok
    return False


def airflow_is_healthy(state: State, component: str) -> bool:
    with contextlib.suppress(requests.RequestException, ValueError, KeyError):
        health = requests.get(f"{state.url('airflow')}/api/v2/monitor/health", timeout=5).json()
        return health[component]["status"] == "healthy"
    return False


READY: dict[str, Callable[[State], bool]] = {
    "object-store": lambda state: listens(state.ports["object_store"]),
    "cloud": lambda state: (state.folder / "cloud" / "endpoint.json").exists() and listens(state.ports["cloud"]),
    "mlflow": lambda state: answers(f"{state.url('mlflow')}/health"),
    "airflow-api": lambda state: answers(f"{state.url('airflow')}/api/v2/monitor/health"),
    "airflow-scheduler": lambda state: airflow_is_healthy(state, "scheduler"),
    "airflow-dag-processor": lambda state: airflow_is_healthy(state, "dag_processor"),
    "dag-sync": lambda state: (state.folder / "airflow" / "code" / "dags").exists(),
}


def main() -> None:
    folder, name = sys.argv[1:]
    program = PROGRAMS[name](State(Path(folder)))
    os.chdir(folder)
    os.execvpe(program.command[0], program.command, program.environment)


if __name__ == "__main__":
    main()
