"""Terraform's user-data, by Debian's cloud-init, from the metadata service at the cloud's address; then Ansible."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_cloud.machines import host
from local_cloud.machines.lab import Lab
from local_cloud.machines.machine import Machine
from tests.support import ROOT

LAB = f"{os.environ.get('MACHINES_LAB', 'test')}-init"
TERRAFORM = ROOT / "terraform"
USER = "ops"

pytestmark = pytest.mark.timeout(1200)


def rendered(text: str, user: str, key: str, folder: Path) -> str:
    """What Terraform itself makes of the template."""
    (folder / "template").write_text(text)
    expression = f'base64encode(templatefile("template", {json.dumps({"user": user, "key": key})}))\n'
    done = subprocess.run(
        ["terraform", "console"], cwd=folder, input=expression, capture_output=True, text=True, check=True
    )
    encoded = done.stdout.strip().strip('"')
    return subprocess.run(["base64", "-d"], input=encoded, capture_output=True, text=True, check=True).stdout


def options(source: str) -> dict[str, str]:
    """The metadata options of machines.tf, as the API has them."""
    block = re.search(r"metadata_options \{\n(.*?)\n  \}", source, re.S)
    assert block
    values = re.findall(r"(\w+) += (\d)", block[1])
    assert len(values) == 6
    return {name: {"1": "ENABLED", "2": "DISABLED"}[value] for name, value in values}


def instance(user_data: str, **shut: str) -> dict[str, Any]:
    """A machine as the API tells of it."""
    metadata = {"user-data": user_data, "serial-port-enable": "0", "enable-oslogin": "false"}
    return {
        "id": "fhm0000000000000mlfl",
        "name": "fraud-mlflow",
        "fqdn": "mlflow.ru-central1.internal",
        "zone_id": "ru-central1-d",
        "metadata": metadata,
        "metadata_options": options((TERRAFORM / "machines.tf").read_text()) | shut,
        "network_interfaces": [{"primary_v4_address": {"address": "10.130.2.10"}}],
    }


def machines(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local_cloud.machines", f"--lab={LAB}", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    problems = host.missing() + ([] if shutil.which("terraform") else ["terraform is not on PATH"])
    if problems:
        pytest.skip("machines cannot run here: " + "; ".join(problems))
    machines("down", "--all")
    lab = Lab(LAB)
    lab.ensure()
    yield lab
    assert machines("down", "--all").returncode == 0


def test_a_machine_is_what_terraform_says_and_ansible_logs_in(lab: Lab, tmp_path: Path) -> None:
    key = lab.key.with_suffix(".pub").read_text().strip()
    user_data = rendered((TERRAFORM / "cloud-init.yaml.tftpl").read_text(), USER, key, tmp_path)
    told = tmp_path / "instance.json"
    told.write_text(json.dumps(instance(user_data)))
    up = machines("up", "mlflow", "--user", USER, "--instance", told)
    assert up.returncode == 0, up.stdout + up.stderr
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(machines("inventory").stdout)
    asked = ["-m", "ansible.builtin.command", "-a", "id -un", "--become"]
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible", "mlflow", f"--inventory={inventory}", *asked],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "root"
    result = json.loads(Machine(lab, "mlflow").result.read_text())["v1"]
    assert "Ec2" in result["datasource"]
    assert result["errors"] == []
    name = subprocess.run(
        ["ssh", "-F", lab.folder / "ssh_config", "mlflow", "hostname"], capture_output=True, text=True
    )
    assert name.stdout.strip() == "mlflow"


@pytest.mark.verify
def test_what_kept_people_out_still_would(lab: Lab, tmp_path: Path) -> None:
    """As the module had it once: a user who is called like a group of Debian's, a service that is switched off."""
    key = lab.key.with_suffix(".pub").read_text().strip()
    now = (TERRAFORM / "cloud-init.yaml.tftpl").read_text()
    without = re.sub(r"^    (no_user_group|primary_group): .*\n", "", now, flags=re.M)
    assert without != now
    told = tmp_path / "instance.json"
    told.write_text(json.dumps(instance(rendered(now, USER, key, tmp_path), aws_v1_http_endpoint="DISABLED")))
    up = machines("up", "shut", "--user", USER, "--instance", told)
    assert (up.returncode, f"{USER} cannot log in to shut: cloud-init has read" in up.stderr) == (1, True), up.stderr
    machine = Machine(lab, "shut")
    assert f"{USER}:" not in (machine.root / "etc/passwd").read_text()
    # The same machine once more, as if it were new, with what it was told then.
    assert machines("stop", "shut", "--now").returncode == 0
    shutil.rmtree(machine.root / "var/lib/cloud")
    told = machine.folder / "instance.json"
    told.write_text(json.dumps(instance(rendered(without, "operator", key, tmp_path))))
    up = machines("up", "shut")
    assert up.returncode == 1, up.stdout
    assert "useradd" in (machine.root / "var/log/cloud-init.log").read_text()
    assert "operator:" not in (machine.root / "etc/passwd").read_text()
