"""`make backup`, `make restore`, `make upgrade`: the playbooks of the machines, with this deployment's inventory."""

import re

from stack.cloud import inventory, neighbours
from stack.cloud.deployment import Deployment
from stack.cloud.machines import run_playbook
from stack.cloud.outputs import Outputs
from stack.cloud.way_in import read_way_in
from stack.common.console import confirm, step
from stack.common.errors import StackError
from stack.common.files import exclusive

BACKUP = re.compile(r"latest|\d{8}T\d{6}Z")
MOMENT = re.compile(r"last|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d")


def maintain(deployment: Deployment, name: str, check: bool, *variables: str) -> None:
    """Runs `ansible/playbooks/<name>.yml`; with `check` it says what it would change, and changes nothing.

    Args:
        variables: Ansible's, as `name="value"`.

    Raises:
        StackError: nothing was made from here, or the playbook failed.
    """
    outputs = Outputs.kept(deployment)
    with exclusive(deployment, f"make {name}", "CLOUD"), step(name):
        neighbours.require_same(deployment)
        inventory.write(deployment, outputs, read_way_in(deployment))
        options = [f"--extra-vars={each}" for each in variables] + ["--check"] * check
        run_playbook(deployment, name, *options)


def restore(deployment: Deployment, backup: str, moment: str, check: bool, yes: bool) -> None:
    """Puts MLflow's databases back as they were at a backup, or at a moment that the archive has.

    Raises:
        StackError: not exactly one of both is said; or as `maintain`.
    """
    if bool(backup) == bool(moment):
        raise StackError(
            f"BACKUP is {backup or 'not said'} and TIME is {moment or 'not said'}: say one, BACKUP=latest (or a name "
            "that `make backup CHECK=1` lists) or TIME='2026-11-23 14:05:00+00' (an own PostgreSQL's archive)."
        )
    if not check:
        confirm(f"What MLflow has recorded since {backup or moment} is replaced. Go on?", yes)
    chosen = f'restore_backup="{backup}"' if backup else f'restore_time="{moment}"'
    maintain(deployment, "restore", check, chosen)
