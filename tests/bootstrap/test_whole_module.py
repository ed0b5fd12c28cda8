"""The whole module, life after life: apply -> empty plan -> change -> empty plan -> destroy, and then nothing is left.

By the stand-in provider, or by the real one where FRAUD_TERRAFORM_PROVIDER names the folder that has its binary.
"""

import os
import platform
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from yandex.cloud.airflow.v1 import cluster_service_pb2 as airflow
from yandex.cloud.airflow.v1.cluster_service_pb2_grpc import ClusterServiceStub as AirflowStub
from yandex.cloud.compute.v1 import instance_service_pb2 as compute
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.mdb.postgresql.v1 import cluster_service_pb2 as postgresql
from yandex.cloud.mdb.postgresql.v1.cluster_service_pb2_grpc import ClusterServiceStub as PostgresqlStub

from stack.common.envs import ROOT
from tests.bootstrap.cloud_fixture import CloudFixture
from tests.support.cloud import FOLDER, finished
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(1800)
PREFIX = "whole"
BINARY, VERSION = "terraform-provider-yandex", "0.222.0"  # the least that the module takes
REAL = "FRAUD_TERRAFORM_PROVIDER"

MANAGED = ""  # the defaults
EVERYTHING_CHANGED = """
mlflow    = { public = true, cores = 4, memory_gib = 8, disk_gib = 40, https_cidrs = ["198.51.100.0/24"] }
database  = { disk_gib = 30, backup_days = 20, connections = 120, password_version = 2 }
airflow = {
  connections = ["alert_telegram"]
  worker      = { max = 3, preset = "c2-m4" }
  config      = { core = { parallelism = "4" } }
}
promotion = { mode = "approval" }
retention = { log_days = 60, log_group_days = 5, artifact_version_days = 10 }
snapshots = { schedule = "0 2 * * *", keep = 3 }
budget    = { run = 50, month = 1500 }
labels    = { team = "risk" }
dashboard = true
"""
# Public again off, charts gone, and two hosts more.
HIGHLY_AVAILABLE = "database = { disk_gib = 30, high_availability = true }\nmlflow = { disk_gib = 40 }\n"
ON_A_MACHINE = """
database  = { kind = "vm", disk_gib = 30 }
airflow   = { enabled = false }
snapshots = { keep = 0 }
protect   = false
"""
# In place of the managed one: of the schedule of snapshots the disks change, and nothing else.
ITS_OWN_DATABASE = 'database = { kind = "vm", disk_gib = 30 }\nmlflow = { disk_gib = 40 }\nprotect = false\n'
LARGER_WITH_AIRFLOW_2 = """
database = { kind = "vm", disk_gib = 40, system_disk_gib = 25, cores = 4, memory_gib = 8 }
airflow  = { version = "2.11", python_version = "3.11" }
mlflow   = { public = true }
protect  = false
"""


