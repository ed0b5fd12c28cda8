"""One endpoint whose clusters are a real YARN, and jobs on it.

It needs an image's Spark (`.envs/spark-image-2.2`), Java and YARN's jars, which are fetched once.
"""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stack.common.envs import python_of
from stack.common.java import ensure_jars, find_java
from tests.support.cloud import Endpoint, ObjectStore, impatient
from tests.yarn.running import GIB, RunningCluster, new_cluster

IMAGE = "2.2"


@pytest.fixture(scope="session", autouse=True)
def impatient_sdk() -> Iterator[None]:
    with impatient(10):
        yield


@pytest.fixture(scope="session")
def image() -> dict[str, str]:
    python = python_of(f"spark-image-{IMAGE}")
    if not python.exists():
        pytest.skip(f"no {python}: python3 -m stack.common.envs spark-image-{IMAGE}")
    java = find_java()
    return {
        "python": str(python),
        "java_home": str(java),
        "jars": str(ensure_jars(f"spark-image-{IMAGE}", java)),
        "yarn": str(ensure_jars(f"yarn-image-{IMAGE}", java)),
    }


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory, image: dict[str, str]) -> Iterator[Endpoint]:
    store = ObjectStore()
    folder = tmp_path_factory.mktemp("yarn")
    options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    quick = {f"spark.{part}.extraJavaOptions": options for part in ("driver", "executor", "yarn.am")}
    quick["spark.ui.enabled"] = "false"
    # More than a new cloud has room for: the quotas have their own tests.
    room = {
        "compute.ssdDisks.size": 1 << 41,
        "compute.disks.count": 100,
        "compute.instances.count": 50,
        "compute.instanceCores.count": 100,
        "compute.instanceMemory.size": 1 << 39,
    }
    yarn = {"engine": "yarn", "yarn_memory_gib": GIB, "spark_defaults": quick}
    made = Endpoint(folder, store.url, {IMAGE: image}, quotas=room, **yarn)
    with made.serving() as running:
        yield running
    store.close()
    assert left_of(folder) == []


def left_of(folder: Path) -> list[str]:
    """Command lines of the processes that still work for an endpoint."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE:
            words = " ".join(process.info["cmdline"] or ())
            if str(folder) in words or (process.info["cwd"] or "").startswith(str(folder)):
                found.append(words[:200])
    return found


@pytest.fixture(scope="session")
def pair(endpoint: Endpoint) -> Iterator[RunningCluster]:
    """A cluster of two compute hosts of two cores."""
    with new_cluster(endpoint, "pair", hosts=2) as cluster:
        yield cluster
