"""terraform/ by real Terraform: format, validity, its own tests, and proof that these tests can fail.

The provider is the real one where `terraform init` can install it; where FRAUD_TERRAFORM_SCHEMA names a folder with
`with-schema-provider`, that serves the provider's schema and nothing is downloaded.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.common.envs import ROOT, find_uv, python_of

MODULE = ROOT / "terraform"
NEEDED = (1, 11)


def schema_server() -> list[str]:
    """The command that serves the schema around another command; empty where the real provider is to be used."""
    folder = os.environ.get("FRAUD_TERRAFORM_SCHEMA")
    server = Path(folder) / "with-schema-provider" if folder else None
    return [str(server)] if server and server.exists() else []


def environment() -> dict[str, str]:
    found = os.environ | {"PATH": f"{Path(find_uv()).parent}:{os.environ['PATH']}", "CHECKPOINT_DISABLE": "1"}
    if not Path(found.get("TF_CLI_CONFIG_FILE", "")).is_file():
        found.pop("TF_CLI_CONFIG_FILE", None)  # else Terraform warns at every command
    return {name: value for name, value in found.items() if not name.startswith("TF_VAR_")}


def terraform(folder: Path, *arguments: str, provider: bool = True) -> subprocess.CompletedProcess[str]:
    command = [*(schema_server() if provider else []), "terraform", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)


def printed(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stdout + done.stderr)[-6000:]


@pytest.fixture(scope="session", autouse=True)
def binary() -> None:
    wanted = ".".join(map(str, NEEDED))
    if not shutil.which("terraform"):
        pytest.skip(f"terraform is not on PATH; {wanted} or newer is needed: https://developer.hashicorp.com/terraform")
    version = json.loads(terraform(MODULE, "version", "-json", provider=False).stdout)["terraform_version"]
    if tuple(map(int, version.split(".")[:2])) < NEEDED:
        pytest.skip(f"terraform on PATH is {version}; {wanted} or newer is needed (write-only arguments)")


def copied(to: Path) -> Path:
    """A copy of terraform/ as git sees it, beside the lock file that it reads."""
    shutil.copytree(MODULE, to / "terraform", ignore=shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfvars"))
    (to / "requirements").mkdir()
    for name in ("airflow.in", "airflow.txt"):
        shutil.copy(ROOT / "requirements" / name, to / "requirements")
    return to / "terraform"


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised copy of both modules."""
    copy = copied(tmp_path_factory.mktemp("module"))
    for folder in (copy, copy / "state"):
        done = terraform(folder, "init", "-backend=false", "-input=false", "-no-color")
        if done.returncode and not schema_server():
            pytest.skip(
                "the provider cannot be installed here, and FRAUD_TERRAFORM_SCHEMA names no folder with "
                f"with-schema-provider: {printed(done)}"
            )
        assert done.returncode == 0, printed(done)
    return copy


@pytest.fixture
def variables(tmp_path: Path) -> Path:
    """The module's variables and nothing else: validations run without a provider, so they are cheap to run often."""
    shutil.copy(MODULE / "variables.tf", tmp_path)
    shutil.copytree(MODULE / "tests/data", tmp_path / "tests/data")
    runs = (MODULE / "tests/validation.tftest.hcl").read_text().replace('mock_provider "yandex" {}', "")
    (tmp_path / "tests/validation.tftest.hcl").write_text(runs)
    assert terraform(tmp_path, "init", "-no-color", provider=False).returncode == 0
    return tmp_path


@contextlib.contextmanager
def changed(path: Path, old: str, new: str) -> Iterator[None]:
    """The file with one place changed, for as long as the block runs."""
    before = path.read_text()
    assert before.count(old) == 1, f"{path.name} has {before.count(old)} of {old!r}, 1 is expected: mend this test"
    path.write_text(before.replace(old, new))
    try:
        yield
    finally:
        path.write_text(before)


# ------------------------------------------------------------------------------------------------ it is right
def test_format() -> None:
    done = terraform(MODULE, "fmt", "-check", "-recursive", "-diff", provider=False)
    assert done.returncode == 0, f"{printed(done)}\nMend it: terraform fmt -recursive terraform"


@pytest.mark.parametrize("folder", [".", "state"])
def test_valid_without_a_warning(module: Path, folder: str) -> None:
    report = json.loads(terraform(module / folder, "validate", "-json").stdout)
    assert report["diagnostics"] == []
    assert report["valid"]


@pytest.mark.parametrize("tests", ["managed", "options", "roles", "state"])
def test_own_tests(module: Path, tests: str) -> None:
    folder = module / "state" if tests == "state" else module
    done = terraform(folder, "test", "-no-color", f"-filter=tests/{tests}.tftest.hcl")
    assert done.returncode == 0, printed(done)
    assert re.search(r"Success! [1-9]\d* passed, 0 failed", done.stdout), printed(done)


