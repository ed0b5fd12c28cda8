"""A cluster on YARN: its executors follow from its hosts, it counts and limits, loses hosts and grows."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.cloud import Endpoint, ObjectStore
from tests.support.dataproc import alive, cluster_fields
from tests.support.waiting import wait_until
from tests.yarn.conftest import left_of
from tests.yarn.running import LONG, RunningCluster, inject, new_cluster

# Waits for its executors, says what it has, and works until a file tells it to end.
WAITS = """
import sys, time
from pathlib import Path
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
sc, wanted, go = spark.sparkContext, int(sys.argv[1]), Path(sys.argv[2])
status = sc._jsc.sc().getExecutorMemoryStatus
until = time.monotonic() + 500
while status().size() - 1 < wanted and time.monotonic() < until:
    time.sleep(0.2)
print("EXECUTORS", status().size() - 1, "SLOTS", sc.defaultParallelism, flush=True)
while not go.exists():
    time.sleep(0.2)
print("RESULT", sc.parallelize(range(10)).map(lambda x: 2 * x).sum(), flush=True)
"""
# Tasks of a second, a hundred of them: whatever befalls a host meets some.
WORKS = """
import time
from pyspark.sql import SparkSession
sc = SparkSession.builder.getOrCreate().sparkContext
def work(x):
    time.sleep(0.5)
    return 2 * x
print("RESULT", sc.parallelize(range(100), 100).map(work).sum(), flush=True)
"""
FAILS = "from pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate()\nraise ValueError('as asked')\n"
HOGS = """
from pyspark.sql import SparkSession
def hog(x):
    import time
    blocks = []
    for _ in range(400):
        blocks.append(bytearray(b"x" * (16 << 20)))
        time.sleep(0.02)
    return len(blocks)
print("RESULT", SparkSession.builder.getOrCreate().sparkContext.parallelize([1], 1).map(hog).sum())
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        (tmp_path / "main.py").write_text(text)
        return tmp_path / "main.py"

    return write


@pytest.fixture
def faults(endpoint: Endpoint) -> Iterator[Callable[..., None]]:
    yield lambda **rule: inject(endpoint, {"method": "*JobService/Create", "when": "running", "times": 1, **rule})
    inject(endpoint)


@pytest.mark.verify
@pytest.mark.parametrize("hosts", [1, 4])
def test_executors_and_their_cores_follow_and_a_deleted_cluster_leaves_nothing(
    endpoint: Endpoint, script: Callable[[str], Path], tmp_path: Path, hosts: int
) -> None:
    with new_cluster(endpoint, f"of-{hosts}", hosts) as cluster:
        executors_follow(cluster, hosts, script(WAITS), tmp_path / "go")
    assert not left_of(cluster.folder)


def test_executors_and_their_cores_follow_from_two_hosts(
    pair: RunningCluster, script: Callable[[str], Path], tmp_path: Path
) -> None:
    executors_follow(pair, 2, script(WAITS), tmp_path / "go")


def executors_follow(cluster: RunningCluster, hosts: int, script: Path, go: Path) -> None:
    """Number of executors and their cores are as the hosts offer them, by Spark's word and by YARN's."""
    job = cluster.submit(script, str(hosts), str(go))
    assert job.says("EXECUTORS") == f"EXECUTORS {hosts} SLOTS {2 * hosts}"
    given = cluster.queue()
    # With the application master, which has a core of its own.
    assert (given["AllocatedContainers"], given["AllocatedVCores"]) == (hosts + 1, 2 * hosts + 1)
    nodes = cluster.nodes()
    assert len(nodes) == hosts
    assert all(node["NumContainers"] >= 1 for node in nodes), "an executor on every host"
    go.touch()
    assert job.end() == ""
    assert job.says("RESULT") == "RESULT 90"
    assert job.application()["Final-State"] == "SUCCEEDED"


@pytest.mark.verify
def test_a_driver_in_the_cluster_is_logged_and_fails_as_one_beside_it(
    pair: RunningCluster, script: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "go").touch()
    mode = {"spark.submit.deployMode": "cluster", "spark.driver.cores": "1", "spark.driver.memory": "1g"}
    done = pair.submit(script(WAITS), "1", str(tmp_path / "go"), **mode)
    assert done.end() == "", done.log
    assert "RESULT 90" in done.log
    assert done.application()["Final-State"] == "SUCCEEDED"
    failed = pair.submit(script(FAILS), **mode)
    assert failed.end().endswith("ValueError: as asked")
    assert failed.application()["Final-State"] == "FAILED"


