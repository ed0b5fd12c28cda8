"""Managed PostgreSQL and Airflow: records, but refused where the cloud refuses them; roles, labels, protection."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.wrappers_pb2 import BoolValue
from yandex.cloud.airflow.v1.cluster_service_pb2_grpc import ClusterServiceStub as AirflowStub
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.mdb.postgresql.v1 import cluster_pb2, database_pb2, database_service_pb2, user_service_pb2
from yandex.cloud.mdb.postgresql.v1 import cluster_service_pb2 as postgresql
from yandex.cloud.mdb.postgresql.v1.cluster_service_pb2_grpc import ClusterServiceStub as PostgresqlStub
from yandex.cloud.mdb.postgresql.v1.database_service_pb2_grpc import DatabaseServiceStub
from yandex.cloud.mdb.postgresql.v1.user_service_pb2_grpc import UserServiceStub

from tests.support.cloud import DATAPROC, Endpoint, finished, grant, refusal, result
from tests.support.compute import GIB, instance_request
from tests.support.managed import airflow_request, postgresql_request


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"config_spec__version": "14"}, "INVALID_ARGUMENT", "PostgreSQL '14' is not offered"),
        ({"config_spec__version": "19"}, "INVALID_ARGUMENT", "PostgreSQL '19' is not offered"),
        ({"config_spec__resources__resource_preset_id": "huge"}, "INVALID_ARGUMENT", "'huge' is no host class"),
        ({"config_spec__resources__disk_type_id": "tape"}, "INVALID_ARGUMENT", "unknown disk type 'tape'"),
        (
            {"config_spec__resources__disk_size": 9 * GIB},
            "INVALID_ARGUMENT",
            "9 GB of network-ssd, expected 10 to 4096 GB",
        ),
        (
            {"config_spec__resources__disk_type_id": "network-ssd-io-m3"},
            "INVALID_ARGUMENT",
            "10 GB of network-ssd-io-m3, expected 93 to 10230 GB for each host in steps of 93 GB",
        ),
        (
            {
                "config_spec__resources__disk_type_id": "network-ssd-nonreplicated",
                "config_spec__resources__disk_size": 93 * GIB,
            },
            "INVALID_ARGUMENT",
            "1 hosts with network-ssd-nonreplicated, expected 3 to 16",
        ),
        ({"host_specs__0__zone_id": "ru-central1-c"}, "INVALID_ARGUMENT", "host_specs[0].zone_id: unknown zone"),
        (
            {"host_specs__0__zone_id": "ru-central1-d", "config_spec__resources__resource_preset_id": "s1.micro"},
            "FAILED_PRECONDITION",
            'platform "standard-v1" is unavailable in zone "ru-central1-d"',
        ),
        (
            {"config_spec__resources__resource_preset_id": "s3-c96-m576"},
            "FAILED_PRECONDITION",
            'Quota limits exceeded, not enough "mdb.cpu.count: 32, mdb.memory.size: ',
        ),
        ({"user_specs__0__name": "postgres"}, "INVALID_ARGUMENT", "'postgres' is no name of a user"),
        ({"user_specs__0__name": "pg_mlflow"}, "INVALID_ARGUMENT", "'pg_mlflow' is no name of a user"),
        ({"user_specs__0__password": "short"}, "INVALID_ARGUMENT", "expected 8-128"),
        ({"network_id": ""}, "INVALID_ARGUMENT", "network_id: is required"),
    ],
)
def test_a_postgresql_that_the_cloud_would_refuse_is_refused(
    endpoint: Endpoint, changes: dict[str, Any], code: str, message: str
) -> None:
    stub = endpoint.sdk().client(PostgresqlStub)
    error = refusal(lambda: stub.Create(postgresql_request("refused", **changes)))
    assert error.code().name == code, error.details()
    assert message in error.details()


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (
            {"config__airflow_version": "2.10"},
            "INVALID_ARGUMENT",
            "no new cluster with Airflow 2.10: the service moves",
        ),
        ({"config__airflow_version": "latest"}, "INVALID_ARGUMENT", "'latest' is no version"),
        ({"config__dag_processor": None}, "INVALID_ARGUMENT", "config.dag_processor: is required from Airflow 3.0 on"),
        (
            {"config__worker__resources__resource_preset_id": "s3-c2-m8"},
            "INVALID_ARGUMENT",
            "'s3-c2-m8' is not offered",
        ),
        ({"config__worker__min_count": 3}, "INVALID_ARGUMENT", "min_count 3 and max_count 2"),
        ({"network__subnet_ids": ["e9bnone"]}, "NOT_FOUND", "Subnet 'e9bnone' not found"),
        ({"network__security_group_ids": ["enpnone"]}, "NOT_FOUND", "SecurityGroup 'enpnone' not found"),
        ({"admin_password": "short"}, "INVALID_ARGUMENT", "admin_password: length is 5, expected 8-128"),
        ({"config__worker__max_count": 200}, "RESOURCE_EXHAUSTED", "managed-airflow.cpu.count"),
    ],
)
def test_an_airflow_that_the_cloud_would_refuse_is_refused(
    endpoint: Endpoint, changes: dict[str, Any], code: str, message: str
) -> None:
    stub = endpoint.sdk().client(AirflowStub)
    error = refusal(lambda: stub.Create(airflow_request("refused", **changes)))
    assert error.code().name == code, error.details()
    assert message in error.details()


def test_what_is_offered_is_taken(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    for version in ("2.11", "3.1", "3.2"):
        made = sdk.client(AirflowStub).Create(
            airflow_request(f"airflow-{version[0]}-{version[2:]}", **{"config__airflow_version": version})
        )
        assert not finished(sdk, made).HasField("error")
    for version in ("15", "18"):
        made = sdk.client(PostgresqlStub).Create(
            postgresql_request(f"pg-{version}", **{"config_spec__version": version})
        )
        assert not finished(sdk, made).HasField("error")


def test_a_protection_that_is_a_boolvalue_protects(endpoint: Endpoint) -> None:
    """Databases and users of PostgreSQL have theirs as a message, which is never `True` itself."""
    sdk = endpoint.sdk()
    databases, users = sdk.client(DatabaseServiceStub), sdk.client(UserServiceStub)
    made = sdk.client(PostgresqlStub).Create(postgresql_request("protected"))
    cluster = result(sdk, made, cluster_pb2.Cluster).id
    specification = database_pb2.DatabaseSpec(name="kept", owner="mlflow", deletion_protection=BoolValue(value=True))
    request = database_service_pb2.CreateDatabaseRequest(cluster_id=cluster, database_spec=specification)
    assert result(sdk, databases.Create(request), database_pb2.Database).deletion_protection.value
    user = user_service_pb2.CreateUserRequest(cluster_id=cluster)
    user.user_spec.name, user.user_spec.password = "kept", "not-a-secret"
    user.user_spec.deletion_protection.value = True
    finished(sdk, users.Create(user))
    removals: list[Callable[[], Any]] = [
        lambda: databases.Delete(database_service_pb2.DeleteDatabaseRequest(cluster_id=cluster, database_name="kept")),
        lambda: users.Delete(user_service_pb2.DeleteUserRequest(cluster_id=cluster, user_name="kept")),
    ]
    for remove in removals:
        error = refusal(remove)
        assert (error.code(), "deletion protection" in error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    change = database_service_pb2.UpdateDatabaseRequest(
        cluster_id=cluster,
        database_name="kept",
        deletion_protection=BoolValue(value=False),
        update_mask=FieldMask(paths=["deletion_protection"]),
    )
    finished(sdk, databases.Update(change))
    assert not finished(sdk, removals[0]()).HasField("error")


@pytest.mark.parametrize(
    ("roles", "missing"),
    [
        (["compute.editor"], "iam.serviceAccounts.user"),
        (["compute.editor", "iam.serviceAccounts.user"], "vpc.user"),
        (["vpc.user", "iam.serviceAccounts.user"], "compute.editor"),
    ],
)
def test_who_names_an_account_and_a_subnet_must_be_allowed_to_use_them(
    new_endpoint: Callable[..., Endpoint], roles: list[str], missing: str
) -> None:
    own = new_endpoint()
    own.config["service_accounts"]["airflow"]["roles"] = roles
    stub = own.start().machine("airflow").client(InstanceServiceStub)
    request = instance_request("machine", service_account_id=DATAPROC)
    error = refusal(lambda: stub.Create(request))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert f"needs the role {missing} " in error.details()


def test_the_roles_together_are_enough(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint()
    own.config["service_accounts"]["airflow"]["roles"] = ["compute.editor", "vpc.user", "iam.serviceAccounts.user"]
    stub = own.start().machine("airflow").client(InstanceServiceStub)
    assert stub.Create(instance_request("machine", service_account_id=DATAPROC)).id


def test_a_role_on_the_account_itself_is_enough_for_that_account_and_for_no_other(
    new_endpoint: Callable[..., Endpoint],
) -> None:
    own = new_endpoint()
    own.config["service_accounts"]["airflow"]["roles"] = ["compute.editor", "vpc.user"]
    own.start()
    airflow = own.config["service_accounts"]["airflow"]["id"]
    grant(own.sdk(), ServiceAccountServiceStub, DATAPROC, "iam.serviceAccounts.user", airflow)
    stub = own.machine("airflow").client(InstanceServiceStub)
    assert stub.Create(instance_request("machine", service_account_id=DATAPROC)).id
    error = refusal(lambda: stub.Create(instance_request("other", service_account_id=airflow)))
    assert "needs the role iam.serviceAccounts.user " in str(error.details())


@pytest.mark.parametrize("key", ["a.b", "a/b", "A", "1a", "-a", "x" * 64])
def test_labels_are_held_against_the_strictest_rule_of_all(endpoint: Endpoint, key: str) -> None:
    """A module that gives one set of labels to everything must please the strictest service."""
    request = postgresql_request("labelled")
    request.labels[key] = "x"
    error = refusal(lambda: endpoint.sdk().client(PostgresqlStub).Create(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "labels: key" in error.details()


def test_what_is_stopped_takes_no_change_and_what_runs_does_not_start(endpoint: Endpoint) -> None:
    sdk = endpoint.sdk()
    stub = sdk.client(PostgresqlStub)
    made = result(sdk, stub.Create(postgresql_request("rests")), cluster_pb2.Cluster)
    start, stop = (
        postgresql.StartClusterRequest(cluster_id=made.id),
        postgresql.StopClusterRequest(cluster_id=made.id),
    )
    changed = postgresql.UpdateClusterRequest(
        cluster_id=made.id, description="x", update_mask=FieldMask(paths=["description"])
    )
    assert refusal(lambda: stub.Start(start)).code() == grpc.StatusCode.FAILED_PRECONDITION
    finished(sdk, stub.Stop(stop))
    for refused in (lambda: stub.Stop(stop), lambda: stub.Update(changed)):
        assert "is STOPPED, RUNNING is expected" in str(refusal(refused).details())
    finished(sdk, stub.Start(start))
    assert result(sdk, stub.Update(changed), cluster_pb2.Cluster).description == "x"
    finished(sdk, stub.Delete(postgresql.DeleteClusterRequest(cluster_id=made.id)))
