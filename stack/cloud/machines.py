"""Ansible on the machines that Terraform has made."""

import subprocess
from pathlib import Path

from stack.cloud import inventory, programs
from stack.cloud.account import environment_without_secrets
from stack.cloud.deployment import Deployment, contents
from stack.cloud.outputs import Outputs
from stack.cloud.way_in import WayIn
from stack.common import envs
from stack.common.console import say, say_indented
from stack.common.errors import StackError

SSH_TIMEOUT = 600  # seconds until a new machine answers ssh


def set_up_machines(deployment: Deployment, outputs: Outputs, way: WayIn) -> None:
    """Sets up the machines by the playbook, if it or the inventory, with the machines' ids, has changed."""
    inventory.write(deployment, outputs, way)
    is_behind = forget_former_machines(deployment, outputs)
    sources = ("roles", "site.yml", "ansible.cfg", "inventory")
    inputs = contents(*(deployment.project / name for name in sources), envs.LOCKS / "mlflow.txt")
    deployment.run_step("machines", inputs, lambda: play(deployment, is_behind))
    deployment.save("instances", instances(outputs))


def instances(outputs: Outputs) -> list[str | None]:
    return [outputs.mlflow.instance_id, outputs.database.instance_id]


def forget_former_machines(deployment: Deployment, outputs: Outputs) -> bool:
    """Another machine, made by whomever, says anew who it is. Returns whether the database's is new, and it alone."""
    now = instances(outputs)
    former = deployment.load("instances", now)
    if former != now:
        (deployment.folder / "known_hosts").unlink(missing_ok=True)
    return bool(now[1]) and former[0] == now[0] and former[1] != now[1]


def play(deployment: Deployment, is_behind: bool) -> None:
    """Sets up all machines.

    Args:
        is_behind: a new machine of the database is reached through MLflow's, whose ssh server may have been told to
            lead nowhere.
    """
    envs.ensure("ansible", say_indented)
    site = str(deployment.project / "site.yml")
    if is_behind:
        await_ssh(deployment, "mlflow")
        run_ansible(deployment, "ansible-playbook", site, "--limit=mlflow", "--tags=ssh")
    await_ssh(deployment, "all")
    run_ansible(deployment, "ansible-playbook", site)
    fetch_certificate(deployment)


def await_ssh(deployment: Deployment, whose: str) -> None:
    say(f"  waiting up to {SSH_TIMEOUT} s for the machines to answer")
    wait = ("-m", "ansible.builtin.wait_for_connection", "-a", f"timeout={SSH_TIMEOUT}")
    run_ansible(deployment, "ansible", whose, *wait)


def await_machines(deployment: Deployment) -> None:
    """Waits until the machines have booted and MLflow answers; changes nothing."""
    run_playbook(deployment, "await")


def rotate_machines(deployment: Deployment) -> None:
    """Lets the machines take up every new secret, and issue every certificate anew."""
    run_playbook(deployment, "rotate")
    fetch_certificate(deployment)


def fetch_certificate(deployment: Deployment) -> None:
    """MLflow's own authority, as its machine has it now."""
    copy = f"src={{{{ mlflow_ca_file }}}} dest={certificate(deployment)} flat=true"
    run_ansible(deployment, "ansible", "mlflow", "--become", "-m", "ansible.builtin.fetch", "-a", copy)


def certificate(deployment: Deployment) -> Path:
    """MLflow's own authority, for whoever is to trust it."""
    return deployment.folder / "mlflow-ca.pem"


def run_playbook(deployment: Deployment, name: str, *options: str) -> None:
    """Runs `ansible/playbooks/<name>.yml`."""
    envs.ensure("ansible", say_indented)
    playbook = deployment.project / "ansible" / "playbooks" / f"{name}.yml"
    run_ansible(deployment, "ansible-playbook", str(playbook), *options)


def run_ansible(deployment: Deployment, program: str, *arguments: str) -> None:
    command = [str(envs.ENVS / "ansible" / "bin" / program), "-i", str(deployment.inventory), *arguments]
    path = f"{envs.ENVS / 'ansible' / 'bin'}:{environment_without_secrets()['PATH']}"
    programs.await_former(deployment, "Ansible")
    environment = environment_without_secrets() | {"PATH": path}
    with subprocess.Popen(command, cwd=deployment.project, env=environment) as process:
        programs.remember(deployment, "Ansible", process.pid)
        status = process.wait()
    if status:
        raise StackError(
            f"`{program}` ended with status {status}; what failed is above. Mend it and run this again; it "
            f"goes on from here. To look at the machine: `ssh -F {deployment.ssh_config} mlflow`."
        )
