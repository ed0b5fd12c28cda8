"""The endpoint as a process: what it refuses to start with, and what survives whatever happens to it."""

import json
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from yandex.cloud.dataproc.v1 import cluster_pb2, cluster_service_pb2, job_pb2
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest, ListNetworksRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from tests.local_cloud.test_dataproc import alive, cluster_fields, job_of, log_of, submit
from tests.support import ROOT
from tests.support.cloud import BUCKET, FOLDER, Endpoint, finished, refusal, stack_python, wait_until

CREATE_CLUSTER = "yandex.cloud.dataproc.v1.ClusterService/Create"


def clusters(sdk: Any) -> list[Any]:
    return list(sdk.client(ClusterServiceStub).List(cluster_service_pb2.ListClustersRequest(folder_id=FOLDER)).clusters)


def create_request(name: str) -> Any:
    """The request that the wrapper sends, for tests that must not wait for the answer."""

    class Recorder:
        request: Any = None

        def create_operation_and_get_result(self, request: Any, **_: Any) -> Any:
            self.request = request
            return type("Result", (), {"response": cluster_pb2.Cluster()})

    from yandexcloud._wrappers.dataproc import Dataproc

    recorder = Recorder()
    Dataproc(sdk=recorder).create_cluster(**cluster_fields(name))
    return recorder.request


def report(endpoint: Endpoint) -> list[dict[str, Any]]:
    """What `python -m local_cloud.report --json` says."""
    command = [stack_python(), "-B", "-m", "local_cloud.report", "--state", str(endpoint.state), "--json"]
    return list(json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30).stdout))


# Starting


def refused(endpoint: Endpoint) -> str:
    """The message of an endpoint that must not start."""
    assert endpoint.launch().wait(timeout=20) == 1
    lines = endpoint.log().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_readable_configuration_is_refused(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint()
    own.folder.mkdir()
    (own.folder / "config.json").touch()
    (own.folder / "config.json").chmod(0o644)
    message = refused(own)
    assert "has mode 0644, expected 0600" in message
    assert "chmod 600" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "unknown keys ['colour']"),
        (
            {"instances": [{"name": "x", "service_account": "who"}]},
            "instance 'x' names the unknown service account 'who'",
        ),
        ({"object_store": {"endpoint": "http://127.0.0.1:1"}}, "access_key"),
    ],
)
def test_a_wrong_configuration_is_refused(
    new_endpoint: Callable[..., Endpoint], changes: dict[str, Any], message: str
) -> None:
    assert message in refused(new_endpoint(**changes))


@pytest.mark.parametrize(("key", "protocol"), [("grpc_port", "grpc"), ("rest_port", "rest")])
def test_a_taken_port_is_one_message(
    new_endpoint: Callable[..., Endpoint], endpoint: Endpoint, key: str, protocol: str
) -> None:
    port = int(endpoint.address[protocol].split(":")[1])
    message = refused(new_endpoint(**{key: port}))
    assert f"127.0.0.1:{port} ({key})" in message


def test_a_taken_metadata_port_is_one_message(new_endpoint: Callable[..., Endpoint], endpoint: Endpoint) -> None:
    port = int(endpoint.address["metadata"]["airflow"].split(":")[1])
    instance = {"name": "airflow", "service_account": "airflow", "metadata_port": port}
    assert f"127.0.0.1:{port} (metadata_port of instance 'airflow')" in refused(new_endpoint(instances=[instance]))


def test_a_second_endpoint_on_the_same_state_is_refused(
    new_endpoint: Callable[..., Endpoint], endpoint: Endpoint
) -> None:
    message = refused(new_endpoint(state=str(endpoint.state)))
    assert f"{endpoint.state} is in use by another endpoint" in message


