"""How many executors a run has and how large each is: what the cluster's hosts offer, and never more than YARN gives.

The parts of a host are those of the service (its documentation, "Spark jobs: resource allocation"): YARN has 0.8 of a
host's memory, in whole GiB; a light cluster runs the driver on its master (`spark.submit.deployMode` is `client`), and
on one of the compute hosts an application master of 1 GiB. Nobody knows on which, so room for it is kept on each.
"""

import re
from dataclasses import dataclass
from typing import Any

GIB = 1024  # MiB; YARN rounds every container up to a multiple of this (yarn.scheduler.minimum-allocation-mb)
YARN_SHARE = 0.8  # of a host's memory; the cluster's property dataproc:nodemanager_available_memory_ratio
VISIBLE_SHARE = 0.97  # of a preset's memory; the kernel keeps the rest, and YARN counts what the system sees
MOST_CORES = 8  # of one executor: a larger heap only collects garbage for longer
# XGBoost's data, Arrow's buffers and each core's Python are outside the heap; YARN kills what outgrows its container.
OUTSIDE_HEAP = 0.4
LEAST = GIB  # MiB of a container: Spark's own parts take 300 MiB of the heap

# Presets that do not say their size by name -> cores, GiB. Source: docs/data-proc/concepts/instance-types
OLD_PRESETS = {
    "b1.small": (2, 4),
    "m1.micro": (2, 16),
    "m1.small": (4, 32),
    "s1.nano": (1, 4),
    "s1.micro": (2, 8),
    "s1.small": (4, 16),
    "s1.medium": (8, 32),
    "b2.small": (2, 4),
    "b2.medium": (2, 4),
    "m2.micro": (2, 16),
    "m2.small": (4, 32),
    "m2.medium": (6, 48),
    "m2.large": (8, 64),
    "m2.xlarge": (12, 96),
    "m2.2xlarge": (16, 128),
    "s2.micro": (2, 8),
    "s2.small": (4, 16),
    "s2.medium": (8, 32),
    "s2.large": (12, 48),
    "s2.xlarge": (16, 64),
    "s2.2xlarge": (24, 96),
    "s2.3xlarge": (32, 128),
    "b3-c1-m4": (2, 4),  # the one whose name counts halves of a core
}


@dataclass(frozen=True)
class Host:
    """`cores`, and `yarn` MiB of memory that containers may have."""

    cores: int
    yarn: int


@dataclass(frozen=True)
class Container:
    """A JVM in YARN's hands: `heap` and, outside of it, `overhead`, both in MiB."""

    heap: int
    overhead: int


@dataclass(frozen=True)
class Executors:
    """What a cluster's jobs are told: `count` executors of `cores` each.

    `first` are those of the hosts that a growing cluster begins with; of a cluster of fixed size, all.
    """

    count: int
    first: int
    cores: int
    container: Container
    driver: Container
    in_cluster: bool

    def for_barriers(self) -> dict[str, str]:
        """All executors from the beginning: a barrier stage needs its slots at once and refuses dynamic allocation."""
        return self._sizes() | {
            "spark.dynamicAllocation.enabled": "false",
            "spark.executor.instances": str(self.count),
            # In Spark's 30 s a busy host brings none; what is decided once, as partitions are, would follow from that.
            "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
        }

    def for_stages(self) -> dict[str, str]:
        """Executors as the work asks for them, where the cluster may grow: a host that nobody needs costs nothing."""
        if self.first == self.count:
            return self.for_barriers()
        return self._sizes() | {
            "spark.dynamicAllocation.enabled": "true",
            "spark.dynamicAllocation.shuffleTracking.enabled": "true",  # works with and without YARN's shuffle service
            "spark.dynamicAllocation.minExecutors": "1",
            "spark.dynamicAllocation.initialExecutors": str(self.first),
            "spark.dynamicAllocation.maxExecutors": str(self.count),
        }

    def _sizes(self) -> dict[str, str]:
        driver = {
            "spark.driver.memory": f"{self.driver.heap}m",
            "spark.driver.maxResultSize": f"{self.driver.heap // 2}m",
        }
        if self.in_cluster:
            driver |= {
                "spark.submit.deployMode": "cluster",
                "spark.driver.cores": "1",
                "spark.driver.memoryOverhead": f"{self.driver.overhead}m",
                "spark.yarn.maxAppAttempts": "1",  # what failed would fail again on the same rows
            }
        else:
            driver |= {
                "spark.submit.deployMode": "client",
                "spark.yarn.am.cores": "1",
                "spark.yarn.am.memory": "640m",  # with the overhead that Spark adds at least, 384 MiB, it is 1 GiB
            }
        return driver | {
            "spark.executor.cores": str(self.cores),
            "spark.executor.memory": f"{self.container.heap}m",
            "spark.executor.memoryOverhead": f"{self.container.overhead}m",
        }


