"""The schema of the provider, as real Terraform sees it: what it refuses by it, and that it is what is kept."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stack.common.envs import ROOT
from stack.provider import reduce, schema
from tests.terraform.running import environment, printed, terraform

HEAD = """
terraform {
  required_providers {
    yandex = { source = "yandex-cloud/yandex", version = ">= 0.219" }
  }
}
"""
SUBNET = """
resource "yandex_vpc_network" "n" { name = "n" }
resource "yandex_vpc_subnet" "s" {
  network_id     = yandex_vpc_network.n.id
  v4_cidr_blocks = ["10.0.0.0/24"]
}
"""
READ_ONLY = 'resource "yandex_vpc_network" "a" { created_at = "now" }\n'
DEPRECATED = """
resource "yandex_storage_bucket" "b" {
  lifecycle_rule {
    enabled = true
    prefix  = "old/"
  }
}
"""
WRONG = {
    'resource "yandex_vpc_network" "a" { nam = "x" }': 'An argument named "nam" is not expected here',
    'resource "yandex_vpc_subnet" "b" { v4_cidr_blocks = [] }': 'The argument "network_id" is required',
    'resource "yandex_logging_group" "c" { labels = "x" }': "map of string required",
    'resource "yandex_vpc_network" "d" {\nfoo {}\n}': 'Blocks of type "foo" are not expected here',
    'resource "yandex_vpc_gateway" "e" {\n%s%s}' % (("shared_egress_gateway {}\n",) * 2): "No more than 1",
    'output "f" { value = data.yandex_client_config.me }': "has not been declared",
}


@pytest.fixture
def configured(tmp_path: Path, provider: None) -> Path:
    (tmp_path / "main.tf").write_text(HEAD + SUBNET)
    done = terraform(tmp_path, "init", "-no-color")
    assert done.returncode == 0, printed(done)
    return tmp_path


def said(folder: Path, *arguments: str) -> str:
    return " ".join(printed(terraform(folder, *arguments, "-no-color")).split())


def test_what_it_refuses(configured: Path) -> None:
    assert "The configuration is valid." in said(configured, "validate")
    (configured / "main.tf").write_text(HEAD + READ_ONLY + DEPRECATED)
    found = said(configured, "validate")
    assert "Error: Value for a read-only attribute" in found
    assert 'The provider sets "created_at", a configuration cannot.' in found
    assert "Warning: Argument is deprecated" in found
    assert 'The provider documents "lifecycle_rule.prefix" as deprecated.' in found
    (configured / "main.tf").write_text(HEAD + "\n".join(WRONG))
    found = said(configured, "validate")
    assert [message for message in WRONG.values() if message not in found] == []
    (configured / "main.tf").write_text(HEAD + SUBNET)
    assert "This is the schema-only provider" in said(configured, "plan")


def test_terraform_sees_what_is_kept(configured: Path) -> None:
    """So the file can be made anew of what the real provider says in the same form."""
    seen = json.loads(terraform(configured, "providers", "schema", "-json").stdout)
    (provider,) = seen["provider_schemas"].values()
    assert reduce.text_of(reduce.document(provider)) == schema.FILE.read_text()


def test_a_command_runs_with_it_and_ends_as_it_does(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(HEAD + SUBNET)
    line = [sys.executable, "-m", "stack.provider.schema", "terraform", f"-chdir={tmp_path}"]
    done = [
        subprocess.run([*line, each], cwd=ROOT, env=environment(), capture_output=True, text=True).returncode
        for each in ("init", "validate", "plan")
    ]
    assert done == [0, 0, 1]


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [([], 2, "no command is given"), (["no-such-program"], 127, "no-such-program cannot be run: No such file")],
)
def test_a_command_that_cannot_be_run_is_named(command: list[str], status: int, message: str) -> None:
    line = [sys.executable, "-m", "stack.provider.schema", *command]
    done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (status, True, False), printed(done)
