"""What work costs: bytes read, rows, bytes shuffled and spilled -> seconds of a core, step by step.

Fitted on small runs out of their event logs (``events``). A step's seconds are those that its rows need (each step does
other things to a row), that its JVMs need to warm up, and what a byte read, shuffled or spilled costs, whichever the
step: rates that are never negative, fitted to the relative error, so that a small run counts as much as a large one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from bench.scale.events import Stage

BYTES = ("read", "shuffled", "spilled")  # what costs the same in every step
GIB, MILLION = 1 << 30, 1e6
PULL = 0.01  # with which rates are drawn to 0, beside relative errors


@dataclass(frozen=True)
class Work:
    """What a step did with ``rows`` rows of the lake on so many executors.

    ``read``, ``shuffled`` (written and read again) and ``spilled`` are bytes; ``memory`` the most that a task's sorts
    held, in bytes, ``python`` that an executor's Python had; ``result`` the bytes that the driver got; ``seconds``
    those of cores, ``run`` those of tasks by the clock, ``busiest`` those of the executor with the most; ``tasks``
    counts them.
    """

    step: str
    rows: int
    executors: int
    read: float
    shuffled: float
    spilled: float
    memory: float
    result: float
    tasks: int
    seconds: float
    run: float
    python: float
    busiest: float


def work(step: str, rows: int, stages: Sequence[Stage], executors: int, python: float = 0.0) -> Work:
    """A step's stages in sum.

    Spark does not count the ``python`` seconds of a core of its Python workers; they are taken for evenly spread, as
    XGBoost's rows are.
    """

    def total(what: str) -> float:
        return sum(stage.total(what) for stage in stages)

    loads: dict[str, float] = defaultdict(float)
    for task in (task for stage in stages for task in stage.tasks):
        loads[task.executor] += task.cpu
    return Work(
        step=step,
        rows=rows,
        executors=executors,
        read=total("read"),
        shuffled=total("shuffle_read") + total("shuffle_written"),
        spilled=total("spilled"),
        memory=max((task.memory for stage in stages for task in stage.tasks), default=0),
        result=total("result"),
        tasks=sum(len(stage.tasks) for stage in stages),
        seconds=total("cpu") + python,
        run=total("run"),
        python=max((stage.python for stage in stages), default=0),
        busiest=max(loads.values(), default=0.0) + python / executors,
    )


@dataclass(frozen=True)
class Model:
    """Rates in seconds of a core: ``per_row`` and ``per_executor`` by step, ``per_byte`` by what was done to it."""

    per_row: Mapping[str, float]
    per_executor: Mapping[str, float]
    per_byte: Mapping[str, float]

    def seconds(self, of: Work) -> float:
        """Predicted seconds of a core; those that were measured are not looked at."""
        moved = sum(self.per_byte[name] * getattr(of, name) for name in BYTES)
        return self.per_row[of.step] * of.rows + self.per_executor[of.step] * of.executors + moved


def fit(runs: Sequence[Work]) -> Model:
    """The rates that explain the seconds of these steps best.

    Raises:
        ValueError: a step was measured with one number of rows only, so that nothing says how it grows.
    """
    steps = sorted({one.step for one in runs})
    for step in steps:
        if len({one.rows for one in runs if one.step == step}) < 2:
            raise ValueError(f"the step {step} was measured with one number of rows; two at least are needed")
    columns = [(step, what) for step in steps for what in ("rows", "executors")]
    matrix = np.array(
        [
            [
                *(float(getattr(one, what)) if one.step == step else 0.0 for step, what in columns),
                *(getattr(one, name) for name in BYTES),
            ]
            for one in runs
        ]
    )
    measured = np.array([one.seconds for one in runs])
    scaled = matrix / measured[:, None]
    size = scaled.max(axis=0)
    size[size == 0] = 1.0  # nothing was spilled
    # Bytes go with rows so closely that many rates explain the same seconds: of these the least.
    least = PULL * np.eye(matrix.shape[1])
    targets = np.concatenate([np.ones(len(runs)), np.zeros(len(least))])
    rates = nnls(np.concatenate([scaled / size, least]), targets)[0] / size
    by_column = dict(zip(columns, rates, strict=False))
    return Model(
        per_row={step: by_column[step, "rows"] for step in steps},
        per_executor={step: by_column[step, "executors"] for step in steps},
        per_byte=dict(zip(BYTES, rates[len(columns) :], strict=True)),
    )


def grown(runs: Sequence[Work], step: str, rows: int, executors: int, per_task: float, parts: float = 1.0) -> Work:
    """What a step will do with ``rows`` rows, by what it did with fewer; its seconds are 0.

    Bytes grow with the rows, as a straight line. Sorts spill as soon as the memory of a task (``per_task`` bytes) does
    not hold them; then as many bytes of a row go to disk as where a run had little memory. ``parts`` says into how many
    times the parts of the runs the rows are cut.
    """
    of_step = [one for one in runs if one.step == step]
    calm = [one for one in of_step if not one.spilled] or of_step
    held = line(calm, "memory", rows / parts)
    return replace(
        calm[0],
        rows=rows,
        executors=executors,
        read=line(calm, "read", rows),
        shuffled=line(calm, "shuffled", rows),
        spilled=rows * max(one.spilled / one.rows for one in of_step) if held > per_task else 0.0,
        memory=held,
        result=line(calm, "result", rows),
        python=line(calm, "python", rows / executors),
        seconds=0.0,
        run=0.0,
        busiest=0.0,
    )


def line(runs: Sequence[Work], what: str, rows: float) -> float:
    """Value at ``rows`` of the straight line through what was measured, never negative and never falling.

    What Python holds grows with the rows of an executor.
    """
    each = [one.rows / one.executors if what == "python" else one.rows for one in runs]
    at = np.array([[1.0, number / MILLION] for number in each])
    start, slope = nnls(at, np.array([float(getattr(one, what)) for one in runs]))[0]
    return float(start + slope * rows / MILLION)


def task_memory(heap_gib: float, cores: int) -> float:
    """Bytes that a task's sorts may have if every core works: Spark's share of the heap, .6 of it without 300 MiB."""
    return (heap_gib * GIB - 300 * (1 << 20)) * 0.6 / cores
