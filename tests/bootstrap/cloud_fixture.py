"""A cloud for `make bootstrap`: real Terraform and Ansible, the API of local_cloud, an S3 server, our own module.

Only the provider stands in (stack/provider): it has the real one's schema.
"""

import contextlib
import copy
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local_cloud.core.config import ObjectStore
from local_cloud.object_storage.front import Front, Server
from local_cloud.object_storage.settings import Settings
from local_cloud.object_storage.signature import tokens_of
from stack.cloud import leftovers, settings
from stack.cloud.deployment import Deployment
from stack.common import envs, lockbox
from stack.common.envs import ROOT
from stack.common.java import ensure_jars, find_java
from stack.local import deploy, services
from stack.local.ports import PORTS
from stack.local.services import listens
from stack.local.state import State, write_private
from tests.support.cloud import (
    DEPLOYER,
    FOLDER,
    KEY_ID,
    Endpoint,
    fake_image,
)
from tests.support.mlflow_server import free_port
from tests.support.waiting import wait_until

PREFIX = "trial"
AUTHORITY = "-----BEGIN CERTIFICATE-----\nof MLflow\n-----END CERTIFICATE-----\n"
# For two deployments beside what is there: more than a new cloud has.
ROOM = {
    "vpc.networks.count": 5,
    "vpc.securityGroups.count": 20,
    "compute.ssdDisks.size": 1 << 40,
    "compute.instances.count": 50,
    "compute.instanceCores.count": 100,
    "compute.instanceMemory.size": 1 << 40,
}
NO_METADATA = {"YC_METADATA_ADDR": "127.0.0.1:1"}
# Commands are started by the dozen: what they import is compiled once, outside the source tree.
KEEP_BYTECODE = {"PYTHONPYCACHEPREFIX": str(envs.ENVS / "bytecode")}
SITE = """---
- name: Machines
  hosts: mlflow:database
  gather_facts: false
  tasks:
    - name: What a machine is told
      ansible.builtin.copy:
        content: "{{ cloud | to_json }}"
        dest: "{{ mark }}/{{ inventory_hostname }}.json"
        mode: "0600"
"""
# The machine takes up what Lockbox has, and issues another authority.
ROTATE = """---
- name: Machines
  hosts: mlflow
  gather_facts: false
  tasks:
    - name: Another authority
      ansible.builtin.copy:
        content: "{{ lookup('ansible.builtin.file', mark ~ '/next-ca.crt') }}"
        dest: "{{ mark }}/ca.crt"
        mode: "0600"
"""
# The machine answers at once; that it was asked is seen.
AWAIT = """---
- name: Machines
  hosts: mlflow
  gather_facts: false
  tasks:
    - name: Look
      ansible.builtin.file:
        path: "{{ mark }}/awaited"
        state: touch
        mode: "0600"
"""


