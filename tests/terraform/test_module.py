"""terraform/ is right: format, validity, its own tests, and what stands beside it."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.terraform.running import MODULE, printed, terraform


def test_format() -> None:
    done = terraform(MODULE, "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, f"{printed(done)}\nMend it: terraform fmt -recursive terraform"


@pytest.mark.parametrize("folder", [".", "state"])
def test_valid_without_a_warning(module: Path, folder: str) -> None:
    report = json.loads(terraform(module / folder, "validate", "-json").stdout)
    assert report["diagnostics"] == []
    assert report["valid"]


@pytest.mark.parametrize("tests", ["managed", "options", "roles", "disks", "state"])
def test_own_tests(module: Path, tests: str) -> None:
    folder = module / "state" if tests == "state" else module
    done = terraform(folder, "test", "-no-color", f"-filter=tests/{tests}.tftest.hcl")
    assert done.returncode == 0, printed(done)
    assert re.search(r"Success! [1-9]\d* passed, 0 failed", done.stdout), printed(done)


def test_example_of_variables(variables: Path, workers: ThreadPoolExecutor) -> None:
    """terraform.tfvars.example is accepted as it is, and with each of its advanced lines."""
    example = (
        (MODULE / "terraform.tfvars.example").read_text().replace("~/.ssh/id_ed25519.pub", "tests/data/operator.pub")
    )
    advanced = re.findall(r"^# (\w+ += .*)$", example, re.M)
    assert len(advanced) >= 8
    lines = ["", *advanced]

    def planned(number: int) -> subprocess.CompletedProcess[str]:
        values = variables / f"try{number}.tfvars"
        values.write_text(f"{example}\n{lines[number]}\n")
        return terraform(variables, "plan", "-input=false", "-no-color", "-lock=false", f"-var-file={values.name}")

    for line, done in zip(lines, workers.map(planned, range(len(lines))), strict=True):
        assert done.returncode == 0, f"{line}\n{printed(done)}"
        assert "undeclared" not in printed(done), f"{line}\n{printed(done)}"


def test_roles_in_the_readme() -> None:
    tested = re.findall(r'^ +"(\w+ \| \S+ \| [^"]+)",$', (MODULE / "tests/roles.tftest.hcl").read_text(), re.M)
    shown = re.findall(r"^\| (\w+ \| `\S+` \| .+?) \|$", (MODULE / "README.md").read_text(), re.M)
    assert len(tested) > 40
    assert sorted(row.replace("`", "") for row in shown) == sorted(tested)


def test_only_the_known_secret_can_enter_the_state() -> None:
    """No resource that keeps a secret in the state, and of arguments that would, only Airflow's password."""
    files = [path for path in [*MODULE.glob("*.tf"), *MODULE.glob("state/*.tf")] if path.name != "outputs.tf"]
    source = "\n".join(path.read_text() for path in files)
    kinds = set(re.findall(r'^(?:resource|data) "(\w+)"', source, re.M))
    keepers = {
        "yandex_lockbox_secret_version",
        "yandex_lockbox_secret_version_hashed",
        "yandex_iam_service_account_key",
        "random_password",
    }
    assert kinds & keepers == set()
    arguments = set(
        re.findall(r"^ +(password|admin_password|secret_key|private_key|text_value\w*|token) +=", source, re.M)
    )
    assert arguments == {"admin_password"}
    assert source.count('resource "yandex_iam_service_account_static_access_key"') == source.count(
        "output_to_lockbox {"
    )
