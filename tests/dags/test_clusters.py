"""No cluster is leaked and none is doubled: our operators and the sweep against the cloud API and its faults.

Runs in an interpreter that has Airflow (requirements/airflow-test.txt); FRAUD_STACK_PYTHON names the endpoint's own.
"""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")
from yandex.cloud.dataproc.v1.cluster_service_pb2 import ListClustersRequest
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub
from yandex.cloud.dataproc.v1.job_pb2 import Job
from yandex.cloud.dataproc.v1.job_service_pb2 import CreateJobRequest, ListJobsRequest
from yandex.cloud.dataproc.v1.job_service_pb2_grpc import JobServiceStub
from yandex.cloud.dataproc.v1.subcluster_service_pb2 import ListSubclustersRequest
from yandex.cloud.dataproc.v1.subcluster_service_pb2_grpc import SubclusterServiceStub
from yandexcloud.operations import OperationError

from dags.retraining import clusters, costs, operators, plan
from dags.retraining.operators import CreateCluster, DeleteCluster, RunJob
from dags.retraining.patience import Patience
from tests.support.airflow import CLUSTER
from tests.support.cloud import (
    DEPLOYER,
    FOLDER,
    Endpoint,
)
from tests.support.waiting import wait_until

CREATE, DELETE = (f"yandex.cloud.dataproc.v1.ClusterService/{verb}" for verb in ("Create", "Delete"))
NOW = datetime.now(UTC)
SETTINGS = {"cluster": CLUSTER}


class TaskInstance:
    """As much of a task instance as the operators ask for."""

    def xcom_push(self, key: str, value: Any) -> None:
        pass


CONTEXT = {"task_instance": TaskInstance()}


