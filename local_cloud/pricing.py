"""What a cluster's hosts and disks cost, by `prices.json` and `presets.json`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
PRICES: dict[str, Any] = json.loads((_FOLDER / "prices.json").read_text())
PRESETS: dict[str, dict[str, Any]] = json.loads((_FOLDER / "presets.json").read_text())["presets"]
_GIB = 1 << 30


@dataclass(frozen=True)
class Cost:
    """`amount` in `currency`, or None if a price is not known; `missing` then names what."""

    amount: float | None
    currency: str = PRICES["currency"]
    missing: tuple[str, ...] = ()

    def __add__(self, other: "Cost") -> "Cost":
        missing = tuple(dict.fromkeys(self.missing + other.missing))
        known = self.amount is not None and other.amount is not None
        return Cost(self.amount + other.amount if known else None, self.currency, missing)  # type: ignore[operator]

    def __str__(self) -> str:
        if self.amount is None:
            return "; ".join(f"no known price for {item}" for item in self.missing)
        return f"{self.amount:.2f} {self.currency}"


@dataclass(frozen=True)
class Hosts:
    """`count` equal hosts of a subcluster; `disk_bytes` is each one's."""

    preset: str
    disk_type: str
    disk_bytes: int
    count: int
    preemptible: bool = False


def items(hosts: Hosts, running: float, existing: float) -> Iterable[tuple[str, float]]:
    """(item of the price list, quantity x hours) of hosts that ran, and whose disks existed, for so many hours."""
    preset = PRESETS[hosts.preset]
    prefix = "preemptible " if hosts.preemptible else ""
    yield f"{prefix}{preset['platform']} vCPU {preset['share']}%", preset["vcpu"] * hosts.count * running
    yield f"{prefix}{preset['platform']} RAM GB", preset["ram_gb"] * hosts.count * running
    yield f"disk {hosts.disk_type} GB", hosts.disk_bytes / _GIB * hosts.count * existing


def cost(groups: Iterable[Hosts], running: float, existing: float) -> Cost:
    """The cost of groups of hosts that ran for `running` hours and whose disks existed for `existing` hours."""
    amount, missing = 0.0, []
    for group in groups:
        for item, quantity in items(group, running, existing):
            entry = PRICES["prices"].get(item, {"price": None})
            if entry["price"] is None:
                missing.append(item)
            else:
                amount += quantity * entry["price"] / (PRICES["hours_per_month"] if entry["per"] == "month" else 1)
    return Cost(None if missing else amount, missing=tuple(dict.fromkeys(missing)))


def hourly(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a cluster's master and each compute host cost an hour; nothing if one of the prices is not known.

    Args:
        spec: presets, disks and `preemptible` as Airflow's variable has them in its `cluster`.
    """
    disk = (spec.get("disk_type") or "network-ssd", spec["disk_gib"] * _GIB)
    if not {spec["master_preset"], spec["compute_preset"]} <= PRESETS.keys():
        return {}
    master = cost([Hosts(spec["master_preset"], *disk, 1)], 1, 1)
    compute = cost([Hosts(spec["compute_preset"], *disk, 1, bool(spec.get("preemptible")))], 1, 1)
    if master.amount is None or compute.amount is None:
        return {}
    return {"master": round(master.amount, 4), "compute": round(compute.amount, 4), "currency": master.currency}
