"""terraform/ by real Terraform; of the provider its schema is served (stack/provider), and nothing is downloaded."""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stack.common.envs import ROOT
from tests.terraform import running
from tests.terraform.running import MODULE, printed, terraform

NEEDED = (1, 11)


@pytest.fixture(scope="session", autouse=True)
def binary() -> None:
    wanted = ".".join(map(str, NEEDED))
    if not shutil.which("terraform"):
        pytest.skip(f"terraform is not on PATH; {wanted} or newer is needed: https://developer.hashicorp.com/terraform")
    version = json.loads(terraform(MODULE, "version", "-json").stdout)["terraform_version"]
    if tuple(map(int, version.split(".")[:2])) < NEEDED:
        pytest.skip(f"terraform on PATH is {version}; {wanted} or newer is needed (write-only arguments)")


@pytest.fixture(scope="session")
def workers() -> Iterator[ThreadPoolExecutor]:
    """What runs Terraform and the scanner side by side: one process for each core."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield pool


def copied(to: Path) -> Path:
    """A copy of terraform/ as git sees it, beside the lock file that it reads."""
    shutil.copytree(MODULE, to / "terraform", ignore=shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfvars"))
    (to / "requirements").mkdir()
    for name in ("airflow.in", "airflow.txt"):
        shutil.copy(ROOT / "requirements" / name, to / "requirements")
    return to / "terraform"


@pytest.fixture(scope="session")
def provider(binary: None) -> Iterator[None]:
    """The provider's schema, served once for all commands that need it."""
    with running.provider():
        yield


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory, provider: None) -> Path:
    """An initialised copy of both modules, which no test changes."""
    copy = copied(tmp_path_factory.mktemp("module"))
    for folder in (copy, copy / "state"):
        done = terraform(folder, "init", "-backend=false", "-input=false", "-no-color")
        assert done.returncode == 0, printed(done)
    return copy


@pytest.fixture(scope="session")
def variables(tmp_path_factory: pytest.TempPathFactory, binary: None) -> Path:
    """The module's variables and nothing else, no provider: what checks validations is cheap."""
    folder = tmp_path_factory.mktemp("variables")
    shutil.copy(MODULE / "variables.tf", folder)
    shutil.copytree(MODULE / "tests/data", folder / "tests/data")
    runs = (MODULE / "tests/validation.tftest.hcl").read_text().replace('mock_provider "yandex" {}', "")
    (folder / "tests/validation.tftest.hcl").write_text(runs)
    assert terraform(folder, "init", "-no-color").returncode == 0
    return folder
