"""What was used and what it would have cost: `python -m local_cloud.report --state DIR`, any time."""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from local_cloud.core.resources import Row, status_of
from local_cloud.core.store import Store
from local_cloud.pricing import Cost, Hosts, cost
from local_cloud.services.dataproc.models import CLUSTER, SUBCLUSTER

# Hosts are paid in every status but these; their disks are paid always.
_UNPAID = ("STOPPED", "DELETED")


@dataclass(frozen=True)
class Usage:
    """One cluster's life. Times are UNIX seconds; `deleted` is None while it lives; `seconds` is its age, or was."""

    id: str
    name: str
    status: str
    labels: dict[str, str]
    created: float
    deleted: float | None
    seconds: float
    cost: Cost


def usage(state: Path) -> list[Usage]:
    """Every Data Processing cluster there ever was, oldest first; an empty list for a folder without a store."""
    path = state / "state.db"
    if not path.exists():
        return []
    store = Store(path)
    try:
        subclusters = store.history(SUBCLUSTER)
        return [
            _usage(store, row, [s for s in subclusters if s.parents["cluster_id"] == row.key])
            for row in store.history(CLUSTER)
        ]
    finally:
        store.close()


def _usage(store: Store, row: Row, subclusters: Sequence[Row]) -> Usage:
    end = row.deleted or time.time()
    changes = [
        (c["time"], c["new"]) for c in store.execute("SELECT * FROM changes WHERE key = ? ORDER BY time", row.key)
    ]
    costs = []
    for subcluster in subclusters:
        first, last = subcluster.created, subcluster.deleted or end
        costs.append(cost([_hosts(subcluster)], paid_seconds(changes, first, last) / 3600, (last - first) / 3600))
    status = "DELETED" if row.deleted else status_of(row.message)
    labels = dict(row.message.labels)
    return Usage(row.key, row.name, status, labels, row.created, row.deleted, end - row.created, sum(costs, Cost(0.0)))


def paid_seconds(changes: Sequence[tuple[float, str]], first: float, last: float) -> float:
    """The seconds between two times in which hosts are paid, by the (time, new status) changes of their cluster.

    >>> paid_seconds([(0, "CREATING"), (10, "RUNNING"), (50, "STOPPED"), (80, "RUNNING")], 5, 100)
    65
    """
    ends = [*(time for time, _ in changes[1:]), last]
    spans = [
        (max(start, first), min(end, last))
        for (start, status), end in zip(changes, ends, strict=True)
        if status not in _UNPAID
    ]
    return sum(end - start for start, end in spans if end > start)


def _hosts(row: Row) -> Hosts:
    resources = row.message.resources
    return Hosts(
        resources.resource_preset_id,
        resources.disk_type_id,
        resources.disk_size,
        row.message.hosts_count,
        row.message.autoscaling_config.preemptible,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="local_cloud.report", description="Clusters, their age and their cost at list prices"
    )
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")
    arguments = parser.parse_args()
    rows = usage(arguments.state)
    if arguments.json:
        print(
            json.dumps([{**asdict(row), "cost": {**asdict(row.cost), "text": str(row.cost)}} for row in rows], indent=2)
        )
        return
    for row in rows:
        print(f"{row.id}  {row.name:<40} {row.status:<9} {row.seconds:>9.0f} s  {row.cost}  {row.labels}")


if __name__ == "__main__":
    main()
