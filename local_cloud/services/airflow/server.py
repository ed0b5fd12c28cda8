"""A cluster as a real Airflow: its programs, in the lab of this host.

It takes DAGs from the cluster's bucket and secrets from Lockbox, in the name of the cluster's own service account.
"""

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import Any

import grpc

from local_cloud.core.config import AirflowImage, Config
from local_cloud.core.context import Listener, Machine, Site
from local_cloud.core.errors import ApiError
from local_cloud.core.lab import LabCommand
from local_cloud.core.resources import Row
from local_cloud.services.airflow import errors
from local_cloud.services.airflow.environment import Cloud, Place, Secrets
from local_cloud.services.airflow.environment import environment as airflow_environment

PROGRAMS = ("api-server", "scheduler", "dag-processor", "triggerer")
PORT, LOG_PORT = 18080, 18793  # in the lab, which has one Airflow
SECONDS = 900  # until it is healthy; a minute, where nothing else runs


class Server:
    """The one Airflow of the lab."""

    def __init__(self, image: AirflowImage, lab: LabCommand, config: Config, site: Site) -> None:
        self._image, self._lab, self._config, self._site = image, lab, config, site
        self._identity: Listener | None = None

    def check(self, version: str, others: int) -> None:
        """Raises FAILED_PRECONDITION for what this host has not."""
        if version and version != self._image.version:
            raise errors.no_airflow_of(version, self._image.version)
        if others:
            raise errors.one_airflow()

    def make(self, cluster: Row, password: str) -> None:
        """Makes it, and returns when it is healthy; `password` is the administrator's."""
        key = base64.urlsafe_b64encode(os.urandom(32)).decode()  # as Fernet has it
        made = Secrets(password, key, secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        home = self._home(cluster)
        home.mkdir(parents=True)
        with os.fdopen(os.open(home / "secrets.json", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            json.dump(asdict(made), file)
        self._identify(cluster)
        done = subprocess.run([self._program, "db", "migrate"], env=self._environment(cluster), capture_output=True)
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()[-1500:]
            raise ApiError(grpc.StatusCode.INTERNAL, f"airflow db migrate: {said}")
        self.up(cluster)

    def up(self, cluster: Row) -> None:
        """Starts the programs that do not run, and returns when they are healthy."""
        self.start(cluster)
        deadline = time.monotonic() + SECONDS
        while not _is_healthy():
            if time.monotonic() > deadline:
                raise ApiError(grpc.StatusCode.INTERNAL, f"Airflow is not healthy after {SECONDS} s; see its logs")
            time.sleep(1)

    def start(self, cluster: Row) -> None:
        """Starts the programs that do not run."""
        # Of a folder that is not there when it starts a Python never sees what comes into it later.
        (self._home(cluster) / "code" / "dags").mkdir(parents=True, exist_ok=True)
        self._identify(cluster)
        host = f"c-{cluster.key}.airflow.yandexcloud.net"
        self._lab.name("airflow", {host: self._image.address})
        ends = (f"host:{self._image.address}:443", f"host:127.0.0.1:{PORT}", f"--certificate={self._site.pair}")
        relay = [sys.executable, "-m", "local_cloud.machines", "relay", *ends]
        self._serve("page", relay, dict(os.environ))
        self._serve("sync", self._sync(cluster), self._environment(cluster) | self._store())
        for program in PROGRAMS:
            if program != "triggerer" or cluster.message.config.HasField("triggerer"):
                environment = self._environment(cluster)
                path = f"PYTHONPATH={environment['PYTHONPATH']}"  # what starts it has another
                self._serve(program, ["env", path, self._program, program], environment)

    def stop(self, cluster: Row) -> None:
        for program in (*PROGRAMS, "sync", "page"):
            self._lab.run("end", f"airflow-{program}")

    def remove(self, cluster: Row) -> None:
        self.stop(cluster)
        self.close()
        self._lab.name("airflow", {})
        shutil.rmtree(self._home(cluster), ignore_errors=True)

    def close(self) -> None:
        """The endpoint ends; Airflow goes on without an identity until the next one."""
        if self._identity:
            self._identity.close()
            self._identity = None

    def _serve(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self._lab.run("serve", f"airflow-{name}", "--", *command, environment=environment)

    @property
    def _program(self) -> str:
        return str(Path(self._image.bin, "airflow"))

    def _home(self, cluster: Row) -> Path:
        return self._config.state / "airflow" / cluster.key

    def _sync(self, cluster: Row) -> list[str]:
        store = self._config.object_store
        assert store is not None  # the bucket was found in it
        bucket = cluster.message.code_sync.s3.bucket
        options = [f"--endpoint={store.endpoint}", f"--bucket={bucket}", f"--folder={self._home(cluster) / 'code'}"]
        return [sys.executable, "-m", "local_cloud.code_sync", *options]

    def _store(self) -> dict[str, str]:
        store = self._config.object_store
        assert store is not None
        return {
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
            "AWS_DEFAULT_REGION": store.region,
        }

    def _environment(self, cluster: Row) -> dict[str, str]:
        assert self._identity is not None
        page = f"https://c-{cluster.key}.airflow.yandexcloud.net"
        made = Secrets(**json.loads((self._home(cluster) / "secrets.json").read_text()))
        grpc_address = self._site.addresses["grpc"]
        cloud = Cloud(cluster.folder, grpc_address, self._identity.address, self._site.authority)
        place = Place(self._home(cluster), PORT, LOG_PORT, page)
        asked = {
            f"AIRFLOW__{name.replace('.', '__', 1).upper()}": value
            for name, value in cluster.message.config.airflow.config.items()
        }
        own = {
            "PATH": f"{self._image.bin}:{os.environ['PATH']}",
            "HOME": "/nonexistent",
            "TZ": "UTC",
            "LANG": "C.UTF-8",
        }
        return own | dict(airflow_environment(place, made, cloud)) | asked

    def _identify(self, cluster: Row) -> None:
        """Its metadata service, at the port that its programs know."""
        if self._identity:
            return
        message: Any = cluster.message
        file = self._home(cluster) / "metadata-port"
        machine = Machine(cluster.key, message.name, self._config.zone, message.service_account_id)
        self._identity = self._site.open_metadata(machine, int(file.read_text()) if file.exists() else 0)
        file.write_text(self._identity.address.rpartition(":")[2])


def _is_healthy() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v2/monitor/health", timeout=5) as answer:
            told = json.load(answer)
    except (OSError, ValueError):
        return False
    return all(told.get(part, {}).get("status") == "healthy" for part in ("scheduler", "dag_processor"))