class Module:
    """One deployment of the module by hand: Terraform, a local state, the settings in terraform.tfvars."""

    def __init__(self, cloud: CloudFixture, folder: Path, installed: Path | None) -> None:
        self.cloud, self.folder = cloud, folder / "terraform"
        leave = shutil.ignore_patterns(".terraform*", "*.tfvars", "tests")
        shutil.copytree(ROOT / "terraform", self.folder, ignore=leave)
        (folder / "requirements").symlink_to(ROOT / "requirements")
        (self.folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        self.environment = cloud.environment | {
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            "GOGC": "400",  # a command lives for seconds
            "TF_VAR_database_password": "of no use",
            "TF_VAR_airflow_admin_password": "Of-no-use-either-1",
        }
        if installed:
            self.environment |= self.with_installed(installed)
        self.terraform("init", "-no-color")

    def with_installed(self, folder: Path) -> dict[str, str]:
        """What the real provider needs to find this cloud, instead of the stand-in.

        It sends to a proxy what is for any host but localhost itself: so a bucket that is part of a name is found.
        """
        del self.environment["TF_REATTACH_PROVIDERS"]
        settings, mirror = self.folder.parent / "terraform.rc", self.folder.parent / "mirror"
        machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        place = (
            mirror / "registry.terraform.io/yandex-cloud/yandex" / VERSION / f"{platform.system().lower()}_{machine}"
        )
        place.mkdir(parents=True)
        (place / f"{BINARY}_v{VERSION}").symlink_to(folder / BINARY)
        settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
        return {
            "TF_CLI_CONFIG_FILE": str(settings),
            "SSL_CERT_FILE": self.cloud.endpoint.address["ca"],
            "HTTP_PROXY": self.cloud.front.url,
            "YC_TOKEN": self.cloud.endpoint.token_of_deployer(),
            "YC_CLOUD_ID": self.cloud.endpoint.config["cloud_id"],
            "YC_FOLDER_ID": FOLDER,
            "YC_TERRAFORM_INITIALIZATION_SILENCE": "true",
        }

    def terraform(self, *arguments: str) -> None:
        self.has_ended_well(self.start(*arguments))

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """A command whose output goes into a file: nobody reads it meanwhile."""
        environment = {name: value for name, value in self.environment.items() if name != "YC_SERVICE_ACCOUNT_KEY_FILE"}
        with self.log.open("wb") as log:
            return subprocess.Popen(["terraform", *arguments], cwd=self.folder, env=environment, stdout=log, stderr=log)

    def has_ended_well(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.wait(timeout=1200) == 0, self.log.read_text()[-6000:]

    @property
    def log(self) -> Path:
        return self.folder.parent / "log"

    def settings(self, more: str) -> None:
        (self.folder / "terraform.tfvars").write_text(
            f'folder_id = "{FOLDER}"\nprefix = "{PREFIX}"\noperator_cidrs = ["198.51.100.7/32"]\n'
            f'ssh = {{ public_key_file = "{self.cloud.folder / "operator.pub"}" }}\n{more}'
        )

    def apply(self, more: str) -> None:
        """Applies these settings; then there is nothing left to do."""
        self.settings(more)
        self.terraform("apply", "-auto-approve", "-no-color")
        self.nothing_to_do()

    def nothing_to_do(self) -> None:
        self.terraform("plan", "-no-color", "-detailed-exitcode")

    def interrupted(self, kind: str, *arguments: str) -> None:
        """Terraform comes to its end although the endpoint is killed, and starts again, at the first call of a kind."""
        before = self.cloud.methods().count(kind)
        process = self.start(*arguments)

        def calls_it() -> bool:
            return process.poll() is not None or self.cloud.methods().count(kind) > before

        wait_until(calls_it, f"nobody calls {kind}", 600)
        endpoint = self.cloud.endpoint
        endpoint.stop(signal.SIGKILL)
        endpoint.start()
        self.has_ended_well(process)


@pytest.fixture(scope="module", params=["stand-in", "installed"])
def installed(request: pytest.FixtureRequest) -> Path | None:
    """The folder of the real provider; None: the stand-in."""
    if request.param == "stand-in":
        return None
    folder = os.environ.get(REAL)
    if not folder or not (Path(folder) / BINARY).exists():
        pytest.skip(f"{REAL} is {folder}; the folder of an installed {BINARY} is expected")
    return Path(folder)


@pytest.fixture(scope="module")
def cloud(new_cloud: Callable[[], CloudFixture], installed: Path | None) -> CloudFixture:
    """An endpoint that comes back at the same port."""
    made = new_cloud()
    made.endpoint.config["grpc_port"] = int(made.endpoint.address["grpc"].rpartition(":")[2])
    return made


@pytest.fixture
def module(cloud: CloudFixture, installed: Path | None, tmp_path: Path) -> Module:
    return Module(cloud, tmp_path, installed)


@pytest.fixture(autouse=True)
def nothing_is_left(cloud: CloudFixture) -> Iterator[None]:
    """Of a life that ended well: no resource, no right, no link that was not there before; images are the cloud's."""
    # One object store serves every cloud of a session: buckets of the others are found as soon as somebody looks.
    before = everything(cloud) | {("yandex.cloud.storage.v1.Bucket", name) for name in cloud.buckets()}
    yield
    assert everything(cloud) - before == set()


def everything(cloud: CloudFixture) -> set[tuple[str, ...]]:
    questions = (
        "SELECT type, key FROM resources WHERE deleted IS NULL AND type NOT LIKE '%.Image'",
        "SELECT resource, role, subject FROM bindings",
        "SELECT source, target FROM links",
    )
    with closing(sqlite3.connect(f"file:{cloud.endpoint.state / 'state.db'}?mode=ro", uri=True)) as database:
        return {tuple(row) for question in questions for row in database.execute(question)}


@pytest.mark.verify
def test_managed_services_changed_paused_and_back(module: Module) -> None:
    module.apply(MANAGED)
    with paused(module.cloud):
        module.nothing_to_do()
    module.apply(EVERYTHING_CHANGED)
    module.apply(f"{HIGHLY_AVAILABLE}protect = false\n")
    module.apply(ITS_OWN_DATABASE)
    module.terraform("destroy", "-auto-approve", "-no-color")
    assert module.cloud.left_of(PREFIX) == []


@pytest.mark.verify
def test_machines_and_another_airflow_while_the_endpoint_is_killed(module: Module) -> None:
    module.settings(ON_A_MACHINE)
    module.interrupted("yandex.cloud.lockbox.v1.SecretService/Create", "apply", "-auto-approve", "-no-color")
    module.nothing_to_do()
    module.apply(LARGER_WITH_AIRFLOW_2)
    module.interrupted("yandex.cloud.vpc.v1.SubnetService/Delete", "destroy", "-auto-approve", "-no-color")
    assert module.cloud.left_of(PREFIX) == []


@contextmanager
def paused(cloud: CloudFixture) -> Iterator[None]:
    """Everything that can be stopped is stopped meanwhile, as `make pause` does it; to Terraform that is no change."""
    sdk = cloud.endpoint.sdk()
    machines, databases, airflows = map(sdk.client, (InstanceServiceStub, PostgresqlStub, AirflowStub))

    def each(verb: str) -> None:
        started = [
            getattr(machines, verb)(getattr(compute, f"{verb}InstanceRequest")(instance_id=machine.id))
            for machine in machines.List(compute.ListInstancesRequest(folder_id=FOLDER)).instances
        ]
        for stub, api in ((databases, postgresql), (airflows, airflow)):
            for cluster in stub.List(api.ListClustersRequest(folder_id=FOLDER)).clusters:
                started.append(getattr(stub, verb)(getattr(api, f"{verb}ClusterRequest")(cluster_id=cluster.id)))
        assert len(started) == 3
        assert not any(finished(sdk, operation).HasField("error") for operation in started)

    each("Stop")
    yield
    each("Start")
