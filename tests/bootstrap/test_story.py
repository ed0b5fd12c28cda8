"""One cloud from the first question to the last: refused, killed at every step, made, changed, removed.

The tests follow one another on the same cloud; a bootstrap takes a minute.
"""

import json
import os
import signal
import stat
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from yandex.cloud.compute.v1 import snapshot_pb2
from yandex.cloud.compute.v1.snapshot_service_pb2 import CreateSnapshotRequest
from yandex.cloud.compute.v1.snapshot_service_pb2_grpc import SnapshotServiceStub

from dags.retraining import clusters
from stack.cloud import terraform
from stack.cloud.site import Site
from stack.common import lockbox
from stack.local import deploy
from tests.bootstrap.conftest import AUTHORITY, PREFIX, Lab
from tests.support.cloud import DATAPROC, FOLDER, SUBNET, result, wait_until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def lab(new_lab: Any) -> Iterator[Lab]:
    made = new_lab()
    yield made
    made.close()


def bucket(purpose: str) -> str:
    return f"{PREFIX}-{purpose}-{FOLDER}"


def killed(lab: Lab, ready: Any, number: signal.Signals = signal.SIGKILL, *options: str) -> str:
    """Kills a bootstrap, with all its programs, when `ready(what it printed)`; returns what it printed."""
    process = lab.start("bootstrap", "--yes", *options)
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
    reader.start()
    wait_until(lambda: ready("".join(lines)) or process.poll() is not None, "it does not come so far", 180)
    assert process.poll() is None, "".join(lines)
    os.killpg(process.pid, number)
    process.wait(timeout=60)
    reader.join(timeout=10)
    return "".join(lines)


# ------------------------------------------------------------------------------------------------ refused, killed
def test_no_means_no(lab: Lab) -> None:
    status, printed = lab.run("bootstrap", answer="n\n")
    assert status == 1, printed
    assert "A bucket for Terraform's state comes first: 7 to create" in printed
    assert "The answer was 'n': this was not done" in printed
    assert lab.calls() == []
    assert lab.ours() == []


def test_nobody_to_ask_means_no(lab: Lab) -> None:
    status, printed = lab.run("bootstrap", answer="")
    assert status == 1
    assert "or with YES=1" in printed
    assert lab.calls() == []


def test_killed_while_the_bucket_for_state_is_made(lab: Lab) -> None:
    lab.trouble(yandex_kms_symmetric_key=15)
    killed(lab, lambda _: "yandex_kms_symmetric_key" in lab.calls())
    lab.trouble()
    assert not Site(lab.site).load("remote-state", None)
    assert terraform.is_running(Site(lab.site).load("terraform-process", None)), "Terraform comes to its end"


def test_killed_while_terraform_plans_and_a_lock_is_left(lab: Lab) -> None:
    lab.trouble(**{"data.yandex_compute_image": 60})
    printed = killed(lab, lambda _: "data.yandex_compute_image" in lab.calls())
    os.kill(Site(lab.site).load("terraform-process", {})["pid"], signal.SIGKILL)
    lab.trouble()
    assert "of an earlier command is still at work: waiting until it has ended" in printed
    assert "remote state: " in printed
    assert lab.calls().count("yandex_kms_symmetric_key") == 1
    assert "fraud-retraining.tfstate.tflock" in lab.buckets()[bucket("tfstate")]


def test_a_lock_of_somebody_else_is_respected(lab: Lab) -> None:
    s3, name = deploy.object_store(lab.store), bucket("tfstate")
    kept = s3.get_object(Bucket=name, Key="fraud-retraining.tfstate.tflock")["Body"].read()
    other = json.loads(kept) | {"Who": "alice@elsewhere"}
    s3.put_object(Bucket=name, Key="fraud-retraining.tfstate.tflock", Body=json.dumps(other).encode())
    status, printed = lab.run("bootstrap", "--yes")
    assert status == 1
    assert "locked by alice@elsewhere" in printed
    assert "force-unlock" in printed
    s3.put_object(Bucket=name, Key="fraud-retraining.tfstate.tflock", Body=kept)


def test_killed_while_terraform_applies(lab: Lab) -> None:
    lab.trouble(yandex_compute_instance=15)
    printed = killed(lab, lambda _: "yandex_compute_instance" in lab.calls())
    lab.trouble()
    assert "was left by our Terraform, which was killed: taking it away" in printed
    assert "remote state: skipped, done on" in printed