def host(preset: str) -> Host:
    """The host of a preset such as `s3-c4-m16` (4 cores, 16 GiB).

    Raises:
        ValueError: the name does not say its size and is none of the older ones.
    """
    found = re.fullmatch(r"[a-z0-9]+-c(\d+)-m(\d+)", preset)
    if preset not in OLD_PRESETS and not found:
        raise ValueError(
            f"The preset {preset!r} does not say its cores and memory, a name such as s3-c4-m16 does: set "
            "cluster.compute_preset and cluster.master_preset to such a one and deploy again "
            "(`yc dataproc resource-preset list` shows them)."
        )
    cores, memory = OLD_PRESETS.get(preset) or (int(found[1]), int(found[2]))  # type: ignore[index]
    return Host(cores, whole(memory * GIB * VISIBLE_SHARE * YARN_SHARE))


def whole(memory: float) -> int:
    """MiB in whole GiB, rounded down."""
    return int(memory) // GIB * GIB


def split(container: int) -> Container:
    overhead = max(384, int(container * OUTSIDE_HEAP))
    return Container(container - overhead, overhead)


def fill(spec: dict[str, Any], hosts: int, deploy_mode: str = "client") -> Executors:
    """The executors that fill `hosts` compute hosts, or `spec["max_hosts"]` if the cluster may grow.

    Args:
        spec: the cluster as the variable has it, with `master_preset` and `compute_preset`.
        hosts: compute hosts that the cluster begins with.
        deploy_mode: `client` (the driver on the master) or `cluster` (the driver in the application master).

    Raises:
        ValueError: a preset is unknown, or has too little memory; says what is needed.
    """
    master, each = host(spec["master_preset"]), host(spec["compute_preset"])
    in_cluster = deploy_mode == "cluster"
    # In cluster mode the driver has a quarter of a host, as on the service (dataproc:spark_driver_memory_fraction).
    kept = max(2 * GIB, whole(each.yarn / 4)) if in_cluster else GIB
    per_host = -(-each.cores // MOST_CORES)
    size = whole((each.yarn - kept) / per_host)
    if size < LEAST:
        raise ValueError(
            f"The preset {spec['compute_preset']} leaves {each.yarn} MiB to YARN, {kept} of them to the application "
            f"master, and {size} to each of {per_host} executors; {LEAST} are needed. Set cluster.compute_preset to "
            "one with more memory (s3-c2-m8 is the smallest that serves every mode) and deploy again."
        )
    # What is left of the master, less a half for the driver's own Python, which compares the models.
    driver = split(kept) if in_cluster else Container(master.yarn // 2, master.yarn - master.yarn // 2)
    return Executors(
        count=per_host * (spec.get("max_hosts") or hosts),
        first=per_host * hosts,
        cores=each.cores // per_host,
        container=split(size),
        driver=driver,
        in_cluster=in_cluster,
    )


def yarn_properties(spec: dict[str, Any]) -> dict[str, str]:
    """The cluster's own: one core more on each host for the application master, which hardly needs one.

    Else YARN, where it counts cores, would find no room for an executor of all cores beside it.
    """
    return {"yarn:yarn.nodemanager.resource.cpu-vcores": str(host(spec["compute_preset"]).cores + 1)}