class CloudFixture:
    """One cloud and one project folder; `run` types a command there, as a person would."""

    prefix = PREFIX

    def __init__(self, folder: Path, state: State) -> None:
        self.folder, self.store, self.project = folder, state, folder / "project"
        self.state = folder / "deployment"
        store = {"endpoint": state.url("object_store"), "access_key": state.secrets["object_store_key"]}
        store["secret_key"] = state.secrets["object_store_secret"]
        images = {"2.2": fake_image(folder / "image")}
        self.endpoint = Endpoint(folder / "cloud", store["endpoint"], images, object_store=store, quotas=ROOM).start()
        # Object Storage as an operator meets it: by his token, and with all that it refuses.
        self.storage = Front(ObjectStore(**store), Settings(folder / "buckets.json"), tokens_of(self.endpoint.state))
        self.front = Server(self.storage).start()
        self.key = folder / "key.json"
        key = {"id": KEY_ID, "service_account_id": DEPLOYER, "private_key": self.endpoint.private_key}
        write_private(self.key, json.dumps(key))
        address = self.endpoint.address
        config = {
            "grpc": address["grpc"],
            "ca": address["ca"],
            "key": key,
            "storage": self.front.url,
            "folder": FOLDER,
        }
        write_private(folder / "provider.json", json.dumps(config))
        self.make_project()
        self.provider = subprocess.Popen(
            [sys.executable, "-m", "stack.provider", str(folder)],
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **KEEP_BYTECODE, **NO_METADATA},
        )
        assert self.provider.stdout is not None
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if name in os.environ},
            "TF_REATTACH_PROVIDERS": self.provider.stdout.readline().decode(),
            "YC_SERVICE_ACCOUNT_KEY_FILE": str(self.key),
            "YC_ENDPOINT": address["grpc"],
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": address["ca"],
            "YC_STORAGE_ENDPOINT_URL": self.front.url,
            **KEEP_BYTECODE,
            **NO_METADATA,
        }

    def neighbour(self, name: str, prefix: str) -> "CloudFixture":
        """Another clone, with its own deployment in the same folder of the cloud."""
        other = copy.copy(self)
        other.prefix, other.folder = prefix, self.folder / name
        other.project, other.state = other.folder / "project", other.folder / "deployment"
        other.folder.mkdir()
        other.make_project()
        return other

    def make_project(self) -> None:
        """The repository's Terraform, and a playbook for a machine that is this one."""
        leave = shutil.ignore_patterns(".terraform*", "*.tfvars", "tests")
        shutil.copytree(ROOT / "terraform", self.project / "terraform", ignore=leave)
        (self.project / "requirements").symlink_to(ROOT / "requirements")
        (self.project / "site.yml").write_text(SITE)
        playbooks = self.project / "ansible" / "playbooks"
        playbooks.mkdir(parents=True)
        (playbooks / "rotate.yml").write_text(ROTATE)
        (playbooks / "await.yml").write_text(AWAIT)
        marks = self.folder / "machines"
        marks.mkdir()
        variables = self.project / "inventory" / "group_vars" / "all.yml"
        variables.parent.mkdir(parents=True)
        variables.write_text(
            'ansible_connection: local\nansible_python_interpreter: "{{ ansible_playbook_python }}"\n'
            f"mark: {marks}\n"
        )
        public = Ed25519PrivateKey.generate().public_key()
        openssh = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
        (marks / "ca.crt").write_text(AUTHORITY)
        (variables.parent / "mlflow.yml").write_text(f"mlflow_ca_file: {marks}/ca.crt\n")
        (self.folder / "operator.pub").write_text(f"{openssh} operator\n")
        self.settings()

    @property
    def deployment(self) -> Deployment:
        return Deployment(self.state)

    def settings(self, more: str = "") -> None:
        """Writes terraform.tfvars. This computer is inside: somebody of the network, the object store, answers it."""
        neighbour = f"127.0.0.1:{self.store.ports['object_store']}"
        (self.project / "terraform" / "terraform.tfvars").write_text(
            f'folder_id = "{FOLDER}"\nprefix = "{self.prefix}"\noperator_cidrs = ["198.51.100.7/32", "10.130.2.0/24"]\n'
            f'ssh = {{ public_key_file = "{self.folder / "operator.pub"}", user = "ops", neighbour = "{neighbour}" }}\n'
            f"{more}"
        )

    def trouble(self, **kinds: Literal["hold"] | str) -> None:
        """Making or removing a type waits as long as it is "hold", or ends with another text as its error."""
        write_private(self.folder / "trouble.json", json.dumps(kinds))

    def by_hand(self, **types: dict[str, Any]) -> None:
        """What others have done to resources since they were made, {name: {attribute: value}} (stack/provider)."""
        write_private(self.folder / "by-hand.json", json.dumps(types))

    def calls(self) -> list[str]:
        """The type of everything that was made, removed, or (`data.…`) looked up."""
        file = self.folder / "calls"
        return file.read_text().split() if file.exists() else []

    def methods(self) -> list[str]:
        """The method of every call of the cloud's API, in order."""
        with closing(sqlite3.connect(f"file:{self.endpoint.state / 'state.db'}?mode=ro", uri=True)) as database:
            return [method for (method,) in database.execute("SELECT method FROM calls ORDER BY rowid")]

    def start(self, command: str, *options: str, **environment: str) -> "subprocess.Popen[str]":
        line = [sys.executable, "-m", "stack", command, "--state", str(self.state), "--project", str(self.project)]
        return subprocess.Popen(
            [*line, *options],
            cwd=ROOT,
            env={**self.environment, **environment},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, command: str, *options: str, answer: str = "", **environment: str) -> tuple[int, str]:
        """(exit status, everything printed)."""
        process = self.start(command, *options, **environment)
        printed, _ = process.communicate(answer, timeout=240)
        assert "\x1b" not in printed, "what is no terminal gets no colours"
        return process.returncode, printed

    def bootstrap(self, **environment: str) -> str:
        status, printed = self.run("bootstrap", "--yes", **environment)
        assert status == 0, printed
        return printed

    def ours(self) -> list[leftovers.Leftover]:
        return self.left_of(self.prefix)

    def left_of(self, prefix: str) -> list[leftovers.Leftover]:
        return leftovers.ours(self.endpoint.sdk(), settings.Settings(FOLDER, prefix))

    def buckets(self) -> dict[str, list[str]]:
        """Bucket -> its keys."""
        s3 = deploy.object_store(self.store)
        names = [each["Name"] for each in s3.list_buckets()["Buckets"]]
        return {name: [o["Key"] for o in s3.list_objects_v2(Bucket=name).get("Contents", ())] for name in names}

    def secret(self, name: str) -> dict[str, str]:
        sdk = self.endpoint.sdk()
        return lockbox.payload(sdk, lockbox.secrets_by_name(sdk, FOLDER)[name].id)

    def passwords(self) -> list[str]:
        """Every value in Lockbox that nobody but its readers may see."""
        sdk = self.endpoint.sdk()
        known = [each for each in lockbox.secrets_by_name(sdk, FOLDER).values() if each.current_version.id]
        return [value for each in known for value in lockbox.payload(sdk, each.id).values()]

    def close(self) -> None:
        for name in self.buckets():
            shutil.rmtree(self.store.folder / "object-store" / name)
        self.provider.terminate()
        self.provider.wait(timeout=15)
        self.front.close()
        self.endpoint.stop()


@contextlib.contextmanager
def object_store(folder: Path) -> Iterator[State]:
    ensure_jars("object-store", find_java())
    state = State(folder)
    # Ports that the kernel gives: sessions that begin at once would find the same row of them free.
    write_private(folder / "ports.json", json.dumps({name: free_port() for name in PORTS}))
    state.create(None)
    program = services.object_store(state)
    process = subprocess.Popen(program.command, env=program.environment, stdout=subprocess.DEVNULL)
    wait_until(lambda: listens(state.ports["object_store"]), "the object store does not start", 120)
    yield state
    process.terminate()
    process.wait(timeout=15)


def needs() -> str | None:
    """What is missing for these tests, or None."""
    if not shutil.which("terraform"):
        return "terraform is not on PATH"
    return None if envs.find_python("ansible") else "no Python for Ansible"


def bucket(purpose: str) -> str:
    return f"{PREFIX}-{purpose}-{FOLDER}"
