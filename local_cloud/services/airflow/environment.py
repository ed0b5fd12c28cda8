"""What Managed Airflow's processes are told: DAGs from a folder that is a bucket's copy, secrets from Lockbox."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where one Airflow is: its files, the address of its API server, and the page's, which people see."""

    home: Path
    port: int
    log_port: int
    page: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Secrets:
    password: str = field(repr=False)
    fernet: str = field(repr=False)
    session: str = field(repr=False)
    jwt: str = field(repr=False)


@dataclass(frozen=True)
class Cloud:
    """`endpoint` and `metadata` are host:port of the API and of the service that knows who Airflow is."""

    folder_id: str
    endpoint: str
    metadata: str
    ca: Path


def environment(place: Place, secrets: Secrets, cloud: Cloud) -> Mapping[str, str]:
    """Airflow's own settings and its client's of the cloud; the passwords' file is written besides."""
    place.home.mkdir(exist_ok=True, parents=True)
    passwords = place.home / "passwords.json"
    draft = place.home / "passwords.json.new"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"admin": secrets.password}, file)
    draft.replace(passwords)
    lockbox = {"folder_id": cloud.folder_id, "endpoint": cloud.endpoint}
    connection = {"conn_type": "yandexcloud", "extra": {"endpoint": cloud.endpoint, "folder_id": cloud.folder_id}}
    settings = {
        "CORE__DAGS_FOLDER": str(place.home / "code" / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__FERNET_KEY": secrets.fernet,
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "CORE__EXECUTION_API_SERVER_URL": f"{place.url}/execution/",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(place.port),
        "API__BASE_URL": place.page,
        "API__WORKERS": "1",
        "API__SECRET_KEY": secrets.session,
        "API_AUTH__JWT_SECRET": secrets.jwt,
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{place.home}/airflow.db",
        "LOGGING__WORKER_LOG_SERVER_PORT": str(place.log_port),
        "DAG_PROCESSOR__REFRESH_INTERVAL": "10",  # a changed file is read then; one that is as it was, each 30 s
        "SECRETS__BACKEND": "airflow.providers.yandex.secrets.lockbox.LockboxSecretBackend",
        "SECRETS__BACKEND_KWARGS": json.dumps(lockbox),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {f"AIRFLOW__{key}": value for key, value in settings.items()} | {
        "PYTHONPATH": str(place.home / "code"),  # Managed Airflow imports `from dags.x import y`
        "AIRFLOW_HOME": str(place.home),
        "AIRFLOW_CONN_YANDEXCLOUD_DEFAULT": json.dumps(connection),
        "YC_METADATA_ADDR": cloud.metadata,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(cloud.ca),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