def test_killed_while_machines_are_set_up(lab: Lab) -> None:
    printed = killed(lab, lambda text: "waiting up to" in text)
    assert "of an earlier command is still at work: waiting until it has ended" in printed
    assert lab.calls().count("yandex_compute_instance") == 1
    assert lab.buckets()[bucket("tfstate")].count("fraud-retraining.tfstate.tflock") == 0
    assert "machines" not in Site(lab.site).load("journal", {})


def test_killed_while_secrets_are_filled(lab: Lab) -> None:
    lab.endpoint.faults({"method": "*SecretService/AddVersion", "when": "call", "delay": 60})
    killed(lab, lambda text: "Airflow's connections and variable" in text)
    lab.endpoint.faults()
    assert lab.buckets()[bucket("dags")]


# ------------------------------------------------------------------------------------------------ made
def arguments_of_all() -> Iterator[bytes]:
    for process in os.listdir("/proc"):
        if process.isdigit():
            try:
                with open(f"/proc/{process}/cmdline", "rb") as handle:
                    yield handle.read()
            except OSError:
                continue


@pytest.fixture(scope="module")
def finished(lab: Lab) -> tuple[str, set[bytes]]:
    """What the run printed that came to the end, and every command line that was seen on this machine meanwhile."""
    seen: set[bytes] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            seen.update(arguments_of_all())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return lab.bootstrap(), seen
    finally:
        stop.set()
        watcher.join()


def test_it_goes_on_where_it_was_killed(lab: Lab, finished: tuple[str, set[bytes]]) -> None:
    printed = finished[0]
    assert "remote state: skipped" in printed
    assert "Terraform: everything is as the settings say" in printed
    assert f"ssh -F {lab.site}/ssh_config mlflow" in printed
    assert "https://mlflow.trial.internal" in printed
    assert lab.calls().count("yandex_mdb_postgresql_cluster_v2") == 1, "made once, whatever was killed"


def test_the_machines_are_told_where_everything_is(lab: Lab, finished: object) -> None:
    told = json.loads((lab.folder / "machines" / "mlflow-vm.json").read_text())
    assert told["mlflow"]["host"] == "mlflow.trial.internal"
    assert told["buckets"]["artifacts"] == bucket("artifacts")


def test_code_is_in_its_buckets(lab: Lab, finished: object) -> None:
    there = lab.buckets()
    release = there[bucket("jobs")][0].split("/")[0]
    names = {key.removeprefix(f"{release}/") for key in there[bucket("jobs")]}
    assert {"train.py", "prepare.py", "fraud_retraining.zip", "pins-2.1.txt", "pins-2.2.txt"} <= names
    assert {"dags/retrain.py", "dags/sweep.py", "dags/retraining/settings.json"} <= set(there[bucket("dags")])
    variable = json.loads(lab.secret("airflow/variables/fraud_retraining")["value"])
    assert variable["release"] == release
    assert variable["jobs_bucket"] == bucket("jobs")


def test_the_dag_can_plan_a_run_with_what_it_was_told(lab: Lab, finished: object) -> None:
    from datetime import UTC, datetime

    from dags.retraining import plan, settings

    told = json.loads(lab.secret("airflow/variables/fraud_retraining")["value"])
    assert not [key for key in settings.REQUIRED if key not in told]
    spec = plan.cluster(told, "fraud-retrain-x", "manual__1")
    outputs = Site(lab.site).load("outputs", {})
    assert spec["subnet_id"] == outputs["dataproc"]["subnet_id"]
    assert spec["security_group_ids"] == outputs["dataproc"]["security_group_ids"]
    assert spec["service_account_id"] == outputs["dataproc"]["service_account_id"]
    assert plan.run_name("manual__1", datetime(2026, 1, 1, tzinfo=UTC))


def test_passwords_went_from_secret_to_secret(lab: Lab, finished: object) -> None:
    connection = json.loads(lab.secret("airflow/connections/mlflow")["value"])
    assert connection["password"] == lab.secret(f"{PREFIX}-mlflow-airflow")["password"]
    assert connection["host"] == "mlflow.trial.internal"
    jobs = {"username": "trainer", "password": lab.secret(f"{PREFIX}-mlflow-trainer")["password"], "ca": AUTHORITY}
    assert lab.secret("jobs/mlflow") == jobs
    storage = json.loads(lab.secret("airflow/connections/object_storage")["value"])
    assert storage["password"] == lab.store.secrets["object_store_secret"]


