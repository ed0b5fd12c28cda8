"""What a deployment on this host keeps besides: the lab, the programs of its cloud, a project folder of its own."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from local_cloud.machines.lab import GATEWAY, NETWORK, PROXY_PORT, Lab
from stack.common.envs import ROOT
from stack.common.files import write_private
from stack.common.storage import REGION
from stack.local.deploy import COMPUTE_PRESETS
from stack.local.programs.program import base_environment
from stack.local.state import DEPLOYER_KEY, FOLDER_ID, SERVICE_ACCOUNTS, State

ZONE = f"{REGION}-d"  # the module's default, and the one subnet's
API, AIRFLOW = f"{NETWORK}.252", f"{NETWORK}.253"
STORAGE = "storage.yandexcloud.net"
LOCKBOX = "payload.lockbox.api.cloud.yandex.net"  # where machines read secrets
USER = "ops"
LINKS = ("ansible", "ansible.cfg", "requirements", "roles", "site.yml")
INSIDE = "FRAUD_INSIDE_LAB"  # set for what runs in the lab


@dataclass(frozen=True)
class Site:
    """`folder` is the deployment's. The lab is called by it, so that two deployments live side by side."""

    folder: Path

    @property
    def exists(self) -> bool:
        return (self.folder / "site").is_dir()

    @cached_property
    def lab(self) -> Lab:
        digest = hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:8]
        return Lab(f"local-{digest}")

    @property
    def project(self) -> Path:
        """Terraform's module with its own settings, and the same playbooks."""
        return self.folder / "project"

    @property
    def state(self) -> State:
        """Of the programs that are the cloud: their ports are the lab's, not this host's."""
        return State(self.folder / "site")

    def make(self, engine: str | None = None) -> None:
        """Makes what is missing, and takes the repository's present Terraform; settings of a person stay."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state.create(None)
        if engine:
            self.state.save("engine", engine)
        terraform = self.project / "terraform"
        leave = shutil.ignore_patterns(".terraform*", "*.tfvars", "tests")
        shutil.copytree(ROOT / "terraform", terraform, ignore=leave, dirs_exist_ok=True)
        (self.project / "inventory").mkdir(exist_ok=True)
        for name in LINKS:
            if not (self.project / name).exists():
                (self.project / name).symlink_to(ROOT / name)
        if not (terraform / "terraform.tfvars").exists():
            (terraform / "terraform.tfvars").write_text(self.settings())
        key = {
            "id": DEPLOYER_KEY,
            "service_account_id": SERVICE_ACCOUNTS["deployer"],
            "private_key": self.state.secrets["deployer_private_key"],
        }
        write_private(self.key, json.dumps(key))
        provider = {
            "grpc": self.state.cloud_endpoint,
            "ca": str(self.state.ca),
            "key": key,
            "storage": f"http://{STORAGE}",
            "folder": FOLDER_ID,
        }
        write_private(self.state.folder / "provider.json", json.dumps(provider))

    @property
    def key(self) -> Path:
        return self.state.folder / "deployer.json"

    def settings(self) -> str:
        """The first settings: the lab's network and key. All else is the module's default."""
        return (
            f'folder_id      = "{FOLDER_ID}"\n'
            f'operator_cidrs = ["{NETWORK}.0/24"]\n'
            f'ssh            = {{ public_key_file = "{self.lab.key}.pub", user = "{USER}", '
            f'neighbour = "{GATEWAY}:{PROXY_PORT}" }}\n'
            f'dataproc       = {{ image = "2.2", compute_preset = "{COMPUTE_PRESETS[self.state.engine]}" }}\n'
            f'network        = {{ subnets = {{ {ZONE} = "{NETWORK}.0/24" }} }}\n'
        )

    def environment(self) -> dict[str, str]:
        """Of a command of ours in the lab: the cloud's addresses, and whose account it is."""
        ca = str(self.state.ca)
        terminal = {name: os.environ[name] for name in ("TERM", "COLUMNS") if name in os.environ}
        return (
            base_environment()
            | terminal
            | {
                INSIDE: self.lab.name,
                "YC_ENDPOINT": self.state.cloud_endpoint,
                "YC_STORAGE_ENDPOINT_URL": f"http://{STORAGE}",
                "YC_SERVICE_ACCOUNT_KEY_FILE": str(self.key),
                "YC_METADATA_ADDR": "127.0.0.1:1",
                "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": ca,
                "REQUESTS_CA_BUNDLE": ca,
                "TF_REATTACH_PROVIDERS": self.provider_entry(),
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.lab.connections),
                "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", str(ROOT / ".envs" / "bytecode")),
            }
        )

    def provider_entry(self) -> str:
        """What the provider has said of where it listens; empty as long as it has not."""
        log = self.lab.log("provider")
        lines = log.read_text().splitlines() if log.exists() else []
        return next((line for line in reversed(lines) if line.startswith("{")), "")
