"""What YARN has of a cluster's hosts, and how both hosts and jobs shrink to fit a machine. No YARN runs here."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.core.faults import check_rule
from local_cloud.pricing import PRESETS
from local_cloud.services.dataproc import spark, yarn_sizes
from local_cloud.services.dataproc.models import COMPUTE, DATA, MASTER
from local_cloud.services.dataproc.yarn_sizes import Hosts, Node


def subcluster(role: int, preset: str, count: int, most: int = 0) -> Any:
    return SimpleNamespace(
        role=role,
        hosts_count=count,
        resources=SimpleNamespace(resource_preset_id=preset),
        autoscaling_config=SimpleNamespace(max_hosts_count=most),
    )


@pytest.mark.parametrize(
    ("preset", "cores", "memory"),
    # The service's own examples: 0.8 of a host, in whole GiB; 48 GiB are 46.6 to the system.
    [("s2.micro", 2, 6), ("s3-c4-m16", 4, 12), ("s2.medium", 8, 24), ("s2.large", 12, 37), ("b2.small", 2, 3)],
)
def test_a_host_by_its_preset(preset: str, cores: int, memory: int) -> None:
    assert yarn_sizes.node(preset, 0.8) == Node(cores, memory * 1024)


def test_hosts_that_compute_count_and_the_master_does_not() -> None:
    groups = [
        subcluster(MASTER, "s3-c2-m8", 1),
        subcluster(COMPUTE, "s3-c4-m16", 2, 5),
        subcluster(DATA, "s3-c2-m8", 1),
    ]
    hosts = yarn_sizes.hosts_of(groups, {})
    assert hosts == [Hosts(Node(4, 12 * 1024), 2, 5), Hosts(Node(2, 6 * 1024), 1, 1)]
    assert yarn_sizes.hosts_of(groups, {yarn_sizes.SHARE: "0.5"})[1].node == Node(2, 3 * 1024)


def test_what_fits_is_not_scaled() -> None:
    assert yarn_sizes.factor([Hosts(Node(2, 6144), 2, 2)], 12 * 1024) == 1


@given(
    st.sampled_from(sorted(PRESETS)),
    st.integers(1, 32),
    st.integers(1, 32),
    st.floats(1024, 1 << 20),
    st.integers(1, 20),
)
def test_grown_hosts_fit_and_an_executor_that_filled_one_still_does(
    preset: str, count: int, more: int, memory: float, size: int
) -> None:
    node = yarn_sizes.node(preset, 0.8)
    hosts = [Hosts(node, count, count + more)]
    factor = yarn_sizes.factor(hosts, memory)
    scaled = node.scaled(factor)
    if factor:
        assert (count + more) * scaled.memory <= memory
    container = min(size * 1024, node.memory - 1024)
    told = {
        "spark.executor.memory": f"{container * 6 // 10}m",
        "spark.executor.memoryOverhead": f"{container * 4 // 10}m",
    }
    made = yarn_sizes.scaled(told, factor)
    asked = sum(yarn_sizes.mebibytes(value) for value in made.values())
    step = 1024 if factor == 1 else yarn_sizes.STEP
    given_out = -(-asked // step) * step  # YARN rounds up
    assert given_out <= scaled.memory - yarn_sizes.APPLICATION_MASTER


def test_jobs_shrink_with_their_hosts_and_the_overhead_that_spark_would_add_too() -> None:
    told = {"spark.executor.memory": "4g", "spark.driver.memory": "1000m", "spark.executor.cores": "4", "spark.x": "4g"}
    made = yarn_sizes.scaled(told, 0.5)
    assert made["spark.executor.memory"] == "2048m"
    assert made["spark.executor.memoryOverhead"] == "204m"
    assert (made["spark.driver.memory"], made["spark.driver.memoryOverhead"]) == ("500m", "192m")
    assert (made["spark.executor.cores"], made["spark.x"]) == ("4", "4g")
    assert yarn_sizes.scaled(told, 1) == told


def test_a_job_without_sizes_has_the_services() -> None:
    """docs/data-proc/concepts/spark-sql: client mode on a light cluster, else two containers a host."""
    light = yarn_sizes.defaults(Node(4, 12 * 1024), Node(2, 6 * 1024), "client")
    assert (light["spark.executor.cores"], light["spark.executor.memory"]) == ("3", f"{11264 - 1126}m")
    heavy = yarn_sizes.defaults(Node(4, 12 * 1024), Node(2, 6 * 1024), "cluster")
    assert (heavy["spark.executor.cores"], heavy["spark.driver.memory"]) == ("2", f"{3 * 1024}m")


def test_one_machine_takes_no_sizes_of_a_cluster() -> None:
    own = {"spark.master": "local[2]", "spark.driver.memory": "2g"}
    told = {"spark.executor.instances": "8", "spark.driver.memory": "30g", "spark.dynamicAllocation.enabled": "true"}
    made = spark.on_one_machine(own, {**own, **told, "spark.submit.deployMode": "cluster", "spark.x": "1"})
    assert made == {**own, "spark.submit.deployMode": "client", "spark.x": "1"}


@pytest.mark.parametrize(
    "rule",
    [
        {"method": "*", "when": "running"},
        {"method": "*", "when": "call", "node": "lost"},
        {"method": "*", "when": "running", "node": "stolen"},
    ],
)
def test_a_fault_of_a_host_is_one_that_there_is(rule: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="'lost', 'preempted', 'added'"):
        check_rule(rule)
