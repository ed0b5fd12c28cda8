"""Whole runs of the DAGs by Airflow itself (`dag.test`), with the provider's operators against the cloud API.

The object store is moto's, the jobs are small scripts, MLflow's registry is a dictionary: tests/stack has the real
ones.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import ROOT

pytest.importorskip("airflow", reason="Airflow cannot be imported here (requirements/airflow-test.txt)")

from moto import mock_aws
from yandex.cloud.dataproc.v1.cluster_service_pb2 import ListClustersRequest
from yandex.cloud.dataproc.v1.cluster_service_pb2_grpc import ClusterServiceStub

from dags.retraining import clusters, lake, monitoring, operators, plan, registry
from tests.dags.conftest import dag_bag
from tests.support.cloud import BUCKET, DATAPROC, FOLDER, SUBNET, Endpoint

STORE = "http://127.0.0.1:1"  # where moto answers in place of a server
SUCCESS, FAILED, SKIPPED, UPSTREAM = "success", "failed", "skipped", "upstream_failed"
VARIABLE = {
    **{"lake_bucket": "lake", "jobs_bucket": "jobs", "release": "abc", "model": "fraud", "experiment": "e"},
    **{"mlflow_secret_id": "secret-1", "spark": {"spark.dynamicAllocation.enabled": "false"}},
    "cluster": {
        **{"folder_id": FOLDER, "image": "2.2", "zone": "ru-central1-a", "subnet_id": SUBNET, "bucket": BUCKET},
        **{"service_account_id": DATAPROC, "master_preset": "s3-c2-m8", "compute_preset": "s3-c2-m8"},
        **{"compute_count": 1, "disk_gib": 20, "hours": 6, "properties": {}},
    },
}


@pytest.fixture
def webhook() -> Iterator[Any]:
    """A server that takes alerts: `.url`, `.texts`."""
    texts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_address[1]}/hook", texts=texts)
    server.shutdown()
    server.server_close()


class Registry:
    """Aliases and tags of the one model."""

    def __init__(self) -> None:
        self.aliases: dict[str, str] = {"champion": "1"}
        self.tags: dict[str, str] = {}

    def get_registered_model(self, name: str) -> Any:
        return SimpleNamespace(aliases=dict(self.aliases))

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        self.aliases[alias] = version

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        self.tags[version] = value

    def get_run(self, run_id: str) -> Any:
        return SimpleNamespace(info=SimpleNamespace(experiment_id="7"))


class World:
    """Everything around the DAGs, and `run`, which runs one of them to its end."""

    def __init__(self, cloud: Endpoint, s3: Any, jobs: Path, alerts: Any) -> None:
        self.cloud, self.s3, self.jobs, self.alerts, self.models = cloud, s3, jobs, alerts, Registry()
        self.bag = dag_bag(ROOT / "dags")
        assert self.bag.import_errors == {}

    def run(self, dag_id: str, **conf: Any) -> tuple[str, dict[str, str], Any]:
        """Returns the run's state, the states of its tasks, the run."""
        run = self.bag.dags[dag_id].test(run_conf=conf)
        return str(run.state), {one.task_id: str(one.state) for one in run.get_task_instances()}, run

    def alive(self) -> list[Any]:
        stub = self.cloud.sdk().client(ClusterServiceStub)
        return list(stub.List(ListClustersRequest(folder_id=FOLDER)).clusters)

    def put(self, key: str, value: Any) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.s3.put_object(Bucket="lake", Key=key, Body=body)

    def keys(self, prefix: str) -> list[str]:
        return lake.names(self.s3, "lake", prefix)

    def arguments(self, job: str) -> list[str]:
        return json.loads((self.jobs / f"{job}.arguments").read_text())


JOB = """
import json, pathlib, sys
me = pathlib.Path(__file__)
me.with_suffix(".arguments").write_text(json.dumps(sys.argv[1:]))
"""


