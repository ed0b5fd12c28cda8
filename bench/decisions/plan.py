"""Which worlds are measured, side by side, and what is kept of them."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

from bench.decisions import parts
from simulator import KINDS
from tests.support.kept import KeptFile

MODULES = ("__init__", "dataset", "evaluation", "evidence", "features", "model", "tournament")
INPUTS = (  # what a world's row depends on; how rows are told and drawn is no part of it
    "simulator",
    *(
        f"bench/decisions/{name}.py"
        for name in ("ceiling", "contest", "entrants", "features", "memory", "parts", "world")
    ),
    *(f"spark_app/fraud_retraining/{name}.py" for name in MODULES),
)
Part = tuple[str, str, int]  # what, kind of world, seed


def plan(worlds: int, service: int) -> list[Part]:
    """Every part, those of all kinds side by side, so that what is done after an hour says something of each."""
    decisions = [("decisions", "stationary", seed) for seed in range(worlds)]
    served = [("service", kind, 10_000 + seed) for seed in range(service) for kind in KINDS]
    places = [(place / max(len(some), 1), part) for some in (decisions, served) for place, part in enumerate(some)]
    return [part for _, part in sorted(places, key=lambda one: one[0])]


def name_of(part: Part) -> str:
    return " ".join(map(str, part))


def measure(part: Part, size: parts.Size) -> tuple[Part, float, dict[str, Any]]:
    """A world's row, and the seconds of a core that it took."""
    what, kind, seed = part
    begun = time.process_time()
    row = parts.decisions(seed, size) if what == "decisions" else parts.service(kind, seed, size)
    return part, time.process_time() - begun, row


def run(wanted: list[Part], size: parts.Size, kept: KeptFile, processes: int) -> None:
    """Measures what is not kept yet; the rows go into the file as they come."""
    done = kept.passed()
    tasks = [(part, size) for part in wanted if name_of(part) not in done]
    begun = time.monotonic()
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for number, future in enumerate(as_completed([pool.submit(measure, *task) for task in tasks]), start=1):
            part, seconds, row = future.result()
            kept.add(name_of(part), seconds, row)
            left = (time.monotonic() - begun) / number * (len(tasks) - number)
            text = f"{name_of(part)}: {seconds:.0f} s; {number} of {len(tasks)} worlds, {left / 60:.0f} minutes left"
            print(text, file=sys.stderr, flush=True)
