"""Jobs as real processes of an image whose Spark is a script, by the SDK's own wrapper."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
import requests
import yandexcloud
from yandex.cloud.dataproc.v1 import cluster_service_pb2, job_pb2, job_service_pb2
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.dataproc.v1.job_service_pb2_grpc import JobServiceStub

from tests.support.cloud import (
    AIRFLOW,
    BUCKET,
    DATAPROC,
    FOLDER,
    Endpoint,
    ObjectStore,
    finished,
    metadata_token,
    refusal,
)
from tests.support.dataproc import alive, cluster_fields, job_of, log_of, submit
from tests.support.waiting import wait_until


def test_the_wrapper_creates_runs_and_deletes(
    endpoint: Endpoint, sdk: yandexcloud.SDK, script: Callable[[str], Path], object_store: ObjectStore
) -> None:
    wrapper = sdk.wrappers.Dataproc()
    made = wrapper.create_cluster(**cluster_fields("whole-life", log_group_id="any-log-group")).response
    assert made.health
    assert (dict(made.labels), made.bucket, made.service_account_id) == ({"owner": "tests"}, BUCKET, DATAPROC)
    job = wrapper.create_pyspark_job(main_python_file_uri=f"file://{script('print(42)')}").response
    assert (job.status, job.name, job.created_by) == (job_pb2.Job.DONE, "Pyspark job", AIRFLOW)
    assert job.created_at.ToNanoseconds() <= job.started_at.ToNanoseconds() <= job.finished_at.ToNanoseconds()
    key = f"{BUCKET}/dataproc/clusters/{made.id}/jobs/{job.id}/driveroutput.000000000"
    assert object_store.objects[key].decode() == log_of(sdk, job).content
    wrapper.delete_cluster()
    error = refusal(
        lambda: sdk.client(ClusterServiceStub).Get(cluster_service_pb2.GetClusterRequest(cluster_id=made.id))
    )
    assert error.code() is grpc.StatusCode.NOT_FOUND


def test_a_job_gets_its_arguments_and_properties_and_no_secret_is_in_sight(
    sdk: yandexcloud.SDK, cluster: str, script: Callable[[str], Path]
) -> None:
    main = script("import sys; print(sys.argv[1:])")
    uris = {"python_file_uris": ["s3a://jobs/a.zip", "s3a://jobs/b.zip"], "archive_uris": ["s3a://jobs/c.zip"]}
    placement = {"spark.master": "yarn", "spark.submit.deployMode": "cluster"}
    properties = {"spark.custom": "job", "spark.mine": "a b\\c", **placement}
    operation = submit(sdk, cluster, main, "one", "two words", "--flag=x,y", properties=properties, **uris)
    assert not finished(sdk, operation).HasField("error")
    job = job_of(sdk, operation)
    log = log_of(sdk, job).content
    assert "['one', 'two words', '--flag=x,y']" in log
    command = next(line for line in log.splitlines() if line.startswith("COMMAND"))
    for part in ("--py-files s3a://jobs/a.zip,s3a://jobs/b.zip", "--archives s3a://jobs/c.zip", "--name job"):
        assert part in command
    assert "object-store-secret" not in command
    file = Path(command.split("--properties-file ")[1].split()[0])
    lines = dict(line.split(" ", 1) for line in file.read_text().splitlines())
    assert (lines["spark.custom"], lines["spark.sql.shuffle.partitions"]) == ("job", "7")
    assert lines["spark.mine"] == "a b\\\\c"
    assert (lines["spark.master"], lines["spark.submit.deployMode"]) == ("local[1]", "client")
    assert lines["spark.hadoop.fs.s3a.endpoint"].startswith("http://127.0.0.1:")
    assert "object-store-secret" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_jobs_environment_is_made_from_nothing(
    endpoint: Endpoint, sdk: yandexcloud.SDK, cluster: str, script: Callable[[str], Path]
) -> None:
    operation = submit(sdk, cluster, script("import json, os; print('ENV', json.dumps(dict(os.environ)))"))
    finished(sdk, operation)

    line = next(line for line in log_of(sdk, job_of(sdk, operation)).content.splitlines() if line.startswith("ENV"))
    env = json.loads(line[4:])
    expected = {"PATH", "JAVA_HOME", "SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "HOME"}
    expected |= {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "YC_METADATA_ADDR",
        "YC_ENDPOINT",
        "LANG",
        "TZ",
        "TMPDIR",
    }
    expected |= {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"}
    shell = {"PWD", "SHLVL", "_", "OLDPWD", "PYTHONPATH", "LC_CTYPE"}
    assert expected <= set(env) <= expected | shell
    assert (env["YC_ENDPOINT"], env["TZ"], env["HOME"]) == (endpoint.address["rest"], "UTC", "/nonexistent")
    assert env["YC_METADATA_ADDR"] not in endpoint.address["metadata"].values()
    assert Path(endpoint.address["ca"]).read_text() in Path(env["SSL_CERT_FILE"]).read_text()


def test_a_job_has_the_identity_of_its_clusters_account(
    endpoint: Endpoint, sdk: yandexcloud.SDK, cluster: str, script: Callable[[str], Path]
) -> None:
    """The listener is the cluster's own: it opens with the cluster and closes when the cluster stops or goes."""
    main = script("import os; print('METADATA', os.environ['YC_METADATA_ADDR'])")
    wrapper = sdk.wrappers.Dataproc()
    own = wrapper.create_cluster(**cluster_fields("with-metadata")).response.id
    operation = submit(sdk, own, main)
    finished(sdk, operation)
    log = log_of(sdk, job_of(sdk, operation)).content
    address = next(line.split()[1] for line in log.splitlines() if line.startswith("METADATA"))
    denied = endpoint.rest("POST", "/vpc/v1/networks", metadata_token(address), json={"folderId": FOLDER})
    assert DATAPROC in denied.json()["message"]
    wrapper.stop_cluster(own)
    with pytest.raises(requests.ConnectionError):
        metadata_token(address)
    error = refusal(lambda: submit(sdk, own, main))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "STOPPED" in error.details()
    wrapper.start_cluster(own)
    assert not finished(sdk, submit(sdk, own, main)).HasField("error")
    wrapper.delete_cluster(own)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise ValueError('no data in the lake')", "ValueError: no data in the lake"),
        ("import sys; sys.exit('quarantine share 0.4 is above 0.01')", "quarantine share 0.4 is above 0.01"),
        ("try:\n    1/0\nexcept Exception as e:\n    raise KeyError('outer') from e", "KeyError: 'outer'"),
    ],
)
def test_a_job_that_fails_ends_its_operation_with_the_reason(
    sdk: yandexcloud.SDK, cluster: str, script: Callable[[str], Path], text: str, why: str
) -> None:
    operation = submit(sdk, cluster, script(text))
    done = finished(sdk, operation)
    assert done.error.message.endswith(f"failed with exit status 1: {why}")
    assert job_of(sdk, operation).status == job_pb2.Job.ERROR


