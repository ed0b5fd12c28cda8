"""`make bootstrap`: from an empty folder of the cloud to a system that retrains. Every step can be run again."""

import time
from dataclasses import dataclass
from typing import Literal

from stack.cloud import card, neighbours, pause, registry
from stack.cloud.airflow_secrets import put_airflow_secrets
from stack.cloud.airflow_version import require_airflow
from stack.cloud.code import upload_code
from stack.cloud.deployment import Deployment
from stack.cloud.infrastructure import build, make_network
from stack.cloud.machines import certificate, set_up_machines
from stack.cloud.readiness import log_in
from stack.cloud.remote_state import remote_state
from stack.cloud.settings import read_settings
from stack.cloud.way_in import read_way_in
from stack.common.console import step
from stack.common.files import exclusive


@dataclass(frozen=True)
class Wishes:
    """What a person may ask of one `make bootstrap`.

    `schedule` is the DAG's (None: as it is), `yes` answers every question, `only` names the part that is made ("":
    all), `adopted` is what the cloud has and the state is to know (lost.py).
    """

    schedule: str | None = None
    yes: bool = False
    only: Literal["", "network"] = ""
    adopted: str = ""


def bootstrap(deployment: Deployment, wishes: Wishes) -> None:
    """Makes or changes what the settings say."""
    begun = time.monotonic()
    deployment.folder.mkdir(parents=True, exist_ok=True)
    deployment.folder.chmod(0o700)
    with exclusive(deployment, "make bootstrap", "CLOUD"):
        registry.choose(deployment)
        account = log_in(deployment, reach=not wishes.only)
        neighbours.require_own_prefix(deployment, account)
        pause.require_running(account, read_settings(deployment))
        remote = remote_state(deployment, account, wishes.yes)
        if wishes.only == "network":
            return make_network(deployment, account, remote, wishes.yes)
        require_airflow(deployment, account)
        outputs = build(deployment, account, remote, wishes.yes, wishes.adopted)
        way = read_way_in(deployment)
        set_up_machines(deployment, outputs, way)
        release = upload_code(account, outputs, read_settings(deployment).prefix, wishes.schedule)
        with step("Airflow's connections and variable"):
            put_airflow_secrets(account, outputs, release, certificate(deployment).read_text())
        card.show(deployment, outputs, way, time.monotonic() - begun)
