"""What each thing costs, at the list prices of prices.json and local_cloud/prices.json."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud import pricing
from local_cloud.pricing import Hosts
from stack.cloud.outputs import CostInputs

GIB = 1 << 30
PRICES: dict[str, Any] = json.loads((Path(__file__).parent / "prices.json").read_text())


@dataclass(frozen=True)
class Line:
    """Something that is paid for; `amount` is None if an item has no known price."""

    what: str
    item: str
    quantity: float
    amount: float | None
    source: str

    @property
    def hourly(self) -> bool:
        """Whether it is paid for only while it runs: cores and memory; disks and addresses stand."""
        return self.item.endswith((" vCPU", " RAM GB"))


def line(what: str, item: str, quantity: float) -> Line:
    """So many of an item of the price lists, for a month; an item that is on neither has no known price."""
    ours = item in PRICES["prices"]
    book = PRICES if ours else pricing.PRICES
    entry = book["prices"].get(item, {"per": "month", "price": None, "source": None})
    hours = pricing.PRICES["hours_per_month"] if entry["per"] == "hour" else 1
    amount = None if entry["price"] is None else quantity * hours * entry["price"]
    return Line(what, item, quantity, amount, entry["source"] or "-")


def size_of(preset: str) -> tuple[int, int]:
    """(vCPU, GiB of memory) of a preset such as `c1-m4` or `s3-c2-m8`, or of an older one by its name."""
    if named := re.search(r"c(\d+)-m(\d+)$", preset):
        return int(named[1]), int(named[2])
    known = pricing.PRESETS[preset]
    return known["vcpu"], known["ram_gb"]


def standing(sizes: CostInputs) -> Iterator[Line]:
    """What is paid for every month, whether or not anything runs."""
    for name, part in (sizes.airflow or {}).items():
        vcpu, memory = size_of(part.preset)
        yield line(f"Airflow {name}", "Airflow vCPU", part.count * vcpu)
        yield line(f"Airflow {name}", "Airflow RAM GB", part.count * memory)
    if database := sizes.database:
        vcpu, memory = size_of(database.preset)
        platform = pricing.PRESETS.get(database.preset, {"platform": "unknown platform"})["platform"]
        yield line("PostgreSQL", f"PostgreSQL {platform} vCPU", database.hosts * vcpu)
        yield line("PostgreSQL", f"PostgreSQL {platform} RAM GB", database.hosts * memory)
        yield line("PostgreSQL", f"PostgreSQL {database.disk_type} GB", database.hosts * database.disk_gib)
    for name, machine in sizes.machines.items():
        yield line(f"machine {name}", f"machine {machine.platform} vCPU", machine.cores)
        yield line(f"machine {name}", f"machine {machine.platform} RAM GB", machine.memory_gib)
        disks = machine.disk_gib + (machine.data_disk_gib or 0)
        yield line(f"machine {name}", f"disk {machine.disk_type} GB", disks)
        if machine.snapshots:
            # Each holds what has changed since the one before; each disk once is the least.
            yield line(f"machine {name}, at least", "snapshot GB", disks)
    yield line("into the internet", "NAT gateway", sizes.nat_gateways)
    if sizes.public_addresses:
        yield line("from the internet", "public address", sizes.public_addresses)
    yield line("internal names", "DNS zone", sizes.dns_zones)
    yield line("encryption", "key version", sizes.kms_keys + 1)  # one more for the remote state
    yield line("Lockbox", "secret version", sizes.secrets + 1)


def by_use() -> Iterator[Line]:
    """What depends on the data; for one unit each."""
    for item, entry in PRICES["prices"].items():
        if entry["per"] == "use":
            yield line("by use, each", item, 1)


def retrain(sizes: CostInputs, minutes: float) -> pricing.Cost:
    """One cluster that lives for so many minutes."""
    cluster, hours = sizes.cluster, minutes / 60
    disk = (cluster.disk_type, cluster.disk_gib * GIB)
    master = Hosts(cluster.master_preset, *disk, 1)
    compute = Hosts(cluster.compute_preset, *disk, cluster.compute_count, cluster.preemptible)
    return pricing.cost([master, compute], hours, hours)