def test_a_job_is_cancelled_with_all_its_processes(
    sdk: yandexcloud.SDK, cluster: str, script: Callable[[str], Path]
) -> None:
    """A process that has left the process group, as Spark's Python workers do, ends too."""
    main = script(
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], process_group=0)\n"
        "print('PIDS', os.getpid(), child.pid, flush=True)\ntime.sleep(600)\n"
    )
    operation = submit(sdk, cluster, main)
    wait_until(lambda: "PIDS" in log_of(sdk, job_of(sdk, operation)).content, "the job does not start")
    job = job_of(sdk, operation)
    assert job.status == job_pb2.Job.RUNNING
    line = next(line for line in log_of(sdk, job).content.splitlines() if line.startswith("PIDS"))
    request = job_service_pb2.CancelJobRequest(cluster_id=cluster, job_id=job.id)
    cancel = finished(sdk, sdk.client(JobServiceStub).Cancel(request))
    assert not cancel.HasField("error")
    assert finished(sdk, operation).error.code == grpc.StatusCode.CANCELLED.value[0]
    assert job_of(sdk, operation).status == job_pb2.Job.CANCELLED
    assert not any(alive(int(pid)) for pid in line.split()[1:])
    again = refusal(lambda: sdk.client(JobServiceStub).Cancel(request))
    assert again.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "CANCELLED already" in again.details()


def test_deleting_a_cluster_cancels_its_jobs(sdk: yandexcloud.SDK, script: Callable[[str], Path]) -> None:
    wrapper = sdk.wrappers.Dataproc()
    own = wrapper.create_cluster(**cluster_fields("with-a-job")).response.id
    operation = submit(sdk, own, script("import time; print('ON', flush=True); time.sleep(3600)"))
    wait_until(lambda: "ON" in log_of(sdk, job_of(sdk, operation)).content, "the job does not start")
    started = time.monotonic()
    wrapper.delete_cluster(own)
    seconds = time.monotonic() - started
    print(f"the deletion took {seconds:.1f} s")
    assert seconds < 600, "the deletion has waited for the job's own end"
    assert finished(sdk, operation).error.code == grpc.StatusCode.CANCELLED.value[0]


def test_a_log_comes_in_pages_that_never_cut_a_character(
    sdk: yandexcloud.SDK, cluster: str, script: Callable[[str], Path]
) -> None:
    operation = submit(sdk, cluster, script("print('\\u0449\\U0001f600' * 30)"))
    finished(sdk, operation)
    job = job_of(sdk, operation)
    whole, pages, token = log_of(sdk, job).content, [], ""
    while True:
        page = log_of(sdk, job, page_size=16, page_token=token)
        pages.append(page.content)
        if not (token := page.next_page_token):
            break
    assert "".join(pages) == whole
    assert "щ😀щ" in whole
    assert max(len(page.encode()) for page in pages) <= 16
    assert refusal(lambda: log_of(sdk, job, page_token="x")).code() is grpc.StatusCode.INVALID_ARGUMENT


def test_jobs_of_other_kinds_and_of_no_kind_say_what_is_offered(sdk: yandexcloud.SDK, cluster: str) -> None:
    stub = sdk.client(JobServiceStub)
    hive = job_service_pb2.CreateJobRequest(cluster_id=cluster, hive_job=job_pb2.HiveJob(query_file_uri="s3a://x"))
    assert refusal(lambda: stub.Create(hive)).code() is grpc.StatusCode.UNIMPLEMENTED
    files = job_pb2.PysparkJob(main_python_file_uri="s3a://x", file_uris=["s3a://y"])
    light = refusal(lambda: stub.Create(job_service_pb2.CreateJobRequest(cluster_id=cluster, pyspark_job=files)))
    assert "Using fileUris is forbidden on lightweight cluster" in light.details()
    none = refusal(lambda: stub.Create(job_service_pb2.CreateJobRequest(cluster_id=cluster)))
    assert none.code() is grpc.StatusCode.INVALID_ARGUMENT