@pytest.mark.verify
def test_a_cancelled_job_leaves_nothing_in_yarn(
    pair: RunningCluster, script: Callable[[str], Path], tmp_path: Path
) -> None:
    mode = {"spark.submit.deployMode": "cluster", "spark.driver.cores": "1", "spark.driver.memory": "1g"}
    job = pair.submit(script(WAITS), "1", str(tmp_path / "go"), **mode)
    wait_until(lambda: job.ended or pair.queue()["AllocatedContainers"] > 1, "an executor", LONG)
    job.cancel()
    assert job.application()["State"] == "KILLED"
    wait_until(lambda: not pair.queue()["AllocatedContainers"], "no container left", LONG)


@pytest.mark.verify
def test_an_executor_that_outgrows_its_container_is_killed(pair: RunningCluster, script: Callable[[str], Path]) -> None:
    job = pair.submit(script(HOGS), **{"spark.task.maxFailures": "1"})
    assert job.end()
    assert "Container killed by YARN for exceeding physical memory limits" in job.log


@pytest.mark.verify
def test_a_lost_host_costs_its_tasks_and_not_the_job(
    endpoint: Endpoint, script: Callable[[str], Path], faults: Callable[..., None]
) -> None:
    with new_cluster(endpoint, "loses", hosts=2) as cluster:
        faults(node="lost", delay=1)
        job = cluster.submit(script(WORKS))
        assert job.end() == "", job.log
        assert job.says("RESULT") == "RESULT 9900"
        wait_until(lambda: cluster.ask("name=ClusterMetrics")["NumLostNMs"] == 1, "a lost node", LONG)
        assert cluster.active_nodes() == 1


@pytest.mark.verify
def test_a_growing_cluster_fills_up_and_replaces_a_preempted_host(
    endpoint: Endpoint, script: Callable[[str], Path], faults: Callable[..., None], tmp_path: Path
) -> None:
    with new_cluster(endpoint, "grows", hosts=1, most=2) as cluster:
        assert cluster.active_nodes() == 1
        faults(node="preempted")
        job = cluster.submit(script(WORKS))
        assert job.end() == "", job.log
        assert job.says("RESULT") == "RESULT 9900"
        assert cluster.active_nodes() == 2
        again = cluster.submit(script(WAITS), "2", str(tmp_path / "go"))
        assert again.says("EXECUTORS") == "EXECUTORS 2 SLOTS 4"
        (tmp_path / "go").touch()
        assert again.end() == ""


def test_a_cluster_that_cannot_fit_is_refused_with_what_it_needs(endpoint: Endpoint) -> None:
    wrapper = endpoint.machine("airflow").wrappers.Dataproc()
    fields = cluster_fields("large", computenode_count=16)
    with pytest.raises(Exception, match=r"16 times 1\.75 GiB at least, YARN may take 8\.0 GiB\. Ask for fewer"):
        wrapper.create_cluster(**fields)


@pytest.mark.verify
def test_what_a_killed_endpoint_has_left_ends_when_it_is_started_again(image: dict[str, str], tmp_path: Path) -> None:
    store = ObjectStore()
    own = Endpoint(tmp_path / "own", store.url, {"2.2": image}, engine="yarn", yarn_memory_gib=8).start()
    made = own.machine("airflow").wrappers.Dataproc().create_cluster(**cluster_fields("left", computenode_count=1))
    record = own.state / "clusters" / made.response.id / "yarn" / "processes.json"
    before = [process["pid"] for process in json.loads(record.read_text())]
    own.stop(signal.SIGKILL)
    assert all(alive(pid) for pid in before)
    own.start()
    assert not any(alive(pid) for pid in before)
    after = [process["pid"] for process in json.loads(record.read_text())]
    assert len(after) == len(before) == 2
    assert all(alive(pid) for pid in after)
    assert own.stop() == 0
    assert left_of(own.folder) == []
    store.close()
