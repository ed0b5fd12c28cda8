"""The demo as a running system (stack/running): its own endpoints, its Airflow, its MLflow, its programs."""

import contextlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import requests

from dags.retraining.patience import Patience
from stack.common import lockbox
from stack.common.errors import StackError
from stack.common.storage import storage_client
from stack.local import deploy, supervisor
from stack.local.airflow_api import Airflow
from stack.local.state import FOLDER_ID, State
from stack.running import logs
from stack.running.airflow_api import RETRAIN, SCORE, SWEEP
from stack.running.system import IN_A_HURRY, Mlflow, Place

MOST_PERCENT = 90  # of a disk, as the role `monitoring` has it


@dataclass(frozen=True)
class DemoSystem:
    """`hurry`: calls are not repeated for long, since a person waits for a screen."""

    state: State
    hurry: bool = False
    kind: Literal["demo", "cloud"] = "demo"
    # `monitor` is not: the data of a demo are old, and new ones come when a person asks for them.
    switched_on: tuple[str, ...] = (RETRAIN, SCORE, SWEEP)
    lock: Any = field(default_factory=threading.RLock, repr=False)

    @property
    def where(self) -> Path:
        return self.state.folder

    @property
    def patience(self) -> Patience:
        return IN_A_HURRY if self.hurry else Patience()

    def require(self) -> None:
        if not (self.state.exists and supervisor.is_running(self.state)):
            raise StackError(f"nothing runs in {self.state.folder}: `make demo` starts it")

    @cached_property
    def _s3(self) -> Any:
        secrets = self.state.secrets
        key, secret = secrets["object_store_key"], secrets["object_store_secret"]
        return storage_client(self.state.url("object_store"), key, secret, self.patience)

    def lake(self) -> tuple[Any, str]:
        with self.lock:  # boto3 makes clients one at a time
            return self._s3, "lake"

    @cached_property
    def _told(self) -> dict[str, Any]:
        cloud = deploy.sdk(self.state, self.patience)
        known = lockbox.secrets_by_name(cloud, FOLDER_ID)
        if deploy.VARIABLE not in known:
            raise StackError(f"nothing is deployed yet: Lockbox has no {deploy.VARIABLE}; `make demo` writes it")
        return dict(json.loads(lockbox.payload(cloud, known[deploy.VARIABLE].id)["value"]))

    def told(self) -> dict[str, Any]:
        return self._told

    def airflow(self) -> Airflow:
        return Airflow(self.state, seconds=8, attempts=1) if self.hurry else Airflow(self.state)

    @contextlib.contextmanager
    def mlflow(self) -> Iterator[Mlflow]:
        with requests.Session() as session:
            session.auth = ("airflow", self.state.secrets["mlflow_airflow_password"])
            yield Mlflow(self.state.url("mlflow"), session)

    def place(self) -> Place:
        return Place(deploy.sdk(self.state, self.patience), FOLDER_ID, "logs")

    def programs(self) -> dict[str, str]:
        """Those that were started: a program that only some choices need is not among them without."""
        known = supervisor.rpc(self.state).getAllProcessInfo()
        return {each["name"]: each["statename"] for each in known if each["start"]}

    def logs(self) -> Mapping[str, Callable[[], str]]:
        names = sorted(path.stem for path in self.state.logs.glob("*.log"))
        return {name: partial(supervisor.tail_of_log, self.state, name, logs.LINES) for name in names}

    def machines(self) -> Mapping[str, Callable[[], dict[str, Any]]]:
        return {"this machine": lambda: this_machine(self.state.folder)}


def this_machine(folder: Path) -> dict[str, Any]:
    """The disk on which the state lies, told as `machine-status` does."""
    usage = shutil.disk_usage(folder)
    percent, free = round(100 - 100 * usage.free / usage.total), round(usage.free / 2**30, 1)
    full = [f"{folder} is {percent} % full, {free} GiB are free"] if percent >= MOST_PERCENT else []
    disks = {str(folder): {"percent": percent, "free_gib": free}}
    return {"jobs": {}, "certificates": {}, "disks": disks, "problems": full}