# ------------------------------------------------------------------------------------------------ its tests can fail
# what is broken -> the tests that must notice, the file that is broken, what stands there, what then stands there
MUTATIONS = {
    "versioning of artifacts off": ("managed", "storage.tf", "versioned = true }", "versioned = false }"),
    "another key for the buckets": (
        "managed",
        "storage.tf",
        '["storage"].id\n        sse',
        '["secrets"].id\n        sse',
    ),
    "buckets that anybody may list": ("managed", "storage.tf", "list        = false", "list        = true"),
    "ssh from everywhere": ("managed", "firewall.tf", "= var.operator_cidrs", '= ["0.0.0.0/0"]'),
    "no NTP for clusters": ("managed", "firewall.tf", "port           = 123", "port           = 124"),
    "the database for the whole network": (
        *("managed", "firewall.tf"),
        *("security_group_id = yandex_vpc_security_group.mlflow.id", "v4_cidr_blocks = local.vpc_cidrs"),
    ),
    "a primitive role": ("roles", "identities.tf", '"vpc.user"        =', '"editor" ='),
    "a secret for one more account": (
        *("roles", "secrets.tf"),
        *('mlflow-viewer  = { readers = ["mlflow"]', 'mlflow-viewer  = { readers = ["mlflow", "airflow"]'),
    ),
    "a bucket for one more account": (
        *("roles", "storage.tf"),
        *('artifacts = { "storage.editor" = ["mlflow"]', 'artifacts = { "storage.editor" = ["mlflow", "dataproc"]'),
    ),
    "the database's password in the state": (
        *("managed", "database.tf"),
        *("password_wo         = var.database_password", 'password            = "secret-of-the-database"'),
    ),
    "a secret among the outputs": (
        *("managed", "outputs.tf"),
        *("= var.folder_id", "= nonsensitive(var.airflow_admin_password)"),
    ),
    "an S3 key into another secret": (
        "managed",
        "secrets.tf",
        "= yandex_lockbox_secret.storage_key[each.key].id\n    e",
        '= "another"\n    e',
    ),
    "a public address that nobody asked for": ("managed", "machines.tf", "= each.value.public\n", "= true\n"),
    "the serial console on": ("managed", "machines.tf", 'serial-port-enable = "0"', 'serial-port-enable = "1"'),
    "a user beside OS Login": ("options", "machines.tf", 'var.ssh.os_login ? "" : ', ""),
    "logs without labels": ("managed", "monitoring.tf", "labels           = local.labels\n", ""),
    "a database that can be deleted": (
        *("managed", "database.tf"),
        *(".database.id]\n  deletion_protection = var.protect", ".database.id]"),
    ),
    "snapshots that were turned off": ("options", "machines.tf", "var.snapshots.keep > 0 ? 1 : 0", "1"),
    "managed databases beside the machine": (
        *("options", "database.tf"),
        *("local.database_is_managed ? toset(local.databases) : []", "toset(local.databases)"),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_break_is_noticed(module: Path, name: str) -> None:
    tests, file, old, new = MUTATIONS[name]
    with changed(module / file, old, new):
        done = terraform(module, "test", "-no-color", f"-filter=tests/{tests}.tftest.hcl")
    assert done.returncode, f"terraform test passed with {name}:\n{printed(done)}"
    assert not re.search(r"Failure! \d+ passed, 0 failed", done.stdout), printed(done)


def test_each_validation_is_needed(variables: Path) -> None:
    """All runs of validation.tftest.hcl pass; with any one condition always true, a run of that variable goes red."""
    path, runs = variables / "variables.tf", variables / "tests/validation.tftest.hcl"
    source, tests = path.read_text(), runs.read_text()
    done = terraform(variables, "test", "-no-color", provider=False)
    assert done.returncode == 0, printed(done)
    head, *blocks = re.split(r'^(?=run ")', tests, flags=re.M)
    idle, seen = [], 0
    for variable in re.finditer(r'^variable "(\w+)" \{.*?^\}', source, re.S | re.M):
        name = variable[1]
        runs.write_text(head + "".join(block for block in blocks if f"[var.{name}]" in block))
        for condition in re.finditer(r"    condition +=.*?(?=\n    error_message)", variable[0], re.S):
            begin, end = variable.start() + condition.start(), variable.start() + condition.end()
            path.write_text(f"{source[:begin]}    condition = var.{name} != [1]{source[end:]}")
            idle += [condition[0]] if terraform(variables, "test", "-no-color", provider=False).returncode == 0 else []
            seen += 1
    assert seen == source.count("    condition ")
    assert idle == [], "no run of validation.tftest.hcl notices when these validations are gone"


# ------------------------------------------------------------------------------------------------ what stands beside it
def test_example_of_variables(variables: Path) -> None:
    """terraform.tfvars.example is accepted as it is, and with each of its advanced lines."""
    example = (
        (MODULE / "terraform.tfvars.example").read_text().replace("~/.ssh/id_ed25519.pub", "tests/data/operator.pub")
    )
    advanced = re.findall(r"^# (\w+ += .*)$", example, re.M)
    assert len(advanced) >= 8
    for line in ["", *advanced]:
        (variables / "try.tfvars").write_text(f"{example}\n{line}\n")
        done = terraform(variables, "plan", "-input=false", "-no-color", "-var-file=try.tfvars", provider=False)
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


def test_the_scanner_notices(tmp_path: Path) -> None:
    """`make lint` runs the scanner on terraform/; here it sees two faults that it must name."""
    scanner = python_of("terraform-lint").parent / "checkov"
    if not scanner.exists():
        pytest.skip("the scanner is not installed: python3 -m stack.common.envs terraform-lint")
    copy = copied(tmp_path)
    with (
        changed(copy / "machines.tf", "= each.value.public\n", "= true\n"),
        changed(copy / "storage.tf", "server_side_encryption_configuration {", "unknown {"),
    ):
        flags = ["--framework", "terraform", "--skip-download", "--compact", "--output", "json"]
        done = subprocess.run([scanner, "--directory", copy, *flags], capture_output=True, text=True, timeout=300)
    failed = {check["check_id"] for check in json.loads(done.stdout)["results"]["failed_checks"]}
    assert failed == {"CKV_YC_2", "CKV_YC_3"}, "a public address and a bucket without encryption should be named"
    assert done.returncode == 1
