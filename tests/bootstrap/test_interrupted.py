"""Refused, then killed at every step; it goes on each time. The tests follow one another on the same cloud."""

import json
import os
import signal
import threading
from collections.abc import Callable

import pytest

from stack.cloud.programs import is_running
from stack.local import deploy
from tests.bootstrap.cloud_fixture import CloudFixture, bucket
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(600)
STILL_AT_WORK = "of an earlier command is still at work: waiting until it has ended"


def killed(cloud: CloudFixture, ready: Callable[[str], bool]) -> str:
    """Kills a bootstrap, with all its programs, when `ready(what it printed)`; returns what it printed."""
    process = cloud.start("bootstrap", "--yes")
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
    reader.start()
    wait_until(lambda: ready("".join(lines)) or process.poll() is not None, "it does not come so far", 600)
    assert process.poll() is None, "".join(lines)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    reader.join(timeout=10)
    return "".join(lines)


def test_no_means_no(cloud: CloudFixture) -> None:
    status, printed = cloud.run("bootstrap", answer="n\n")
    assert status == 1, printed
    assert "A bucket for Terraform's state comes first: 7 to create" in printed
    assert "The answer was 'n': this was not done" in printed
    assert cloud.calls() == []
    assert cloud.ours() == []


def test_nobody_to_ask_means_no(cloud: CloudFixture) -> None:
    status, printed = cloud.run("bootstrap", answer="")
    assert status == 1
    assert "or with YES=1" in printed
    assert cloud.calls() == []


def test_killed_while_the_bucket_for_state_is_made(cloud: CloudFixture) -> None:
    cloud.trouble(yandex_kms_symmetric_key="hold")  # until the next command waits for it
    killed(cloud, lambda _: "yandex_kms_symmetric_key" in cloud.calls())
    assert not cloud.deployment.load("remote-state", None)
    assert is_running(cloud.deployment.load("terraform-process", None)), "Terraform comes to its end"


def test_killed_while_terraform_plans_and_a_lock_is_left(cloud: CloudFixture) -> None:
    def is_planning(printed: str) -> bool:
        if STILL_AT_WORK in printed:
            cloud.trouble(**{"data.yandex_compute_image": "hold"})
        return "data.yandex_compute_image" in cloud.calls()

    cloud.trouble(**{"yandex_kms_symmetric_key": "hold", "data.yandex_compute_image": "hold"})
    printed = killed(cloud, is_planning)
    os.kill(cloud.deployment.load("terraform-process", {})["pid"], signal.SIGKILL)
    cloud.trouble()
    assert STILL_AT_WORK in printed
    assert "remote state: " in printed
    assert cloud.calls().count("yandex_kms_symmetric_key") == 1
    assert "fraud-retraining.tfstate.tflock" in cloud.buckets()[bucket("tfstate")]


def test_a_lock_of_somebody_else_is_respected(cloud: CloudFixture) -> None:
    s3, name = deploy.object_store(cloud.store), bucket("tfstate")
    kept = s3.get_object(Bucket=name, Key="fraud-retraining.tfstate.tflock")["Body"].read()
    other = json.loads(kept) | {"Who": "alice@elsewhere"}
    s3.put_object(Bucket=name, Key="fraud-retraining.tfstate.tflock", Body=json.dumps(other).encode())
    status, printed = cloud.run("bootstrap", "--yes")
    assert status == 1
    assert "locked by alice@elsewhere" in printed
    assert "force-unlock" in printed
    s3.put_object(Bucket=name, Key="fraud-retraining.tfstate.tflock", Body=kept)


def test_the_network_alone_needs_no_way_to_the_machines(cloud: CloudFixture) -> None:
    """A jump host must stand in it before anything is reached through it."""
    file = cloud.project / "terraform" / "terraform.tfvars"
    kept = file.read_text()
    file.write_text(kept.replace(", neighbour", " }\n#"))
    status, printed = cloud.run("bootstrap", "--yes", "--only", "network")
    file.write_text(kept)
    assert status == 0, printed
    assert "was left by our Terraform, which was killed: taking it away" in printed
    assert "the network is there; put the jump host" in printed
    assert "yandex_vpc_subnet" in cloud.calls()
    assert "yandex_compute_instance" not in cloud.calls()


def test_killed_while_terraform_applies(cloud: CloudFixture) -> None:
    cloud.trouble(yandex_compute_instance="hold")  # until the next command waits for it
    printed = killed(cloud, lambda _: "yandex_compute_instance" in cloud.calls())
    assert "remote state: skipped, done on" in printed
    asked = printed.index("asking the cloud whether there is room")
    assert asked < printed.index("  quotas: ") < printed.index("Terraform: apply"), "before anything is made"


def test_killed_while_machines_are_set_up(cloud: CloudFixture) -> None:
    def is_setting_up(printed: str) -> bool:
        if STILL_AT_WORK in printed:
            cloud.trouble()
        return "waiting up to" in printed

    printed = killed(cloud, is_setting_up)
    assert STILL_AT_WORK in printed
    assert cloud.calls().count("yandex_compute_instance") == 1
    assert cloud.buckets()[bucket("tfstate")].count("fraud-retraining.tfstate.tflock") == 0
    assert "machines" not in cloud.deployment.load("journal", {})


def test_killed_while_secrets_are_filled(cloud: CloudFixture) -> None:
    cloud.endpoint.faults({"method": "*SecretService/AddVersion", "when": "call", "delay": 60})
    killed(cloud, lambda text: "Airflow's connections and variable" in text)
    cloud.endpoint.faults()
    assert cloud.buckets()[bucket("dags")]


def test_it_goes_on_where_it_was_killed(cloud: CloudFixture, finished: tuple[str, set[bytes]]) -> None:
    printed = finished[0]
    assert "remote state: skipped" in printed
    assert "Terraform: everything is as the settings say" in printed
    assert f"ssh -F {cloud.state}/ssh_config mlflow" in printed
    assert "https://mlflow.trial.internal" in printed
    assert cloud.calls().count("yandex_mdb_postgresql_cluster_v2") == 1, "made once, whatever was killed"
