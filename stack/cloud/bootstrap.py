"""`make bootstrap`: from an empty folder of the cloud to a system that retrains. Every step can be run again."""

import time

from stack.cloud import card
from stack.cloud.airflow_secrets import put_airflow_secrets
from stack.cloud.code import upload_code
from stack.cloud.deployment import Deployment
from stack.cloud.infrastructure import build
from stack.cloud.machines import certificate, set_up_machines
from stack.cloud.readiness import log_in
from stack.cloud.remote_state import remote_state
from stack.common.console import step
from stack.common.files import exclusive


def bootstrap(deployment: Deployment, schedule: str, yes: bool) -> None:
    """Makes or changes what the settings say; `schedule` is the DAG's, `yes` answers every question."""
    begun = time.monotonic()
    deployment.folder.mkdir(parents=True, exist_ok=True)
    deployment.folder.chmod(0o700)
    with exclusive(deployment, "make bootstrap", "CLOUD"):
        account = log_in(deployment)
        remote = remote_state(deployment, account, yes)
        outputs = build(deployment, account, remote, yes)
        set_up_machines(deployment, outputs)
        release = upload_code(account, outputs, schedule)
        with step("Airflow's connections and variable"):
            put_airflow_secrets(account, outputs, release, certificate(deployment).read_text())
        card.show(deployment, outputs, time.monotonic() - begun)
