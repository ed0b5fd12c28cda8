"""`make destroy` after some weeks of use: it asks, goes on after a kill, and leaves nothing but what is others'."""

import json
import os
import signal

import grpc
import pytest
from yandex.cloud.compute.v1 import snapshot_pb2
from yandex.cloud.compute.v1.snapshot_service_pb2 import CreateSnapshotRequest
from yandex.cloud.compute.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from yandex.cloud.dataproc.v1 import cluster_pb2
from yandex.cloud.dataproc.v1 import cluster_service_pb2 as service
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.dataproc.v1.subcluster_pb2 import Role
from yandex.cloud.lockbox.v1.secret_service_pb2 import DeleteSecretRequest
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub

from dags.retraining import clusters
from dags.retraining.patience import FRESH
from local_cloud.object_storage import errors
from local_cloud.object_storage.errors import S3Error
from stack.cloud.protection import is_protected, require_kept
from stack.common import lockbox
from stack.common.errors import StackError
from stack.local import deploy
from tests.bootstrap.cloud_fixture import PREFIX, CloudFixture, bucket
from tests.support.cloud import DATAPROC, FOLDER, SUBNET, result
from tests.support.cloud import finished as finished_operation
from tests.support.waiting import wait_until

NEIGHBOUR = f"{PREFIX}-two"
pytestmark = pytest.mark.timeout(600)


def make_cluster(cloud: CloudFixture, name: str, logs: str, **labels: str) -> None:

    resources = {"resource_preset_id": "s3-c2-m8", "disk_type_id": "network-ssd", "disk_size": 20 << 30}
    parts = [
        service.CreateSubclusterConfigSpec(
            name=role.lower(), role=Role.Value(role), resources=resources, subnet_id=SUBNET, hosts_count=1
        )
        for role in ("MASTERNODE", "COMPUTENODE")
    ]
    spec = service.CreateClusterConfigSpec(version_id="2.2", subclusters_spec=parts)
    spec.hadoop.services.extend([cluster_pb2.HadoopConfig.YARN, cluster_pb2.HadoopConfig.SPARK])
    spec.hadoop.ssh_public_keys.append("ssh-ed25519 AAAA")
    sdk = cloud.endpoint.sdk()
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


def change(address: str, actions: list[str], **before: object) -> dict[str, object]:
    return {"address": address, "change": {"actions": actions, "before": before or None}}


def test_a_plan_that_would_delete_data_is_refused_before_anything_is_done() -> None:
    changes = [
        change("yandex_mdb_postgresql_cluster_v2.main[0]", ["delete"], deletion_protection=True),
        change('yandex_compute_disk.data["database"]', ["delete", "create"], labels={"protected": "true"}),
        change("yandex_airflow_cluster.main[0]", ["update"], deletion_protection=True),
        change('yandex_compute_disk.system["mlflow"]', ["delete"], labels={"stack": "fraud"}),
        change("yandex_compute_instance.main", ["create"]),
    ]
    with pytest.raises(StackError) as refused:
        require_kept(changes)
    named = str(refused.value).split(": ")[1]
    assert named.startswith('yandex_mdb_postgresql_cluster_v2.main[0], yandex_compute_disk.data["database"]. Nothing')
    require_kept(changes[2:])


def test_what_is_protected_is_known_by_its_values() -> None:
    assert is_protected({"name": "fraud-database-data", "labels": {"stack": "fraud", "protected": "true"}})
    assert not is_protected({"labels": {"stack": "fraud", "protected": "false"}})
    assert not is_protected({"labels": None})
    assert is_protected({"deletion_protection": True, "labels": {}})
    assert is_protected({"force_destroy": False})


