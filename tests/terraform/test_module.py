"""terraform/ is right: format, validity, its own tests, and what stands beside it."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stack.common.envs import ROOT
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
        "yandex_lockbox_secret_version_hashed",
        "yandex_iam_service_account_key",
        "random_password",
    }
    assert kinds & keepers == set()
    arguments = set(
        re.findall(r"^ +(password|admin_password|secret_key|private_key|text_value\w*|token) +=", source, re.M)
    )
    assert arguments == {"admin_password"}
    assert not re.findall(r"^ +(?:dynamic )?\"?entries\b", source, re.M), "a version's entries are in the state"
    assert not re.findall(r'^data "yandex_lockbox_secret_version', source, re.M), "it reads the payload into the state"
    assert source.count('resource "yandex_iam_service_account_static_access_key"') == source.count(
        "output_to_lockbox {"
    )


def test_a_provider_that_prints_no_password() -> None:
    """Providers before 0.220 print write-only passwords at debug; 0.222 is the newest that was looked at."""
    for file in ("versions.tf", "state/main.tf"):
        least = re.search(r'version = "(?:>= |~> |= )?(\d+)\.(\d+)', (MODULE / file).read_text())
        assert least
        assert (int(least[1]), int(least[2])) >= (0, 222), f"{file} takes {least[0]}"


def test_packages_are_locked_for_the_default_airflow() -> None:
    default = re.search(r'version += optional\(string, "(3\.\d+)"\)', (MODULE / "variables.tf").read_text())
    locked = re.search(r"^apache-airflow==(\d+\.\d+)\.", (ROOT / "requirements/airflow.txt").read_text(), re.M)
    assert default
    assert locked
    assert default[1] == locked[1]


def test_the_channels_of_alerts_are_those_that_the_dags_read() -> None:
    channels = re.search(r"^CHANNELS = \{(.*)\}$", (ROOT / "dags/retraining/alerts.py").read_text(), re.M)
    taken = re.search(r"setsubtract\(var\.airflow\.connections, \[(.*?)\]\)", (MODULE / "variables.tf").read_text())
    assert channels
    assert taken
    assert set(re.findall(r'"(\w+)":', channels[1])) == set(re.findall(r'"(\w+)"', taken[1]))


def test_presets_without_a_size_in_their_names_are_as_the_price_list_has_them() -> None:
    known = json.loads((ROOT / "local_cloud/presets.json").read_text())["presets"]
    source = (MODULE / "quotas.tf").read_text()
    ours = {name: (int(v), int(g)) for name, v, g in re.findall(r'"([a-z0-9.-]+)" += \[(\d+), (\d+)\]', source)}
    assert len(ours) > 15
    assert {name: size for name, size in ours.items() if name in known} == {
        name: (known[name]["vcpu"], known[name]["ram_gb"]) for name in ours if name in known
    }
