"""What a year of full-size months costs on how many hosts, for how much money, and what would give way first.

By the cost model and the list prices of `make cost`: nothing of it was measured at that size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.scale.cost import GIB, Model, Work, grown, task_memory
from bench.scale.measured import IN_PYTHON, parts
from dags.retraining.executors import Executors, fill
from fraud_retraining.dataset import WEEK
from fraud_retraining.features import HISTORY_DAYS
from fraud_retraining.model import ROWS_PER_WORKER
from fraud_retraining.training import Settings
from local_cloud import pricing

MONTH = 47_000_000
RETRAINS = 52  # a year
# A deployment's defaults: terraform/variables.tf, `dataproc`.
SPEC: dict[str, Any] = {"master_preset": "s3-c2-m8", "compute_preset": "s3-c4-m16", "disk_gib": 40}
HOSTS = (1, 2, 4, 8, 16)
SYSTEM_GIB = 20  # of a host's disk that the image and Spark's own files take: the smallest disk of a deployment


@dataclass(frozen=True)
class Retrain:
    """One weekly retrain on so many hosts.

    ``cores`` are seconds of a core by step; ``alone`` are those of them that one core does whatever the hosts;
    ``least`` and ``most`` seconds by the clock: of processors that never wait, and of tasks that wait as measured.
    """

    hosts: int
    cores: dict[str, float]
    alone: float
    least: float
    most: float
    money: tuple[float, float]
    works: dict[str, Work]
    executors: Executors


def rows_of(settings: Settings, frauds: float) -> dict[str, int]:
    """Rows of each step of a weekly retrain; ``frauds`` is their share."""
    day = MONTH * 12 / 365
    window = settings.train_days + 3 * WEEK
    train = day * settings.train_days
    return {
        "prepare": round(day * WEEK),
        "features": round(day * (HISTORY_DAYS + window - WEEK)),
        "train": round(train * frauds + min(train * (1 - frauds), settings.most_negatives)),
        "score": min(round(day * WEEK), settings.most_scored),
    }


def retrain(
    model: Model, works: Sequence[Work], hosts: int, frauds: float, settings: Settings | None = None
) -> Retrain:
    """A weekly retrain in a year of full-size months."""
    settings = settings or Settings()
    sizes = fill(SPEC, hosts)
    slots = sizes.count * sizes.cores
    per_task = task_memory(sizes.container.heap / 1024, sizes.cores)
    done, seconds = {}, {}
    for step, rows in rows_of(settings, frauds).items():
        workers = max(1, min(slots, round(rows / ROWS_PER_WORKER)))
        executors = workers if step == "train" else sizes.count
        done[step] = grown(works, step, rows, executors, per_task, parts(slots))
        seconds[step] = model.seconds(done[step])
    serial = seconds["train"] / max(1, min(slots, round(done["train"].rows / ROWS_PER_WORKER)))
    spread = {step: seconds[step] for step in seconds if step != "train"}
    wait = waiting(works)
    least = serial + sum(spread.values()) / slots
    most = serial + sum(took * (1 if step in IN_PYTHON else wait) for step, took in spread.items()) / slots
    money = (least / 3600 * hour(hosts), most / 3600 * hour(hosts))
    return Retrain(hosts, seconds, serial, least, most, money, done, sizes)


def hour(hosts: int) -> float:
    """What an hour of the cluster costs, its disks included."""
    price = pricing.hour_of(SPEC)
    return float(price["master_hour"] + hosts * price["compute_hour"])


def waiting(works: Sequence[Work]) -> float:
    """Seconds by the clock of a second of a processor, of tasks that work in the JVM."""
    jvm = [one for one in works if one.step not in IN_PYTHON]
    return sum(one.run for one in jvm) / sum(one.seconds for one in jvm)


@dataclass(frozen=True)
class Limit:
    """Something that is bounded: what a retrain needs of it, what there is, both in GiB, and what happens beyond."""

    what: str
    needs: float
    has: float
    beyond: str

    @property
    def share(self) -> float:
        return self.needs / self.has


def limits(of: Retrain, kept: float) -> list[Limit]:
    """What there is least of comes first. ``kept`` are bytes of a row that is kept from the features to the scores."""
    return sorted(each_limit(of, kept), key=lambda limit: -limit.share)


def each_limit(of: Retrain, kept: float) -> Iterator[Limit]:
    executors, works = of.executors, of.works
    per_task = task_memory(executors.container.heap / 1024, executors.cores)
    held = max(works[step].memory for step in ("prepare", "features"))
    yield Limit("memory of a task's sorts", held / GIB, per_task / GIB, "they spill to the disk, and slow down")
    # Shuffles are written once and read once; all of one application's files stay until it ends. What is kept has half
    # of the memory of Spark's data, and the disk for the rest.
    settings = Settings()
    rows = MONTH * 12 / 365 * (settings.train_days + 2 * WEEK)
    cached = executors.count * executors.container.heap / 1024 * GIB * 0.6 / 2
    of_train = sum(works[step].shuffled / 2 + works[step].spilled for step in ("features", "train", "score"))
    written = of_train + max(0.0, rows * kept - cached)
    disks = of.hosts * (SPEC["disk_gib"] - SYSTEM_GIB)
    yield Limit(
        "the hosts' disks, for shuffles, spills and kept rows", written / GIB, disks, "the job fails; raise `disk_gib`"
    )
    python, outside = works["train"].python / GIB, executors.container.overhead / 1024
    yield Limit("memory outside the heap, XGBoost's", python, outside, "YARN kills the executor")
    result, most = max(one.result for one in works.values()) / GIB, executors.driver.heap / 2 / 1024
    yield Limit("results that the driver takes (the scored week, capped)", result, most, "Spark refuses the result")
