"""Which runs the section `scale` has."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from dags.retraining.executors import split

CONTAINER = 2048  # MiB of an executor, unless a run says so


@dataclass(frozen=True)
class Run:
    """``hosts`` of one core, or 0: one process with all cores.

    ``container`` is what an executor has, in MiB, ``fraction`` that of the heap which Spark's data may have; ``train``
    says whether the run also trains and scores. The cost model is fitted on runs with ``fit``, checked on the others.
    """

    name: str
    rows: int
    hosts: int
    heap: str = f"{split(CONTAINER).heap}m"
    container: int = CONTAINER
    fraction: float = 0.6
    train: bool = True
    fit: bool = True

    def is_kept(self, result: Path) -> bool:
        """Whether this run's result is in that file; whoever chooses its folder answers for the code."""
        return result.exists() and bool(json.loads(result.read_text())["run"] == asdict(self))


SMALL = [
    Run("1 host", 1_500_000, 1),
    Run("2 hosts", 1_500_000, 2),
    Run("4 hosts", 1_500_000, 4),
    Run("a third, one process", 500_000, 0, heap="8192m"),
    Run("one process", 1_500_000, 0, heap="8192m"),
    Run("little memory, one process", 1_500_000, 0, fraction=0.03),
    # XGBoost's 0.9 million rows a worker, beside a heap that is full, are more than 2 GiB: YARN ends such an executor.
    Run("4 times the rows, 2 hosts", 6_000_000, 2, container=2 * CONTAINER, fit=False),
    Run("4 times the rows, one process", 6_000_000, 0, heap="8192m", train=False),
]
FULL = Run("a full-size month, one process", 47_000_000, 0, heap="8192m", train=False, fit=False)
