"""`make rotate`: new passwords for MLflow, taken up by its machines and then handed to Airflow and to the jobs.

In this order: until the machines have taken them up, Airflow and the jobs hold those that still open.
"""

import json
from dataclasses import asdict

from stack.cloud import airflow_secrets, inventory, leftovers, neighbours, pause
from stack.cloud.account import Account
from stack.cloud.deployment import Deployment
from stack.cloud.machines import certificate, rotate_machines
from stack.cloud.outputs import Outputs
from stack.cloud.readiness import log_in
from stack.cloud.settings import read_settings
from stack.cloud.way_in import read_way_in
from stack.common import lockbox
from stack.common.console import confirm, say, step
from stack.common.errors import StackError
from stack.common.files import exclusive

PENDING = "rotation"  # what Lockbox has made and the machines may not have taken up yet


def rotate(deployment: Deployment, yes: bool) -> None:
    """Raises StackError if nothing was made from here, or a run is under way whose jobs hold the old passwords."""
    outputs = Outputs.kept(deployment)
    with exclusive(deployment, "make rotate", "CLOUD"):
        account = log_in(deployment, reach=True)
        neighbours.require_same(deployment)
        pause.require_running(account, read_settings(deployment))
        refuse_during_a_run(deployment, account)
        secrets = passwords(outputs)
        confirm(f"New {', '.join(secrets)}, and new certificates? Whoever is logged in to MLflow logs in again.", yes)
        with step("new passwords in Lockbox"):
            make_passwords(deployment, account, secrets)
        with step("machines"):
            inventory.write(deployment, outputs, read_way_in(deployment))
            rotate_machines(deployment)
        with step("Airflow's connections and the jobs' log-in"):
            hand_over(deployment, account, outputs)
        deployment.save(PENDING, [])
    if outputs.database.kind == "managed":
        say("the managed database keeps its password: terraform/README.md says how it gets another")


def passwords(outputs: Outputs) -> dict[str, str]:
    """What a person calls it -> id of its secret. A managed database gets its password by Terraform."""
    found = {f"password of {name}": secret for name, secret in asdict(outputs.mlflow.secret_ids).items()}
    found["key of sessions"] = found.pop("password of session")
    if outputs.database.kind == "vm":
        found["password of the database"] = outputs.database.password_secret_id
    return found


def refuse_during_a_run(deployment: Deployment, account: Account) -> None:
    settings = read_settings(deployment)
    live = leftovers.ours(account.sdk(), settings, "Data Proc cluster")
    if live and not deployment.force:
        raise StackError(
            f"A run is under way ({', '.join(map(str, live))}), and its jobs hold the password they began with: they "
            "would be refused. Wait until it has ended; FORCE=1 goes on all the same, and the run fails."
        )


def make_passwords(deployment: Deployment, account: Account, secrets: dict[str, str]) -> None:
    """A new version of each; what an interrupted call has made already is not made again."""
    made = deployment.load(PENDING, [])
    for name, secret in secrets.items():
        if secret not in made:
            lockbox.new_password(account.sdk(), secret)
            made = [*made, secret]
            deployment.save(PENDING, made)
            say(f"  {name}")


def hand_over(deployment: Deployment, account: Account, outputs: Outputs) -> None:
    """Tells Airflow and the jobs what the machine has now; the jobs' release stays."""
    cloud = account.sdk()
    known = airflow_secrets.ours(cloud, outputs)
    release = json.loads(lockbox.payload(cloud, known[airflow_secrets.VARIABLE].id)["value"])["release"]
    airflow_secrets.put_airflow_secrets(account, outputs, release, certificate(deployment).read_text())
