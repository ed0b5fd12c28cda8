"""What survives whatever happens to the endpoint."""

import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from yandex.cloud.dataproc.v1 import cluster_pb2, job_pb2
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest, ListNetworksRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from tests.support import ROOT
from tests.support.cloud import (
    FOLDER,
    Endpoint,
    finished,
    stack_python,
)
from tests.support.dataproc import (
    CREATE_CLUSTER,
    alive,
    cluster_fields,
    clusters,
    create_request,
    job_of,
    log_of,
    submit,
)
from tests.support.waiting import wait_until


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
        subprocess.run([stack_python(), "-B", "-c", code], cwd=ROOT, check=True, timeout=120)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_was_begun_by_a_key_is_not_begun_again_after_a_kill(new_endpoint: Callable[..., Endpoint]) -> None:
    """The answer was lost with the endpoint, and the client repeats its call."""
    own, key = new_endpoint().start(), [("idempotency-key", "one")]
    request = CreateNetworkRequest(folder_id=FOLDER, name="begun-once")
    begun = own.sdk().client(NetworkServiceStub).Create(request, metadata=key)
    own.stop(signal.SIGKILL)
    own.start()
    sdk = own.sdk()
    stub = sdk.client(NetworkServiceStub)
    assert stub.Create(request, metadata=key).id == begun.id
    assert not finished(sdk, begun).HasField("error")
    assert [each.name for each in stub.List(ListNetworksRequest(folder_id=FOLDER)).networks].count("begun-once") == 1
