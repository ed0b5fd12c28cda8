"""What must hold before anything is made in the cloud: tools, settings, credentials."""

import json
import shutil
import subprocess
from dataclasses import asdict

import grpc
from yandex.cloud.resourcemanager.v1.folder_service_pb2 import GetFolderRequest
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from dags.retraining.settings import require_cron
from stack.cloud import registry
from stack.cloud.account import AT_LOG_IN, Account, api_endpoint
from stack.cloud.deployment import Deployment
from stack.cloud.programs import await_former
from stack.cloud.settings import read_expressions, read_settings, read_variables, require_known
from stack.cloud.way_in import require_way_in
from stack.common.checks import Checks, find_python, run_checks
from stack.common.console import step
from stack.common.errors import StackError

TERRAFORM = (1, 11)  # write-only arguments, lock files in S3; terraform/versions.tf says the same


def require_terraform() -> str:
    path = shutil.which("terraform")
    wanted = ".".join(map(str, TERRAFORM))
    advice = (
        f"Install {wanted} or newer and put it on PATH: https://developer.hashicorp.com/terraform/install, or the "
        "vendor's mirror where that does not answer: https://hashicorp-releases.yandexcloud.net/terraform/"
    )
    if not path:
        raise StackError(f"`terraform` is not on PATH. {advice}")
    done = subprocess.run([path, "version", "-json"], capture_output=True, text=True)
    version = json.loads(done.stdout)["terraform_version"] if done.returncode == 0 else done.stderr.strip()
    if done.returncode or tuple(int(part) for part in version.split("-")[0].split(".")[:2]) < TERRAFORM:
        raise StackError(f"{path} is version {version}, {wanted} or newer is needed. {advice}")
    return f"{version}, {path}"


def require_program(name: str, package: str) -> str:
    if path := shutil.which(name):
        return path
    raise StackError(f"`{name}` is not on PATH. Install it (Debian: `apt-get install {package}`).")


def require_access(account: Account, folder_id: str) -> str:
    """Asks the cloud for the folder: the token is valid and sees it."""
    try:
        request = GetFolderRequest(folder_id=folder_id)
        folder = account.sdk(AT_LOG_IN).client(FolderServiceStub).Get(request, timeout=30)
    except grpc.RpcError as problem:
        raise StackError(
            f"{api_endpoint()} refuses to show the folder {folder_id} to {account.source}: {problem.code().name}, "
            f"{problem.details()}. Check folder_id in terraform.tfvars (`yc resource-manager folder list`), and that "
            f"the account has the role admin on it: `yc resource-manager folder list-access-bindings {folder_id}`."
        ) from None
    return f"{account.source} sees the folder {folder.name} ({folder_id})"


def require_settings(deployment: Deployment) -> str:
    """Raises StackError if the settings file says what nobody reads, or a cron expression that is none."""
    found = require_known(deployment)
    snapshots = read_expressions(deployment, schedule="var.snapshots.schedule")["schedule"]
    try:
        require_cron(snapshots, "snapshots.schedule")
    except ValueError as problem:
        raise StackError(f"{deployment.settings}: {problem}") from None
    return found


def require_playbook(deployment: Deployment) -> str:
    if not (deployment.project / "site.yml").exists():
        raise StackError(f"{deployment.project} has no site.yml: run this in a whole clone (`git status`).")
    return str(deployment.project / "site.yml")


def tell_image(deployment: Deployment) -> str:
    """The image of clusters, and what must be asked for before a folder has it. The API does not tell who may."""
    chosen = (read_variables(deployment, "dataproc")["dataproc"] or {}).get("image") or "2.1"
    if chosen.startswith("2.2"):
        return (
            f"{chosen}, beta and on request: ask the vendor's support for it, or the first retrain has no image. "
            "Jobs are tested with Spark 3.5.6, which it has from 2.2.9 on"
        )
    return f"{chosen}, Spark 3.3.2"


def checks(deployment: Deployment) -> Checks:
    return {
        "Terraform": require_terraform,
        "ssh": lambda: require_program("ssh", "openssh-client"),
        "Python for Ansible": lambda: find_python("ansible"),
        "Terraform's provider": lambda: registry.require_provider(deployment, "state", "main"),
        "settings": lambda: ", ".join(f"{name} {value}" for name, value in asdict(read_settings(deployment)).items()),
        "what the settings say": lambda: require_settings(deployment),
        "Data Proc image": lambda: tell_image(deployment),
        "playbook": lambda: require_playbook(deployment),
        "credentials": lambda: require_access(Account.find(), read_settings(deployment).folder_id),
    }


def log_in(deployment: Deployment, reach: bool = False) -> Account:
    """The operator's account, after all checks; with `reach` also whether this computer will get to the machines.

    Raises:
        StackError: one of them does not hold; what is wrong was printed.
    """
    way: Checks = {"the way to the machines": lambda: require_way_in(deployment)} if reach else {}
    with step("checking tools, settings and credentials"):
        if not run_checks(checks(deployment) | way):
            raise StackError("Mend what is marked FAIL, then run this again; nothing was changed.")
    await_former(deployment, "Terraform")
    return Account.find()
