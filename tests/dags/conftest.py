"""One Airflow and one endpoint for all tests."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow import forget, make_database, ours, settings
from tests.support.cloud import Endpoint, ObjectStore, fake_image, impatient

if TYPE_CHECKING:
    from tests.dags.world import World

# In memory if there is such a place: SQLite waits for the disk at each commit. It is removed when the process ends.
HOME = tempfile.TemporaryDirectory(prefix="airflow-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
os.environ |= settings(Path(HOME.name))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The cloud API; one for all tests, since gRPC reads once in a process whose authority it trusts."""
    store = ObjectStore()
    image = fake_image(tmp_path_factory.mktemp("image"))
    # Many clusters of others stand beside ours: more than a new cloud has room for.
    room = {"compute.ssdDisks.size": 1 << 40, "compute.instances.count": 50, "compute.instanceCores.count": 100}
    running = Endpoint(tmp_path_factory.mktemp("endpoint"), store.url, {"2.2": image}, quotas=room).start()
    yield running
    running.stop()
    store.close()


@pytest.fixture(scope="session", autouse=True)
def short_waits() -> Iterator[None]:
    """The endpoint's operations are done sooner than the SDK looks at them."""
    with impatient(20):
        yield


@pytest.fixture(scope="session", autouse=True)
def one_api() -> Iterator[None]:
    """`dag.test` builds the whole execution API of Airflow 3 anew for each task; here it is built once."""
    with pytest.MonkeyPatch.context() as patch:
        with suppress(ImportError):  # Airflow 2 has none
            from airflow.sdk.execution_time import supervisor

            patch.setattr(supervisor, "in_process_api_server", cache(supervisor.in_process_api_server))
        yield


@pytest.fixture(autouse=True)
def same_modules() -> Iterator[None]:
    """After a test that imported anew, everybody has the modules again that the tests' files have imported."""
    before = ours()
    yield
    forget()
    sys.modules.update(before)


@pytest.fixture(scope="session")
def database() -> None:
    """Airflow's metadata database, with the DAGs in it."""
    make_database(Path(HOME.name))


@pytest.fixture
def web() -> Iterator[Any]:
    """An HTTP server: `.port`, `.requests` (path and JSON body), `.status` of its answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append((self.path, body))
            self.send_response(state.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = SimpleNamespace(port=server.server_address[1], requests=[], status=200)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def world(
    database: None, cloud: Endpoint, web: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator["World"]:
    """Everything around the DAGs; no cluster is left after a test."""
    from moto import mock_aws

    from dags.retraining import clusters, plan, registry
    from tests.dags.world import JOB, STORE, World, environment

    for name, value in environment(cloud, web).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(clusters, "POLL", 0.2)
    for job in ("prepare", "train", "score"):
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
        one = World(cloud, s3, tmp_path, web)
        monkeypatch.setattr(registry, "connect", lambda: (one.models, "http://mlflow.test"))
        yield one
    cloud.faults()
    for cluster in one.alive():
        clusters.delete(cloud.sdk(), cluster.id)
