"""Which Airflow the service has made, beside which one the settings ask for.

The service's API lists no versions on offer; what it tells is the version of a cluster that is there, and the change
that is planned for it. Which versions the vendor closes and when is on the page docs/cloud.md.
"""

from typing import Any

from stack.cloud import leftovers
from stack.cloud.account import Account
from stack.cloud.deployment import Deployment
from stack.cloud.settings import read_expressions, read_settings
from stack.common.console import say, step
from stack.common.errors import StackError


def require_airflow(deployment: Deployment, account: Account) -> None:
    """Says what the service has if it differs from the settings.

    Raises:
        StackError: the settings ask for what no cluster can become.
    """
    settings = read_settings(deployment)
    wanted = read_expressions(deployment, enabled="var.airflow.enabled", version="var.airflow.version")
    if not wanted["enabled"]:
        return
    with step("asking Managed Airflow for its version"):
        name = f"{settings.prefix}-airflow"
        there = [
            each for each in leftovers.listed(account.sdk(), settings.folder_id, "Airflow cluster") if each.name == name
        ]
        say("  " + (compare(there[0], wanted["version"]) if there else f"none yet; {wanted['version']} will be made"))


def compare(cluster: Any, wanted: str) -> str:
    """What is to be said of a cluster that is there, when the settings ask for that version.

    Raises:
        StackError: another first number: the service makes no 3 of a 2, and no 2 of a 3.
    """
    has = str(cluster.config.airflow_version)
    planned = f"; the service plans: {cluster.planned_operation.info}" if cluster.HasField("planned_operation") else ""
    if not numbers(has):
        return f"the service does not say which version {cluster.name} has; the settings say {wanted}"
    if numbers(has)[0] != numbers(wanted)[0]:
        raise StackError(
            f'airflow.version is "{wanted}", and the cluster {cluster.name} ({cluster.id}) has {has}: the service '
            f'makes no Airflow {numbers(wanted)[0]} of an Airflow {numbers(has)[0]}. Set airflow.version = "{has}" in '
            f"terraform.tfvars, or delete that cluster (`yc managed-airflow cluster delete {cluster.id}`): then "
            "`make bootstrap` makes another."
        )
    if numbers(has) > numbers(wanted):
        return f"{has}, newer than the {wanted} of the settings: the service has moved it, that is no change{planned}"
    if numbers(has) < numbers(wanted):
        return (
            f"{has}, and the settings say {wanted}: a cluster that is there is moved by the service or by hand, one "
            f"version after the other: `yc managed-airflow cluster update {cluster.id} --airflow-version {wanted}`"
            f"{planned}"
        )
    return f"{has}, as in the settings{planned}"


def numbers(version: str) -> list[int]:
    """[3, 1] of "3.1" or "3.1.8"."""
    return [int(part) for part in version.split(".")[:2] if part.isdigit()]
