"""A deployment in the cloud as a running system (stack/running): by its outputs, its secrets, and ssh to its machines.

No `yc`, no Terraform: whoever has the folder of the deployment and may log in to the cloud can ask.
"""

import contextlib
import json
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import requests
from requests.adapters import HTTPAdapter

from dags.retraining.patience import Patience
from stack.cloud import leftovers, pause, ssh
from stack.cloud.account import Account
from stack.cloud.airflow_secrets import VARIABLE
from stack.cloud.deployment import Deployment
from stack.cloud.inventory import hosts
from stack.cloud.machines import certificate
from stack.cloud.outputs import Outputs
from stack.cloud.settings import Settings
from stack.cloud.way_in import takes
from stack.common import lockbox
from stack.common.errors import StackError
from stack.running import logs
from stack.running.airflow_api import MONITOR, RETRAIN, SCORE, SWEEP, Airflow, Login
from stack.running.system import IN_A_HURRY, Absent, Mlflow, Place

# What a person calls it -> the machine, and the units whose journal it is.
JOURNALS = {
    "mlflow": ("mlflow", ("mlflow.service", "mlflow-job@*")),
    "nginx": ("mlflow", ("nginx.service",)),
    "backup": ("mlflow", ("mlflow-backup@*",)),
    "postgresql": ("database", ("postgresql@*",)),
    "pgbackrest": ("database", ("pgbackrest@*", "pgbackrest-verify.service")),
}
REFUSED = (
    "its password is in the secret that airflow.admin_secret_id of the outputs names, and your account needs the role "
    "managed-airflow.user; Airflow 2 takes a password only with api.auth_backends in its configuration"
)


class ByName(HTTPAdapter):
    """Connects to an address, and asks of its certificate the server's name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, server_hostname=self.name, assert_hostname=self.name)


@dataclass(frozen=True)
class CloudSystem:
    """`hurry`: calls are not repeated for long, since a person waits for a screen."""

    deployment: Deployment
    hurry: bool = False
    kind: Literal["demo", "cloud"] = "cloud"
    switched_on: tuple[str, ...] = (RETRAIN, SCORE, SWEEP, MONITOR)
    lock: Any = field(default_factory=threading.RLock, repr=False)

    @property
    def where(self) -> Path:
        return self.deployment.folder

    @property
    def patience(self) -> Patience:
        return IN_A_HURRY if self.hurry else Patience()

    @cached_property
    def outputs(self) -> Outputs:
        return Outputs.kept(self.deployment)

    @cached_property
    def _logged_in(self) -> Account | StackError:
        try:
            return Account.find()
        except StackError as refused:
            return refused

    @property
    def account(self) -> Account:
        with self.lock:  # one log-in, or one refusal, for all questions
            found = self._logged_in
        if isinstance(found, StackError):
            raise StackError(str(found))
        return found

    def require(self) -> None:
        assert self.outputs

    @cached_property
    def _s3(self) -> Any:
        return self.account.object_store(self.patience)

    def lake(self) -> tuple[Any, str]:
        with self.lock:  # boto3 makes clients one at a time
            return self._s3, self.outputs.buckets.lake

    def secret(self, secret_id: str, key: str) -> str:
        return lockbox.payload(self.account.sdk(self.patience), secret_id)[key]

    def told(self) -> dict[str, Any]:
        return dict(json.loads(self.secret(self.outputs.connections[VARIABLE], "value")))

    def airflow(self) -> Airflow:
        ours = self.outputs.airflow
        if not (ours.url and ours.admin_secret_id):
            raise Absent("Airflow is no part of this deployment (airflow.enabled)")
        headers = {"X-Cloud-Authorization": f"Bearer {self.account.token}"}  # the vendor's proxy asks for it
        login = Login(ours.url, self.secret(ours.admin_secret_id, "password"), ours.version, headers, REFUSED)
        return Airflow(login, seconds=8, attempts=1) if self.hurry else Airflow(login)

    @contextlib.contextmanager
    def mlflow(self) -> Iterator[Mlflow]:
        """By its public address, from inside the network, or by a tunnel through its machine."""
        ours = self.outputs.mlflow
        password = self.secret(ours.secret_ids.viewer, ours.secret_key)
        with self.way_to_mlflow() as (address, port), requests.Session() as session:
            session.auth, session.verify = ("viewer", password), str(certificate(self.deployment))
            session.trust_env = False  # neither a proxy nor another authority stands between
            session.headers["Host"] = ours.host
            session.mount("https://", ByName(ours.host))
            yield Mlflow(f"https://{address}:{port}", session)

    @contextlib.contextmanager
    def way_to_mlflow(self) -> Iterator[tuple[str, int]]:
        """An address and a port at which MLflow's proxy answers this computer."""
        ours = self.outputs.mlflow
        if ours.public_address:
            yield ours.public_address, 443
        elif takes(ours.internal_address, 443):
            yield ours.internal_address, 443
        else:
            with ssh.tunnel(self.deployment, "mlflow", ours.internal_address, 443) as port:
                yield "127.0.0.1", port

    def place(self) -> Place:
        return Place(self.account.sdk(self.patience), self.outputs.folder_id, self.outputs.buckets.logs)

    def programs(self) -> dict[str, str]:
        ours = self.outputs
        whose = Settings(ours.folder_id, "")
        settings = Settings(ours.folder_id, leftovers.prefix_of(ours.buckets.lake, whose) or "")
        return {str(part): part.status for part in pause.parts(self.account.sdk(self.patience), settings)}

    def logs(self) -> Mapping[str, Callable[[], str]]:
        there = hosts(self.outputs)
        return {name: partial(self.journal, host, units) for name, (host, units) in JOURNALS.items() if host in there}

    def journal(self, host: str, units: tuple[str, ...]) -> str:
        chosen = [f"--unit={unit}" for unit in units]
        words = ("sudo", "-n", "journalctl", "--no-pager", f"--lines={logs.LINES}", *chosen)
        return ssh.ask(self.deployment, host, *map(shlex.quote, words))

    def machines(self) -> Mapping[str, Callable[[], dict[str, Any]]]:
        return {host: partial(self.machine_status, host) for host in hosts(self.outputs)}

    def machine_status(self, host: str) -> dict[str, Any]:
        return dict(json.loads(ssh.ask(self.deployment, host, "machine-status")))