def test_no_secret_in_arguments_output_or_files_of_others(lab: Lab, finished: tuple[str, set[bytes]]) -> None:
    printed, lines = finished
    hidden = [value for value in lab.passwords() if len(value) > 12 and value != AUTHORITY]
    hidden += [lab.endpoint.private_key.splitlines()[1], "t1."]
    assert len(hidden) > 10
    assert any(b"terraform" in line for line in lines), "the watcher saw nothing"
    for value in hidden:
        assert value not in printed
        assert not [line for line in lines if value.encode() in line]
    hidden.remove("t1.")
    for path in (*lab.site.rglob("*"), *(lab.project / "inventory").rglob("*")):
        if path.is_file():
            text = path.read_bytes()
            assert not [value for value in hidden if value.encode() in text], path
    assert stat.S_IMODE(lab.site.stat().st_mode) == 0o700


def texts_of(value: Any) -> Iterator[str]:
    """Every text at any depth."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_of(inner)


def test_the_state_holds_one_secret_only(lab: Lab, finished: object) -> None:
    s3 = deploy.object_store(lab.store)
    state = json.loads(s3.get_object(Bucket=bucket("tfstate"), Key="fraud-retraining.tfstate")["Body"].read())
    texts = set(texts_of(state))
    names = [name for name in lockbox.secrets_by_name(lab.endpoint.sdk(), FOLDER) if name.startswith(f"{PREFIX}-")]
    inside = [name for name in names for value in lab.secret(name).values() if value in texts]
    assert inside == [f"{PREFIX}-airflow-admin"]


def test_a_second_time_changes_nothing(lab: Lab, finished: object) -> None:
    def made() -> list[str]:
        return [kind for kind in lab.calls() if not kind.startswith("data.")]

    calls, versions = made(), lab.passwords()
    printed = lab.bootstrap()
    assert "machines: skipped, done on" in printed
    assert "Terraform: everything is as the settings say" in printed
    assert (made(), lab.passwords()) == (calls, versions)


def test_a_changed_setting_is_planned_and_the_machines_are_set_up_again(lab: Lab, finished: object) -> None:
    lab.settings("mlflow = { public = true }\n")
    status, printed = lab.run("bootstrap", answer="y\n")
    assert status == 0, printed
    assert "Make it so?" in printed
    assert "machines: skipped" not in printed
    assert "yandex_vpc_address" in lab.calls()


def test_a_failing_apply_says_how_to_go_on(lab: Lab, finished: object) -> None:
    lab.settings('mlflow = { public = true }\nairflow = { connections = ["telegram"] }\n')
    lab.trouble(yandex_lockbox_secret="the quota of secrets is used up")
    status, printed = lab.run("bootstrap", "--yes")
    lab.trouble()
    assert status == 1
    assert "the quota of secrets is used up" in printed
    assert "run the same command again; it goes on" in printed
    assert "Traceback" not in printed


def test_the_cost_is_of_what_was_built(lab: Lab, finished: object) -> None:
    status, printed = lab.run("cost")
    assert status == 0, printed
    assert "Cost of what was built" in printed
    assert "from the internet" in printed  # the public address


# ------------------------------------------------------------------------------------------------ removed
def make_cluster(lab: Lab, name: str, logs: str, **labels: str) -> None:
    from yandex.cloud.dataproc.v1 import cluster_pb2
    from yandex.cloud.dataproc.v1 import cluster_service_pb2 as service
    from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
    from yandex.cloud.dataproc.v1.subcluster_pb2 import Role

    resources = {"resource_preset_id": "s3-c2-m8", "disk_type_id": "network-ssd", "disk_size": 64 << 30}
    parts = [
        service.CreateSubclusterConfigSpec(
            name=role.lower(), role=Role.Value(role), resources=resources, subnet_id=SUBNET, hosts_count=1
        )
        for role in ("MASTERNODE", "COMPUTENODE")
    ]
    spec = service.CreateClusterConfigSpec(version_id="2.2", subclusters_spec=parts)
    spec.hadoop.services.extend([cluster_pb2.HadoopConfig.YARN, cluster_pb2.HadoopConfig.SPARK])
    spec.hadoop.ssh_public_keys.append("ssh-ed25519 AAAA")
    sdk = lab.endpoint.sdk()
    request = service.CreateClusterRequest(
        folder_id=FOLDER,
        name=name,
        labels=labels,
        config_spec=spec,
        zone_id="ru-central1-a",
        service_account_id=DATAPROC,
        bucket=logs,
    )
    result(sdk, sdk.client(ClusterServiceStub).Create(request), cluster_pb2.Cluster)


@pytest.fixture(scope="module")
def used(lab: Lab, finished: object) -> None:
    """The cloud after some weeks: data in buckets, a cluster, a snapshot, and things of other people."""
    s3, sdk = deploy.object_store(lab.store), lab.endpoint.sdk()
    for purpose in ("lake", "artifacts", "logs"):
        s3.put_object(Bucket=bucket(purpose), Key="some/thing", Body=b"x")
    s3.create_bucket(Bucket="of-others")
    s3.put_object(Bucket="of-others", Key="precious", Body=b"x")
    make_cluster(lab, "fraud-retrain-running", bucket("logs"), owner="fraud-retraining")
    make_cluster(lab, "of-another-deployment", "of-others", owner="fraud-retraining")
    make_cluster(lab, "of-others", "of-others")
    request = CreateSnapshotRequest(folder_id=FOLDER, disk_id="disk", name="daily-1", labels={"stack": PREFIX})
    result(sdk, sdk.client(SnapshotServiceStub).Create(request), snapshot_pb2.Snapshot)
    lockbox.put_secret(sdk, FOLDER, {}, "of-others", {"a": "b"})


def test_destroy_asks(lab: Lab, used: None) -> None:
    before = lab.ours()
    status, printed = lab.run("destroy", answer="n\n")
    assert status == 1
    assert f"Remove these {len(before)}" in printed
    assert lab.ours() == before
    assert lab.buckets()[bucket("lake")] == ["some/thing"]


def test_destroy_goes_on_after_it_was_killed(lab: Lab, used: None) -> None:
    lab.trouble(yandex_compute_instance=10)
    before = lab.calls().count("yandex_compute_instance")
    process = lab.start("destroy", "--yes")
    wait_until(lambda: lab.calls().count("yandex_compute_instance") > before, "nothing is removed", 180)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    lab.trouble()
    assert lab.ours()


def test_what_cannot_be_removed_is_named(lab: Lab, used: None) -> None:
    lockbox.put_secret(lab.endpoint.sdk(), FOLDER, {}, f"{PREFIX}-by-hand", {"a": "b"})
    status, printed = lab.run("destroy", "--yes")
    assert status == 1, printed
    assert f"Left in the folder {FOLDER}: secret {PREFIX}-by-hand" in printed.replace("\n", " ")
    assert "1 things of ours are left" in printed
    assert [each.name for each in lab.ours()] == [f"{PREFIX}-by-hand"]


def test_destroy_leaves_nothing_and_touches_nobody_else(lab: Lab, used: None) -> None:
    from yandex.cloud.lockbox.v1.secret_service_pb2 import DeleteSecretRequest
    from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub

    sdk = lab.endpoint.sdk()
    secret = lockbox.secrets_by_name(sdk, FOLDER)[f"{PREFIX}-by-hand"]
    sdk.wait_operation_and_get_result(sdk.client(SecretServiceStub).Delete(DeleteSecretRequest(secret_id=secret.id)))
    status, printed = lab.run("destroy", "--yes")
    assert status == 0, printed
    assert f"Left in the folder {FOLDER}: nothing" in printed
    assert lab.ours() == []
    assert lab.buckets() == {"of-others": ["precious"]}
    assert lab.secret("of-others") == {"a": "b"}
    assert {each.name for each in clusters.everything(sdk, FOLDER)} == {"of-another-deployment", "of-others"}
    assert not lab.site.exists()
    assert not (lab.project / "inventory" / "cloud.yml").exists()


def test_nothing_to_destroy_is_said(lab: Lab, used: None) -> None:
    status, printed = lab.run("destroy", "--yes")
    assert status == 1
    assert "nothing was made from here" in printed
