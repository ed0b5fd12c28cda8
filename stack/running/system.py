"""A running system, the demo or one in the cloud, as the screen, the history and the way back ask it.

Every question may raise: `Absent` if what is asked for does not exist here, or not yet; anything else if it cannot be
asked. Questions come from several threads at once.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import requests

from dags.retraining.patience import Patience
from stack.running.airflow_api import Airflow

IN_A_HURRY = Patience(3)  # of a question that a person waits for, on a screen


class Absent(Exception):
    """There is none here, or not yet; says why."""


@dataclass(frozen=True)
class Mlflow:
    """A way to MLflow's server: a session that is logged in, and the address below which it answers."""

    url: str
    session: requests.Session

    def get(self, path: str, seconds: float, /, **query: str) -> requests.Response:
        return self.session.get(f"{self.url}/{path}", params=query, timeout=seconds)

    def post(self, path: str, seconds: float, body: Mapping[str, Any]) -> Any:
        """The JSON answer of the REST API. Raises requests.HTTPError for a refusal."""
        answer = self.session.post(f"{self.url}/api/2.0/mlflow/{path}", json=dict(body), timeout=seconds)
        answer.raise_for_status()
        return answer.json()


@dataclass(frozen=True)
class Place:
    """Where the clusters of a system live: the cloud's SDK, the folder, and the bucket by which ours are known."""

    sdk: Any
    folder_id: str
    bucket: str


class System(Protocol):
    """What both kinds of systems answer."""

    @property
    def kind(self) -> Literal["demo", "cloud"]: ...

    @property
    def where(self) -> Path:
        """The folder by which a person names it."""

    @property
    def switched_on(self) -> tuple[str, ...]:
        """DAGs that nobody should have paused."""

    def require(self) -> None:
        """Raises StackError if nothing of it can be asked: it does not run, or was never made."""

    def lake(self) -> tuple[Any, str]:
        """An S3 client, and the lake's bucket."""

    def told(self) -> dict[str, Any]:
        """What the DAGs are told: the value of Airflow's variable."""

    def airflow(self) -> Airflow: ...

    def mlflow(self) -> AbstractContextManager[Mlflow]: ...

    def place(self) -> Place: ...

    def programs(self) -> dict[str, str]:
        """What runs, by name: the demo's programs, the cloud's services and machines; RUNNING is well."""

    def logs(self) -> Mapping[str, Callable[[], str]]:
        """Name -> the end of that log, of all that are not Airflow's."""

    def machines(self) -> Mapping[str, Callable[[], dict[str, Any]]]:
        """Machine -> what asks it for its state, as the role `monitoring` tells it (`machine-status`)."""
