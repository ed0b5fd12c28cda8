"""The executors of a run follow from its cluster: hosts, presets, what YARN has of them, what else runs there."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.retraining import executors
from stack.common.envs import ROOT
from tests.support.variable import SETTINGS
from tests.unit.test_dag_logic import BEGUN

PRESETS = json.loads((ROOT / "local_cloud" / "presets.json").read_text())["presets"]
# The service rounds a container up to whole GiB (yarn.scheduler.minimum-allocation-mb).
GIB = 1024


def spec(compute: str = "s3-c2-m8", master: str = "s3-c2-m8", **changes: Any) -> dict[str, Any]:
    return {"compute_preset": compute, "master_preset": master, **changes}


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_every_host_has_an_executor_on_all_its_cores(hosts: int) -> None:
    told = executors.fill(spec("s3-c4-m16"), hosts).for_barriers()
    assert (told["spark.executor.instances"], told["spark.executor.cores"]) == (str(hosts), "4")
    assert told["spark.dynamicAllocation.enabled"] == "false"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_presets_cores_are_those_of_the_price_list(preset: str) -> None:
    assert executors.host(preset).cores == PRESETS[preset]["vcpu"]


@given(
    preset=st.sampled_from(sorted(PRESETS)),
    master=st.sampled_from(sorted(PRESETS)),
    hosts=st.integers(1, 32),
    mode=st.sampled_from(["client", "cluster"]),
)
def test_executors_and_the_application_master_fit_into_a_host(preset: str, master: str, hosts: int, mode: str) -> None:
    """Whatever host the application master comes to, all executors of that host fit beside it."""
    made = executors.fill(spec(preset, master), hosts, mode)
    assert made.count % hosts == 0
    per_host, size = made.count // hosts, made.container.heap + made.container.overhead
    master_container = made.driver.heap + made.driver.overhead if mode == "cluster" else GIB
    # The kernel keeps up to 3 % of a machine's memory, YARN has 0.8 of what the system sees, in whole GiB.
    yarn = int(PRESETS[preset]["ram_gb"] * GIB * 0.97 * 0.8) // GIB * GIB
    assert size % GIB == 0, "else YARN rounds it up, beyond what the host has"
    assert per_host * size + master_container <= yarn
    assert 0.8 * PRESETS[preset]["vcpu"] <= per_host * made.cores <= PRESETS[preset]["vcpu"]
    assert made.container.overhead >= 384
    assert made.container.heap >= 472, "below that Spark refuses to start"
    if mode == "client":
        assert made.driver.heap + made.driver.overhead <= PRESETS[master]["ram_gb"] * GIB * 0.8


def test_a_growing_cluster_is_filled_up_to_its_maximum_and_prepare_asks_as_it_needs() -> None:
    made = executors.fill(spec(max_hosts=6), 2)
    train, prepare = made.for_barriers(), made.for_stages()
    assert (train["spark.executor.instances"], train["spark.dynamicAllocation.enabled"]) == ("6", "false")
    assert prepare["spark.dynamicAllocation.enabled"] == "true"
    assert prepare["spark.dynamicAllocation.initialExecutors"] == "2"
    assert prepare["spark.dynamicAllocation.maxExecutors"] == "6"
    assert "spark.executor.instances" not in prepare, "it would be the number to begin with"


def test_a_cluster_of_fixed_size_has_nothing_to_grow() -> None:
    made = executors.fill(spec(), 2)
    assert made.for_stages() == made.for_barriers()


def test_a_driver_in_the_cluster_is_one_of_its_containers() -> None:
    told = executors.fill(spec("s3-c4-m16"), 2, "cluster").for_barriers()
    assert (told["spark.submit.deployMode"], told["spark.driver.cores"]) == ("cluster", "1")
    assert told["spark.yarn.maxAppAttempts"] == "1"
    assert int(told["spark.driver.memory"][:-1]) + int(told["spark.driver.memoryOverhead"][:-1]) == 3 * GIB


def test_a_large_host_has_several_executors() -> None:
    made = executors.fill(spec("s3-c32-m128"), 3)
    assert (made.count, made.cores) == (12, 8)


@pytest.mark.parametrize(
    ("preset", "mode", "said"),
    [
        ("gigantic", "client", r"preset 'gigantic' does not say its cores.*such as s3-c4-m16"),
        ("x1-c2-m2", "client", r"x1-c2-m2 leaves 1024 MiB to YARN, 1024 of them.*1024 are needed.*s3-c2-m8"),
    ],
)
def test_a_preset_that_cannot_serve_is_refused_with_what_can(preset: str, mode: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        executors.fill(spec(preset), 2, mode)


def plan_of(**changes: Any) -> dict[str, Any]:
    from dags.retraining import plan

    hosts = changes.pop("hosts", None)
    return plan.make(SETTINGS | changes, "http://mlflow", plan.Run("scheduled__1", BEGUN, hosts=hosts))


def test_the_jobs_of_a_run_are_told() -> None:
    made = plan_of(spark={}, hosts=5)
    for job in ("prepare", "train"):
        assert made[job]["properties"]["spark.executor.instances"] == "5"
        assert made[job]["properties"]["spark.executor.cores"] == "4"
    # One core more, for the application master beside an executor of all cores.
    assert made["cluster"]["properties"]["yarn:yarn.nodemanager.resource.cpu-vcores"] == "5"


def test_what_the_variable_says_of_spark_comes_first() -> None:
    made = plan_of(spark={"spark.executor.memory": "1g", "spark.submit.deployMode": "cluster"})
    assert made["train"]["properties"]["spark.executor.memory"] == "1g"
    assert made["train"]["properties"]["spark.driver.cores"] == "1"


def test_hosts_open_to_keys_or_to_os_login() -> None:
    keyed = SETTINGS["cluster"] | {"ssh_public_keys": ["ssh-ed25519 AAAA me"]}
    assert plan_of(cluster=keyed)["cluster"]["ssh_public_keys"] == ["ssh-ed25519 AAAA me"]
    assert "oslogin_enabled" not in plan_of(cluster=keyed)["cluster"]
    assert plan_of()["cluster"]["oslogin_enabled"] is True
    assert "ssh_public_keys" not in plan_of()["cluster"]
