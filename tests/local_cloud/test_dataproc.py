"""Data Processing with the SDK's own wrapper, and jobs as real processes of an image whose Spark is a script."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
import requests
import yandexcloud
from yandex.cloud.dataproc.v1 import cluster_pb2, cluster_service_pb2, job_pb2, job_service_pb2
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.dataproc.v1.job_service_pb2_grpc import JobServiceStub
from yandex.cloud.vpc.v1 import security_group_pb2, security_group_service_pb2
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub
from yandexcloud.operations import OperationError

from tests.support.cloud import (
    AIRFLOW,
    BUCKET,
    DATAPROC,
    FOLDER,
    NETWORK,
    NOBODY,
    SUBNET,
    Endpoint,
    ObjectStore,
    finished,
    metadata_token,
    refusal,
    result,
    wait_until,
)

HOST = {"resource_preset": "s3-c2-m8", "disk_type": "network-ssd", "disk_size": 20}


def cluster_fields(name: str, **changes: Any) -> dict[str, Any]:
    """A light cluster, as the wrapper's create_cluster takes it."""
    fields = {
        "cluster_name": name,
        "folder_id": FOLDER,
        "zone": "ru-central1-a",
        "subnet_id": SUBNET,
        "service_account_id": DATAPROC,
        "s3_bucket": BUCKET,
        "cluster_image_version": "2.2",
        "services": ["YARN", "SPARK"],
        "ssh_public_keys": "ssh-ed25519 AAAA somebody",
        "datanode_count": 0,
        "computenode_count": 2,
        "labels": {"owner": "tests"},
        **{f"{node}_{key}": value for node in ("masternode", "computenode") for key, value in HOST.items()},
    }
    return {**fields, **changes}


@pytest.fixture
def sdk(endpoint: Endpoint) -> yandexcloud.SDK:
    """The SDK with the rights that Airflow has."""
    return endpoint.machine("airflow")


@pytest.fixture(scope="module")
def cluster(endpoint: Endpoint) -> Iterator[str]:
    """The id of a cluster that runs, with two properties for Spark."""
    properties = {"spark:spark.sql.shuffle.partitions": "7", "spark:spark.custom": "cluster", "pip:pyspark": "==3.5.0"}
    wrapper = endpoint.machine("airflow").wrappers.Dataproc()
    made = wrapper.create_cluster(**cluster_fields("shared", properties=properties)).response
    assert (made.status, made.config.version_id) == (cluster_pb2.Cluster.RUNNING, "2.2")
    yield made.id
    wrapper.delete_cluster(made.id)


def submit(sdk: yandexcloud.SDK, cluster: str, script: Path, *args: str, **fields: Any) -> Any:
    """Start a job and return the operation."""
    job = job_pb2.PysparkJob(main_python_file_uri=f"file://{script}", args=args, **fields)
    request = job_service_pb2.CreateJobRequest(cluster_id=cluster, name="job", pyspark_job=job)
    return sdk.client(JobServiceStub).Create(request)


def job_of(sdk: yandexcloud.SDK, operation: Any) -> Any:
    metadata = job_service_pb2.CreateJobMetadata()
    operation.metadata.Unpack(metadata)
    request = job_service_pb2.GetJobRequest(cluster_id=metadata.cluster_id, job_id=metadata.job_id)
    return sdk.client(JobServiceStub).Get(request)


def log_of(sdk: yandexcloud.SDK, job: Any, **fields: Any) -> Any:
    request = job_service_pb2.ListJobLogRequest(cluster_id=job.cluster_id, job_id=job.id, **fields)
    return sdk.client(JobServiceStub).ListLog(request)


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a job's main file."""

    def write(text: str) -> Path:
        file = tmp_path / "main.py"
        file.write_text(text)
        return file

    return write


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


def test_a_subnet_without_nat_is_refused_where_that_is_required(new_endpoint: Callable[..., Endpoint]) -> None:
    own = new_endpoint(require_nat=True)
    wrapper = own.start().machine("airflow").wrappers.Dataproc()
    error = refusal(lambda: wrapper.create_cluster(**cluster_fields("refused")))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert f"NAT should be enabled on the subnet '{SUBNET}'" in error.details()
    own.stop()
    routes = [{"destinationPrefix": "0.0.0.0/0", "gatewayId": "enpgateway0000000001"}]
    table = {"@type": "yandex.cloud.vpc.v1.RouteTable", "id": "enptable000000000001", "networkId": NETWORK}
    with_nat = {**own.config["resources"][1], "id": "e9bnat00000000000001", "name": "nat", "routeTableId": table["id"]}
    own.config["resources"] += [{**table, "folderId": FOLDER, "staticRoutes": routes}, with_nat]
    wrapper = own.start().machine("airflow").wrappers.Dataproc()
    assert wrapper.create_cluster(**cluster_fields("accepted", subnet_id=with_nat["id"])).response.id


def test_security_groups_must_let_the_cluster_work(endpoint: Endpoint, sdk: yandexcloud.SDK) -> None:
    """The rules that the documentation asks for: itself both ways, HTTPS to everywhere."""
    admin = endpoint.sdk()
    itself = {"predefined_target": "self_security_group", "protocol_name": "ANY"}
    https = {"protocol_name": "TCP", "ports": {"from_port": 443, "to_port": 443}}
    rules: list[dict[str, Any]] = [
        {"direction": "INGRESS", **itself},
        {"direction": "EGRESS", **itself},
        {"direction": "EGRESS", **https, "cidr_blocks": {"v4_cidr_blocks": ["0.0.0.0/0"]}},
    ]
    complaints = ["no INGRESS rule", "no EGRESS rule for any protocol", "no EGRESS rule for TCP 443", ""]
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
        ({"properties": {"pip:pyspark": "==3.4.1"}}, "pyspark: asked for ==3.4.1, the image has 3.5.0"),
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
    import json

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


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_deleting_a_cluster_cancels_its_jobs(sdk: yandexcloud.SDK, script: Callable[[str], Path]) -> None:
    wrapper = sdk.wrappers.Dataproc()
    own = wrapper.create_cluster(**cluster_fields("with-a-job")).response.id
    operation = submit(sdk, own, script("import time; print('ON', flush=True); time.sleep(600)"))
    wait_until(lambda: "ON" in log_of(sdk, job_of(sdk, operation)).content, "the job does not start")
    started = time.monotonic()
    wrapper.delete_cluster(own)
    assert time.monotonic() - started < 15
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


def test_a_protected_cluster_is_not_deleted_until_it_is_unprotected(sdk: yandexcloud.SDK) -> None:
    from google.protobuf.field_mask_pb2 import FieldMask

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