@pytest.fixture
def world(
    database: None, cloud: Endpoint, webhook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    connections = {
        "YANDEXCLOUD_DEFAULT": {
            "conn_type": "yandexcloud",
            "extra": {"endpoint": cloud.address["grpc"], "folder_id": FOLDER},
        },
        "MLFLOW": {"conn_type": "http", "host": "mlflow.test"},
        "OBJECT_STORAGE": {
            **{"conn_type": "aws", "login": "key", "password": "secret"},
            "extra": {"endpoint_url": STORE, "region_name": "us-east-1"},
        },
        "ALERT_SLACK": {"conn_type": "generic", "password": webhook.url},
    }
    for name, value in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(value))
    monkeypatch.setenv("AIRFLOW_VAR_FRAUD_RETRAINING", json.dumps(VARIABLE))
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", cloud.address["ca"])
    monkeypatch.setenv("YC_METADATA_ADDR", cloud.address["metadata"]["airflow"])
    monkeypatch.setenv("MOTO_S3_CUSTOM_ENDPOINTS", STORE)
    monkeypatch.setattr(clusters, "POLL", 0.2)
    for job in ("prepare", "train"):
        (tmp_path / f"{job}.py").write_text(JOB)
    planned = plan.job

    def local(settings: dict[str, Any], name: str, script: str, *arguments: str) -> dict[str, Any]:
        """The job's files are on this disk: the image of this test has no S3A."""
        return planned(settings, name, script, *arguments) | {
            "main_python_file_uri": f"file://{tmp_path / script}.py",
            "python_file_uris": [],
        }

    monkeypatch.setattr(plan, "job", local)
    with mock_aws():
        import boto3

        s3 = boto3.client("s3", endpoint_url=STORE, region_name="us-east-1")
        s3.create_bucket(Bucket="lake")
        one = World(cloud, s3, tmp_path, webhook)
        monkeypatch.setattr(registry, "connect", lambda: (one.models, "http://mlflow.test"))
        yield one
    cloud.faults()
    for cluster in one.alive():
        clusters.delete(cloud.sdk(), cluster.id)


def decides(world: World, monkeypatch: pytest.MonkeyPatch, action: str, **more: Any) -> None:
    """What the training job will have written."""
    decision = {
        **{"action": action, "winner": "2", "reason": "because", "champion": {"version": "1"}},
        **{"run_id": "r", "mlflow_run_id": "m", **more},
    }
    monkeypatch.setattr(registry, "read_decision", lambda client, experiment, run: decision)


