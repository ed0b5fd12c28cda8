"""What must hold before anything is made in the cloud: tools, settings, credentials."""

import json
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import grpc
from yandex.cloud.resourcemanager.v1.folder_service_pb2 import GetFolderRequest
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from stack.cloud.account import Account, api_endpoint
from stack.cloud.site import Site
from stack.cloud.terraform import settings
from stack.common import envs
from stack.common.errors import StackError
from stack.local.preflight import python_for

TERRAFORM = (1, 11)  # write-only arguments, lock files in S3; terraform/versions.tf says the same
PREFIX = "fraud"  # where the settings say nothing; terraform/variables.tf says the same


def require_terraform() -> str:
    path = shutil.which("terraform")
    wanted = ".".join(map(str, TERRAFORM))
    advice = f"Install {wanted} or newer and put it on PATH: https://developer.hashicorp.com/terraform/install"
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


def require_settings(site: Site) -> dict[str, Any]:
    """`folder_id` and `prefix` of the settings file."""
    found = settings(site, "folder_id", "prefix")
    if not found["folder_id"]:
        raise StackError(f"{site.settings} has no folder_id; `yc resource-manager folder list` shows yours.")
    return {"folder_id": found["folder_id"], "prefix": found["prefix"] or PREFIX}


def require_access(account: Account, folder_id: str) -> str:
    """Asks the cloud for the folder: the token is valid and sees it."""
    try:
        request = GetFolderRequest(folder_id=folder_id)
        folder = account.sdk().client(FolderServiceStub).Get(request, timeout=30)
    except grpc.RpcError as problem:
        raise StackError(
            f"{api_endpoint()} refuses to show the folder {folder_id} to {account.source}: {problem.code().name}, "
            f"{problem.details()}. Check folder_id in terraform.tfvars (`yc resource-manager folder list`), and that "
            f"the account has the role admin on it: `yc resource-manager folder list-access-bindings {folder_id}`."
        ) from None
    return f"{account.source} sees the folder {folder.name} ({folder_id})"


def checks(site: Site) -> dict[str, Callable[[], str]]:
    """Name of each check -> a function that returns what was found, or raises StackError."""
    return {
        "Terraform": require_terraform,
        "ssh": lambda: require_program("ssh", "openssh-client"),
        "Python for Ansible": lambda: python_for("ansible"),
        "settings": lambda: ", ".join(f"{name} {value}" for name, value in require_settings(site).items()),
        "playbook": lambda: require_playbook(site),
        "credentials": lambda: require_access(Account.find(), require_settings(site)["folder_id"]),
    }


def require_playbook(site: Site) -> str:
    if not (site.project / "site.yml").exists():
        raise StackError(f"{site.project} has no site.yml: run this in a whole clone (`git status`).")
    return str(site.project / "site.yml")


def require_environment() -> None:
    envs.ensure("ansible")