@pytest.fixture(scope="module")
def used(cloud: CloudFixture, finished: object) -> CloudFixture:
    """The cloud after some weeks: data in buckets, a cluster, a snapshot, and things of other people.

    Among them another deployment, whose prefix begins with ours: it is returned.
    """
    s3, sdk = deploy.object_store(cloud.store), cloud.endpoint.sdk()
    for purpose in ("lake", "artifacts", "logs"):
        s3.put_object(Bucket=bucket(purpose), Key="some/thing", Body=b"x")
    s3.create_bucket(Bucket="of-others")
    s3.put_object(Bucket="of-others", Key="precious", Body=b"x")
    make_cluster(cloud, "fraud-retrain-running", bucket("logs"), owner="fraud-retraining")
    make_cluster(cloud, "of-another-deployment", "of-others", owner="fraud-retraining")
    make_cluster(cloud, "of-others", "of-others")
    request = CreateSnapshotRequest(folder_id=FOLDER, disk_id="disk", name="daily-1", labels={"stack": PREFIX})
    result(sdk, sdk.client(SnapshotServiceStub).Create(request), snapshot_pb2.Snapshot)
    lockbox.put_secret(sdk, FOLDER, {}, "of-others", {"a": "b"})
    theirs = cloud.neighbour("neighbour", NEIGHBOUR)
    # Nothing of it is there at once.
    cloud.storage.not_yet(errors.no_such_bucket("new"), errors.unknown_key("new"), S3Error(403, "AccessDenied", "new"))
    cloud.endpoint.faults(
        {"method": "*SecretService/AddVersion", "when": "new", "code": "NOT_FOUND", "message": "new", "times": 1},
        {"method": "*OperationService/Get", "when": "new", "code": "NOT_FOUND", "message": "new", "times": 1},
        {"method": "*Service/List", "when": "call", "code": "UNAVAILABLE", "message": "away", "times": 3},
    )
    printed = theirs.bootstrap()
    cloud.storage.not_yet()
    cloud.endpoint.faults()
    assert "Terraform: apply: " in printed
    put = {"Bucket": f"{NEIGHBOUR}-lake-{FOLDER}", "Key": "precious", "Body": b"x"}
    s3.put_object(**put)
    make_cluster(cloud, "run-of-the-neighbour", f"{NEIGHBOUR}-logs-{FOLDER}", owner="fraud-retraining")
    return theirs


def test_a_secret_that_nobody_may_read_yet_is_asked_for_again(cloud: CloudFixture) -> None:
    """Terraform reads the passwords that it makes, and repeats nothing: what we read ourselves is tried here alone."""
    patient, hasty = FRESH.sdk(cloud.endpoint.sdk()), cloud.endpoint.sdk()
    made = lockbox.put_secret(patient, FOLDER, {}, "just-made", {"a": "b"})
    cloud.endpoint.faults(
        {"method": "*PayloadService/Get", "when": "new", "code": "PERMISSION_DENIED", "message": "new", "times": 3}
    )
    with pytest.raises(grpc.RpcError, match="PERMISSION_DENIED"):
        lockbox.payload(hasty, made)
    assert lockbox.payload(patient, made) == {"a": "b"}
    cloud.endpoint.faults()
    finished_operation(hasty, hasty.client(SecretServiceStub).Delete(DeleteSecretRequest(secret_id=made)))


@pytest.mark.verify
def test_a_neighbour_has_names_of_its_own(cloud: CloudFixture, used: CloudFixture) -> None:
    """Its secrets, too: Airflow looks for connections by name in the whole folder."""
    for name in ("airflow/connections/{}-mlflow", "airflow/variables/{}-fraud_retraining", "jobs/{}-mlflow"):
        assert cloud.secret(name.format(PREFIX)) != cloud.secret(name.format(NEIGHBOUR))
    told = json.loads(cloud.secret(f"airflow/variables/{NEIGHBOUR}-fraud_retraining")["value"])
    assert told["lake_bucket"] == f"{NEIGHBOUR}-lake-{FOLDER}"
    s3 = deploy.object_store(cloud.store)
    for prefix in (PREFIX, NEIGHBOUR):
        beside = s3.get_object(Bucket=f"{prefix}-dags-{FOLDER}", Key="dags/retraining/settings.json")["Body"].read()
        assert json.loads(beside)["stack"] == prefix
    mine, theirs = {each.id for each in cloud.ours()}, {each.id for each in used.ours()}
    assert not mine & theirs
    assert len(theirs) > 10


@pytest.mark.verify
def test_a_prefix_that_is_taken_is_refused_before_anything_is_made(cloud: CloudFixture, used: CloudFixture) -> None:
    again, before = cloud.neighbour("again", NEIGHBOUR), cloud.calls()
    status, printed = again.run("bootstrap", "--yes")
    assert status == 1
    said = " ".join(printed.split())
    assert f"has a deployment with the prefix {NEIGHBOUR} already" in said
    assert "set another prefix in" in said
    assert f"`state.tfstate` from s3://{NEIGHBOUR}-tfstate-{FOLDER}" in said
    assert "delete" not in said
    assert (cloud.calls(), (again.state / "state.tfstate").exists()) == (before, False)


@pytest.mark.verify
@pytest.mark.parametrize("command", ["bootstrap", "destroy"])
def test_settings_of_another_deployment_are_refused(cloud: CloudFixture, used: CloudFixture, command: str) -> None:
    before = cloud.calls()
    used.prefix = "third"
    used.settings()
    status, printed = used.run(command, "--yes")
    used.prefix = NEIGHBOUR
    used.settings()
    assert status == 1
    assert f"holds the deployment with the state in {NEIGHBOUR}-tfstate-{FOLDER}" in " ".join(printed.split())
    assert [kind for kind in cloud.calls()[len(before) :] if not kind.startswith("data.")] == []


