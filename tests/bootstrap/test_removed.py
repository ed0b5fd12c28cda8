"""`make destroy` after some weeks of use: it asks, goes on after a kill, and leaves nothing but what is others'."""

import os
import signal

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
from stack.cloud.destroy import is_protected
from stack.common import lockbox
from stack.local import deploy
from tests.bootstrap.cloud_fixture import PREFIX, CloudFixture, bucket
from tests.support.cloud import (
    DATAPROC,
    FOLDER,
    SUBNET,
    result,
)
from tests.support.waiting import wait_until

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


def test_what_is_protected_is_known_by_its_values() -> None:
    assert is_protected({"name": "fraud-database-data", "labels": {"stack": "fraud", "protected": "true"}})
    assert not is_protected({"labels": {"stack": "fraud", "protected": "false"}})
    assert not is_protected({"labels": None})
    assert is_protected({"deletion_protection": True, "labels": {}})
    assert is_protected({"force_destroy": False})


@pytest.fixture(scope="module")
def used(cloud: CloudFixture, finished: object) -> None:
    """The cloud after some weeks: data in buckets, a cluster, a snapshot, and things of other people."""
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


def test_destroy_asks(cloud: CloudFixture, used: None) -> None:
    before = cloud.ours()
    status, printed = cloud.run("destroy", answer="n\n")
    assert status == 1
    assert f"Remove these {len(before)}" in printed
    assert cloud.ours() == before
    assert cloud.buckets()[bucket("lake")] == ["some/thing"]


def test_destroy_goes_on_after_it_was_killed(cloud: CloudFixture, used: None) -> None:
    cloud.trouble(yandex_compute_instance="hold")
    before = cloud.calls().count("yandex_compute_instance")
    process = cloud.start("destroy", "--yes")
    wait_until(lambda: cloud.calls().count("yandex_compute_instance") > before, "nothing is removed", 180)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    cloud.trouble()
    assert cloud.ours()


def test_what_cannot_be_removed_is_named(cloud: CloudFixture, used: None) -> None:
    lockbox.put_secret(cloud.endpoint.sdk(), FOLDER, {}, f"{PREFIX}-by-hand", {"a": "b"})
    status, printed = cloud.run("destroy", "--yes")
    assert status == 1, printed
    assert f"Left in the folder {FOLDER}: secret {PREFIX}-by-hand" in printed.replace("\n", " ")
    assert "1 things of ours are left" in printed
    assert [each.name for each in cloud.ours()] == [f"{PREFIX}-by-hand"]


def test_destroy_leaves_nothing_and_touches_nobody_else(cloud: CloudFixture, used: None) -> None:

    sdk = cloud.endpoint.sdk()
    secret = lockbox.secrets_by_name(sdk, FOLDER)[f"{PREFIX}-by-hand"]
    sdk.wait_operation_and_get_result(sdk.client(SecretServiceStub).Delete(DeleteSecretRequest(secret_id=secret.id)))
    status, printed = cloud.run("destroy", "--yes")
    assert status == 0, printed
    assert f"Left in the folder {FOLDER}: nothing" in printed
    assert cloud.ours() == []
    assert cloud.buckets() == {"of-others": ["precious"]}
    assert cloud.secret("of-others") == {"a": "b"}
    assert {each.name for each in clusters.everything(sdk, FOLDER)} == {"of-another-deployment", "of-others"}
    assert not cloud.state.exists()
    assert not (cloud.project / "inventory" / "cloud.yml").exists()


def test_nothing_to_destroy_is_said(cloud: CloudFixture, used: None) -> None:
    status, printed = cloud.run("destroy", "--yes")
    assert status == 1
    assert "nothing was made from here" in printed
