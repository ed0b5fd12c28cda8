"""One whole cycle on YARN, with the real application: prepare, train, compare, decide."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yandexcloud
from yandex.cloud.dataproc.v1 import cluster_service_pb2
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub

from simulator import Faults, Generator
from stack.common import lockbox, release
from stack.common.envs import ENVS, ROOT
from tests.support import mlflow_server
from tests.support.cloud import DATAPROC, FOLDER, Endpoint
from tests.support.dataproc import submit
from tests.yarn.running import Job, RunningCluster, new_cluster

APP = ROOT / "spark_app"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Thirteen weeks, which fill the windows of a first run, in four files."""
    generator = Generator(seed=7, customers=600, terminals=1200, start=date(2018, 4, 1), faults=Faults())
    (tmp_path / "lake" / "raw").mkdir(parents=True)
    for start, days in ((0, 28), (28, 28), (56, 28), (84, 7)):
        first = date.fromordinal(date(2018, 4, 1).toordinal() + start)
        generator.write_file(tmp_path / "lake" / "raw", first, days, compress=False)
    return tmp_path / "lake"


def run(cluster: RunningCluster, job: str, package: Path, *args: str) -> Job:
    """One of the jobs as the DAG submits it, but for where its files lie."""
    return Job(
        cluster,
        submit(
            cluster.sdk,
            cluster.id,
            APP / f"{job}.py",
            *args,
            properties=cluster.plan[job]["properties"],
            python_file_uris=[f"file://{package}"],
        ),
    )


def secret_of(endpoint: Endpoint, password: str) -> str:
    sdk: yandexcloud.SDK = endpoint.sdk()
    values = {"username": "trainer", "password": password}
    made = lockbox.put_secret(sdk, FOLDER, lockbox.secrets_by_name(sdk, FOLDER), "mlflow-trainer", values)
    lockbox.let_read(sdk, made, DATAPROC)
    return str(made)


@pytest.mark.verify
def test_a_job_that_fails_beside_yarn_is_a_failure_there(pair: RunningCluster, tmp_path: Path) -> None:
    package = tmp_path / "fraud_retraining.zip"
    package.write_bytes(release.zip_of(APP / "fraud_retraining"))
    (tmp_path / "lake" / "raw").mkdir(parents=True)
    (tmp_path / "lake" / "raw" / "2018-04-01.txt").write_text("nothing\n")
    prepare = run(pair, "prepare", package, "--lake", f"file://{tmp_path}/lake", "--run-id", "r1")
    assert prepare.end()
    assert "ERROR prepare failed" in prepare.log
    assert prepare.application()["Final-State"] == "FAILED"


@pytest.mark.verify
def test_one_cycle(endpoint: Endpoint, lake: Path, tmp_path: Path) -> None:
    package = tmp_path / "fraud_retraining.zip"
    package.write_bytes(release.zip_of(APP / "fraud_retraining"))
    with (
        mlflow_server.started(tmp_path / "mlflow", ENVS / "mlflow" / "bin") as mlflow,
        new_cluster(endpoint, "cycle", hosts=2) as cluster,
    ):
        secret = secret_of(endpoint, mlflow.passwords["trainer"])
        common = ("--lake", f"file://{lake}", "--run-id", "r1")
        prepare = run(cluster, "prepare", package, *common)
        assert prepare.end() == "", prepare.log
        assert len(list((lake / "manifest").glob("*.json"))) == 4
        train = run(cluster, "train", package, *common, "--mlflow-uri", mlflow.url, "--mlflow-secret", secret)
        assert train.end() == "", train.log
        for job in (prepare, train):
            assert job.application()["Final-State"] == "SUCCEEDED"
        decision = decision_of(mlflow)
        assert decision["action"] in ("promote", "reject"), decision
        assert decision["challenger"]["metrics"]["average_precision"] > 0.1
    request = cluster_service_pb2.ListClustersRequest(folder_id=FOLDER)
    left = endpoint.machine("airflow").client(ClusterServiceStub).List(request).clusters
    assert cluster.id not in [one.id for one in left]


def decision_of(mlflow: mlflow_server.Server) -> dict[str, Any]:
    """What the run r1 has recorded."""
    experiment = mlflow.made("admin", "experiments/get-by-name?experiment_name=fraud-retraining", None)["experiment"]
    query = {"experiment_ids": [experiment["experiment_id"]], "filter": "tags.retrain_run_id = 'r1'"}
    (found,) = mlflow.made("admin", "runs/search", query)["runs"]
    place = found["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
    answer = mlflow.call("GET", f"/api/2.0/mlflow-artifacts/artifacts/{place}/decision.json", "admin")
    assert answer.status == 200, answer.text
    return dict(answer.json())