@pytest.mark.verify
def test_destroy_asks(cloud: CloudFixture, used: CloudFixture) -> None:
    before = cloud.ours()
    status, printed = cloud.run("destroy", answer="n\n")
    assert status == 1
    assert f"Remove these {len(before)}" in printed
    assert cloud.ours() == before
    assert cloud.buckets()[bucket("lake")] == ["some/thing"]


@pytest.mark.verify
def test_destroy_goes_on_after_it_was_killed(cloud: CloudFixture, used: CloudFixture) -> None:
    cloud.trouble(yandex_compute_instance="hold")
    before = cloud.calls().count("yandex_compute_instance")
    process = cloud.start("destroy", "--yes")
    wait_until(lambda: cloud.calls().count("yandex_compute_instance") > before, "nothing is removed", 180)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    cloud.trouble()
    assert cloud.ours()


@pytest.mark.verify
def test_what_cannot_be_removed_is_named(cloud: CloudFixture, used: CloudFixture) -> None:
    lockbox.put_secret(cloud.endpoint.sdk(), FOLDER, {}, f"{PREFIX}-by-hand", {"a": "b"})
    status, printed = cloud.run("destroy", "--yes")
    assert status == 1, printed
    assert f"Left in the folder {FOLDER}: secret {PREFIX}-by-hand" in printed.replace("\n", " ")
    assert ", by its name alone)" in printed
    assert "1 things of ours are left" in printed
    assert "may be somebody else's, so ask first" in " ".join(printed.split())
    assert [each.name for each in cloud.ours()] == [f"{PREFIX}-by-hand"]


@pytest.mark.verify
def test_destroy_leaves_nothing_and_touches_nobody_else(cloud: CloudFixture, used: CloudFixture) -> None:

    sdk = cloud.endpoint.sdk()
    secret = lockbox.secrets_by_name(sdk, FOLDER)[f"{PREFIX}-by-hand"]
    sdk.wait_operation_and_get_result(sdk.client(SecretServiceStub).Delete(DeleteSecretRequest(secret_id=secret.id)))
    theirs = [each.id for each in used.ours()]
    # The cloud is busy, and a store is new to those who have not asked it yet.
    cloud.storage.not_yet(S3Error(503, "SlowDown", "busy"), S3Error(500, "InternalError", "broken"))
    cloud.endpoint.faults(
        {"method": "*Service/List", "when": "call", "code": "UNAVAILABLE", "message": "away", "times": 4},
        {"method": "*OperationService/Get", "when": "new", "code": "NOT_FOUND", "message": "new", "times": 1},
        {"method": "*SnapshotService/Delete", "when": "after", "code": "UNAVAILABLE", "message": "lost", "times": 1},
    )
    status, printed = cloud.run("destroy", "--yes")
    cloud.storage.not_yet()
    cloud.endpoint.faults()
    assert status == 0, printed
    assert f"Left in the folder {FOLDER}: nothing" in printed
    assert cloud.ours() == []
    assert {name.partition(f"-{FOLDER}")[0] for name in cloud.buckets()} == {
        "of-others",
        *(f"{NEIGHBOUR}-{purpose}" for purpose in ("lake", "dags", "jobs", "artifacts", "logs", "tfstate")),
    }
    assert cloud.buckets()["of-others"] == cloud.buckets()[f"{NEIGHBOUR}-lake-{FOLDER}"] == ["precious"]
    assert [each.id for each in used.ours()] == theirs
    assert cloud.secret("of-others") == {"a": "b"}
    left = {each.name for each in clusters.everything(sdk, FOLDER)}
    assert left == {"of-another-deployment", "of-others", "run-of-the-neighbour"}
    assert not cloud.state.exists()
    assert not (cloud.project / "inventory" / "cloud.yml").exists()


@pytest.mark.verify
def test_nothing_to_destroy_is_said(cloud: CloudFixture, used: CloudFixture) -> None:
    status, printed = cloud.run("destroy", "--yes")
    assert status == 1
    assert "nothing was made from here" in printed
    cloud.state.mkdir()
    (cloud.state / "precious").write_text("somebody's folder")
    status, printed = cloud.run("destroy", "--yes")
    assert (status, "holds no deployment" in printed) == (1, True)
    assert (cloud.state / "precious").exists()
