"""Instances of the cloud's API as machines of this host: what Terraform's module makes boots, and does as told."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from yandex.cloud.compute.v1 import instance_pb2
from yandex.cloud.compute.v1 import instance_service_pb2 as api
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from local_cloud.machines import host
from local_cloud.machines.lab import Lab
from local_cloud.machines.machine import Machine, machines
from tests.bootstrap.cloud_fixture import CloudFixture
from tests.bootstrap.conftest import new_cloud, store  # noqa: F401 (fixtures)
from tests.bootstrap.test_whole_module import PREFIX, Module
from tests.support import ROOT
from tests.support.cloud import finished, result
from tests.support.waiting import wait_until

LAB = f"{os.environ.get('MACHINES_LAB', 'test')}-instances"
# One of the two machines has a disk beside its own; both are in the lab's own network.
SETTINGS = """
network  = { subnets = { ru-central1-d = "10.231.7.0/24" } }
database = { kind = "vm", disk_gib = 20 }
airflow  = { enabled = false }
protect  = false
"""
TARGETS = ("yandex_compute_instance.main", "yandex_dns_recordset.machine")
pytestmark = pytest.mark.timeout(900)


def machines_command(*arguments: str) -> None:
    command = [sys.executable, "-m", "local_cloud.machines", f"--lab={LAB}", *arguments]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    if problems := host.missing():
        pytest.skip("machines cannot run here: " + "; ".join(problems))
    machines_command("down", "--all")
    made = Lab(LAB)
    made.ensure()
    yield made
    machines_command("down", "--all", "--forget")


@pytest.fixture(scope="module")
def cloud(lab: Lab, new_cloud: Callable[[], CloudFixture]) -> CloudFixture:  # noqa: F811
    made = new_cloud()
    made.endpoint.stop()
    made.endpoint.config["lab"] = LAB
    made.endpoint.config["grpc_port"] = int(made.endpoint.address["grpc"].rpartition(":")[2])
    made.endpoint.start()
    return made


ASK_FOR_TOKEN = """
import json, urllib.request
url = "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token"
answer = urllib.request.urlopen(urllib.request.Request(url, headers={"Metadata-Flavor": "Google"}))
print(json.load(answer)["token_type"])
"""


@dataclass(frozen=True)
class Guest:
    """A machine, as the user whom cloud-init was told to make."""

    lab: Lab
    machine: Machine

    def ssh(self, command: str) -> "subprocess.CompletedProcess[str]":
        # Its host keys are those that cloud-init has made, which nobody knows beforehand.
        options = ["-F", str(self.lab.folder / "ssh_config"), "-o", "UserKnownHostsFile=/dev/null"]
        options += ["-o", "StrictHostKeyChecking=no", "-l", "ops"]
        return subprocess.run(
            ["ssh", *options, self.machine.name, command], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    def answers(self) -> bool:
        return self.machine.result.exists() and self.ssh("true").returncode == 0

    def ask(self, command: str) -> str:
        done = self.ssh(command)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def disk_gib(self) -> int:
        return int(self.ask("sudo blockdev --getsize64 /dev/disk/by-id/virtio-data")) >> 30


def test_what_terraform_makes_boots_and_does_as_it_is_told(cloud: CloudFixture, lab: Lab, tmp_path: Path) -> None:
    module = Module(cloud, tmp_path, None)
    module.settings(SETTINGS)
    settings = module.folder / "terraform.tfvars"
    key = lab.key.with_suffix(".pub")
    settings.write_text(settings.read_text().replace(str(cloud.folder / "operator.pub"), str(key)))
    apply = ("apply", "-auto-approve", "-no-color", *(f"-target={each}" for each in TARGETS))
    module.terraform(*apply)
    made = {each.record.address: each for each in machines(lab)}
    assert set(made) == {"10.231.7.10", "10.231.7.11"}
    machine = made["10.231.7.11"]
    guest = Guest(lab, machine)
    wait_until(guest.answers, "nobody can log in to the machine", 120)
    assert guest.ask("hostname; sudo id -un").split() == ["database", "root"]
    assert guest.ask(f"getent hosts mlflow.{PREFIX}.internal").split()[0] == "10.231.7.10"
    assert guest.ask(f"python3 -c {shlex.quote(ASK_FOR_TOKEN)}") == "Bearer"
    assert guest.disk_gib() == 20
    settings.write_text(settings.read_text().replace("disk_gib = 20", "disk_gib = 25"))
    module.terraform(*apply)
    assert guest.disk_gib() == 25, "a disk grows while the machine runs"

    sdk = cloud.endpoint.sdk()
    instances = sdk.client(InstanceServiceStub)

    def do(verb: str) -> None:
        request = getattr(api, f"{verb}InstanceRequest")(instance_id=machine.name)
        operation = finished(sdk, getattr(instances, verb)(request))
        assert not operation.HasField("error"), operation.error

    nat = api.AddInstanceOneToOneNatRequest(instance_id=machine.name, network_interface_index="0")
    nat.one_to_one_nat_spec.ip_version = instance_pb2.IPV4
    given = result(sdk, instances.AddOneToOneNat(nat), instance_pb2.Instance)
    public = given.network_interfaces[0].primary_v4_address.one_to_one_nat.address
    assert lab.answers(public, 22), "who is in the lab gets by the public address to the machine"

    guest.ask("echo kept | sudo tee /srv/mark")
    do("Stop")
    assert not machine.running
    do("Start")
    wait_until(guest.answers, "nobody can log in to a machine that was started again", 120)
    assert guest.ask("cat /srv/mark") == "kept"
    cloud.endpoint.stop()
    cloud.endpoint.start()
    assert guest.ask(f"python3 -c {shlex.quote(ASK_FOR_TOKEN)}") == "Bearer", "of the endpoint that runs now"
    module.terraform("destroy", "-auto-approve", "-no-color")
    assert machines(lab) == []
    assert list((lab.folder / "disks").iterdir()) == []
