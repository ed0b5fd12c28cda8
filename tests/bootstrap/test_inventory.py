"""Ansible's inventory and the ssh configuration, as ssh and the roles read them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.cloud import inventory
from stack.cloud.deployment import Deployment
from stack.cloud.outputs import Outputs
from stack.cloud.way_in import WayIn
from stack.common.envs import ROOT
from tests.bootstrap.test_cost import SIZES
from tests.support.cloud import FOLDER

ADDRESS = "203.0.113.9"
OUTPUTS: dict[str, Any] = {
    "folder_id": FOLDER,
    "zone": "ru-central1-d",
    "buckets": {name: f"x-{name}" for name in ("lake", "dags", "jobs", "artifacts", "logs", "backups")},
    "mlflow": {
        "host": "mlflow.x.internal",
        "internal_address": "10.130.2.10",
        "public_address": ADDRESS,
        "url": "https://mlflow.x.internal",
        "user": "admin",
        "service_account_id": "id-account",
        "instance_id": "id-machine",
        "secret_key": "password",
        "secret_ids": {name: f"id-{name}" for name in ("admin", "trainer", "airflow", "viewer", "session")},
        "storage_secret_id": "id-storage",
    },
    "database": {
        "kind": "vm",
        "host": "database.x.internal",
        "port": 5432,
        "name": "mlflow",
        "auth_name": "mlflow_auth",
        "user": "mlflow",
        "sslmode": "verify-full",
        "password_secret_id": "id-database",
        "password_secret_key": "password",
        "internal_address": "10.130.2.11",
        "storage_secret_id": "id-database-storage",
        "archive_cipher_secret_id": "id-cipher",
        "service_account_id": "id-database-account",
        "version": "17",
        "client": "debian",
        "connections": 100,
        "data_disk_id": "id-disk",
        "data_disk": "/dev/disk/by-id/virtio-data",
    },
    "airflow": {
        "id": "id-airflow",
        "url": "https://airflow",
        "service_account_id": "id-airflow-account",
        "object_storage_secret_id": "id-airflow-storage",
        "admin_secret_id": "id-airflow-admin",
        "version": "3.1",
    },
    "dataproc": {
        **SIZES["cluster"],
        "subnet_id": "id-subnet",
        "security_group_ids": ["id-group"],
        "service_account_id": "id-dataproc",
        "autoscaling_service_account_id": "id-autoscaling",
        "log_group_id": "id-logs",
        "zone": "ru-central1-d",
        "bucket": "x-logs",
    },
    "quality": {"max_quarantine": 0.01, "refunds": False, "late_days": 31},
    "ripening": {"share": 0.95},
    "score": {"budget": 100},
    "budget": {"run": 0, "month": 0},
    "promotion": {"mode": "automatic", "hours": 48},
    "deployer": {"service_account_id": "id-deployer", "storage_secret_id": "id-deployer-storage"},
    "connections": {},
    "handed_over": {"database_password": None, "airflow_admin_password": None},
    "cost_inputs": SIZES,
    "quota_needs": {"compute.instances.count": 4},
    "quota_needs_of_a_run": {"compute.instances.count": 3},
    "ssh": {"user": "ops", "hosts": {"mlflow": ADDRESS, "database": "10.130.2.11"}},
}
OPERATORS, SUBNETS = ["198.51.100.7/32"], ["10.130.2.0/24"]
PUBLIC = WayIn(True, "10.130.2.10", OPERATORS, SUBNETS, None, None, "/home/somebody/id_ed25519")


def ssh_option(config: Path, host: str) -> dict[str, str]:
    """What ssh itself makes of the configuration."""
    done = subprocess.run(["ssh", "-G", "-F", str(config), host], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


@pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed")
def test_ssh_reads_the_configuration(deployment: Deployment) -> None:
    inventory.write(deployment, Outputs.parse(OUTPUTS), PUBLIC)
    mlflow, database = ssh_option(deployment.ssh_config, "mlflow"), ssh_option(deployment.ssh_config, "database")
    assert (mlflow["hostname"], mlflow["user"]) == (ADDRESS, "ops")
    assert "proxyjump" not in mlflow
    assert (database["hostname"], database["proxyjump"]) == ("10.130.2.11", "mlflow")
    assert mlflow["stricthostkeychecking"] == "accept-new"
    assert mlflow["userknownhostsfile"] == str(deployment.folder / "known_hosts")
    assert mlflow["passwordauthentication"] == "no"
    for machine in (mlflow, database):
        assert (machine["identityfile"], machine["identitiesonly"]) == ("/home/somebody/id_ed25519", "yes")


def test_operators_and_our_own_network_are_never_banned(deployment: Deployment) -> None:
    inventory.write(deployment, Outputs.parse(OUTPUTS), PUBLIC)
    given = yaml.safe_load(deployment.inventory.read_text())["all"]["vars"]
    for name in ("baseline_ban_never", "tls_proxy_ban_never"):
        assert {*OPERATORS, *SUBNETS} <= set(given[name]), name


def specification(role: str) -> dict[str, Any]:
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text()
    return dict(yaml.safe_load(text)["argument_specs"]["main"]["options"])


@pytest.mark.parametrize(
    ("group", "roles"),
    [
        ("mlflow", ("baseline", "mlflow", "tls_proxy", "backup")),
        ("database", ("baseline", "data_disk", "postgresql", "backup")),
    ],
)
def test_the_inventory_gives_the_roles_what_they_ask_for(
    deployment: Deployment, group: str, roles: tuple[str, ...]
) -> None:
    inventory.write(deployment, Outputs.parse(OUTPUTS), PUBLIC)
    given = yaml.safe_load(deployment.inventory.read_text())["all"]["children"][group]["vars"]
    known = {name: option for role in roles for name, option in specification(role).items()}
    required = {name for name, option in known.items() if option.get("required")}
    assert required <= set(given)
    assert set(given) - set(known) - {"mlflow_ca_file"} == set()
    for name, value in given.items():
        kind = {"str": str, "path": str, "int": int, "list": list, "dict": dict, "bool": bool}[
            known.get(name, {"type": "str"})["type"]
        ]
        assert isinstance(value, kind), name


def test_a_managed_database_is_no_machine(deployment: Deployment) -> None:
    managed = OUTPUTS | {
        "database": OUTPUTS["database"] | {"kind": "managed", "internal_address": None},
        "ssh": {"user": "ops", "hosts": {"mlflow": ADDRESS, "database": None}},
    }
    inventory.write(deployment, Outputs.parse(managed), PUBLIC)
    text = yaml.safe_load(deployment.inventory.read_text())["all"]["children"]
    assert list(text) == ["mlflow"]
    assert "cloud-certs/CA.pem" in text["mlflow"]["vars"]["mlflow_database_ca"]
    assert "Host database" not in deployment.ssh_config.read_text()