# ------------------------------------------------------------------------------------------------ retrain
def test_new_data_make_a_new_champion(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(world, monkeypatch, "promote")
    world.put("raw/2018-04-01.txt", b"rows")
    seen: list[Any] = []
    monkeypatch.setattr(operators.RunJob, "pre_execute", lambda *_, **__: seen.extend(world.alive()))
    state, tasks, run = world.run("retrain")
    assert (state, set(tasks.values())) == (SUCCESS, {SUCCESS})
    cluster = seen[0]
    assert {one.id for one in seen} == {cluster.id}  # one cluster for both jobs
    assert (len(cluster.name) <= 63, cluster.description) == (True, run.run_id)
    assert {key: cluster.labels[key] for key in ("owner", "run")} == {"owner": "fraud-retraining", "run": cluster.name}
    expires = datetime.strptime(cluster.labels["expires"], clusters.LABEL_TIME).replace(tzinfo=UTC)
    assert timedelta(hours=5.9) < expires - datetime.now(UTC) <= timedelta(hours=6)
    assert world.alive() == []
    assert world.arguments("train")[-4:] == ["--experiment", "e", "--model", "fraud"]
    assert world.models.aliases == {"champion": "2", "previous": "1"}
    assert world.keys("retrained/") == ["2018-04-01.txt.json"]
    (alert,) = world.alerts.texts
    assert alert.startswith("*retrain: promote*\nbecause\nhttp://mlflow.test/#/experiments/7/runs/m")


def test_nothing_new_skips_the_run_visibly(world: World) -> None:
    world.put("raw/2018-04-01.txt", b"rows")
    world.put("retrained/2018-04-01.txt.json", {})
    state, tasks, _ = world.run("retrain")
    assert (state, set(tasks.values()), world.alerts.texts) == (SUCCESS, {SKIPPED}, [])


def test_a_dry_run_compares_and_leaves_everything_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(world, monkeypatch, "promote", winner="unregistered", dry_run=True)
    world.put("raw/2018-04-01.txt", b"rows")
    state, tasks, _ = world.run("retrain", dry_run=True, as_of="2018-05-01", compute_hosts=3)
    assert (state, set(tasks.values())) == (SUCCESS, {SUCCESS})
    assert world.arguments("train")[-3:] == ["--as-of", "2018-05-01", "--dry-run"]
    assert (world.models.aliases, world.keys("retrained/")) == ({"champion": "1"}, [])
    assert world.alerts.texts[0].startswith("*retrain: promote (dry run)*")


def test_a_job_that_fails_makes_the_run_red_and_its_cluster_goes(world: World) -> None:
    world.put("raw/2018-04-01.txt", b"rows")
    (world.jobs / "prepare.py").write_text("raise SystemExit('broken rows')")
    state, tasks, _ = world.run("retrain")
    assert (state, world.alive()) == (FAILED, [])
    assert tasks == {
        **{"check": SUCCESS, "cluster.create": SUCCESS, "cluster.prepare": FAILED, "cluster.train": UPSTREAM},
        **{"cluster.delete": SUCCESS, "decide": UPSTREAM, "promote": UPSTREAM, "report": UPSTREAM},
    }
    assert (world.models.aliases, world.keys("retrained/")) == ({"champion": "1"}, [])


def test_a_champion_that_has_changed_since_makes_the_run_red(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(world, monkeypatch, "promote", champion={"version": "0"})
    world.put("raw/2018-04-01.txt", b"rows")
    state, tasks, _ = world.run("retrain")
    assert (state, tasks["promote"], tasks["report"]) == (FAILED, FAILED, UPSTREAM)
    assert (world.models.aliases, world.alive()) == ({"champion": "1"}, [])


# ------------------------------------------------------------------------------------------------ sweep
def test_the_sweep_asks_airflow_which_runs_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = world.run("retrain")[2]
    going = world.bag.dags["sweep"].test().run_id  # any run that Airflow does not know as one of `retrain`

    def create(run_id: str) -> str:
        spec = plan.cluster(VARIABLE, plan.run_name(run_id, datetime.now(UTC)), run_id)
        return operators.CreateCluster(task_id="create", spec=spec).execute(
            {"task_instance": SimpleNamespace(xcom_push=lambda **_: None)}
        )

    for run_id in (ended.run_id, going):
        create(run_id)
    active = create(queued(world, "active"))
    state, _, _ = world.run("sweep")
    assert (state, [one.id for one in world.alive()]) == (SUCCESS, [active])
    assert world.alerts.texts[-1].startswith("*sweep deleted 2 cluster(s)")
    assert f"its run {ended.run_id!r} has ended" in world.alerts.texts[-1]


def queued(world: World, run_id: str) -> str:
    """Makes a run of `retrain` that waits for its turn, as a trigger does."""
    from airflow.api.common.trigger_dag import trigger_dag

    with_origin: dict[str, Any] = {}
    try:
        from airflow.utils.types import DagRunTriggeredByType

        with_origin["triggered_by"] = DagRunTriggeredByType.TEST
    except ImportError:
        pass
    trigger_dag("retrain", run_id=run_id, **with_origin)
    return run_id


# ------------------------------------------------------------------------------------------------ monitor
def rows(amount: float, count: int = 500) -> bytes:
    """A raw file whose amounts lie around `amount`."""
    lines = [f"{n},2018-04-01 {n % 24:02}:00:00,1,1,{amount * (1 + n % 50 / 10):.2f},0,0,0,0" for n in range(count)]
    return "\n".join(["# header", *lines, ""]).encode()


REFERENCE = {
    **{"model": "fraud", "version": "1", "run_id": "r1", "as_of": "2018-05-06", "average_precision": 0.7},
    "windows": {"train": ["2018-04-01", "2018-04-14"], "delay": ["x", "x"], "test": ["2018-04-22", "2018-04-28"]},
    "histograms": {"score": {"edges": [0.1], "counts": [90, 10, 0]}},
}


def states_of_retrain(run_id: str) -> list[str]:
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        return [str(run.state) for run in session.query(DagRun).filter_by(dag_id="retrain", run_id=run_id)]


def test_the_monitor_asks_once_for_a_retrain_when_two_windows_drift(world: World) -> None:
    world.put("monitor/reference/fraud-1.json", REFERENCE)
    for day, amount in (("04-01", 10), ("04-22", 10), ("04-29", 10), ("05-06", 90), ("05-13", 90)):
        world.put(f"raw/2018-{day}.txt", rows(amount))
    state, tasks, _ = world.run("monitor")
    assert (state, set(tasks.values())) == (SUCCESS, {SUCCESS})
    run_id = "monitor__2018-05-13.txt:v1"
    assert states_of_retrain(run_id) == ["queued"]
    assert "monitor asks for a retrain" in world.alerts.texts[-1]
    assert monitoring.read(world.s3, "lake", monitoring.STATE)["asked"] == ["2018-05-06.txt:v1", "2018-05-13.txt:v1"]
    assert world.run("monitor")[1] == {"measure": SUCCESS, "ask": SKIPPED, "retrain": SKIPPED, "remember": SKIPPED}
    world.s3.delete_object(Bucket="lake", Key=monitoring.STATE)  # the memory is lost: the run's name is still taken
    assert world.run("monitor")[1] == {"measure": SUCCESS, "ask": SUCCESS, "retrain": SKIPPED, "remember": SUCCESS}
    assert states_of_retrain(run_id) == ["queued"]


def test_the_monitor_is_content_with_data_like_those_of_the_training(world: World) -> None:
    world.put("monitor/reference/fraud-1.json", REFERENCE)
    for day in ("04-01", "04-22", "04-29", "05-06"):
        world.put(f"raw/2018-{day}.txt", rows(10))
    state, tasks, _ = world.run("monitor")
    assert (state, tasks["measure"], tasks["retrain"], world.alerts.texts) == (SUCCESS, SUCCESS, SKIPPED, [])
