"""Data Processing clusters with the SDK's own wrapper: what is refused, what fails, what is listed."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
import yandexcloud
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.dataproc.v1 import cluster_pb2, cluster_service_pb2
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.vpc.v1 import security_group_pb2, security_group_service_pb2
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub
from yandexcloud.operations import OperationError

from tests.support.cloud import FOLDER, NETWORK, NOBODY, SUBNET, Endpoint, finished, refusal, result
from tests.support.dataproc import cluster_fields


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"cluster_name": "x" * 64}, "INVALID_ARGUMENT", "name: "),
        ({"cluster_name": "Upper"}, "INVALID_ARGUMENT", "name: 'Upper' does not match"),
        ({"cluster_image_version": "9.9"}, "INVALID_ARGUMENT", "unknown image '9.9'; offered are ['2.2']"),
        ({"services": ["SPARK"]}, "INVALID_ARGUMENT", "SPARK needs YARN"),
        ({"services": ["HDFS", "YARN", "SPARK"]}, "INVALID_ARGUMENT", "HDFS needs a DATANODE subcluster"),
        ({"datanode_count": 1}, "INVALID_ARGUMENT", "a light cluster (services without HDFS) has no DATANODE"),
        ({"computenode_count": 0}, "INVALID_ARGUMENT", "besides the master, 1 to 11 COMPUTENODE or DATANODE"),
        ({"computenode_count": 33}, "INVALID_ARGUMENT", "'compute' has 33 hosts, expected at most 32"),
        ({"computenode_disk_size": 4097}, "INVALID_ARGUMENT", "'compute' has disks of 4097 GB, expected at most 4096"),
        ({"masternode_resource_preset": "huge"}, "INVALID_ARGUMENT", "unknown resource preset 'huge'"),
        ({"masternode_disk_type": "floppy"}, "INVALID_ARGUMENT", "unknown disk type 'floppy'"),
        (
            {"computenode_disk_type": "network-ssd-nonreplicated"},
            "INVALID_ARGUMENT",
            "a network-ssd-nonreplicated disk has 20 GB, expected a multiple of 93 GB",
        ),
        (
            {"computenode_count": 3, "computenode_max_hosts_count": 2},
            "INVALID_ARGUMENT",
            "may grow to 2 hosts and has 3",
        ),
        (
            {"computenode_resource_preset": "b3-c1-m4", "computenode_max_hosts_count": 3},
            "INVALID_ARGUMENT",
            "has the burstable preset 'b3-c1-m4'",
        ),
        ({"properties": {"pip:mlflow": "==2.0"}}, "INVALID_ARGUMENT", "'==2.0' is no version; the service puts the =="),
        ({"properties": {"pip:mlflow": ">=2"}}, "INVALID_ARGUMENT", "'>=2' is no version"),
        ({"properties": {"pip:ml flow": "2.0"}}, "INVALID_ARGUMENT", "'ml flow' is no name of a package"),
        (
            {"properties": {"hive:x": "y"}},
            "INVALID_ARGUMENT",
            "the cluster has no service 'hive', only ['spark', 'yarn']",
        ),
        ({"ssh_public_keys": [""]}, "INVALID_ARGUMENT", "ssh_public_keys are empty"),
        ({"zone": "ru-central1-c"}, "INVALID_ARGUMENT", "unknown zone 'ru-central1-c'"),
        (
            {"zone": "ru-central1-d", "masternode_resource_preset": "s1.micro"},
            "FAILED_PRECONDITION",
            'platform "standard-v1" is unavailable in zone "ru-central1-d"',
        ),
        ({"s3_bucket": ""}, "INVALID_ARGUMENT", "bucket: is required"),
        ({"zone": "ru-central1-b"}, "INVALID_ARGUMENT", "is in 'ru-central1-a'"),
        ({"subnet_id": "e9bnone"}, "NOT_FOUND", "Subnet 'e9bnone' not found"),
        ({"service_account_id": "ajenone"}, "NOT_FOUND", "ServiceAccount 'ajenone' not found"),
        ({"service_account_id": NOBODY}, "PERMISSION_DENIED", "needs the role dataproc.agent"),
        ({"security_group_ids": ["enpnone"]}, "NOT_FOUND", "SecurityGroup 'enpnone' not found"),
        ({"labels": {"Big": "x"}}, "INVALID_ARGUMENT", "labels: key 'Big'"),
        ({"cluster_name": "shared"}, "ALREADY_EXISTS", "Cluster with name 'shared' already exists in folder"),
    ],
)
def test_a_cluster_that_the_cloud_would_refuse_is_refused(
    sdk: yandexcloud.SDK, cluster: str, changes: dict[str, Any], code: str, message: str
) -> None:
    wrapper = sdk.wrappers.Dataproc()
    error = refusal(lambda: wrapper.create_cluster(**cluster_fields("refused", **changes)))
    assert error.code().name == code
    assert message in error.details()


def test_a_subnet_without_nat_is_refused(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint()
    subnet = own.config["resources"][-1]
    del subnet["routeTableId"]
    wrapper = own.start().machine("airflow").wrappers.Dataproc()
    error = refusal(lambda: wrapper.create_cluster(**cluster_fields("refused")))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"NAT should be enabled on the subnet '{SUBNET}'" in error.details()
    own.stop()
    own.config["require_nat"] = False
    wrapper = own.start().machine("airflow").wrappers.Dataproc()
    assert wrapper.create_cluster(**cluster_fields("accepted")).response.id


def test_security_groups_must_let_the_cluster_work(endpoint: Endpoint, sdk: yandexcloud.SDK) -> None:
    """The rules that the documentation asks for: itself both ways, HTTPS and time to everywhere."""
    admin = endpoint.sdk()
    itself = {"predefined_target": "self_security_group", "protocol_name": "ANY"}
    https = {"protocol_name": "TCP", "ports": {"from_port": 443, "to_port": 443}}
    ntp = {"protocol_name": "UDP", "ports": {"from_port": 123, "to_port": 123}}
    rules: list[dict[str, Any]] = [
        {"direction": "INGRESS", **itself},
        {"direction": "EGRESS", **itself},
        {"direction": "EGRESS", **https, "cidr_blocks": {"v4_cidr_blocks": ["0.0.0.0/0"]}},
        {"direction": "EGRESS", **ntp, "cidr_blocks": {"v4_cidr_blocks": ["0.0.0.0/0"]}},
    ]
    complaints = ["no INGRESS rule", "no EGRESS rule for any protocol", "no EGRESS rule for TCP 443"]
    complaints += ["no EGRESS rule for UDP 123", ""]
    for left_out, complaint in enumerate(complaints):
        request = security_group_service_pb2.CreateSecurityGroupRequest(
            folder_id=FOLDER,
            name=f"without-{left_out}",
            network_id=NETWORK,
            rule_specs=[
                security_group_service_pb2.SecurityGroupRuleSpec(**rule)
                for number, rule in enumerate(rules)
                if number != left_out
            ],
        )
        stub = admin.client(SecurityGroupServiceStub)
        group = result(admin, stub.Create(request), security_group_pb2.SecurityGroup).id
        fields = cluster_fields("grouped", security_group_ids=[group])
        wrapper = sdk.wrappers.Dataproc()
        if complaint:
            assert complaint in refusal(lambda: wrapper.create_cluster(**fields)).details()  # noqa: B023
        else:
            wrapper.create_cluster(**fields)
            wrapper.delete_cluster()


def test_whoever_creates_a_cluster_must_be_allowed_to_use_what_it_uses(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint()
    own.config["service_accounts"]["airflow"]["roles"].remove("vpc.user")
    wrapper = own.start().machine("airflow").wrappers.Dataproc()
    error = refusal(lambda: wrapper.create_cluster(**cluster_fields("refused")))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "vpc.user" in error.details()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"s3_bucket": "no-such-bucket"}, "bucket 'no-such-bucket' does not exist"),
        ({"properties": {"pip:pyspark": "3.4.1"}}, "pyspark: asked for 3.4.1, the image has 3.5.6"),
        ({"properties": {"pip:nothing": "1.0"}}, "nothing: asked for 1.0, the image has none"),
    ],
)
def test_a_cluster_that_cannot_start_fails_and_stays_to_be_deleted(
    sdk: yandexcloud.SDK, changes: dict[str, Any], message: str
) -> None:
    wrapper = sdk.wrappers.Dataproc()
    with pytest.raises(OperationError, match=message):
        wrapper.create_cluster(**cluster_fields("fails", **changes))
    stub = sdk.client(ClusterServiceStub)
    left = stub.List(cluster_service_pb2.ListClustersRequest(folder_id=FOLDER, filter='name="fails"')).clusters
    assert [row.status for row in left] == [cluster_pb2.Cluster.ERROR]
    assert not finished(sdk, stub.Delete(cluster_service_pb2.DeleteClusterRequest(cluster_id=left[0].id))).HasField(
        "error"
    )


def test_hosts_and_subclusters_are_listed(sdk: yandexcloud.SDK, cluster: str) -> None:
    hosts = (
        sdk.client(ClusterServiceStub).ListHosts(cluster_service_pb2.ListClusterHostsRequest(cluster_id=cluster)).hosts
    )
    assert [host.name.split("-")[2] for host in hosts] == ["m", "c", "c"]
    assert len({host.name for host in hosts}) == 3


def test_a_protected_cluster_is_not_deleted_until_it_is_unprotected(sdk: yandexcloud.SDK) -> None:

    own = sdk.wrappers.Dataproc().create_cluster(**cluster_fields("protected")).response.id
    stub = sdk.client(ClusterServiceStub)
    for protection in (True, False):
        change = cluster_service_pb2.UpdateClusterRequest(
            cluster_id=own, deletion_protection=protection, update_mask=FieldMask(paths=["deletion_protection"])
        )
        assert not finished(sdk, stub.Update(change)).HasField("error")
        if protection:
            error = refusal(lambda: stub.Delete(cluster_service_pb2.DeleteClusterRequest(cluster_id=own)))
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert "deletion protection" in error.details()
    assert not finished(sdk, stub.Delete(cluster_service_pb2.DeleteClusterRequest(cluster_id=own))).HasField("error")
