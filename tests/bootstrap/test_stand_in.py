"""The stand-in for Terraform's provider refuses and hides what the real one does: faults that the module had once.

Each configuration is written as the module had it, and then as it has it now.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from stack.provider.kinds.api import Api, Refused
from stack.provider.messages import Json
from tests.bootstrap.cloud_fixture import CloudFixture
from tests.support.cloud import DATAPROC, FOLDER, NETWORK, SUBNET

pytestmark = pytest.mark.timeout(300)
PROVIDER = 'terraform {\n  required_providers {\n    yandex = { source = "yandex-cloud/yandex" }\n  }\n}\n'


class Configuration:
    """One small root module of its own, whose state is a file beside it."""

    def __init__(self, cloud: CloudFixture, folder: Path) -> None:
        self.cloud, self.folder = cloud, folder
        self.environment = cloud.environment | {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}

    def terraform(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def apply(self, text: str) -> str:
        """Applies this text; returns the errors, empty if there were none."""
        (self.folder / "main.tf").write_text(PROVIDER + text)
        self.terraform("init", "-no-color")
        done = self.terraform("apply", "-auto-approve", "-no-color")
        return re.sub(r"[│╷╵\s]+", " ", done.stderr) if done.returncode else ""

    def changes(self) -> list[str]:
        """The addresses of what a plan would change."""
        return sorted(self.actions())

    def actions(self) -> dict[str, str]:
        """What a plan would do, by address."""
        done = self.terraform("plan", "-json", "-detailed-exitcode")
        assert done.returncode in (0, 2), done.stdout
        events = [json.loads(line) for line in done.stdout.splitlines()]
        changes = [each["change"] for each in events if each["type"] == "planned_change"]
        return {each["resource"]["addr"]: each["action"] for each in changes}


@pytest.fixture(scope="module")
def provider(new_cloud: Callable[[], CloudFixture]) -> CloudFixture:
    return new_cloud()


@pytest.fixture
def configuration(provider: CloudFixture, tmp_path: Path) -> Iterator[Configuration]:
    made = Configuration(provider, tmp_path)
    yield made
    provider.by_hand()
    made.terraform("destroy", "-auto-approve")


SECRET = f"""resource "yandex_lockbox_secret" "one" {{
  name      = "stand-in"
  folder_id = "{FOLDER}"
  labels    = {{}}
  password_payload_specification {{
    password_key        = "password"
    length              = 40
    include_punctuation = false
  }}
}}
"""
VERSION = """resource "yandex_lockbox_secret_version" "one" {
  secret_id = yandex_lockbox_secret.one.id
}
"""


def test_a_secret_alone_has_no_password(provider: CloudFixture, configuration: Configuration) -> None:
    assert configuration.apply(SECRET) == ""
    with pytest.raises(Exception, match="no version"):
        provider.secret("stand-in")
    assert configuration.apply(SECRET + VERSION) == ""
    password = provider.secret("stand-in")["password"]
    assert len(password) == 40
    assert password not in (configuration.folder / "terraform.tfstate").read_text()
    assert configuration.changes() == []


IMAGE = 'data "yandex_compute_image" "debian" {\n  family = "debian-13"\n}\n'
ADDRESS = (
    IMAGE
    + """resource "yandex_vpc_address" "one" {
  for_each = toset(PUBLIC ? ["mlflow"] : [])
  name     = "stand-in"
  external_ipv4_address {
    zone_id = "ru-central1-a"
  }
  lifecycle {
    create_before_destroy = FIRST
  }
}
resource "yandex_compute_instance" "one" {
  name        = "stand-in"
  zone        = "ru-central1-a"
  platform_id = "standard-v3"
  resources {
    cores  = 2
    memory = 4
  }
  boot_disk {
    initialize_params {
      image_id = data.yandex_compute_image.debian.id
      size     = 20
    }
  }
  network_interface {
    subnet_id      = "SUBNET"
    nat            = PUBLIC
    nat_ip_address = PUBLIC ? yandex_vpc_address.one["mlflow"].external_ipv4_address[0].address : null
  }
}
""".replace("SUBNET", SUBNET)
)


@pytest.mark.parametrize(("first", "refusal"), [("false", "is in use by stand-in"), ("true", "")])
def test_an_address_in_use_is_not_deleted(configuration: Configuration, first: str, refusal: str) -> None:
    text = ADDRESS.replace("FIRST", first)
    assert configuration.apply(text.replace("PUBLIC", "true")) == ""
    told = configuration.apply(text.replace("PUBLIC", "false"))
    assert refusal in told if refusal else told == ""
    configuration.apply(ADDRESS.replace("FIRST", "true").replace("PUBLIC", "true"))
    configuration.apply(ADDRESS.replace("FIRST", "true").replace("PUBLIC", "false"))


GROUP = """resource "yandex_vpc_security_group" "one" {
  name       = "stand-in"
  network_id = "NETWORK"
  egress {
    protocol       = "TCP"
    port           = 443
    v4_cidr_blocks = ["0.0.0.0/0"]
  }
RULE}
""".replace("NETWORK", NETWORK)
OWN = '  ingress {\n    protocol = "TCP"\n    port = 443\n    predefined_target = "self_security_group"\n  }\n'


@pytest.mark.parametrize(("rule", "drift"), [("", []), (OWN, ["yandex_vpc_security_group.one"])])
def test_a_direction_without_a_rule_is_nobody_s(
    provider: CloudFixture, configuration: Configuration, rule: str, drift: list[str]
) -> None:
    assert configuration.apply(GROUP.replace("RULE", rule)) == ""
    assert configuration.changes() == []
    everybody = {"protocol": "ANY", "v4_cidr_blocks": ["0.0.0.0/0"], "description": "only for a moment"}
    empty = dict.fromkeys(("from_port", "to_port", "port", "predefined_target", "security_group_id", "v6_cidr_blocks"))
    rule = empty | everybody | {"id": "by-hand", "labels": {}}
    provider.by_hand(yandex_vpc_security_group={"stand-in": {"ingress": [rule]}})
    assert configuration.changes() == drift


@pytest.mark.parametrize(
    ("label", "taken"),
    [("team", True), ("te_am-1", True), ("team/name", False), ("a.b", False), ("1st", False), ("a" * 64, False)],
)
def test_labels_by_the_strictest_rule(configuration: Configuration, label: str, taken: bool) -> None:
    told = configuration.apply(
        f'resource "yandex_vpc_network" "one" {{\n  name = "labelled"\n  folder_id = "{FOLDER}"\n'
        f'  labels = {{ "{label}" = "x" }}\n}}\n'
    )
    assert ("is not taken" in told) is not taken, told


AIRFLOW = """resource "yandex_airflow_cluster" "one" {
  name               = "stand-in"
  subnet_ids         = ["SUBNET"]
  service_account_id = "ACCOUNT"
  airflow_version    = "3.1"
  admin_password     = "of no use"
  airflow_config     = CONFIG
  code_sync          = { s3 = { bucket = "dags" } }
  webserver          = { count = 1, resource_preset_id = "c1-m4" }
  dag_processor      = { count = 1, resource_preset_id = "c1-m4" }
  scheduler          = { count = 1, resource_preset_id = "c1-m4" }
  worker             = { min_count = 1, max_count = 2, resource_preset_id = "c1-m4" }
  lifecycle {
    ignore_changes = IGNORED
  }
}
""".replace("SUBNET", SUBNET).replace("ACCOUNT", DATAPROC)


def test_an_empty_configuration_of_airflow_comes_back_as_none(configuration: Configuration) -> None:
    text = AIRFLOW.replace("IGNORED", "[]")
    assert "inconsistent result after apply" in configuration.apply(text.replace("CONFIG", "{}"))
    assert configuration.apply(text.replace("CONFIG", "null")) == ""
    assert configuration.changes() == []


@pytest.mark.parametrize(("ignored", "drift"), [("[]", ["yandex_airflow_cluster.one"]), ("[airflow_version]", [])])
def test_an_airflow_that_the_service_has_moved(
    provider: CloudFixture, configuration: Configuration, ignored: str, drift: list[str]
) -> None:
    assert configuration.apply(AIRFLOW.replace("CONFIG", "null").replace("IGNORED", ignored)) == ""
    provider.by_hand(yandex_airflow_cluster={"stand-in": {"airflow_version": "3.2"}})
    assert configuration.changes() == drift


DATABASE = """resource "yandex_mdb_postgresql_cluster_v2" "one" {
  name        = "stand-in"
  environment = "PRODUCTION"
  network_id  = "NETWORK"
  hosts       = { a = { zone = "ru-central1-a", subnet_id = "SUBNET"PRIORITY } }
  config {
    version = "17"
    resources {
      resource_preset_id = "s3-c2-m8"
      disk_type_id       = "network-ssd"
      disk_size          = 20
    }
  }
}
""".replace("SUBNET", SUBNET).replace("NETWORK", NETWORK)


@pytest.mark.parametrize(("priority", "calls"), [("", 1), (", priority = 0", 0)])
def test_hosts_without_a_priority_are_updated_once_more(
    provider: CloudFixture, configuration: Configuration, priority: str, calls: int
) -> None:
    def updates() -> int:
        return sum(method.endswith("/UpdateHosts") for method in provider.methods())

    before = updates()
    assert configuration.apply(DATABASE.replace("PRIORITY", priority)) == ""
    assert updates() - before == calls


MACHINE = (
    IMAGE
    + """resource "yandex_compute_instance" "one" {
  name        = "stand-in"
  zone        = "ru-central1-a"
  platform_id = "standard-v3"
  resources {
    cores  = 2
    memory = 4
  }
  boot_disk {
    BOOT
  }
  network_interface {
    subnet_id = "SUBNET"
  }
}
""".replace("SUBNET", SUBNET)
)
WITHIN = MACHINE.replace(
    "BOOT", "initialize_params {\n      image_id = data.yandex_compute_image.debian.id\n      size = SIZE\n    }"
)
APART = (
    MACHINE.replace("BOOT", "disk_id = yandex_compute_disk.one.id")
    + """resource "yandex_compute_disk" "one" {
  name     = "stand-in"
  zone     = "ru-central1-a"
  image_id = data.yandex_compute_image.debian.id
  size     = SIZE
}
"""
)


@pytest.mark.parametrize(
    ("text", "done"),
    [(WITHIN, {"yandex_compute_instance.one": "replace"}), (APART, {"yandex_compute_disk.one": "update"})],
)
def test_a_larger_disk_that_is_written_in_its_machine_costs_the_machine(
    configuration: Configuration, text: str, done: dict[str, str]
) -> None:
    assert configuration.apply(text.replace("SIZE", "20")) == ""
    assert configuration.changes() == []
    (configuration.folder / "main.tf").write_text(PROVIDER + text.replace("SIZE", "30"))
    assert configuration.actions() == done


FAULTS = [
    ("vpc.v1.NetworkService/Create", {"folder": FOLDER}, "no field named"),
    ("vpc.v1.NetworkService/Update", {"network_id": NETWORK, "update_mask": ["colour"]}, "INVALID_ARGUMENT"),
    ("vpc.v1.SecurityGroupService/Create", {"folder_id": FOLDER, "network_id": NETWORK, "rule_specs": [{}]}, "INVALID"),
    ("compute.v1.DiskService/Create", {"folder_id": FOLDER, "zone_id": "ru-central1-a", "size": 20}, "value is 20"),
    (
        "compute.v1.InstanceService/Create",
        {"folder_id": FOLDER, "zone_id": "ru-central1-a"},
        "platform_id: is required",
    ),
    ("lockbox.v1.SecretService/Create", {"folder_id": FOLDER, "create_version": True}, "create_version: is true"),
    ("dns.v1.DnsZoneService/Create", {"folder_id": FOLDER, "zone": "a.internal"}, "zone: 'a.internal'"),
    ("kms.v1.SymmetricKeyService/Create", {"folder_id": FOLDER, "default_algorithm": "AES_257"}, "AES_257"),
    ("mdb.postgresql.v1.UserService/Create", {"cluster_id": "none", "user_spec": {"name": "pg_x"}}, "INVALID_ARGUMENT"),
    ("airflow.v1.ClusterService/Create", {"folder_id": FOLDER, "name": "a"}, "INVALID_ARGUMENT"),
]


@pytest.mark.parametrize(("method", "request_", "refusal"), FAULTS, ids=[method for method, *_ in FAULTS])
def test_a_request_that_is_wrong_is_refused(provider: CloudFixture, method: str, request_: Json, refusal: str) -> None:
    """What the stand-in might send by mistake: the cloud's API does not take it, and nothing is made."""
    api = Api(json.loads((provider.folder / "provider.json").read_text()))
    with pytest.raises((Refused, grpc.RpcError, json_format.ParseError)) as refused:
        api.do(method, request_)
    assert refusal in str(refused.value)
