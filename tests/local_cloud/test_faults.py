"""Bad days on demand, by the file of faults."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from yandex.cloud.dataproc.v1 import cluster_pb2, cluster_service_pb2, job_pb2
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub

from tests.support.cloud import (
    BUCKET,
    Endpoint,
    ObjectStore,
    finished,
    refusal,
)
from tests.support.dataproc import CREATE_CLUSTER, cluster_fields, clusters, create_request, job_of, submit
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def faulty(
    tmp_path_factory: pytest.TempPathFactory, object_store: ObjectStore, image: dict[str, str]
) -> Iterator[Endpoint]:
    with Endpoint(tmp_path_factory.mktemp("faulty"), object_store.url, {"2.2": image}).serving() as running:
        yield running


@pytest.fixture
def own(faulty: Endpoint) -> Iterator[Endpoint]:
    """An endpoint for these tests alone: no fault is in force and no cluster there, before and after."""
    yield faulty
    faulty.faults()
    sdk = faulty.machine("airflow")
    for cluster in clusters(sdk):
        sdk.wrappers.Dataproc().delete_cluster(cluster.id)
    assert clusters(sdk) == []


def test_a_call_is_refused_so_many_times(own: Endpoint) -> None:
    sdk = own.machine("airflow")
    own.faults(
        {"method": "*ClusterService/List", "when": "call", "code": "RESOURCE_EXHAUSTED", "message": "m", "times": 2}
    )
    errors = [refusal(lambda: clusters(sdk)) for _ in range(2)]
    assert {(error.code(), error.details()) for error in errors} == {(grpc.StatusCode.RESOURCE_EXHAUSTED, "m")}
    assert clusters(sdk) == []
    own.stop(signal.SIGKILL)
    sdk = own.start().machine("airflow")
    assert clusters(sdk) == []


def test_a_create_whose_answer_is_lost_has_created(own: Endpoint) -> None:
    sdk = own.machine("airflow")
    own.faults({"method": CREATE_CLUSTER, "when": "after", "code": "UNAVAILABLE", "message": "Socket closed"})
    stub = sdk.client(ClusterServiceStub)
    assert refusal(lambda: stub.Create(create_request("lost"))).code() is grpc.StatusCode.UNAVAILABLE
    own.faults()
    assert refusal(lambda: stub.Create(create_request("lost"))).code() is grpc.StatusCode.ALREADY_EXISTS
    wait_until(lambda: [c.status for c in clusters(sdk)] == [cluster_pb2.Cluster.RUNNING], "it does not come to run")


def test_what_comes_again_with_the_same_key_is_begun_once(own: Endpoint) -> None:
    sdk = own.machine("airflow")
    own.faults(
        {"method": CREATE_CLUSTER, "when": "after", "code": "UNAVAILABLE", "message": "Socket closed", "times": 1}
    )
    stub, key = sdk.client(ClusterServiceStub), [("idempotency-key", "one")]
    assert refusal(lambda: stub.Create(create_request("once"), metadata=key)).code() is grpc.StatusCode.UNAVAILABLE
    assert not finished(sdk, stub.Create(create_request("once"), metadata=key)).HasField("error")
    another = [("idempotency-key", "two")]
    error = refusal(lambda: stub.Create(create_request("once"), metadata=another))
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS


def test_what_is_new_is_not_found_for_so_many_calls(own: Endpoint) -> None:
    """Each new thing for itself: the cluster, and the operation that makes it."""
    sdk = own.machine("airflow")
    own.faults({"method": "*/Get", "when": "new", "code": "NOT_FOUND", "message": "not yet", "times": 2})
    stub = sdk.client(ClusterServiceStub)
    operation = stub.Create(create_request("new"))
    cluster = clusters(sdk)[0].id
    get = cluster_service_pb2.GetClusterRequest(cluster_id=cluster)
    assert [refusal(lambda: stub.Get(get)).details() for _ in range(2)] == ["not yet"] * 2
    assert stub.Get(get).id == cluster
    look, ask = sdk.client(OperationServiceStub), GetOperationRequest(operation_id=operation.id)
    assert [refusal(lambda: look.Get(ask)).details() for _ in range(2)] == ["not yet"] * 2
    assert look.Get(ask).id == operation.id
    finished(sdk, operation)


def test_a_job_hangs_until_it_is_cancelled(own: Endpoint, tmp_path: Path) -> None:
    sdk = own.machine("airflow")
    cluster = sdk.wrappers.Dataproc().create_cluster(**cluster_fields("hangs")).response.id
    own.faults({"method": "*JobService/Create", "when": "operation", "delay": 3600})
    operation = submit(sdk, cluster, tmp_path / "none.py")
    assert job_of(sdk, operation).status == job_pb2.Job.PROVISIONING
    sdk.wrappers.Dataproc().delete_cluster(cluster)
    assert finished(sdk, operation).error.code == grpc.StatusCode.CANCELLED.value[0]


def test_a_delete_fails_and_the_cluster_is_as_before(own: Endpoint) -> None:
    sdk = own.machine("airflow")
    cluster = sdk.wrappers.Dataproc().create_cluster(**cluster_fields("stays")).response.id
    own.faults(
        {"method": "*ClusterService/Delete", "when": "operation", "code": "INTERNAL", "message": "m", "times": 1}
    )
    stub, request = sdk.client(ClusterServiceStub), cluster_service_pb2.DeleteClusterRequest(cluster_id=cluster)
    assert finished(sdk, stub.Delete(request)).error.message == "m"
    assert [c.status for c in clusters(sdk)] == [cluster_pb2.Cluster.RUNNING]
    assert not finished(sdk, stub.Delete(request)).HasField("error")
    assert clusters(sdk) == []


def test_while_one_operation_changes_a_cluster_another_is_refused(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint(timings={"dataproc.cluster.create": 600}).start()
    sdk = own.machine("airflow")
    stub = sdk.client(ClusterServiceStub)
    stub.Create(create_request("busy"))
    busy = clusters(sdk)[0]
    assert (busy.status, busy.bucket) == (cluster_pb2.Cluster.CREATING, BUCKET)
    error = refusal(lambda: stub.Delete(cluster_service_pb2.DeleteClusterRequest(cluster_id=busy.id)))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "CREATING" in error.details()


def test_a_fault_file_that_is_wrong_says_so(own: Endpoint) -> None:
    own.faults({"method": "*", "when": "sometimes"})
    error = refusal(lambda: clusters(own.machine("airflow")))
    assert "faults.json is not a list of fault rules" in error.details()