def test_the_state_is_private_and_the_authority_stays(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint().start()
    assert own.state.stat().st_mode & 0o777 == 0o700
    modes = {file.name: file.stat().st_mode & 0o077 for file in own.state.iterdir() if file.name.endswith("pem")}
    assert [name for name, mode in modes.items() if mode == 0] == ["ca-key.pem", "server.pem"] or modes[
        "server.pem"
    ] == 0
    assert modes["ca-key.pem"] == 0
    before = Path(own.address["ca"]).read_bytes()
    assert own.stop() == 0
    assert not own.file.exists()
    assert Path(own.start().address["ca"]).read_bytes() == before


# Surviving


def test_kill_9_loses_nothing(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint().start()
    admin = own.sdk()
    assert not finished(
        admin, admin.client(NetworkServiceStub).Create(CreateNetworkRequest(folder_id=FOLDER, name="kept"))
    ).HasField("error")
    token = own.token("airflow")
    made = own.machine("airflow").wrappers.Dataproc().create_cluster(**cluster_fields("kept")).response
    own.stop(signal.SIGKILL)
    own.start()
    sdk = own.sdk(iam_token=token)
    networks = sdk.client(NetworkServiceStub).List(ListNetworksRequest(folder_id=FOLDER)).networks
    assert [network.name for network in networks] == ["default", "kept"]
    assert clusters(sdk) == [made]
    calls = sqlite3.connect(f"file:{own.state / 'state.db'}?mode=ro", uri=True).execute(
        "SELECT subject, resource, code FROM calls WHERE method = ?", (CREATE_CLUSTER,)
    )
    assert [tuple(row) for row in calls] == [(made_by(own), "kept", "OK")]


def made_by(endpoint: Endpoint) -> str:
    return str(endpoint.config["service_accounts"]["airflow"]["id"])


def test_an_operation_that_was_under_way_is_taken_up_again(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint(timings={"dataproc.cluster.create": 600, "default": 0}).start()
    sdk = own.machine("airflow")
    operation = sdk.client(ClusterServiceStub).Create(create_request("under-way"))
    own.stop(signal.SIGKILL)
    sdk = own.start().machine("airflow")
    assert not finished(sdk, operation).HasField("error")
    assert [cluster.status for cluster in clusters(sdk)] == [cluster_pb2.Cluster.RUNNING]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_of_an_endpoint_that_ended_is_ended_and_says_so(
    new_endpoint: Callable[..., Endpoint], tmp_path: Path, number: signal.Signals
) -> None:
    own = new_endpoint().start()
    sdk = own.machine("airflow")
    cluster = sdk.wrappers.Dataproc().create_cluster(**cluster_fields("with-a-job")).response.id
    main = tmp_path / "main.py"
    main.write_text("import os, time; print('PID', os.getpid(), flush=True); time.sleep(600)")
    operation = submit(sdk, cluster, main)
    wait_until(lambda: "PID" in log_of(sdk, job_of(sdk, operation)).content, "the job does not start")
    log = log_of(sdk, job_of(sdk, operation)).content
    pid = int(next(line.split()[1] for line in log.splitlines() if line.startswith("PID")))
    own.stop(number)
    assert alive(pid) == (number is signal.SIGKILL)
    sdk = own.start().machine("airflow")
    done = finished(sdk, operation)
    assert done.error.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert "while the job ran" in done.error.message
    assert job_of(sdk, operation).status == job_pb2.Job.ERROR
    wait_until(lambda: not alive(pid), "the job is still alive")
    main.write_text("print('well')")
    assert not finished(sdk, submit(sdk, cluster, main)).HasField("error")


def test_a_process_that_only_has_the_jobs_old_number_is_left_alone() -> None:
    """Process numbers come round again: the start time tells a stranger from the job."""
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        code = f"from local_cloud.services.dataproc import spark; spark.end_left_behind({stranger.pid}, 1000.0)"
        subprocess.run([stack_python(), "-B", "-c", code], cwd=ROOT, check=True, timeout=30)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


# The account of what was used


def test_usage_tells_age_and_cost_also_of_what_is_gone(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint().start()
    wrapper = own.machine("airflow").wrappers.Dataproc()
    gone = wrapper.create_cluster(**cluster_fields("gone", labels={"run": "r1"})).response.id
    wrapper.delete_cluster(gone)
    priceless = {"computenode_max_hosts_count": 4, "computenode_preemptible": True}
    wrapper.create_cluster(**cluster_fields("alive", **priceless))
    own.stop(signal.SIGKILL)
    first, second = report(own)
    assert (first["name"], first["status"], first["labels"]) == ("gone", "DELETED", {"run": "r1"})
    assert first["seconds"] == pytest.approx(first["deleted"] - first["created"])
    # Three hosts of 2 vCPU, 8 GB and 20 GB of SSD each, at list prices by the hour.
    hourly = 3 * (2 * 1.17 + 8 * 0.31 + 20 * 11.88 / 720)
    assert first["cost"]["amount"] == pytest.approx(hourly * first["seconds"] / 3600, rel=0.05)
    assert first["cost"]["currency"] == "RUB"
    assert (second["name"], second["status"], second["deleted"]) == ("alive", "RUNNING", None)
    assert second["cost"]["amount"] is None
    assert "no known price for preemptible Intel Ice Lake vCPU 100%" in second["cost"]["text"]


# Faults


def test_a_call_is_refused_so_many_times(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint().start()
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


def test_a_create_whose_answer_is_lost_has_created(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint().start()
    sdk = own.machine("airflow")
    own.faults({"method": CREATE_CLUSTER, "when": "after", "code": "UNAVAILABLE", "message": "Socket closed"})
    stub = sdk.client(ClusterServiceStub)
    assert refusal(lambda: stub.Create(create_request("lost"))).code() is grpc.StatusCode.UNAVAILABLE
    own.faults()
    assert refusal(lambda: stub.Create(create_request("lost"))).code() is grpc.StatusCode.ALREADY_EXISTS
    wait_until(lambda: [c.status for c in clusters(sdk)] == [cluster_pb2.Cluster.RUNNING], "it does not come to run")


def test_a_job_hangs_until_it_is_cancelled(new_endpoint: Callable[..., Endpoint], tmp_path: Path) -> None:
    own = new_endpoint().start()
    sdk = own.machine("airflow")
    cluster = sdk.wrappers.Dataproc().create_cluster(**cluster_fields("hangs")).response.id
    own.faults({"method": "*JobService/Create", "when": "operation", "delay": 3600})
    operation = submit(sdk, cluster, tmp_path / "none.py")
    assert job_of(sdk, operation).status == job_pb2.Job.PROVISIONING
    sdk.wrappers.Dataproc().delete_cluster(cluster)
    assert finished(sdk, operation).error.code == grpc.StatusCode.CANCELLED.value[0]


def test_a_delete_fails_and_the_cluster_is_as_before(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint().start()
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


def test_a_fault_file_that_is_wrong_says_so(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint().start()
    own.faults({"method": "*", "when": "sometimes"})
    error = refusal(lambda: clusters(own.machine("airflow")))
    assert "faults.json is not a list of fault rules" in error.details()
