"""Endpoints for the tests: one that many share, and fresh ones for tests that kill or configure theirs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yandexcloud
from yandex.cloud.dataproc.v1 import cluster_pb2

from tests.support.cloud import Endpoint, ObjectStore, fake_image, impatient
from tests.support.dataproc import cluster_fields

# The shared endpoint is a cloud that has asked for more: many tests leave something in it.
ROOM = {"vpc.networks.count": 50, "vpc.securityGroups.count": 50, "compute.disks.count": 200}


@pytest.fixture(scope="session", autouse=True)
def impatient_sdk() -> Iterator[None]:
    with impatient(50):
        yield


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    store = ObjectStore()
    yield store
    store.close()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return fake_image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def endpoint(
    tmp_path_factory: pytest.TempPathFactory, object_store: ObjectStore, image: dict[str, str]
) -> Iterator[Endpoint]:
    """The shared endpoint; a test leaves nothing in it that another could trip over."""
    folder = tmp_path_factory.mktemp("endpoint")
    with Endpoint(folder, object_store.url, {"2.2": image}, quotas=ROOM).serving() as running:
        yield running


@pytest.fixture
def new_endpoint(tmp_path: Path, object_store: ObjectStore, image: dict[str, str]) -> Iterator[Callable[..., Endpoint]]:
    """Makes endpoints of the test's own (not started yet), and ends them."""
    made: list[Endpoint] = []

    def make(**changes: Any) -> Endpoint:
        made.append(Endpoint(tmp_path / str(len(made)), object_store.url, **{"images": {"2.2": image}, **changes}))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.stop()


@pytest.fixture
def sdk(endpoint: Endpoint) -> yandexcloud.SDK:
    """The SDK with the rights that Airflow has."""
    return endpoint.machine("airflow")


@pytest.fixture(scope="session")
def cluster(endpoint: Endpoint, impatient_sdk: None) -> Iterator[str]:
    """The id of a cluster that runs, with two properties for Spark."""
    properties = {"spark:spark.sql.shuffle.partitions": "7", "spark:spark.custom": "cluster", "pip:pyspark": "3.5.6"}
    wrapper = endpoint.machine("airflow").wrappers.Dataproc()
    made = wrapper.create_cluster(**cluster_fields("shared", properties=properties)).response
    assert (made.status, made.config.version_id) == (cluster_pb2.Cluster.RUNNING, "2.2")
    yield made.id
    wrapper.delete_cluster(made.id)


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a job's main file."""

    def write(text: str) -> Path:
        file = tmp_path / "main.py"
        file.write_text(text)
        return file

    return write
