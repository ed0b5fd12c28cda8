"""The parts of bootstrap, destroy and cost, each by itself; and one clear message for each thing that can be wrong."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import yaml
from moto import mock_aws

from stack.cloud import buckets, cost, inventory, terraform
from stack.cloud.account import Account
from stack.cloud.site import Site, contents
from stack.common.envs import ROOT
from stack.common.errors import StackError
from stack.local.state import write_private
from tests.bootstrap.conftest import Lab
from tests.support.cloud import FOLDER, new_key

ADDRESS = "203.0.113.9"
OUTPUTS: dict[str, Any] = {
    "folder_id": FOLDER,
    "buckets": {name: f"x-{name}" for name in ("lake", "dags", "jobs", "artifacts", "logs", "backups")},
    "mlflow": {
        "host": "mlflow.x.internal",
        "internal_address": "10.130.2.10",
        "public_address": ADDRESS,
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
    },
    "ssh": {"user": "operator", "hosts": {"mlflow": ADDRESS, "database": "10.130.2.11"}},
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "a site"
    folder.mkdir()
    return Site(folder, tmp_path)


# ------------------------------------------------------------------------------------------------ what is missing
@pytest.fixture(scope="module")
def lab(new_lab: Any) -> Iterator[Lab]:
    made = new_lab()
    yield made
    made.close()


def without(program: str, folder: Path) -> str:
    """A PATH that has everything but one program."""
    folder.mkdir()
    for source in os.environ["PATH"].split(":"):
        for file in Path(source).glob("*") if Path(source).is_dir() else ():
            if file.name != program and file.is_file() and not os.path.lexists(folder / file.name):
                (folder / file.name).symlink_to(file)
    return str(folder)


@pytest.mark.parametrize(
    ("program", "advice"),
    [("terraform", "developer.hashicorp.com/terraform/install"), ("ssh", "apt-get install openssh-client")],
)
def test_a_missing_program_is_named_with_all_else_that_is_wrong(
    lab: Lab, tmp_path: Path, program: str, advice: str
) -> None:
    status, printed = lab.run("bootstrap", "--yes", PATH=without(program, tmp_path / "bin"), YC_TOKEN="t1.both.set")
    assert status == 1
    assert f"`{program}` is not on PATH" in printed
    assert advice in printed
    assert "Both YC_SERVICE_ACCOUNT_KEY_FILE and YC_TOKEN are set" in printed
    assert "Traceback" not in printed
    assert "Mend what is marked FAIL, then run this again; nothing was changed." in printed
    assert lab.calls() == []


def test_an_older_terraform_is_told_so(lab: Lab, tmp_path: Path) -> None:
    old = tmp_path / "terraform"
    old.write_text('#!/bin/sh\necho \'{"terraform_version": "1.9.8"}\'\n')
    old.chmod(0o755)
    status, printed = lab.run("bootstrap", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert status == 1
    assert f"{old} is version 1.9.8, 1.11 or newer is needed" in printed


def key_file(lab: Lab, path: Path, **changes: str) -> str:
    write_private(path, json.dumps(json.loads(lab.key.read_text()) | changes))
    return str(path)


def wrong_credentials(lab: Lab, folder: Path) -> dict[str, tuple[dict[str, str], str]]:
    """What a person may get wrong -> (environment, what is said)."""
    wrong_key, _ = new_key()
    open_to_all = Path(key_file(lab, folder / "open.json"))
    open_to_all.chmod(0o644)
    write_private(folder / "no.json", "{}")
    name = "YC_SERVICE_ACCOUNT_KEY_FILE"
    return {
        "absent": ({name: str(folder / "absent.json")}, "there is no such file"),
        "open to others": ({name: str(open_to_all)}, f"chmod 600 {open_to_all}"),
        "no key": ({name: str(folder / "no.json")}, "is no key of a service account"),
        "another's key": ({name: key_file(lab, folder / "w.json", private_key=wrong_key)}, "does not take"),
        "unknown key": ({name: key_file(lab, folder / "u.json", id="ajeunknown0000000000")}, "does not take"),
        "expired token": ({name: "", "YC_TOKEN": "t1.old.token"}, "UNAUTHENTICATED"),
        "none at all": ({name: ""}, "There are no credentials"),
    }


@pytest.mark.parametrize(
    "case", ["absent", "open to others", "no key", "another's key", "unknown key", "expired token", "none at all"]
)
def test_wrong_credentials_are_one_clear_message(lab: Lab, tmp_path: Path, case: str) -> None:
    environment, message = wrong_credentials(lab, tmp_path)[case]
    if case == "none at all":
        environment["PATH"] = without("yc", tmp_path / "bin")
    status, printed = lab.run("bootstrap", "--yes", **environment)
    assert status == 1
    assert message in printed
    assert "FAIL  credentials" in printed
    assert "Traceback" not in printed
    assert "t1.old.token" not in printed
    assert lab.calls() == []


def test_settings_that_are_missing_or_wrong_are_said(lab: Lab) -> None:
    file = lab.project / "terraform" / "terraform.tfvars"
    kept = file.read_text()
    cases = {"": "terraform.tfvars.example", 'zone = "x"\n': "has no folder_id", "folder_id =\n": "not understood"}
    for text, message in cases.items():
        file.write_text(text) if text else file.unlink()
        status, printed = lab.run("bootstrap", "--yes")
        assert status == 1
        assert message in printed, printed
    file.write_text(kept)


def test_a_folder_that_the_account_does_not_see(lab: Lab) -> None:
    file = lab.project / "terraform" / "terraform.tfvars"
    kept = file.read_text()
    file.write_text(kept.replace(FOLDER, "b1gnobodys0000000000"))
    status, printed = lab.run("bootstrap", "--yes")
    file.write_text(kept)
    assert status == 1
    assert "refuses to show the folder b1gnobodys0000000000" in printed


def test_two_at_once_are_kept_apart(lab: Lab) -> None:
    lab.site.mkdir(exist_ok=True)
    with open(lab.site / "lock", "w") as handle:
        handle.write("4711")
        handle.flush()
        fcntl.flock(handle, fcntl.LOCK_EX)
        status, printed = lab.run("bootstrap", "--yes")
    assert status == 1
    assert "Another `make bootstrap` (process 4711) is at work" in printed


def test_a_process_is_known_by_its_number_and_birth() -> None:
    born = psutil.Process().create_time()
    assert terraform.is_running({"pid": os.getpid(), "started": born})
    assert not terraform.is_running({"pid": os.getpid(), "started": born - 1})  # the number was given again
    assert not terraform.is_running(None)


# ------------------------------------------------------------------------------------------------ steps
def test_a_step_is_done_once_for_the_same_inputs(site: Site) -> None:
    done: list[int] = []
    site.once("step", {"a": 1}, lambda: done.append(1))
    site.once("step", {"a": 1}, lambda: done.append(2))
    site.once("step", {"a": 2}, lambda: done.append(3))
    Site(site.folder, site.project, force=True).once("step", {"a": 2}, lambda: done.append(4))
    site.forget("step")
    site.once("step", {"a": 2}, lambda: done.append(5))
    assert done == [1, 3, 4, 5]


def test_a_step_that_fails_is_not_done(site: Site) -> None:
    def fail() -> None:
        raise StackError("no")

    with pytest.raises(StackError):
        site.once("step", 1, fail)
    done: list[int] = []
    site.once("step", 1, lambda: done.append(1))
    assert done == [1]


def test_the_inputs_of_a_step_are_the_contents_of_files(tmp_path: Path) -> None:
    (tmp_path / "roles").mkdir()
    file = tmp_path / "roles" / "main.yml"
    file.write_text("a")
    before = contents(tmp_path / "roles", tmp_path / "absent")
    os.utime(file, (1, 1))
    assert contents(tmp_path / "roles") == before
    file.write_text("b")
    assert contents(tmp_path / "roles") != before


# ------------------------------------------------------------------------------------------------ inventory and ssh
def ssh_option(config: Path, host: str) -> dict[str, str]:
    """What ssh itself makes of the configuration."""
    done = subprocess.run(["ssh", "-G", "-F", str(config), host], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


@pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed")
def test_ssh_reads_the_configuration(site: Site) -> None:
    inventory.write(site, OUTPUTS)
    mlflow, database = ssh_option(site.ssh_config, "mlflow"), ssh_option(site.ssh_config, "database")
    assert (mlflow["hostname"], mlflow["user"]) == (ADDRESS, "operator")
    assert "proxyjump" not in mlflow
    assert (database["hostname"], database["proxyjump"]) == ("10.130.2.11", "mlflow")
    assert mlflow["stricthostkeychecking"] == "accept-new"
    assert mlflow["userknownhostsfile"] == str(site.folder / "known_hosts")
    assert mlflow["passwordauthentication"] == "no"


def specification(role: str) -> dict[str, Any]:
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text()
    return dict(yaml.safe_load(text)["argument_specs"]["main"]["options"])


@pytest.mark.parametrize(
    ("group", "roles"),
    [("mlflow", ("baseline", "mlflow", "tls_proxy", "backup")), ("database", ("baseline", "postgresql", "backup"))],
)
def test_the_inventory_gives_the_roles_what_they_ask_for(site: Site, group: str, roles: tuple[str, ...]) -> None:
    inventory.write(site, OUTPUTS)
    given = yaml.safe_load(site.inventory.read_text())["all"]["children"][group]["vars"]
    known = {name: option for role in roles for name, option in specification(role).items()}
    required = {name for name, option in known.items() if option.get("required")}
    assert required <= set(given)
    assert set(given) - set(known) - {"mlflow_ca_file"} == set()
    for name, value in given.items():
        kind = {"str": str, "path": str, "int": int, "list": list, "dict": dict, "bool": bool}[
            known.get(name, {"type": "str"})["type"]
        ]
        assert isinstance(value, kind), name


def test_a_managed_database_is_no_machine(site: Site) -> None:
    managed = OUTPUTS | {
        "database": OUTPUTS["database"] | {"kind": "managed", "internal_address": None},
        "ssh": {"user": "operator", "hosts": {"mlflow": ADDRESS, "database": None}},
    }
    inventory.write(site, managed)
    text = yaml.safe_load(site.inventory.read_text())["all"]["children"]
    assert list(text) == ["mlflow"]
    assert "cloud-certs/CA.pem" in text["mlflow"]["vars"]["mlflow_database_ca"]
    assert "Host database" not in site.ssh_config.read_text()


# ------------------------------------------------------------------------------------------------ buckets
@mock_aws
def test_versions_markers_and_unfinished_uploads_go_too() -> None:
    s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    s3.create_bucket(Bucket="models")
    s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
    for index in range(1000 + 5):
        s3.put_object(Bucket="models", Key=f"key-{index}", Body=b"1")
    s3.put_object(Bucket="models", Key="key-0", Body=b"2")
    s3.delete_object(Bucket="models", Key="key-1")
    s3.create_multipart_upload(Bucket="models", Key="unfinished")
    assert buckets.empty(s3, "models") == 1000 + 5 + 3
    s3.delete_bucket(Bucket="models")  # refused where anything were left
    assert buckets.empty(s3, "models") == 0, "a bucket that is gone is empty"


def test_an_object_that_cannot_be_deleted_is_named() -> None:
    class Locked:
        def delete_objects(self, **_: object) -> dict[str, Any]:
            return {"Errors": [{"Key": "k", "Code": "AccessDenied", "Message": "locked"}]}

    with pytest.raises(StackError, match=r"s3://b/k cannot be deleted: AccessDenied, locked.*storage.admin"):
        buckets.delete(Locked(), "b", [{"Key": "k"}])


def test_the_object_store_gets_the_token_and_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            seen.append(dict(self.headers.items()))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("YC_STORAGE_ACCESS_KEY", raising=False)
    monkeypatch.setenv("YC_STORAGE_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    Account("a test", "t1.a.token").object_store().put_object(Bucket="b", Key="k", Body=b"x")
    server.shutdown()
    assert seen[0]["X-YaCloud-SubjectToken"] == "t1.a.token"
    assert "Authorization" not in seen[0]


def test_an_account_does_not_show_its_token() -> None:
    assert "t1.a.token" not in repr(Account("a test", "t1.a.token"))


# ------------------------------------------------------------------------------------------------ cost
SIZES: dict[str, Any] = {
    "airflow": {"scheduler": {"count": 2, "preset": "c1-m4"}},
    "database": {"preset": "s3-c2-m8", "hosts": 1, "disk_gib": 20, "disk_type": "network-ssd", "backup_days": 7},
    "machines": {
        "mlflow": {
            "platform": "standard-v3",
            "cores": 2,
            "memory_gib": 4,
            "disk_gib": 30,
            "disk_type": "network-ssd",
            "snapshots": 0,
        },
    },
    "cluster": {
        "master_preset": "s3-c2-m8",
        "compute_preset": "s3-c4-m16",
        "compute_count": 2,
        "disk_gib": 64,
        "preemptible": False,
    },
    "public_addresses": 0,
    "nat_gateways": 1,
    "dns_zones": 1,
    "kms_keys": 2,
    "secrets": 14,
}


def test_the_sums_are_those_of_a_pocket_calculator() -> None:
    lines = {(each.what, each.item): each.amount for each in cost.standing(SIZES)}
    assert lines["Airflow scheduler", "Airflow vCPU"] == pytest.approx(2 * 1 * 720 * 2.50)
    assert lines["Airflow scheduler", "Airflow RAM GB"] == pytest.approx(2 * 4 * 720 * 0.84)
    assert lines["machine mlflow", "disk network-ssd GB"] == pytest.approx(30 * 11.88)
    assert lines["Lockbox", "secret version"] == pytest.approx(15 * 18)
    hour = (2 + 2 * 4) * 1.17 + (8 + 2 * 16) * 0.31 + 3 * 64 * 11.88 / 720
    assert cost.retrain(SIZES, 30).amount == pytest.approx(hour / 2)


def test_what_has_no_known_price_is_said_to_have_none() -> None:
    lines = {each.item: each.amount for each in cost.standing(SIZES)}
    assert lines["NAT gateway"] is None
    assert cost.line("x", "machine Intel Nonsense vCPU", 1).amount is None
    preemptible = SIZES | {"cluster": SIZES["cluster"] | {"preemptible": True}}
    assert str(cost.retrain(preemptible, 30)).startswith("no known price for preemptible")


def test_every_price_has_a_source_and_a_date() -> None:
    for item, entry in cost.PRICES["prices"].items():
        assert entry["source"] in cost.PRICES["sources"], item
        assert entry["per"] in ("hour", "month", "use"), item
    assert len(cost.PRICES["read"].split("-")) == 3


def run_cost(lab: Lab, *options: str) -> tuple[int, str]:
    """`cost` as it is before anything is built; only the provider's schema is served."""
    line = [
        sys.executable,
        "-m",
        "stack",
        "cost",
        "--state",
        str(lab.folder / "unbuilt"),
        "--project",
        str(lab.project),
    ]
    done = subprocess.run([*line, *options], cwd=ROOT, env=lab.environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_before_anything_is_built_the_configuration_is_priced(lab: Lab) -> None:
    status, small = run_cost(lab)
    assert status == 0, small
    assert "the configuration, nothing is built yet" in small
    assert "no known price" in small
    lab.settings('airflow = { worker = { min = 2, max = 4, preset = "c2-m8" } }\n')
    _, large = run_cost(lab)
    lab.settings()
    assert "│ Airflow worker           │ Airflow vCPU" in large
    assert total(large) - total(small) == pytest.approx((3 * 2.50 + 12 * 0.84) * 720, abs=0.02)
    assert lab.calls() == []


def total(printed: str) -> float:
    line = next(line for line in printed.splitlines() if "per month: " in line)
    return float(line.split("per month: ")[1].split(" ")[0].replace(",", ""))


def test_a_configuration_that_terraform_refuses_is_said(lab: Lab) -> None:
    lab.settings('zone = "nowhere"\n')
    status, printed = run_cost(lab)
    lab.settings()
    assert status == 1
    assert 'zone is "nowhere", which has no subnet' in printed


def test_senseless_numbers_are_refused(lab: Lab) -> None:
    status, printed = run_cost(lab, "--minutes=0")
    assert status == 1
    assert "make cost MINUTES=30" in printed