@pytest.fixture(autouse=True)
def worker(cloud: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a worker: authority, metadata service and connection by the environment; no cluster before or after."""
    connection = {"conn_type": "yandexcloud", "extra": {"endpoint": cloud.address["grpc"], "folder_id": FOLDER}}
    monkeypatch.setenv("AIRFLOW_CONN_YANDEXCLOUD_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", cloud.address["ca"])
    monkeypatch.setenv("YC_METADATA_ADDR", cloud.address["metadata"]["airflow"])
    monkeypatch.setattr(clusters, "POLL", 0.2)
    monkeypatch.setattr(costs, "open_ledger", lambda: costs.Ledger(None, "a lake that is away"))
    yield
    cloud.faults()
    for cluster in alive(cloud):
        clusters.delete(cloud.sdk(), cluster.id)


def alive(cloud: Endpoint) -> list[Any]:
    return list(cloud.sdk().client(ClusterServiceStub).List(ListClustersRequest(folder_id=FOLDER)).clusters)


def spec(run: str, **changes: Any) -> dict[str, Any]:
    return plan.cluster(SETTINGS, plan.run_name(run, NOW), plan.Run(run, NOW)) | changes


def ours(expires: str) -> dict[str, str]:
    return clusters.labels("x", "retrain") | {"expires": expires}


def create(run: str, **changes: Any) -> str:
    return CreateCluster(task_id="create", spec=spec(run, **changes)).execute(CONTEXT)


# ------------------------------------------------------------------------------------------------ create
def test_a_second_attempt_adopts_what_the_first_one_made(cloud: Endpoint) -> None:
    assert create("run-1") == create("run-1")
    assert len(alive(cloud)) == 1


def test_a_cluster_still_in_the_making_is_adopted_when_it_runs(cloud: Endpoint) -> None:
    cloud.faults({"method": CREATE, "when": "operation", "delay": 2, "times": 1})
    cloud.machine("airflow").client(ClusterServiceStub).Create(create_request(cloud))
    cluster = create("run-1")
    assert [(one.id, clusters.status(cloud.sdk(), one.id)) for one in alive(cloud)] == [(cluster, "RUNNING")]


def create_request(cloud: Endpoint) -> Any:
    """The request that a first attempt sent before it was killed."""
    from yandex.cloud.dataproc.v1.cluster_service_pb2 import CreateClusterRequest

    sent: list[CreateClusterRequest] = []

    class Recorder:
        def create_operation_and_get_result(self, request: Any, **_: Any) -> Any:
            sent.append(request)
            return SimpleNamespace(response=SimpleNamespace(id="", name=""), meta=None)

    from yandexcloud._wrappers.dataproc import Dataproc

    planned = {key: value for key, value in spec("run-1").items() if value is not None and key != "hours"}
    Dataproc(sdk=Recorder()).create_cluster(**planned | {"labels": planned["labels"] | clusters.expiry(6)})
    return sent[0]


@pytest.mark.parametrize("when", ["call", "operation", "after"])
def test_a_create_that_fails_leaves_nothing_behind(cloud: Endpoint, when: str) -> None:
    cloud.faults({"method": CREATE, "when": when, "code": "RESOURCE_EXHAUSTED", "message": "quota", "times": 1})
    with pytest.raises(Exception, match="quota"):
        create("run-1")
    assert alive(cloud) == []
    cluster = create("run-1")
    assert [one.id for one in alive(cloud)] == [cluster]


def test_a_create_that_fails_while_deletion_is_refused_waits_for_it(cloud: Endpoint) -> None:
    cloud.faults(
        {"method": CREATE, "when": "operation", "code": "INTERNAL", "message": "broken", "times": 1},
        {"method": DELETE, "when": "call", "code": "FAILED_PRECONDITION", "message": "not now", "times": 3},
    )
    with pytest.raises(OperationError, match="broken"):
        create("run-1")
    assert alive(cloud) == []


def test_a_name_that_another_has_taken_is_an_error_and_his_cluster_lives(cloud: Endpoint) -> None:
    theirs = create("run-1", labels={"owner": "somebody-else"})
    with pytest.raises(RuntimeError, match="has no label owner=fraud-retraining and bucket logs"):
        create("run-1")
    assert [one.id for one in alive(cloud)] == [theirs]


def test_a_cluster_lives_from_its_creation_on_however_old_the_plan_is(cloud: Endpoint) -> None:
    create("run-1")
    expires = datetime.strptime(alive(cloud)[0].labels["expires"], clusters.LABEL_TIME).replace(tzinfo=UTC)
    assert timedelta(hours=5, minutes=55) < expires - datetime.now(UTC) <= timedelta(hours=6)


def test_a_growing_cluster_of_preemptible_hosts_has_its_own_account_for_that(cloud: Endpoint) -> None:
    growing = SETTINGS["cluster"] | {"max_hosts": 4, "preemptible": True, "autoscaling_service_account_id": DEPLOYER}
    planned = plan.cluster({"cluster": growing}, plan.run_name("run-1", NOW), plan.Run("run-1", NOW))
    made = CreateCluster(task_id="create", spec=planned).execute(CONTEXT)
    assert alive(cloud)[0].autoscaling_service_account_id == DEPLOYER
    groups = cloud.sdk().client(SubclusterServiceStub).List(ListSubclustersRequest(cluster_id=made)).subclusters
    (scaling,) = [group.autoscaling_config for group in groups if group.HasField("autoscaling_config")]
    assert (scaling.max_hosts_count, scaling.preemptible) == (4, True)


def test_a_killed_create_removes_its_cluster(cloud: Endpoint) -> None:
    operator = CreateCluster(task_id="create", spec=spec("run-1"))
    operator.execute(CONTEXT)
    operator.on_kill()
    assert alive(cloud) == []


# ------------------------------------------------------------------------------------------------ delete
def test_deletion_waits_where_the_cloud_refuses_for_now(cloud: Endpoint) -> None:
    cluster = create("run-1")
    cloud.faults({"method": DELETE, "when": "call", "code": "UNAVAILABLE", "message": "not now", "times": 3})
    DeleteCluster(task_id="delete", cluster_id=cluster).execute(CONTEXT)
    assert alive(cloud) == []


def test_a_cluster_that_is_gone_already_is_deleted(cloud: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "NEW", Patience(0.5, fresh=True))
    cluster = create("run-1")
    for _ in range(2):
        DeleteCluster(task_id="delete", cluster_id=cluster).execute(CONTEXT)
    assert alive(cloud) == []


def test_deletion_that_is_refused_for_ever_is_an_error_in_the_end(cloud: Endpoint) -> None:
    cluster = create("run-1")
    cloud.faults({"method": DELETE, "when": "call", "code": "PERMISSION_DENIED", "message": "never"})
    with pytest.raises(TimeoutError, match=f"{cluster} is not deleted after 1 s.*never"):
        clusters.delete(cloud.machine("airflow"), cluster, timeout=1)


# ------------------------------------------------------------------------------------------------ a killed job
WORK = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.1)
sys.exit(int(pathlib.Path(sys.argv[1]).read_text()))
"""


@dataclass
class Train:
    """The job `train` of a run, which ends when its file is there, with the exit status that the file says."""

    cluster: str
    folder: Path
    sdk: Any
    name: str = "run-1-train"

    @property
    def spec(self) -> dict[str, Any]:
        main = f"file://{self.folder / 'main.py'}"
        return {"name": self.name, "main_python_file_uri": main, "args": [str(self.folder / "end")]}

    def begin(self, *more: str) -> None:
        """As an attempt does that dies then."""
        main, args = self.spec["main_python_file_uri"], [*self.spec["args"], *more]
        script = {"main_python_file_uri": main, "args": args}
        self._jobs.Create(CreateJobRequest(cluster_id=self.cluster, name=self.name, pyspark_job=script))
        wait_until(lambda: Job.RUNNING in self.statuses(), "the job does not run")

    def end(self, status: int = 0) -> None:
        (self.folder / "draft").write_text(str(status))
        (self.folder / "draft").replace(self.folder / "end")  # whole from the moment at which the job sees it

    def task(self) -> RunJob:
        return RunJob(task_id="train", spec=self.spec, cluster_id=self.cluster)

    @property
    def _jobs(self) -> Any:
        return self.sdk.client(JobServiceStub)

    def statuses(self) -> list[int]:
        """Of its jobs, oldest first."""
        jobs = self._jobs.List(ListJobsRequest(cluster_id=self.cluster)).jobs
        return [job.status for job in sorted(jobs, key=lambda job: job.created_at.ToNanoseconds())]


@pytest.fixture
def train(cloud: Endpoint, tmp_path: Path) -> Train:
    (tmp_path / "main.py").write_text(WORK)
    return Train(create("run-1"), tmp_path, cloud.machine("airflow"))


def test_a_killed_job_task_cancels_its_job(train: Train) -> None:
    train.begin()
    operator = train.task()
    operator.name = train.name
    operator.on_kill()
    wait_until(lambda: train.statuses() == [Job.CANCELLED], "the job was not cancelled")


@pytest.mark.parametrize("status", [0, 3])
def test_a_second_attempt_waits_for_the_job_that_the_first_one_began(
    train: Train, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends when the second attempt has looked for the first time."""
    train.begin()
    monkeypatch.setattr(operators, "time", SimpleNamespace(sleep=lambda _: train.end(status)))
    with pytest.raises(RuntimeError, match="is ERROR, DONE was expected") if status else nullcontext():
        train.task().execute(CONTEXT)
    assert train.statuses() == [Job.ERROR if status else Job.DONE], "a second job beside the first costs twice"


def test_a_job_that_was_told_something_else_is_cancelled_first(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    train.begin("--as-of=2018-07-01")
    plain = RunJob._cancel

    def cancel(task: RunJob, *jobs: Any) -> None:
        plain(task, *jobs)
        wait_until(lambda: train.statuses() == [Job.CANCELLED], "the former job was not cancelled")
        train.end()  # of what begins now

    monkeypatch.setattr(RunJob, "_cancel", cancel)
    train.task().execute(CONTEXT)
    assert train.statuses() == [Job.CANCELLED, Job.DONE]


def test_a_job_that_has_ended_is_no_attempt_at_work(train: Train) -> None:
    train.end()
    for _ in range(2):
        train.task().execute(CONTEXT)
    assert train.statuses() == [Job.DONE, Job.DONE]


# ------------------------------------------------------------------------------------------------ sweep
@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The task's function, told which runs are active (tests/dags/test_runs.py asks Airflow itself)."""
    from dags import sweep as module
    from dags.retraining import compat, settings

    def call(*active: str) -> list[str]:
        monkeypatch.setattr(compat, "is_active", lambda ti, dag_id, run_id: (dag_id, run_id) in going)
        going = {("retrain", run) for run in active}
        return module.dag.get_task("sweep").python_callable()

    monkeypatch.setattr(settings, "read", lambda: SETTINGS)
    return call


def test_the_sweep_takes_what_is_overdue_and_nothing_else(cloud: Endpoint, sweep: Any) -> None:
    kept = {create("active"), create("theirs", labels={"owner": "somebody-else"}), create("nobody", labels={})}
    create("ended")
    create("expired", labels=ours((NOW - timedelta(hours=1)).strftime(clusters.LABEL_TIME)))
    create("unreadable", labels=ours("soon"))
    assert len(sweep("active", "expired")) == 3
    assert {one.id for one in alive(cloud)} == kept


def test_two_stacks_of_one_folder_sweep_and_adopt_their_own_alone(
    cloud: Endpoint, sweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of both have the same id at the same time; to the other's Airflow each of them has ended."""
    from dags.retraining import settings

    first = create("scheduled__1")
    theirs = SETTINGS["cluster"] | {"bucket": "logs-of-the-other"}
    monkeypatch.setattr(settings, "read", lambda: {"cluster": theirs})
    assert sweep() == []
    assert [one.id for one in alive(cloud)] == [first]
    names = {plan.run_name("scheduled__1", NOW, stack) for stack in ("fraud", "trial", "a" * 20)}
    assert len(names) == 3
    assert all(len(name) <= 63 for name in names)
    with pytest.raises(RuntimeError, match=r"bucket logs-of-the-other \(it has logs\): not ours"):
        create("scheduled__1", s3_bucket="logs-of-the-other")
    operator = CreateCluster(task_id="create", spec=spec("scheduled__1", s3_bucket="logs-of-the-other"))
    operator.__dict__.update(operator.spec)
    operator.on_kill()
    assert [one.id for one in alive(cloud)] == [first], "adopted by nobody, deleted by nobody"
    monkeypatch.setattr(settings, "read", lambda: SETTINGS)
    assert len(sweep()) == 1


def test_a_cluster_that_is_new_is_not_taken_for_gone(cloud: Endpoint) -> None:
    cluster = create("run-1")
    cloud.faults(
        {"method": "*ClusterService/Get", "when": "new", "code": "NOT_FOUND", "message": "not yet", "times": 4}
    )
    DeleteCluster(task_id="delete", cluster_id=cluster).execute(CONTEXT)
    assert alive(cloud) == []


def test_the_sweep_goes_on_after_a_refusal_and_is_red(
    cloud: Endpoint, sweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = create("ended-1"), create("ended-2")
    real = clusters.delete

    def refuse_the_first(sdk: Any, cluster_id: str, timeout: float) -> None:
        if cluster_id == first:
            raise TimeoutError(f"The cluster {cluster_id} is not deleted")
        real(sdk, cluster_id, timeout)

    monkeypatch.setattr(clusters, "delete", refuse_the_first)
    with pytest.raises(RuntimeError, match=first):
        sweep()
    assert [one.id for one in alive(cloud)] == [first]
    monkeypatch.undo()


def test_a_cluster_that_is_being_made_is_swept_when_the_cloud_lets_us(cloud: Endpoint, sweep: Any) -> None:
    cloud.faults({"method": CREATE, "when": "operation", "delay": 2, "times": 1})
    cloud.machine("airflow").client(ClusterServiceStub).Create(create_request(cloud))
    assert len(sweep()) == 1
    assert alive(cloud) == []
